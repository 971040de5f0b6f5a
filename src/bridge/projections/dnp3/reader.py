"""Turn a READ into the pieces of its response: events first, then static runs."""

import struct
from collections.abc import Mapping, Sequence

from bridge.projections.dnp3 import attributes
from bridge.projections.dnp3.application import Iin, ObjectHeader, Qualifier
from bridge.projections.dnp3.events import CLASSES, Event, EventBuffer
from bridge.projections.dnp3.objects import EVENT_TYPES, GROUPS, LAYOUTS, STATIC_TYPES, PointType
from bridge.projections.dnp3.pieces import (
    BytesPiece,
    EventPiece,
    IndexedPiece,
    Piece,
    StaticPiece,
    StringPiece,
    range_header,
)
from bridge.projections.dnp3.table import INDEX_LIMIT, PointTable
from bridge.projections.dnp3.tables import PointTables

_ALL = (Qualifier.ALL,)
_COUNTS = (Qualifier.COUNT_8, Qualifier.COUNT_16)
_RANGES = (Qualifier.RANGE_8, Qualifier.RANGE_16)
# Types in the order class 0 lists them: short objects first.
_CLASS_0 = (
    PointType.BINARY_INPUT,
    PointType.DOUBLE_BIT,
    PointType.BINARY_OUTPUT,
    PointType.COUNTER,
    PointType.FROZEN_COUNTER,
    PointType.ANALOG_INPUT,
    PointType.ANALOG_OUTPUT,
)
_STRINGS, _STRING_EVENTS = GROUPS[PointType.OCTET_STRING]
# Groups that are no points.
_ATTRIBUTES, _DEADBANDS, _TIME, _CLASSES, _INDICATIONS = 0, 34, 50, 60, 80
# Deadbands: 16 and 32 bits, float; the float tells every one.
_DEADBAND_FORMATS = {1: ("H", 0xFFFF), 2: ("I", 0xFFFFFFFF), 3: ("f", 3.4028234663852886e38)}
# Deadbands of one object header: they fit the smallest fragment (249 bytes).
_DEADBANDS_PER_HEADER = 50


class ReadPlan:
    """
    What a READ asks for. `iin` collects what could not be given. `is_repeatable`: the answer is the same as long as no
    point changes and no event waits.
    """

    def __init__(self, tables: PointTables, events: EventBuffer, about: Mapping[int, bytes], now_ms: int) -> None:
        self._tables = tables
        self._events = events
        self._about = about
        self._now_ms = now_ms
        self._event_pieces: list[Piece] = []
        self._static_pieces: list[Piece] = []
        self._classes: list[int] = []
        self._class_limit = 0
        self._taken: set[int] = set()
        self.iin = Iin.NONE
        self.is_repeatable = True

    def plan(self, headers: Sequence[ObjectHeader], indications: int) -> list[Piece]:
        """`indications`: what a READ of group 80 tells."""
        for header in headers:
            group, variation = header.group, header.variation
            if group == _CLASSES:
                self._plan_class(header)
            elif group == _STRINGS:
                self._plan_strings(header)
            elif group in STATIC_TYPES:
                self._plan_static(header)
            elif group in EVENT_TYPES:
                self._plan_event(header)
            elif group == _DEADBANDS:
                self.is_repeatable = False
                self._plan_deadbands(header)
            elif group == _ATTRIBUTES:
                self._plan_attributes(header)
            elif (group, variation) == (_TIME, 1):
                self.is_repeatable = False
                self._static_pieces.append(BytesPiece(b"\x32\x01\x07\x01" + self._now_ms.to_bytes(6, "little")))
            elif (group, variation) == (_INDICATIONS, 1):
                self.is_repeatable = False
                self._static_pieces.append(BytesPiece(b"\x50\x01\x00\x00\x0f" + indications.to_bytes(2, "little")))
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
        known = header.group == _STRING_EVENTS or (header.group, header.variation) in LAYOUTS
        if header.variation and not known:
            self.iin |= Iin.OBJECT_UNKNOWN
        elif header.qualifier in _ALL + _COUNTS:
            limit = header.quantity if header.qualifier in _COUNTS else len(self._events)
            self._add_events(CLASSES, EVENT_TYPES[header.group], limit, header.variation)
        else:
            self.iin |= Iin.PARAM_ERROR

    def _add_events(self, classes: Sequence[int], point_type: PointType | None, limit: int, variation: int) -> None:
        if not len(self._events):
            return
        chosen = self._events.select(classes, point_type, limit)
        fresh: list[Event] = [event for event in chosen if event.number not in self._taken]
        self._taken.update(event.number for event in fresh)
        self._event_pieces.append(EventPiece(fresh, variation))

    def _plan_strings(self, header: ObjectHeader) -> None:
        if header.qualifier in _ALL:
            self._add_strings(0, INDEX_LIMIT)
        elif header.qualifier not in _RANGES or not self._covers(header, self._add_strings(header.start, header.stop)):
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
            if not self._covers(header, self._add_runs(table, header.variation, header.start, header.stop)):
                self.iin |= Iin.PARAM_ERROR
        elif header.qualifier in _COUNTS:
            self._add_runs(table, header.variation, 0, min(header.quantity, table.size))
        else:
            self._add_indexed(table, header)

    @staticmethod
    def _covers(header: ObjectHeader, given: int) -> bool:
        return given == header.stop - header.start

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
        if not there:
            return
        wanted = header.variation or table.runs_between(there[0], there[0] + 1)[0].variation
        if not LAYOUTS[table.groups.static, wanted].size:
            # Packed bits have no indexed form; with flags they do.
            wanted = 2
        self._static_pieces.append(IndexedPiece(table, wanted, there))

    def _plan_deadbands(self, header: ObjectHeader) -> None:
        table = self._tables[PointType.ANALOG_INPUT]
        variation = header.variation or 3
        if variation not in _DEADBAND_FORMATS:
            self.iin |= Iin.OBJECT_UNKNOWN
            return
        if header.qualifier in _ALL:
            start, stop = 0, table.size
        elif header.qualifier in _RANGES:
            start, stop = header.start, header.stop
        else:
            self.iin |= Iin.PARAM_ERROR
            return
        runs = table.runs_between(start, stop)
        if header.qualifier in _RANGES and not self._covers(header, sum(run.stop - run.start for run in runs)):
            self.iin |= Iin.PARAM_ERROR
        for run in runs:
            for at in range(run.start, run.stop, _DEADBANDS_PER_HEADER):
                end = min(at + _DEADBANDS_PER_HEADER, run.stop)
                self._static_pieces.append(BytesPiece(_deadbands(table, variation, at, end)))

    def _plan_attributes(self, header: ObjectHeader) -> None:
        # attributes of the standard's own set, number 0
        wanted = header.qualifier in _ALL or (header.qualifier in _RANGES and (header.start, header.stop) == (0, 1))
        if not wanted:
            self.iin |= Iin.PARAM_ERROR
            return
        found = attributes.objects(self._about, header.variation or attributes.ALL)
        if found is None:
            self.iin |= Iin.OBJECT_UNKNOWN
        else:
            self._static_pieces += map(BytesPiece, found)


def _deadbands(table: PointTable, variation: int, start: int, stop: int) -> bytes:
    code, most = _DEADBAND_FORMATS[variation]
    values = [min(value, most) for value in table.deadbands[start:stop]]
    numbers: list[float] = values if variation == 3 else [round(value) for value in values]
    return range_header(_DEADBANDS, variation, start, stop) + struct.pack(f"<{len(numbers)}{code}", *numbers)
