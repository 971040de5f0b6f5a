"""A worker's read-only replica of its points: to a projection it is the store."""

from collections.abc import Callable, Sequence

import msgspec

from bridge.core.point import NEVER_READ, Batch, DeviceDef, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.watchers import Deliver, Watchers
from bridge.link.wire import CHUNK_POINTS, Definitions, Snapshot

_LOST = Quality.STALE | Quality.COMM_LOST


class PointImage:
    """
    Loop thread only. While the core is away every sample reads as STALE and COMM_LOST, with its last
    value and its own source time; what the core said last is kept and shows again when it is back.
    """

    def __init__(self) -> None:
        self._watchers = Watchers()
        self._defs: dict[int, PointDef] = {}
        self._now: dict[int, Sample] = {}
        self._devices: list[DeviceDef] = []
        self._coming: list[PointDef] = []
        self._coming_devices: list[DeviceDef] = []
        # the first definition of each kind of point that is coming
        self._alike: dict[tuple[object, ...], PointDef] = {}
        self._lost = False
        self.complete = False

    def devices(self) -> Sequence[DeviceDef]:
        return list(self._devices)

    def defs(self) -> Sequence[PointDef]:
        return list(self._defs.values())

    def definition(self, index: int) -> PointDef:
        """Raises: KeyError for a point the projection did not declare."""
        return self._defs[index]

    def get(self, index: int) -> Sample:
        """Raises: KeyError for a point the projection did not declare."""
        sample = self._now[index]
        return _lost(sample) if self._lost else sample

    def subscribe(self, indexes: Sequence[int], deliver: Deliver) -> Callable[[], None]:
        return self._watchers.add(indexes, deliver)

    def define(self, part: Definitions) -> None:
        """Collect the parts of a point list; replace the old one when the last part is there."""
        self._coming.extend(_sharing(definition, self._alike) for definition in part.points)
        self._coming_devices.extend(part.devices)
        if part.remaining == 0:
            self._defs = {d.index: d for d in self._coming}
            self._now = {index: self._now.get(index, NEVER_READ) for index in self._defs}
            self._devices = self._coming_devices
            self._coming, self._coming_devices, self._alike = [], [], {}

    def load(self, part: Snapshot) -> None:
        self.change(part.samples)
        if part.remaining == 0:
            self.complete = True

    def change(self, batch: Batch) -> None:
        """Take newer samples; skip points that are not ours; tell watchers what differs."""
        now = self._now
        changes: Batch = []
        for change in batch:
            index, sample = change
            old = now.get(index)
            if old is None:
                continue
            now[index] = sample
            if old.value != sample.value or old.quality != sample.quality:
                changes.append(change)
        if changes and not self._lost:
            self._watchers.route(changes)

    def core_lost(self) -> None:
        if not self._lost:
            self._lost = True
            self._tell_all()

    def core_back(self) -> None:
        if self._lost:
            self._lost = False
            self._tell_all()

    def _tell_all(self) -> None:
        for deliver, wanted in self._watchers.wanted():
            known = [index for index in wanted if index in self._now]
            for at in range(0, len(known), CHUNK_POINTS):
                deliver([(index, self.get(index)) for index in known[at : at + CHUNK_POINTS]])


def _sharing(definition: PointDef, alike: dict[tuple[object, ...], PointDef]) -> PointDef:
    """
    Return the same definition, with everything but its index and id shared with the points that are alike: a thousand
    meters of one model have one set of labels, limits and tags. 79,500 points of a submeter: 24 MB instead of 112.
    """
    first = alike.setdefault(msgspec.structs.astuple(definition)[2:], definition)
    if first is definition:
        return definition
    return msgspec.structs.replace(first, index=definition.index, id=definition.id)


def _lost(sample: Sample) -> Sample:
    return Sample(sample.value, sample.quality | _LOST, sample.source_ns, sample.seq)
