"""Who wants to hear of which point: the one routing rule that store and image share."""

from array import array
from collections.abc import Callable, Iterable, Sequence

from bridge.core.point import Batch

Deliver = Callable[[Batch], None]
OnFault = Callable[[Exception], None]


class Watchers:
    """
    Loop thread only. A watcher gets one call per published batch, with its own points in order.

    `on_fault` hears of a watcher that raised; without it the exception goes on, as tests want it.
    """

    def __init__(self, on_fault: OnFault | None = None) -> None:
        self._on_fault = on_fault
        # by index of the point, which are dense; tuples are shared: a list of its own for each of 80,000 points takes
        # 6 MB, and a dict of them as much
        self._by_index: list[tuple[int, ...]] = []
        self._deliver: dict[int, Deliver] = {}
        self._wanted: dict[int, Sequence[int]] = {}
        self._next = 0

    def add(self, indexes: Iterable[int], deliver: Deliver) -> Callable[[], None]:
        """Return a function that ends the subscription; it may be called twice, and from `deliver`."""
        key, self._next = self._next, self._next + 1
        wanted = array("I", dict.fromkeys(indexes))
        self._deliver[key], self._wanted[key] = deliver, wanted
        by_index = self._by_index
        joined: dict[tuple[int, ...], tuple[int, ...]] = {}
        by_index.extend([()] * (max(wanted, default=-1) + 1 - len(by_index)))
        for index in wanted:
            before = by_index[index]
            by_index[index] = joined.setdefault(before, (*before, key))

        def cancel() -> None:
            if self._deliver.pop(key, None) is not None:
                for index in self._wanted.pop(key):
                    by_index[index] = tuple(other for other in by_index[index] if other != key)

        return cancel

    def route(self, changes: Batch) -> None:
        due: dict[int, Batch] = {}
        by_index, size = self._by_index, len(self._by_index)
        for change in changes:
            for key in by_index[change[0]] if change[0] < size else ():
                if key in due:
                    due[key].append(change)
                else:
                    due[key] = [change]
        for key, mine in due.items():
            deliver = self._deliver.get(key)
            if deliver is not None:
                self.tell(deliver, mine)

    def tell(self, deliver: Deliver, batch: Batch) -> None:
        """Call one watcher; a fault of its own stays its own."""
        if self._on_fault is None:
            deliver(batch)
            return
        try:
            deliver(batch)
        except Exception as exc:  # noqa: BLE001 - one subscriber's bug must not stop the meters of the others
            self._on_fault(exc)

    def wanted(self) -> list[tuple[Deliver, Sequence[int]]]:
        """Every watcher with its points, for the rare news that concerns all of them."""
        return [(deliver, self._wanted[key]) for key, deliver in self._deliver.items()]
