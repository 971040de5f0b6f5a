"""Turn a READ into response bodies, fragment by fragment: events first, then static runs."""

from collections.abc import Sequence
from typing import Protocol

from bridge.projections.dnp3.application import Iin, ObjectHeader, Qualifier
from bridge.projections.dnp3.events import CLASSES, Event, EventBuffer
from bridge.projections.dnp3.objects import EVENT_TYPES, GROUPS, LAYOUTS, STATIC_TYPES, Layout, PointType, pack_point
from bridge.projections.dnp3.strings import StringRun, StringTable
from bridge.projections.dnp3.tables import INDEX_LIMIT, PointTable, PointTables

_ALL = (Qualifier.ALL,)
_COUNTS = (Qualifier.COUNT_8, Qualifier.COUNT_16)
_STRINGS = GROUPS[PointType.OCTET_STRING].static
_RANGES = (Qualifier.RANGE_8, Qualifier.RANGE_16)
# Types in the order class 0 lists them: short objects first.
_CLASS_0 = (
    PointType.BINARY_INPUT, PointType.DOUBLE_BIT, PointType.BINARY_OUTPUT, PointType.COUNTER, PointType.FROZEN_COUNTER,
    PointType.ANALOG_INPUT, PointType.ANALOG_OUTPUT,
)  # fmt: skip
# Bytes of an object header with a 16-bit range, and with a 16-bit count.
_RANGE_HEADER = 7
_COUNT_HEADER = 5


class Writer:
    """One fragment's body under construction."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.parts: list[bytes | bytearray] = []
        self.events: list[Event] = []

    def add(self, part: bytes | bytearray) -> None:
        self.parts.append(part)
        self.room -= len(part)


class Piece(Protocol):
    """A part of a response; `write` returns whether it is all written."""

    def write(self, writer: Writer) -> bool: ...


class StaticPiece:
    """Points `start` to `stop` (exclusive) in one variation, with a range header."""

    def __init__(self, table: PointTable, variation: int, start: int, stop: int) -> None:
        self._table = table
        self._layout = LAYOUTS[table.groups.static, variation]
        self._next = start
        self._stop = stop

    def write(self, writer: Writer) -> bool:
        start, layout = self._next, self._layout
        room = writer.room - _RANGE_HEADER
        fit = room // layout.size if layout.size else room * (8 if layout.fields == "P" else 4)
        stop = min(self._stop, start + fit)
        if stop <= start:
            return False
        writer.add(range_header(layout.group, layout.variation, start, stop))
        if layout.size:
            data = self._table.encoded(layout.variation)
            writer.add(data[start * layout.size : stop * layout.size])
        else:
            writer.add(self._table.pack(layout, start, stop))
        self._next = stop
        return stop == self._stop


class IndexedPiece:
    """Single points, each with its 16-bit index."""

    def __init__(self, table: PointTable, variation: int, indexes: Sequence[int]) -> None:
        self._table = table
        self._layout = LAYOUTS[table.groups.static, variation]
        self._indexes = indexes

    def write(self, writer: Writer) -> bool:
        table, layout = self._table, self._layout
        fit = max(0, writer.room - _COUNT_HEADER) // (2 + layout.size)
        if not fit:
            return False
        now, self._indexes = self._indexes[:fit], self._indexes[fit:]
        writer.add(bytes((layout.group, layout.variation, Qualifier.INDEX_16)) + len(now).to_bytes(2, "little"))
        for i in now:
            writer.add(pack_point(layout, table.flags[i], table.values[i], table.times[i], i))
        return not self._indexes


class EventPiece:
    """Events in the order they happened; neighbours of one type share a header."""

    def __init__(self, events: list[Event], variation: int) -> None:
        self._events = events
        self._variation = variation
        self._next = 0

    def write(self, writer: Writer) -> bool:
        while self._next < len(self._events):
            if not self._write_header(writer):
                return False
        return True

    def _write_header(self, writer: Writer) -> bool:
        first = self._events[self._next]
        variation = self._variation_of(first)
        layout = LAYOUTS.get((GROUPS[first.type].event, variation))
        fit = max(0, writer.room - _COUNT_HEADER) // (2 + (layout.size if layout is not None else variation))
        objects: list[bytes] = []
        for event in self._events[self._next : self._next + fit]:
            same = event.type is first.type and self._variation_of(event) == variation
            if not same:
                break
            objects.append(_packed(layout, event))
            writer.events.append(event)
        if not objects:
            return False
        self._next += len(objects)
        count = len(objects).to_bytes(2, "little")
        writer.add(bytes((GROUPS[first.type].event, variation, Qualifier.INDEX_16)) + count + b"".join(objects))
        return True

    def _variation_of(self, event: Event) -> int:
        """A string's variation is its length, whatever was asked for."""
        return event.variation if event.type is PointType.OCTET_STRING else self._variation or event.variation


def _packed(layout: Layout | None, event: Event) -> bytes:
    if layout is None or isinstance(event.value, bytes):
        assert isinstance(event.value, bytes)
        return event.index.to_bytes(2, "little") + event.value
    return pack_point(layout, event.flags, event.value, event.time_ms, event.index)


class StringPiece:
    """Octet strings `start` to `stop` (exclusive) of one size, with a range header."""

    def __init__(self, table: StringTable, run: StringRun) -> None:
        self._table, self._run = table, run

    def write(self, writer: Writer) -> bool:
        run, fit = self._run, max(0, writer.room - _RANGE_HEADER) // self._run.size
        stop = min(run.stop, run.start + fit)
        if stop <= run.start:
            return False
        writer.add(range_header(_STRINGS, run.size, run.start, stop))
        # a string may have changed its length since: cut or filled, the next event tells it whole
        values = (self._table.values[index] for index in range(run.start, stop))
        writer.add(b"".join(value[: run.size].ljust(run.size, b"\0") for value in values))
        self._run = StringRun(stop, run.stop, run.size)
        return stop == run.stop


def range_header(group: int, variation: int, start: int, stop: int) -> bytes:
    """Return the object header of points `start` to `stop` (exclusive), one-octet range where it is enough."""
    head = bytes((group, variation))
    if stop <= 256:
        return head + bytes((Qualifier.RANGE_8, start, stop - 1))
    return head + bytes((Qualifier.RANGE_16,)) + start.to_bytes(2, "little") + (stop - 1).to_bytes(2, "little")


class BytesPiece:
    """A few bytes that go into one fragment whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def write(self, writer: Writer) -> bool:
        if writer.room < len(self._data):
            return False
        writer.add(self._data)
        return True


class ReadPlan:
    """What a READ asks for. `iin` collects what could not be given."""

    def __init__(self, tables: PointTables, events: EventBuffer, now_ms: int, indications: int) -> None:
        self._tables = tables
        self._events = events
        self._now_ms = now_ms
        self._indications = indications
        self._event_pieces: list[Piece] = []
        self._static_pieces: list[Piece] = []
        self._classes: list[int] = []
        self._class_limit = 0
        self._taken: set[int] = set()
        self.iin = Iin.NONE

    def plan(self, headers: Sequence[ObjectHeader]) -> list[Piece]:
        for header in headers:
            if header.group == 60:
                self._plan_class(header)
            elif header.group == _STRINGS:
                self._plan_strings(header)
            elif header.group in STATIC_TYPES:
                self._plan_static(header)
            elif header.group in EVENT_TYPES:
                self._plan_event(header)
            elif (header.group, header.variation) == (50, 1):
                self._static_pieces.append(BytesPiece(b"\x32\x01\x07\x01" + self._now_ms.to_bytes(6, "little")))
            elif (header.group, header.variation) == (80, 1):
                bits = self._indications.to_bytes(2, "little")
                self._static_pieces.append(BytesPiece(b"\x50\x01\x00\x00\x0f" + bits))
            else:
                self.iin |= Iin.OBJECT_UNKNOWN
        if self._classes:
            # One list for all classes asked for, so that a point's events stay in order.
            self._add_events(sorted(set(self._classes)), None, self._class_limit, 0)
        return self._event_pieces + self._static_pieces

    def _plan_class(self, header: ObjectHeader) -> None:
        if header.variation == 1 and header.qualifier in _ALL:
            for point_type in _CLASS_0:
                table = self._tables[point_type]
                self._static_pieces += [StaticPiece(table, r.variation, r.start, r.stop) for r in table.runs]
            self._add_strings(0, INDEX_LIMIT)
        elif header.variation in (2, 3, 4) and header.qualifier in _ALL + _COUNTS:
            self._classes.append(header.variation - 1)
            limited = header.qualifier in _COUNTS
            self._class_limit += header.quantity if limited else len(self._events)
        else:
            self.iin |= Iin.PARAM_ERROR if header.variation in (1, 2, 3, 4) else Iin.OBJECT_UNKNOWN

    def _plan_event(self, header: ObjectHeader) -> None:
        strings = header.group == GROUPS[PointType.OCTET_STRING].event
        if header.variation and not strings and (header.group, header.variation) not in LAYOUTS:
            self.iin |= Iin.OBJECT_UNKNOWN
        elif header.qualifier in _ALL + _COUNTS:
            limit = header.quantity if header.qualifier in _COUNTS else len(self._events)
            self._add_events(CLASSES, EVENT_TYPES[header.group], limit, header.variation)
        else:
            self.iin |= Iin.PARAM_ERROR

    def _add_events(self, classes: Sequence[int], point_type: PointType | None, limit: int, variation: int) -> None:
        chosen = self._events.select(classes, point_type, limit)
        fresh = [event for event in chosen if event.number not in self._taken]
        self._taken.update(event.number for event in fresh)
        self._event_pieces.append(EventPiece(fresh, variation))

    def _plan_strings(self, header: ObjectHeader) -> None:
        if header.qualifier in _ALL:
            self._add_strings(0, INDEX_LIMIT)
        elif header.qualifier in _RANGES:
            if self._add_strings(header.start, header.stop) < header.stop - header.start:
                self.iin |= Iin.PARAM_ERROR
        else:
            self.iin |= Iin.PARAM_ERROR

    def _add_strings(self, start: int, stop: int) -> int:
        runs = self._tables.strings.runs_between(start, stop)
        self._static_pieces += [StringPiece(self._tables.strings, run) for run in runs]
        return sum(run.stop - run.start for run in runs)

    def _plan_static(self, header: ObjectHeader) -> None:
        table = self._tables[STATIC_TYPES[header.group]]
        if header.variation and (header.group, header.variation) not in LAYOUTS:
            self.iin |= Iin.OBJECT_UNKNOWN
        elif header.qualifier in _ALL:
            self._add_runs(table, header.variation, 0, table.size)
        elif header.qualifier in _RANGES:
            given = self._add_runs(table, header.variation, header.start, header.stop)
            if given < header.stop - header.start:
                self.iin |= Iin.PARAM_ERROR
        elif header.qualifier in _COUNTS:
            self._add_runs(table, header.variation, 0, min(header.quantity, table.size))
        else:
            self._add_indexed(table, header)

    def _add_runs(self, table: PointTable, variation: int, start: int, stop: int) -> int:
        runs = table.runs_between(start, stop)
        for run in runs:
            self._static_pieces.append(StaticPiece(table, variation or run.variation, run.start, run.stop))
        return sum(run.stop - run.start for run in runs)

    def _add_indexed(self, table: PointTable, header: ObjectHeader) -> None:
        asked = [index for index, _ in header.items]
        there = [index for index in asked if index in table.points]
        if len(there) < len(asked):
            self.iin |= Iin.PARAM_ERROR
        wanted = header.variation or (table.runs_between(there[0], there[0] + 1)[0].variation if there else 0)
        if not there:
            return
        if not LAYOUTS[table.groups.static, wanted].size:
            # Packed bits have no indexed form; with flags they do.
            wanted = 2
        self._static_pieces.append(IndexedPiece(table, wanted, there))
