"""The central point store: current Sample per point, batch subscribers. Loop thread only."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from bridge.core.point import NEVER_READ, Batch, DeviceDef, PointDef, Sample
from bridge.core.watchers import Deliver, OnFault, Watchers

Published = Sequence[tuple[int, Sample]]


class PointStore:
    """
    Keeps what it is given: judging values is the business of those who publish.

    A publish from inside a subscriber is carried out after the one under way, so that everybody sees one order. A
    subscriber that raises is reported to `on_fault`; the others hear the batch all the same.
    """

    def __init__(
        self, defs: Iterable[PointDef], devices: Iterable[DeviceDef] = (), on_fault: OnFault | None = None
    ) -> None:
        self._watchers = Watchers(on_fault)
        self._feeds: list[Callable[[Published], None]] = []
        self._defs: dict[int, PointDef] = {}
        self._devices: list[DeviceDef] = []
        self._now: dict[int, Sample] = {}
        self._waiting: deque[Published] = deque()
        self._publishing = False
        # samples that only renewed the time of an unchanged value
        self.unchanged = 0
        self.redefine(defs, devices)

    def redefine(self, defs: Iterable[PointDef], devices: Iterable[DeviceDef] = ()) -> None:
        """Replace the definitions (see `keep_indexes`); points that stay keep their sample."""
        self._defs = {d.index: d for d in defs}
        self._devices = list(devices)
        self._now = {index: self._now.get(index, NEVER_READ) for index in self._defs}

    def devices(self) -> Sequence[DeviceDef]:
        return list(self._devices)

    def defs(self) -> Sequence[PointDef]:
        return list(self._defs.values())

    def definition(self, index: int) -> PointDef:
        """Raises: KeyError for an index that no definition has."""
        return self._defs[index]

    def get(self, index: int) -> Sample:
        """Raises: KeyError for an index that no definition has."""
        return self._now[index]

    def publish(self, batch: Published) -> None:
        """
        Keep every sample; tell subscribers of those whose value or quality changed.

        Raises: KeyError for an index that no definition has, before anything of the batch is kept.
        """
        for index, _ in batch:
            if index not in self._now:
                raise KeyError(index)
        self._waiting.append(batch)
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._waiting:
                self._take(self._waiting.popleft())
        finally:
            self._publishing = False

    def subscribe(self, indexes: Sequence[int], deliver: Deliver) -> Callable[[], None]:
        return self._watchers.add(indexes, deliver)

    def feed(self, deliver: Callable[[Published], None]) -> Callable[[], None]:
        """
        Hear of every sample, changed or only newer, of every point, also of those a reload adds.

        Without the newer ones a replica would call a steady value old.
        """
        self._feeds.append(deliver)
        return lambda: self._feeds.remove(deliver)

    def _take(self, batch: Published) -> None:
        now = self._now
        changes: Batch = []
        for change in batch:
            index, sample = change
            old = now.get(index)
            if old is None:
                # a subscriber has removed the point since
                continue
            now[index] = sample
            # a NaN differs from itself: it would count as a change for ever
            if (old.value != sample.value and not _both_nan(old.value, sample.value)) or (
                old.quality != sample.quality
            ):
                changes.append(change)
        self.unchanged += len(batch) - len(changes)
        for feed in self._feeds:
            feed(batch)
        if changes:
            self._watchers.route(changes)


def _both_nan(old: object, new: object) -> bool:
    return old != old and new != new
