"""
Monitored items of points: sampled on shared ticks, compared with what was last REPORTED, queued as encoded bytes.

A point that does not change costs nothing: the image tells an item of a change, the item joins its group, and the group
samples at its tick. Deadbands and queues follow OPC 10000-4, 7.22.2 and 5.13.1.5.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Protocol

from bridge.core.clock import Clock
from bridge.core.point import Value
from bridge.projections.opcua.binary import HAS_SERVER, HAS_SOURCE, U4, has_server_time, ticks
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.status import OVERFLOW, status_of

_TIME = struct.Struct("<q").pack
# DataChangeTrigger and MonitoringMode
STATUS, STATUS_VALUE, STATUS_VALUE_TIMESTAMP = 0, 1, 2
DISABLED, SAMPLING, REPORTING = 0, 1, 2


class Outbox(Protocol):
    """Where items that have something to report wait for the publishing cycle."""

    pending: "list[Item]"


class Group:
    """Items sampled together: at the publishing cycle, or every `interval_s` by a timer that runs only when needed."""

    def __init__(self, interval_s: float | None = None) -> None:
        self._interval_s, self._dirty = interval_s, list[Item]()
        # items that also report a new source time: asked at every tick
        self._restless: dict[Item, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def join(self, item: "Item") -> None:
        self._dirty.append(item)
        self._arm()

    def ask_always(self, item: "Item") -> None:
        self._restless[item] = None
        self._arm()

    def leave(self, item: "Item") -> None:
        self._restless.pop(item, None)

    def sample(self) -> None:
        items, self._dirty = self._dirty, []
        for item in items:
            # it may have been disabled or deleted meanwhile: then it is no longer alive
            item.dirty = False
            if item.mode != DISABLED:
                item.sample()
        for item in list(self._restless):
            item.sample()

    def close(self) -> None:
        self._dirty, self._restless = [], {}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._interval_s is not None and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at((loop.time() // self._interval_s + 1) * self._interval_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.sample()
        if self._restless:
            self._arm()


class Item:
    """One monitored Value of a point, for one subscription. Loop thread only."""

    __slots__ = (
        "_clock",
        "_deadband",
        "_group",
        "_image",
        "_outbox",
        "_quality",
        "_queue",
        "_reported",
        "_size",
        "_source_ns",
        "_stop",
        "_trigger",
        "dirty",
        "discard_oldest",
        "handle",
        "interval_ms",
        "mode",
        "pending",
        "slot",
        "timestamps",
    )

    def __init__(self, image: Image, clock: Clock, outbox: Outbox, slot: int, timestamps: int) -> None:
        self._image, self._clock, self._outbox = image, clock, outbox
        self.slot, self.timestamps = slot, timestamps
        self.mode, self.handle, self.interval_ms, self.discard_oldest = DISABLED, b"", 0.0, True
        self.dirty = self.pending = False
        self._trigger, self._deadband, self._size = STATUS_VALUE, -1.0, 1
        self._group: Group | None = None
        # short (plan.Limits.queue), and mostly empty: a deque would take 620 bytes of each item
        self._queue: list[bytes] = []
        self._stop: Callable[[], None] | None = None
        # what was reported last; no quality: nothing yet
        self._reported: Value = None
        self._quality, self._source_ns = -1, 0

    def configure(self, trigger: int, deadband: float, size: int, group: Group | None) -> None:
        """`deadband`: in the unit of the slot, below 0 = none. `group`: None = every change at once."""
        if self._group is not None:
            self._group.leave(self)
        self._trigger, self._deadband, self._size, self._group = trigger, deadband, size, group
        while len(self._queue) > size:
            self._drop()
        self._restless()

    def set_mode(self, mode: int) -> None:
        before, self.mode = self.mode, mode
        if mode == DISABLED:
            self.close()
            self._quality = -1
        elif before == DISABLED:
            self._stop = self._image.watch(self.slot, self)
            self._restless()
            self.sample()
        if mode == REPORTING and self._queue:
            self._report()

    def close(self) -> None:
        self.mode = DISABLED
        self._queue.clear()
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._group is not None:
            self._group.leave(self)

    def mark(self) -> None:
        """The value or quality of the point is another one."""
        if self._group is None:
            self.sample()
        elif not self.dirty:
            self.dirty = True
            self._group.join(self)

    def sample(self) -> None:
        now = self._image.sample(self.slot)
        same = now.quality == self._quality or self._same_status(now.value, now.quality)
        if same and not self._to_report(now.value, now.source_ns):
            return
        self._reported, self._quality, self._source_ns = now.value, now.quality, now.source_ns
        data = self._image.encoded(self.slot, self.timestamps)
        if has_server_time(self.timestamps):
            data += _TIME(ticks(self._clock.utc_ns()))
        self._enqueue(data)

    def repeat(self) -> None:
        """Report the present value again: the subscription has a new client."""
        self._quality = -1
        if self.mode != DISABLED:
            self.sample()

    def take(self, most: int) -> list[bytes]:
        """Return encoded MonitoredItemNotifications, at most so many."""
        handle, taken = self.handle, self._queue[:most]
        del self._queue[:most]
        return [handle + data for data in taken]

    def waiting(self) -> bool:
        return bool(self._queue) and self.mode == REPORTING

    def _same_status(self, value: Value, quality: int) -> bool:
        if self._quality < 0:
            return False
        before = status_of(self._quality, has_value=self._reported is not None)
        return before == status_of(quality, has_value=value is not None)

    def _to_report(self, value: Value, source_ns: int) -> bool:
        """Tell whether a value with an unchanged status is news."""
        if self._trigger == STATUS:
            return False
        before = self._reported
        if value == before or (value != value and before != before):
            return self._trigger == STATUS_VALUE_TIMESTAMP and source_ns != self._source_ns
        if self._deadband < 0 or isinstance(value, str) or isinstance(before, str) or value is None or before is None:
            return True
        return abs(value - before) > self._deadband

    def _enqueue(self, data: bytes) -> None:
        if len(self._queue) >= self._size:
            if self._size == 1:
                self._queue[0] = data
            else:
                self._drop(data)
        else:
            self._queue.append(data)
        self._report()

    def _drop(self, newest: bytes | None = None) -> None:
        """Lose one value and say so in the one next to it."""
        queue = self._queue
        if newest is None:
            queue.pop(0 if self.discard_oldest else -1)
        elif self.discard_oldest:
            queue.pop(0)
            queue.append(newest)
        else:
            queue[-1] = newest
        at = 0 if self.discard_oldest else -1
        if len(queue) > 1:
            queue[at] = overflowed(queue[at])

    def _report(self) -> None:
        if not self.pending and self.mode == REPORTING:
            self.pending = True
            self._outbox.pending.append(self)

    def _restless(self) -> None:
        if self._group is not None and self._trigger == STATUS_VALUE_TIMESTAMP and self.mode != DISABLED:
            self._group.ask_always(self)


def overflowed(data: bytes) -> bytes:
    """Set the Overflow bit in the status of an encoded DataValue; the status stands in front of the times."""
    mask = data[0]
    at = len(data) - 4 - (8 if mask & HAS_SOURCE else 0) - (8 if mask & HAS_SERVER else 0)
    return data[:at] + U4.pack(U4.unpack_from(data, at)[0] | OVERFLOW) + data[at + 4 :]
