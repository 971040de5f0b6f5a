"""The points of one outstation, by type: changes turned to events that every master's buffer shares."""

import math
import struct
from collections.abc import Callable, Mapping, Sequence

from bridge.projections.dnp3.events import Event
from bridge.projections.dnp3.objects import GROUPS, PointType
from bridge.projections.dnp3.packing import TIME_MAX, clamp_time
from bridge.projections.dnp3.strings import StringTable
from bridge.projections.dnp3.table import PointConfig, PointTable


class PointTables:
    """`subscribe` to hear of events. One thread only."""

    def __init__(self, points: Mapping[PointType, Sequence[PointConfig]]) -> None:
        self.strings = StringTable({p.index: p.event_class for p in points.get(PointType.OCTET_STRING, ())})
        self._tables: dict[PointType, PointTable] = {
            point_type: PointTable(point_type, points.get(point_type, ()))
            for point_type, groups in GROUPS.items()
            if groups.static and point_type is not PointType.OCTET_STRING
        }
        self._all = list(self._tables.values())
        self._listeners: list[Callable[[Event], None]] = []
        # freezes so far
        self.freezes = 0
        # events so far
        self.number = 0

    def __getitem__(self, point_type: PointType) -> PointTable:
        return self._tables[point_type]

    def changes(self) -> int:
        """Return a number that is the same as long as no point has changed."""
        return sum(table.changes for table in self._all) + self.strings.changes

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._listeners.append(listener)

    def update(
        self, point_type: PointType, index: int, value: float, flags: int, time_ms: int, synced: bool = True
    ) -> None:
        """As `take`, for the table of a type."""
        self.take(self._tables[point_type], index, value, flags, time_ms, synced)

    def take(self, table: PointTable, index: int, value: float, flags: int, time_ms: int, synced: bool) -> None:
        """
        Keep a sample and report it as an event if it is one. `synced`: its time comes from a clock that is.

        Raises: as `PointTable.update`.
        """
        if not 0 <= time_ms <= TIME_MAX:
            time_ms = clamp_time(time_ms)
        if table.update(index, value, flags, time_ms):
            event_class, variation = table.events[index]
            sent = table.flags[index], table.values[index]
            self._report(Event(self.number + 1, table.type, index, event_class, variation, *sent, time_ms, synced))

    def update_string(self, index: int, data: bytes, time_ms: int) -> None:
        """Keep an octet string and report it as an event if it is one. Raises: KeyError."""
        if self.strings.update(index, data):
            event_class, time_ms = self.strings.classes[index], clamp_time(time_ms)
            self._report(
                Event(self.number + 1, PointType.OCTET_STRING, index, event_class, len(data), 0, data, time_ms)
            )

    def report_command(self, event: Event) -> None:
        """Report what a master commanded (g13, g43); the number is given here."""
        self._report(event.numbered(self.number + 1))

    def _report(self, event: Event) -> None:
        self.number = event.number
        for listener in self._listeners:
            listener(event)

    def assign_class(self, point_type: PointType, start: int, stop: int, event_class: int) -> int:
        """Give the points of `start` to `stop` (exclusive) a class, 0 for no events; return how many there are."""
        if point_type is PointType.OCTET_STRING:
            return self.strings.assign_class(start, stop, event_class)
        table, found = self._tables[point_type], 0
        for run in table.runs_between(start, stop):
            for index in range(run.start, run.stop):
                table.events[index] = (event_class, table.events[index][1])
                # what it is now is no change
                table.reported[index] = (table.flags[index], table.values[index])
            found += run.stop - run.start
        return found

    def set_deadband(self, point_type: PointType, index: int, variation: int, data: bytes) -> bool:
        """Take a g34 object (1: 16 bits, 2: 32 bits, 3: float); False for no such point or no such value."""
        table = self._tables[point_type]
        value = struct.unpack("<f", data)[0] if variation == 3 else float(int.from_bytes(data, "little"))
        if index not in table.points or not 0 <= value < math.inf:
            return False
        table.deadbands[index] = value
        return True

    def freeze(self, start: int, stop: int, time_ms: int) -> None:
        """Copy running counters to frozen ones. The counters run on: nothing here can clear them."""
        self.freezes += 1
        counters, frozen = self._tables[PointType.COUNTER], self._tables[PointType.FROZEN_COUNTER]
        for run in counters.runs_between(start, stop):
            for index in range(run.start, run.stop):
                if index in frozen.points:
                    value, flags = counters.values[index], counters.flags[index]
                    self.update(PointType.FROZEN_COUNTER, index, value, flags, time_ms)
