"""The least and the greatest value of points, and when they were (E-07)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bridge.config.model import FieldDevice
from bridge.core.point import Batch, PointDef, Sample
from bridge.core.quality import Quality, is_good
from bridge.core.quantity import Meaning, Statistic
from bridge.core.store import PointStore, Published

_VALUES = {Statistic.MAXIMUM: Statistic.MAXIMUM_TIME, Statistic.MINIMUM: Statistic.MINIMUM_TIME}
_TIMES = {time: value for value, time in _VALUES.items()}


@dataclass(frozen=True, slots=True)
class Extreme:
    """A value and when it was read."""

    value: float
    source_ns: int


@dataclass(frozen=True, slots=True)
class ExtremePoints:
    """What shows one extreme of the point `source`; -1 for a point that is not there. `id`: for what is kept."""

    id: str
    device: str
    source: int
    statistic: Statistic
    value: int
    time: int


def extremes_of(devices: Iterable[FieldDevice]) -> list[ExtremePoints]:
    """Return what the points without a register ask for."""
    return [extreme for device in devices for extreme in _of_device(device)]


def _of_device(device: FieldDevice) -> list[ExtremePoints]:
    present: dict[Meaning, PointDef] = {}
    for point in device.points:
        present.setdefault(point.definition.meaning, point.definition)
    found: dict[tuple[Meaning, Statistic], dict[str, int]] = {}
    for point in device.points:
        meaning = point.definition.meaning
        statistic = _TIMES.get(meaning.statistic, meaning.statistic)
        if point.read is not None or statistic not in _VALUES:
            continue
        what = "time" if meaning.statistic in _TIMES else "value"
        source = msgspec.structs.replace(meaning, statistic=Statistic.PRESENT)
        found.setdefault((source, statistic), {})[what] = point.definition.index
    return [
        ExtremePoints(
            f"{present[source].id}/{statistic.value}",
            device.definition.id,
            present[source].index,
            statistic,
            points.get("value", -1),
            points.get("time", -1),
        )
        for (source, statistic), points in found.items()
        if source in present
    ]


class MinMax:
    """Loop thread only. Only readings without any reserve count."""

    def __init__(self, store: PointStore) -> None:
        self._store = store
        self._by_source: dict[int, list[ExtremePoints]] = {}
        self._extremes: dict[str, Extreme] = {}
        self._seq = 0
        self._cancel = store.feed(self._hear)

    def redefine(self, extremes: Sequence[ExtremePoints]) -> None:
        """Take the points of a configuration; what is known stays."""
        self._by_source = {}
        for one in extremes:
            self._by_source.setdefault(one.source, []).append(one)

    def kept(self) -> Mapping[str, Extreme]:
        """Return what must outlive a restart."""
        return self._extremes

    def restore(self, kept: Mapping[str, Extreme]) -> None:
        """Go on from what an earlier process kept."""
        self._extremes = dict(kept) | self._extremes
        batch: Batch = []
        for one in self._all():
            if one.id in self._extremes:
                self._show(one, self._extremes[one.id], batch)
        if batch:
            self._store.publish(batch)

    def reset(self, device: str) -> bool:
        """Begin anew with the present values; False for a device without."""
        mine = [one for one in self._all() if one.device == device]
        for one in mine:
            self._extremes.pop(one.id, None)
        for one in mine:
            self._hear([(one.source, self._store.get(one.source))])
        return bool(mine)

    def close(self) -> None:
        """Stop listening."""
        self._cancel()

    def _all(self) -> list[ExtremePoints]:
        return [one for some in self._by_source.values() for one in some]

    def _hear(self, published: Published) -> None:
        by_source = self._by_source
        batch: Batch = []
        for index, sample in published:
            for one in by_source.get(index, ()):
                self._take(one, sample, batch)
        if batch:
            self._store.publish(batch)

    def _take(self, one: ExtremePoints, sample: Sample, batch: Batch) -> None:
        value = sample.value
        if not is_good(sample.quality) or not isinstance(value, int | float):
            return
        known = self._extremes.get(one.id)
        if known is not None:
            further = value > known.value if one.statistic is Statistic.MAXIMUM else value < known.value
            if not further:
                return
        self._extremes[one.id] = extreme = Extreme(float(value), sample.source_ns)
        self._show(one, extreme, batch)

    def _show(self, one: ExtremePoints, extreme: Extreme, batch: Batch) -> None:
        for index, value in ((one.value, extreme.value), (one.time, extreme.source_ns)):
            if index >= 0:
                self._seq += 1
                batch.append((index, Sample(value, Quality.GOOD, extreme.source_ns, self._seq)))
