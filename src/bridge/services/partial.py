"""
Energies that count from zero whenever somebody says so (M-28), for meters that have none of their own.

The rule one must not break: they follow the accepted index and never the other way round. What the index did not count
for certain - a step over two epochs - is not in them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from bridge.config.model import FieldDevice
from bridge.core.accumulator import difference
from bridge.core.point import Batch, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.quantity import Meaning, Statistic
from bridge.core.store import PointStore
from bridge.services.accumulator import IndexState


@dataclass(frozen=True, slots=True)
class PartialPoint:
    """`output` shows what the index `source` has counted since the last reset."""

    output: PointDef
    source: PointDef


@dataclass(frozen=True, slots=True)
class Counted:
    """What outlives a restart. `count` so far; `last` and `epoch`: of the index, when that was."""

    count: int
    last: int
    epoch: int
    source_ns: int


def partials_of(devices: Iterable[FieldDevice]) -> list[PartialPoint]:
    """Return the partial energies without a register, with the indexes they follow."""
    found: list[PartialPoint] = []
    for device in devices:
        indexes: dict[Meaning, PointDef] = {}
        for point in device.points:
            if point.read is not None:
                indexes.setdefault(point.definition.meaning, point.definition)
        for point in device.points:
            meaning = point.definition.meaning
            if point.read is not None or meaning.statistic is not Statistic.PARTIAL:
                continue
            source = indexes.get(msgspec.structs.replace(meaning, statistic=Statistic.PRESENT))
            if source is not None and source.resolution == point.definition.resolution:
                found.append(PartialPoint(point.definition, source))
    return found


class Partials:
    """Loop thread only. `accepted` after every accepted reading of an index."""

    def __init__(self, store: PointStore) -> None:
        self._store = store
        self._by_source: dict[int, PartialPoint] = {}
        self._counted: dict[str, Counted] = {}
        self._seq = 0

    def redefine(self, partials: Sequence[PartialPoint]) -> None:
        """Take the points of a configuration; what is counted stays."""
        self._by_source = {partial.source.index: partial for partial in partials}

    def kept(self) -> Mapping[str, Counted]:
        """Return what must outlive a restart."""
        return self._counted

    def restore(self, kept: Mapping[str, Counted]) -> None:
        """Go on from what an earlier process kept."""
        self._counted = dict(kept) | self._counted
        batch: Batch = []
        for partial in self._by_source.values():
            counted = self._counted.get(partial.output.id)
            if counted is not None:
                batch.append((partial.output.index, self._sample(counted, Quality.STALE)))
        if batch:
            self._store.publish(batch)

    def accepted(self, definition: PointDef, state: IndexState) -> None:
        """An index has a new reading."""
        partial = self._by_source.get(definition.index)
        if partial is None:
            return
        before = self._counted.get(partial.output.id)
        quality, count = Quality.GOOD, 0
        if before is not None:
            count = before.count
            if before.epoch == state.epoch:
                count += difference(before.last, state.count, definition.modulus)
            else:
                quality = Quality.DISCONTINUITY
        counted = self._counted[partial.output.id] = Counted(count, state.count, state.epoch, state.source_ns)
        self._store.publish([(partial.output.index, self._sample(counted, quality))])

    def reset(self, device: str) -> bool:
        """Begin every partial energy of a device at zero; False for a device without."""
        mine = [partial for partial in self._by_source.values() if partial.output.device == device]
        batch: Batch = []
        for partial in mine:
            counted = self._counted.get(partial.output.id)
            if counted is not None:
                counted = self._counted[partial.output.id] = replace(counted, count=0)
                batch.append((partial.output.index, self._sample(counted, Quality.DISCONTINUITY)))
        if batch:
            self._store.publish(batch)
        return bool(mine)

    def _sample(self, counted: Counted, quality: Quality) -> Sample:
        self._seq += 1
        return Sample(counted.count, quality, counted.source_ns, self._seq)
