"""Monitored items of events: what one client wants to hear of, waiting for its publishing cycle."""

import secrets
from collections.abc import Callable, Iterable, Sequence

from bridge.core.clock import Clock
from bridge.projections.opcua.binary import U4
from bridge.projections.opcua.event_filter import Filter
from bridge.projections.opcua.occurrences import QUEUE_OVERFLOW, Notice, Occurrence
from bridge.projections.opcua.sampling import DISABLED, REPORTING

# Of one subscription.
ITEMS_MOST = 10
# Length of the id of an event that nobody can acknowledge.
_ID_BYTES = 8


class EventItem:
    """Events are kept as they are and encoded when they are sent, so that one that waits costs its place alone."""

    def __init__(self, clock: Clock, device: str | None, stop: Callable[["EventItem"], None]) -> None:
        """`device`: the meter whose events are wanted, "" for those of all meters, None for all."""
        self._clock, self._device, self._stop = clock, device, stop
        self._filter, self._size, self._discard_oldest = Filter((), ()), 1, True
        self._queue: list[Occurrence] = []
        self._lost = False
        self.handle, self.mode = b"", DISABLED

    def configure(self, handle: int, wanted: Filter, size: int, *, discard_oldest: bool) -> None:
        self.handle, self._filter, self._size = U4.pack(handle), wanted, size
        self._discard_oldest = discard_oldest

    def set_mode(self, mode: int) -> None:
        self.mode = mode
        if mode == DISABLED:
            self._queue.clear()
            self._lost = False

    def close(self) -> None:
        self.set_mode(DISABLED)
        self._stop(self)

    def offer(self, event: Occurrence) -> None:
        if not self._wants(event):
            return
        if len(self._queue) < self._size:
            self._queue.append(event)
            return
        self._lost = True
        if self._discard_oldest:
            self._queue.pop(0)
            self._queue.append(event)

    def refresh(self, begin: Occurrence, events: Iterable[Occurrence], end: Occurrence) -> None:
        """Tell everything that is, whatever the size of the queue; begin and end pass every filter (7.22.3)."""
        if self.mode != DISABLED:
            self._queue += [begin, *(event for event in events if self._wants(event)), end]

    def is_refreshing(self) -> bool:
        return len(self._queue) > self._size

    def waiting(self) -> bool:
        return self.mode == REPORTING and (bool(self._queue) or self._lost)

    def take(self, most: int) -> Sequence[bytes]:
        """Return encoded EventFieldLists, at most so many."""
        taken, encoded = self._queue[:most], self._filter.encoded
        del self._queue[:most]
        if self._lost:
            self._lost = False
            id_ = secrets.token_bytes(_ID_BYTES)
            taken.insert(
                0 if self._discard_oldest else len(taken),
                Notice(QUEUE_OVERFLOW, "Events were lost: the queue of this item was full", id_, self._clock.utc_ns()),
            )
        return [self.handle + encoded(event) for event in taken]

    def _wants(self, event: Occurrence) -> bool:
        here = self._device is None or (bool(event.device) and self._device in ("", event.device))
        return self.mode != DISABLED and here and self._filter.passes(event)
