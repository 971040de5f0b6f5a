"""A worker's read-only replica of its points: to a projection it is the store."""

from array import array
from collections.abc import Callable, Sequence

import msgspec

from bridge.core.point import NEVER_READ, Batch, DeviceDef, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.watchers import Deliver, Watchers
from bridge.link.wire import CHUNK_POINTS, Definitions, Snapshot

_LOST = Quality.STALE | Quality.COMM_LOST
# Definitions made for who asked, kept for who asks again; 220 bytes each.
_MADE_MOST = 4096


class _Table:
    """
    The points by index, which are dense: 8 bytes where a dict takes 100. Points that are alike share all but their id,
    and a definition is made when somebody asks: 79,500 points of a submeter take 7 MB instead of 32, or of 112.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        # in the order they came
        self.order = array("I")
        self._kind_of = array("I")
        self._kinds: list[PointDef] = []
        self._numbers: dict[tuple[object, ...], int] = {}
        self._made: dict[int, PointDef] = {}

    def add(self, definition: PointDef) -> None:
        kind = self._numbers.setdefault(msgspec.structs.astuple(definition)[2:], len(self._kinds))
        if kind == len(self._kinds):
            self._kinds.append(definition)
        index = definition.index
        room = index + 1 - len(self.ids)
        if room > 0:
            self.ids.extend([""] * room)
            self._kind_of.extend([0] * room)
        if not self.ids[index]:
            self.order.append(index)
        self.ids[index], self._kind_of[index] = definition.id, kind

    def complete(self) -> None:
        """No more will come."""
        self._numbers = {}

    def has(self, index: int) -> bool:
        return 0 <= index < len(self.ids) and bool(self.ids[index])

    def definition(self, index: int) -> PointDef:
        """Raises: KeyError."""
        made = self._made.get(index)
        if made is None:
            if not self.has(index):
                raise KeyError(index)
            made = self._made_of(index)
            if len(self._made) >= _MADE_MOST:
                self._made.clear()
            self._made[index] = made
        return made

    def definitions(self) -> list[PointDef]:
        return [self._made_of(index) for index in self.order]

    def _made_of(self, index: int) -> PointDef:
        return msgspec.structs.replace(self._kinds[self._kind_of[index]], index=index, id=self.ids[index])


class PointImage:
    """
    Loop thread only. While the core is away every sample reads as STALE and COMM_LOST, with its last
    value and its own source time; what the core said last is kept and shows again when it is back.
    """

    def __init__(self) -> None:
        self._watchers = Watchers()
        self._points = _Table()
        # by index; None where no point is ours
        self._now: list[Sample | None] = []
        self._devices: list[DeviceDef] = []
        self._coming = _Table()
        self._coming_devices: list[DeviceDef] = []
        self._lost = False
        self.complete = False

    def devices(self) -> Sequence[DeviceDef]:
        return list(self._devices)

    def defs(self) -> Sequence[PointDef]:
        return self._points.definitions()

    def definition(self, index: int) -> PointDef:
        """Raises: KeyError for a point the projection did not declare."""
        return self._points.definition(index)

    def get(self, index: int) -> Sample:
        """Raises: KeyError for a point the projection did not declare."""
        sample = self._now[index] if 0 <= index < len(self._now) else None
        if sample is None:
            raise KeyError(index)
        return _lost(sample) if self._lost else sample

    def subscribe(self, indexes: Sequence[int], deliver: Deliver) -> Callable[[], None]:
        return self._watchers.add(indexes, deliver)

    def define(self, part: Definitions) -> None:
        """Collect the parts of a point list; replace the old one when the last part is there."""
        for definition in part.points:
            self._coming.add(definition)
        self._coming_devices.extend(part.devices)
        if part.remaining == 0:
            before, self._points = self._now, self._coming
            self._points.complete()
            self._now = [
                (NEVER_READ if index >= len(before) else before[index] or NEVER_READ) if id_ else None
                for index, id_ in enumerate(self._points.ids)
            ]
            self._devices = self._coming_devices
            self._coming, self._coming_devices = _Table(), []

    def load(self, part: Snapshot) -> None:
        self.change(part.samples)
        if part.remaining == 0:
            self.complete = True

    def change(self, batch: Batch) -> None:
        """Take newer samples; skip points that are not ours; tell watchers what differs."""
        now, size = self._now, len(self._now)
        changes: Batch = []
        for change in batch:
            index, sample = change
            old = now[index] if 0 <= index < size else None
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
            known = [index for index in wanted if self._points.has(index)]
            for at in range(0, len(known), CHUNK_POINTS):
                deliver([(index, self.get(index)) for index in known[at : at + CHUNK_POINTS]])


def _lost(sample: Sample) -> Sample:
    return Sample(sample.value, sample.quality | _LOST, sample.source_ns, sample.seq)
