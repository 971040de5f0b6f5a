"""
One master's event buffers: three classes, each a bounded queue that drops its oldest.

An event leaves only when the response that carried it is confirmed, or when it is the oldest of a full class.
Source: IEEE 1815-2012, 4.1.6.
"""

import heapq
from collections import deque
from collections.abc import Iterable
from operator import attrgetter

import msgspec

from bridge.projections.dnp3.objects import PointType

CLASSES = (1, 2, 3)


class Event(msgspec.Struct, frozen=True, gc=False):
    """
    A change worth reporting. `number` grows over all points; one Event is shared by all buffers.

    `synced`: the clock that gave the time is.
    """

    number: int
    type: PointType
    index: int
    event_class: int
    variation: int
    flags: int
    value: float | bytes
    time_ms: int
    synced: bool = True

    def numbered(self, number: int) -> "Event":
        return msgspec.structs.replace(self, number=number)


class EventBuffer:
    """`capacity` per class; 0 keeps no events of that class and is no overflow."""

    def __init__(self, capacity: tuple[int, int, int]) -> None:
        self._queues: dict[int, deque[Event]] = {c: deque() for c in CLASSES}
        self._capacity = dict(zip(CLASSES, capacity, strict=True))
        self._written: set[int] = set()
        self._waiting = dict.fromkeys(CLASSES, 0)
        self.overflow = False
        # events dropped, ever
        self.lost = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, event: Event) -> None:
        queue = self._queues[event.event_class]
        if not self._capacity[event.event_class]:
            return
        if len(queue) >= self._capacity[event.event_class]:
            lost = queue.popleft()
            if lost.number in self._written:
                self._written.discard(lost.number)
            else:
                self._waiting[event.event_class] -= 1
            self.overflow = True
            self.lost += 1
        queue.append(event)
        self._waiting[event.event_class] += 1

    def waiting(self, event_class: int) -> bool:
        """Tell whether the class holds events that no unconfirmed response carries."""
        return self._waiting[event_class] > 0

    def indications(self) -> int:
        """Return the bits of the first IIN octet that tell which classes wait: 2, 4 and 8."""
        waiting = self._waiting
        return (2 if waiting[1] else 0) | (4 if waiting[2] else 0) | (8 if waiting[3] else 0)

    def select(self, classes: Iterable[int], point_type: PointType | None, limit: int) -> list[Event]:
        """Return events not yet written, in the order they happened, at most `limit`."""
        written = self._written
        chosen: list[Event] = []
        queues = [self._queues[c] for c in classes]
        for event in heapq.merge(*queues, key=attrgetter("number")) if len(queues) > 1 else queues[0]:
            if event.number in written or (point_type is not None and event.type is not point_type):
                continue
            if len(chosen) >= limit:
                break
            chosen.append(event)
        return chosen

    def mark_written(self, events: Iterable[Event]) -> None:
        for event in events:
            queue = self._queues[event.event_class]
            # Numbers grow along a queue: a smaller one than the head's was dropped meanwhile.
            here = bool(queue) and event.number >= queue[0].number
            if here and event.number not in self._written:
                self._written.add(event.number)
                self._waiting[event.event_class] -= 1

    def confirm(self) -> None:
        """Forget the written events; the overflow indication ends once every class has room."""
        written = self._written
        if not written and not self.overflow:
            return
        for event_class, queue in self._queues.items():
            while queue and queue[0].number in written:
                written.discard(queue.popleft().number)
            if written:
                kept = [event for event in queue if event.number not in written]
                if len(kept) != len(queue):
                    self._queues[event_class] = deque(kept)
        written.clear()
        self._recount()
        if all(len(queue) < (self._capacity[c] or 1) for c, queue in self._queues.items()):
            self.overflow = False

    def release(self) -> None:
        """Make the written events reportable again: their response was not confirmed."""
        if self._written:
            self._written.clear()
            self._recount()

    def _recount(self) -> None:
        self._waiting = {c: len(queue) for c, queue in self._queues.items()}
