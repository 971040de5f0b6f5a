"""
The points of one outstation: values by type, encodings kept per variation, changes turned to events.

An encoding is renewed in chunks, only where a value changed since it was last asked for; masters share it.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from bridge.projections.dnp3.events import Event
from bridge.projections.dnp3.objects import GROUPS, LAYOUTS, Flag, Layout, PointType, clamp_time, pack_run
from bridge.projections.dnp3.strings import StringTable

# Points; multiple of 8. 64 floats are 320 bytes and 4 us to encode.
CHUNK_POINTS = 64
# One more than the highest index a 16-bit range can name.
INDEX_LIMIT = 1 << 16
_WRAP = 1 << 32
_COUNTERS = (PointType.COUNTER, PointType.FROZEN_COUNTER)
_BITS = (PointType.BINARY_INPUT, PointType.BINARY_OUTPUT, PointType.DOUBLE_BIT)

DEFAULT_STATIC = {
    PointType.ANALOG_INPUT: 5,
    PointType.ANALOG_OUTPUT: 3,
    PointType.COUNTER: 1,
    PointType.FROZEN_COUNTER: 1,
}
DEFAULT_EVENT = {
    PointType.ANALOG_INPUT: 7,
    PointType.ANALOG_OUTPUT: 7,
    PointType.COUNTER: 5,
    PointType.FROZEN_COUNTER: 5,
}


class PointConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`event_class` 0: no events. Variation 0: the default of the kind. `deadband` in units of the value."""

    index: int
    event_class: int = 0
    static_variation: int = 0
    event_variation: int = 0
    deadband: float = 0.0


class Run(NamedTuple):
    """Points `start` to `stop` (exclusive) that exist and share a default static variation."""

    start: int
    stop: int
    variation: int


class _Encoding:
    def __init__(self, layout: Layout, size: int, chunks: int) -> None:
        self.layout = layout
        self.data = bytearray(layout.size * size)
        self.versions = [-1] * chunks


class PointTable:
    """All points of one kind. Columns, not objects: a run is encoded from three slices."""

    def __init__(self, point_type: PointType, points: Iterable[PointConfig]) -> None:
        """Raises: ValueError for an index beyond INDEX_LIMIT or a variation that is not known."""
        self.type = point_type
        self.groups = GROUPS[point_type]
        self.points = {point.index: point for point in points}
        self.size = max(self.points, default=-1) + 1
        if self.size > INDEX_LIMIT or min(self.points, default=0) < 0:
            raise ValueError(f"{point_type.value}: index beyond 0 to {INDEX_LIMIT - 1}")
        self.flags = bytearray([Flag.RESTART]) * self.size
        self.values: list[float] = [0] * self.size
        self.times = [0] * self.size
        self.deadbands = [0.0] * self.size
        self.reported: list[tuple[int, float]] = [(int(Flag.RESTART), 0)] * self.size
        self.events = [(0, 0)] * self.size
        for point in self.points.values():
            self.deadbands[point.index] = point.deadband
            variation = point.event_variation or DEFAULT_EVENT.get(point_type, 2)
            if (self.groups.event, variation) not in LAYOUTS:
                raise ValueError(f"{point_type.value} {point.index}: no event variation {variation}")
            self.events[point.index] = (point.event_class, variation)
        self.runs = self._find_runs()
        self.versions = [0] * -(-self.size // CHUNK_POINTS)
        self._encodings: dict[int, _Encoding] = {}

    def _find_runs(self) -> list[Run]:
        runs: list[Run] = []
        for index in sorted(self.points):
            variation = self.points[index].static_variation or DEFAULT_STATIC.get(self.type, 2)
            if (self.groups.static, variation) not in LAYOUTS:
                raise ValueError(f"{self.type.value} {index}: no static variation {variation}")
            last = runs[-1] if runs else None
            if last is not None and last.stop == index and last.variation == variation:
                runs[-1] = Run(last.start, index + 1, variation)
            else:
                runs.append(Run(index, index + 1, variation))
        return runs

    def runs_between(self, start: int, stop: int) -> list[Run]:
        """Return the existing parts of `start` to `stop` (exclusive)."""
        return [
            Run(max(run.start, start), min(run.stop, stop), run.variation)
            for run in self.runs
            if run.start < stop and start < run.stop
        ]

    def encoded(self, variation: int) -> bytearray:
        """Return the encoding of all points in a fixed-size variation, renewed where values changed."""
        encoding = self._encodings.get(variation)
        if encoding is None:
            layout = LAYOUTS[self.groups.static, variation]
            encoding = self._encodings[variation] = _Encoding(layout, self.size, len(self.versions))
        if encoding.versions == self.versions:
            return encoding.data
        size = encoding.layout.size
        for chunk, version in enumerate(self.versions):
            if encoding.versions[chunk] == version:
                continue
            at, end = chunk * CHUNK_POINTS, min((chunk + 1) * CHUNK_POINTS, self.size)
            encoding.data[at * size : end * size] = self.pack(encoding.layout, at, end)
        encoding.versions = self.versions.copy()
        return encoding.data

    def pack(self, layout: Layout, start: int, stop: int) -> bytes:
        return pack_run(layout, self.flags[start:stop], self.values[start:stop], self.times[start:stop])

    def update(self, index: int, value: float, flags: int, time_ms: int) -> bool:
        """
        Keep a sample; tell whether it is an event of the point's class.

        Raises: KeyError for a point that is not there; ValueError for a counter that is no integer.
        """
        if index not in self.points:
            raise KeyError(f"{self.type.value} {index}")
        if self.type in _COUNTERS:
            value = int(value) % _WRAP
        elif self.type in _BITS:
            shift = 6 if self.type is PointType.DOUBLE_BIT else 7
            flags = flags & (1 << shift) - 1 | int(value) << shift & 0xFF
        self.flags[index] = flags
        self.values[index] = value
        self.times[index] = time_ms
        self.versions[index // CHUNK_POINTS] += 1
        if not self.events[index][0]:
            return False
        old_flags, old_value = self.reported[index]
        if flags == old_flags and not self._beyond(index, old_value, value):
            return False
        self.reported[index] = (flags, value)
        return True

    def _beyond(self, index: int, old: float, new: float) -> bool:
        if self.type in _BITS or old == new:
            # State is part of the flags.
            return False
        if self.type in _COUNTERS:
            return (new - old) % _WRAP > self.deadbands[index]
        if new != new:
            return old == old
        return not abs(new - old) <= self.deadbands[index]


class PointTables:
    """All points of the outstation; `subscribe` to hear of events. One thread only."""

    def __init__(self, points: Mapping[PointType, Sequence[PointConfig]]) -> None:
        configs = dict(points)
        if PointType.FROZEN_COUNTER not in configs:
            counters = configs.get(PointType.COUNTER, ())
            configs[PointType.FROZEN_COUNTER] = [PointConfig(point.index) for point in counters]
        strings = configs.pop(PointType.OCTET_STRING, ())
        self.strings = StringTable({point.index: point.event_class for point in strings})
        self._tables = {point_type: PointTable(point_type, configs.get(point_type, ())) for point_type in PointType}
        self._listeners: list[Callable[[Event], None]] = []
        self._number = 0

    def __getitem__(self, point_type: PointType) -> PointTable:
        return self._tables[point_type]

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._listeners.append(listener)

    def update(self, point_type: PointType, index: int, value: float, flags: int, time_ms: int) -> None:
        """Keep a sample and report it as an event if it is one. Raises: as `PointTable.update`."""
        time_ms = clamp_time(time_ms)
        table = self._tables[point_type]
        if not table.update(index, value, flags, time_ms):
            return
        event_class, variation = table.events[index]
        self._report(point_type, index, event_class, variation, table.flags[index], table.values[index], time_ms)

    def _report(
        self,
        point_type: PointType,
        index: int,
        event_class: int,
        variation: int,
        flags: int,
        value: float | bytes,
        time_ms: int,
    ) -> None:
        self._number += 1
        event = Event(self._number, point_type, index, event_class, variation, flags, value, time_ms)
        for listener in self._listeners:
            listener(event)

    def update_string(self, index: int, data: bytes, time_ms: int) -> None:
        """Keep an octet string and report it as an event if it is one. Raises: KeyError."""
        if self.strings.update(index, data):
            event_class = self.strings.classes[index]
            self._report(PointType.OCTET_STRING, index, event_class, len(data), 0, data, clamp_time(time_ms))

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
        counters, frozen = self._tables[PointType.COUNTER], self._tables[PointType.FROZEN_COUNTER]
        for run in counters.runs_between(start, stop):
            for index in range(run.start, run.stop):
                if index in frozen.points:
                    value, flags = counters.values[index], counters.flags[index]
                    self.update(PointType.FROZEN_COUNTER, index, value, flags, time_ms)
