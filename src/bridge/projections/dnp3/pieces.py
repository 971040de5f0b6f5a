"""Parts of a response: each writes itself into one fragment after another until it is all written."""

from collections.abc import Sequence
from typing import Protocol

from bridge.projections.dnp3.application import Qualifier
from bridge.projections.dnp3.events import Event
from bridge.projections.dnp3.objects import FLAGGED, GROUPS, LAYOUTS, Layout, PointType
from bridge.projections.dnp3.packing import pack_point
from bridge.projections.dnp3.strings import StringRun, StringTable
from bridge.projections.dnp3.table import PointTable

# Bytes of an object header with a 16-bit range, and with a 16-bit count.
RANGE_HEADER = 7
_COUNT_HEADER = 5
# Bytes of a common time of occurrence with its header (g51).
_COMMON_TIME = 10
# ms that a relative time can tell (g2v3, g4v3: 16 bits).
_RELATIVE_MAX = 0xFFFF
_STRINGS = GROUPS[PointType.OCTET_STRING].static
_CTO_SYNCED, _CTO_UNSYNCED = b"\x33\x01\x07\x01", b"\x33\x02\x07\x01"


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


def range_header(group: int, variation: int, start: int, stop: int) -> bytes:
    """Return the object header of points `start` to `stop` (exclusive), one-octet range where it is enough."""
    head = bytes((group, variation))
    if stop <= 256:
        return head + bytes((Qualifier.RANGE_8, start, stop - 1))
    return head + bytes((Qualifier.RANGE_16,)) + start.to_bytes(2, "little") + (stop - 1).to_bytes(2, "little")


class StaticPiece:
    """Points `start` to `stop` (exclusive) in one variation, with a range header."""

    def __init__(self, table: PointTable, variation: int, start: int, stop: int) -> None:
        self._table = table
        self._layout = LAYOUTS[table.groups.static, variation]
        self._next = start
        self._stop = stop

    def write(self, writer: Writer) -> bool:
        start, layout = self._next, honest_layout(self._table, self._layout, self._next, self._stop)
        room = writer.room - RANGE_HEADER
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


def honest_layout(table: PointTable, layout: Layout, start: int, stop: int) -> Layout:
    """Return the layout with flags for one without, when a point of the run has something to say with them."""
    flagged = FLAGGED.get((layout.group, layout.variation))
    if flagged is None or table.is_plain(layout, start, stop):
        return layout
    return LAYOUTS[layout.group, flagged]


class IndexedPiece:
    """Single points, each with its 16-bit index."""

    def __init__(self, table: PointTable, variation: int, indexes: Sequence[int]) -> None:
        self._table = table
        self._layout = LAYOUTS[table.groups.static, variation]
        self._indexes = indexes

    def write(self, writer: Writer) -> bool:
        table, layout = self._table, self._layout
        for index in self._indexes:
            layout = honest_layout(table, layout, index, index + 1)
        fit = max(0, writer.room - _COUNT_HEADER) // (2 + layout.size)
        if not fit:
            return False
        now, self._indexes = self._indexes[:fit], self._indexes[fit:]
        writer.add(bytes((layout.group, layout.variation, Qualifier.INDEX_16)) + len(now).to_bytes(2, "little"))
        for i in now:
            writer.add(pack_point(layout, table.flags[i], table.values[i], table.times[i], i))
        return not self._indexes


class StringPiece:
    """Octet strings `start` to `stop` (exclusive) of one size, with a range header."""

    def __init__(self, table: StringTable, run: StringRun) -> None:
        self._table, self._run = table, run

    def write(self, writer: Writer) -> bool:
        run, fit = self._run, max(0, writer.room - RANGE_HEADER) // self._run.size
        stop = min(run.stop, run.start + fit)
        if stop <= run.start:
            return False
        writer.add(range_header(_STRINGS, run.size, run.start, stop))
        # a string may have changed its length since the request came: cut or filled, the next read tells it whole
        values = (self._table.values[index] for index in range(run.start, stop))
        writer.add(b"".join(value[: run.size].ljust(run.size, b"\0") for value in values))
        self._run = StringRun(stop, run.stop, run.size)
        return stop == run.stop


class BytesPiece:
    """A few bytes that go into one fragment whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def write(self, writer: Writer) -> bool:
        if writer.room < len(self._data):
            return False
        writer.add(self._data)
        return True


class EventPiece:
    """
    Events in the order they happened; neighbours of one type share a header.

    `variation` 0: of each event its own. A relative time (layout letter R) follows the common time it is relative to.
    """

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
        group, variation = GROUPS[first.type].event, self._variation_of(first)
        layout = LAYOUTS.get((group, variation))
        size = layout.size if layout is not None else variation
        relative = layout is not None and layout.fields.endswith("R")
        fit = max(0, writer.room - _COUNT_HEADER - (_COMMON_TIME if relative else 0)) // (2 + size)
        fitting: list[Event] = []
        for event in self._events[self._next : self._next + fit]:
            if event.type is not first.type or self._variation_of(event) != variation:
                break
            if relative and not _is_near(first, event):
                break
            fitting.append(event)
        if not fitting:
            return False
        self._next += len(fitting)
        writer.events += fitting
        if relative:
            head = _CTO_SYNCED if first.synced else _CTO_UNSYNCED
            writer.add(head + first.time_ms.to_bytes(6, "little"))
        head = bytes((group, variation, Qualifier.INDEX_16)) + len(fitting).to_bytes(2, "little")
        since_ms = first.time_ms if relative else 0
        writer.add(head + b"".join([_packed(layout, event, since_ms) for event in fitting]))
        return True

    def _variation_of(self, event: Event) -> int:
        """A string's variation is its length, whatever was asked for."""
        return event.variation if event.type is PointType.OCTET_STRING else self._variation or event.variation


def _is_near(first: Event, event: Event) -> bool:
    return event.synced is first.synced and 0 <= event.time_ms - first.time_ms <= _RELATIVE_MAX


def _packed(layout: Layout | None, event: Event, since_ms: int) -> bytes:
    if layout is None or isinstance(event.value, bytes):
        assert isinstance(event.value, bytes)
        return event.index.to_bytes(2, "little") + event.value
    return pack_point(layout, event.flags, event.value, event.time_ms - since_ms, event.index)
