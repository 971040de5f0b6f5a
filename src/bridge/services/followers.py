"""
Points of the poll class `on_change` that follow another point: the time stamp of a peak is read again when the peak
moves, and not before.
"""

from collections.abc import Callable, Iterable

from bridge.core.point import Batch, Kind, PointDef
from bridge.core.quantity import Meaning, Quantity, Statistic
from bridge.core.store import PointStore

# device id, indexes to read now
Refresh = Callable[[str, list[int]], None]
_STAMPED = {
    Statistic.PEAK_TIME: Statistic.PEAK,
    Statistic.MAXIMUM_TIME: Statistic.MAXIMUM,
    Statistic.MINIMUM_TIME: Statistic.MINIMUM,
}


def leaders(points: Iterable[PointDef]) -> dict[int, list[int]]:
    """Return point index -> indexes of the time stamps that belong to it, inside one device."""
    known = list(points)
    by_meaning = {(p.device, _plain(p.meaning)): p.index for p in known if p.kind is not Kind.TIME}
    found: dict[int, list[int]] = {}
    for point in known:
        led_by = _leader(point.meaning) if point.kind is Kind.TIME and not point.poll_ns else None
        leader = by_meaning.get((point.device, _plain(led_by))) if led_by is not None else None
        if leader is not None:
            found.setdefault(leader, []).append(point.index)
    return found


class Followers:
    """Loop thread only. Ask for the followers of every point that takes a new value."""

    def __init__(self, store: PointStore, refresh: Refresh) -> None:
        self._store, self._refresh = store, refresh
        self._leaders: dict[int, list[int]] = {}
        self._seen: dict[int, object] = {}
        self._cancel: Callable[[], None] = lambda: None
        self.redefine()

    def redefine(self) -> None:
        """Take the store's present definitions, after a reload."""
        self._cancel()
        self._leaders = leaders(self._store.defs())
        self._seen = {index: self._store.get(index).value for index in self._leaders}
        self._cancel = self._store.subscribe(list(self._leaders), self._changed)

    def _changed(self, batch: Batch) -> None:
        wanted: dict[str, list[int]] = {}
        for index, sample in batch:
            before, self._seen[index] = self._seen[index], sample.value
            # the first value comes with the first reading of everything
            if before is not None and before != sample.value:
                wanted.setdefault(self._store.definition(index).device, []).extend(self._leaders[index])
        for device, indexes in wanted.items():
            self._refresh(device, indexes)


def _leader(meaning: Meaning) -> Meaning | None:
    if meaning.quantity is Quantity.DEMAND_PEAK_TIMESTAMP:
        return Meaning(Quantity.DEMAND_PEAK_CURRENT, circuit=meaning.circuit)
    statistic = _STAMPED.get(meaning.statistic)
    if statistic is None:
        return None
    return Meaning(
        meaning.quantity, meaning.phase, meaning.direction, statistic, meaning.tariff, meaning.circuit, meaning.number
    )


def _plain(meaning: Meaning) -> tuple[object, ...]:
    return (
        meaning.quantity,
        meaning.phase,
        meaning.direction,
        meaning.statistic,
        meaning.tariff,
        meaning.circuit,
        meaning.number,
    )
