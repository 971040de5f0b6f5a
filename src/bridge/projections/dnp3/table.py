"""
All points of one type: columns of values, flags and times, and the encodings kept per variation.

An encoding is renewed in chunks, only where a value changed since it was last asked for; masters share it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from bridge.projections.dnp3.objects import GROUPS, LAYOUTS, Flag, Layout, PointType
from bridge.projections.dnp3.packing import fits, pack_run

# Points; multiple of 8. 64 floats are 320 bytes and 4 us to encode.
CHUNK_POINTS = 64
# One more than the highest index a 16-bit range can name.
INDEX_LIMIT = 1 << 16
_WRAP = 1 << 32
_COUNTERS = (PointType.COUNTER, PointType.FROZEN_COUNTER)
_BITS = (PointType.BINARY_INPUT, PointType.BINARY_OUTPUT, PointType.DOUBLE_BIT)
# Flag octets of a binary or double-bit that is online and nothing else, in any state; of other types.
_PLAIN_BITS, _PLAIN = b"\x01\x41\x81\xc1", b"\x01"

# A frozen value is told with the time of its freeze: it is what a bill is made of.
DEFAULT_STATIC = {
    PointType.ANALOG_INPUT: 5,
    PointType.ANALOG_OUTPUT: 3,
    PointType.COUNTER: 1,
    PointType.FROZEN_COUNTER: 5,
}
DEFAULT_EVENT = {
    PointType.ANALOG_INPUT: 7,
    PointType.ANALOG_OUTPUT: 7,
    PointType.COUNTER: 5,
    PointType.FROZEN_COUNTER: 5,
}
# Binaries and double-bits: with flags, and with flags and time.
_DEFAULT = 2


class PointConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`event_class` 0: no events. Variation 0: the default of the type. `deadband` in units of the value."""

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
    """Columns, not objects: a run is encoded from three slices."""

    def __init__(self, point_type: PointType, points: Iterable[PointConfig]) -> None:
        """Raises: ValueError for an index beyond INDEX_LIMIT or a variation that is not known."""
        self.type = point_type
        self._counts = point_type in _COUNTERS
        # the lowest bit of the state in the flags of a binary, 0 for other types
        self._shift = 0 if point_type not in _BITS else 6 if point_type is PointType.DOUBLE_BIT else 7
        # changes of any value, time or flags
        self.changes = 0
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
        # class and event variation of each point
        self.events = [(0, 0)] * self.size
        for point in self.points.values():
            self.deadbands[point.index] = point.deadband
            variation = point.event_variation or DEFAULT_EVENT.get(point_type, _DEFAULT)
            if (self.groups.event, variation) not in LAYOUTS:
                raise ValueError(f"{point_type.value} {point.index}: no event variation {variation}")
            self.events[point.index] = (point.event_class, variation)
        self.runs = self._find_runs()
        self.versions = [0] * -(-self.size // CHUNK_POINTS)
        self._encodings: dict[int, _Encoding] = {}

    def _find_runs(self) -> list[Run]:
        runs: list[Run] = []
        for index in sorted(self.points):
            variation = self.points[index].static_variation or DEFAULT_STATIC.get(self.type, _DEFAULT)
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

    def is_plain(self, layout: Layout, start: int, stop: int) -> bool:
        """Tell whether a layout without flags says all there is to say of `start` to `stop` (exclusive)."""
        plain = _PLAIN_BITS if self.type in _BITS else _PLAIN
        return not self.flags[start:stop].translate(None, plain) and fits(layout, self.values[start:stop])

    def update(self, index: int, value: float, flags: int, time_ms: int) -> bool:
        """
        Keep a sample; tell whether it is an event of the point's class.

        Raises: KeyError for a point that is not there; ValueError for a counter that is no integer.
        """
        if index not in self.points:
            raise KeyError(f"{self.type.value} {index}")
        shift = self._shift
        if shift:
            flags = flags & (1 << shift) - 1 | int(value) << shift & 0xFF
        elif self._counts:
            value = int(value) % _WRAP
        self.flags[index] = flags
        self.values[index] = value
        self.times[index] = time_ms
        self.versions[index // CHUNK_POINTS] += 1
        self.changes += 1
        if not self.events[index][0]:
            return False
        old_flags, old_value = self.reported[index]
        if flags == old_flags and not self._beyond(index, old_value, value):
            return False
        self.reported[index] = (flags, value)
        return True

    def _beyond(self, index: int, old: float, new: float) -> bool:
        if self._shift or old == new:
            # The state of a binary is part of its flags.
            return False
        if self._counts:
            return (new - old) % _WRAP > self.deadbands[index]
        if new != new:
            return old == old
        return not abs(new - old) <= self.deadbands[index]
