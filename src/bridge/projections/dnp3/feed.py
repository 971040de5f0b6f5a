"""Core samples -> outstation points: values converted, quality as flags, source time as event time."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from bridge.core.accumulator import as_float
from bridge.core.point import Batch, Kind, PointDef, Value
from bridge.core.ports import PointReader
from bridge.core.quality import Quality
from bridge.projections.dnp3.flags import FlagTable
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Shown
from bridge.projections.dnp3.strings import octets
from bridge.projections.dnp3.table import PointConfig, PointTable
from bridge.projections.dnp3.tables import PointTables
from bridge.projections.dnp3.time_base import TimeBase

# ns in a ms, the unit of DNP3 time.
_NS_PER_MS = 1_000_000
_UNSYNCED = int(Quality.CLOCK_UNSYNCED)
Convert = Callable[[Value], float]


class _Place(NamedTuple):
    table: PointTable
    number: int
    convert: Convert
    flags: FlagTable


class Feed:
    """What to do when a point changes. Loop thread only."""

    def __init__(self, points: PointReader, shown: Iterable[Shown], time_base: TimeBase, frozen: bool = False) -> None:
        self.tables = PointTables(configs(shown, frozen))
        self._time_base = time_base
        self._places: dict[int, tuple[_Place, ...]] = {}
        # number of the octet string that shows a point
        self._strings: dict[int, int] = {}
        flag_tables = {point_type: FlagTable(point_type) for point_type in PointType}
        for place in shown:
            if place.type is PointType.OCTET_STRING:
                self._strings[place.index] = place.number
                continue
            convert = converter(points.definition(place.index), place.type)
            made = _Place(self.tables[place.type], place.number, convert, flag_tables[place.type])
            self._places[place.index] = (*self._places.get(place.index, ()), made)
        self.update([(index, points.get(index)) for index in self.indexes()])

    def indexes(self) -> list[int]:
        return [*self._places, *self._strings]

    def update(self, batch: Batch) -> None:
        """Take changed samples; also what the point image says when the core is lost."""
        take, offset_ms = self.tables.take, self._time_base.offset_ms
        for index, sample in batch:
            quality = sample.quality
            time_ms = sample.source_ns // _NS_PER_MS + offset_ms
            synced = not quality & _UNSYNCED
            for place in self._places.get(index, ()):
                take(place.table, place.number, place.convert(sample.value), place.flags[quality], time_ms, synced)
            if index in self._strings:
                self.tables.update_string(self._strings[index], octets(str(sample.value or "")), time_ms)


def configs(shown: Iterable[Shown], frozen: bool) -> dict[PointType, list[PointConfig]]:
    """Return the points of each type; with `frozen`, a frozen counter beside every counter."""
    found: dict[PointType, list[PointConfig]] = {}
    for place in shown:
        config = PointConfig(
            place.number, place.event_class, place.static_variation, place.event_variation, place.deadband
        )
        found.setdefault(place.type, []).append(config)
        if frozen and place.type is PointType.COUNTER:
            found.setdefault(PointType.FROZEN_COUNTER, []).append(PointConfig(place.number, place.frozen_class))
    return found


def converter(definition: PointDef, point_type: PointType) -> Convert:
    """Return what turns a value of the point into a number of `point_type`; 0 for a point that never had a value."""
    if definition.kind is Kind.ACCUMULATOR and point_type is not PointType.COUNTER:
        resolution = definition.resolution
        return lambda value: as_float(value, resolution) if isinstance(value, int) else 0
    if definition.kind is Kind.TIME:
        return lambda value: value // _NS_PER_MS if isinstance(value, int) else 0
    return _number


def _number(value: Value) -> float:
    return 0 if value is None or isinstance(value, str) else value
