"""From what happens in the bridge to notifications, and their way out: one at a time, requests get in between."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from bridge.core.clock import Clock
from bridge.core.event import Event, EventKind
from bridge.core.ports import PointReader
from bridge.projections.snmp.ber import Oid, Syntax
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.devices import Device, Status
from bridge.projections.snmp.notify import (
    AUTHENTICATION_FAILURE,
    COLD_START,
    DEVICE_LOST,
    DEVICE_RESTORED,
    EVENT_LEVELS,
    LINK_UP,
    Notification,
    Outbox,
    Varbind,
    level_of,
    own_oid,
)
from bridge.projections.snmp.objects import objects_oid
from bridge.projections.snmp.plan import DEVICE_ARC, EVENT_ARC, Plan
from bridge.projections.snmp.values import date_of, text_bytes, text_of

_IF_ENTRY: Oid = (1, 3, 6, 1, 2, 1, 2, 2, 1)
_TEXT, _INTEGER = Syntax.OCTET_STRING, Syntax.INTEGER32


class Sending(Protocol):
    """`sender.Sender`, or a test's."""

    def send(self, at: int, notification: Notification) -> bool: ...
    def close(self) -> None: ...


class Notifier:
    """Loop thread only."""

    def __init__(
        self, plan: Plan, points: PointReader, clock: Clock, uptime_cs: Callable[[], int], counters: Counters
    ) -> None:
        self._plan, self._points, self._clock = plan, points, clock
        self._uptime_cs, self._counters = uptime_cs, counters
        self._outbox = Outbox(plan.traps)
        self._wake = asyncio.Event()
        self._failures_from_ns: int | None = None

    def started(self, interface: int) -> None:
        """The agent answers: coldStart, and linkUp of the interface it is reached through."""
        self._now(COLD_START)
        columns = ((1, interface), (7, 1), (8, 1))
        varbinds = [Varbind((*_IF_ENTRY, arc, interface), _INTEGER, value) for arc, value in columns]
        self._now(LINK_UP, *varbinds)

    def wrong_community(self, _peer: str) -> None:
        """Notify, not more often than the plan allows: an address in a datagram may be forged."""
        traps, now_ns = self._plan.traps, self._clock.monotonic_ns()
        if not traps.authentication or (self._failures_from_ns is not None and now_ns < self._failures_from_ns):
            return
        self._failures_from_ns = now_ns + round(traps.authentication_s * 1e9)
        self._now(AUTHENTICATION_FAILURE)

    def device_changed(self, device: Device, before: Status, now: Status) -> None:
        """A meter that is lost, or back."""
        if (now is Status.OFFLINE) == (before is Status.OFFLINE):
            return
        lost = now is Status.OFFLINE
        if not lost and before is Status.UNKNOWN:
            return
        name, number = device.definition.id, device.row.number
        text = f"{name} does not answer" if lost else f"{name} answers again"
        columns = ((2, _TEXT, text_bytes(name)), (12, _INTEGER, int(now)))
        entry = objects_oid(self._plan, DEVICE_ARC, 1)
        varbinds = [
            self._fact(2, _TEXT, date_of(self._clock.utc_ns()) or b""),
            self._fact(3, _INTEGER, self._plan.traps.device_priority),
            self._fact(5, _TEXT, text_bytes(text)),
            *(Varbind((*entry, arc, number), syntax, value) for arc, syntax, value in columns),
        ]
        oid = own_oid(self._plan, DEVICE_LOST if lost else DEVICE_RESTORED)
        self._hold(Notification(oid, self._uptime_cs(), varbinds), self._plan.traps.device_priority)

    def happened(self, event: Event) -> None:
        """An event of the core. Lost meters are seen in the quality of their points, so they are not told twice."""
        level = level_of(event.priority)
        if level < 0 or event.kind is EventKind.COMMUNICATION:
            return
        device, point, value = event.device, "", b""
        if event.index >= 0:
            try:
                definition = self._points.definition(event.index)
            except KeyError:
                # a point this projection does not show
                return
            device, point = definition.device, definition.name
            value = text_of(definition, event.sample.value) or b""
        varbinds = [
            self._fact(1, Syntax.COUNTER64, event.number),
            self._fact(2, _TEXT, date_of(event.time_ns or event.sample.source_ns) or b""),
            self._fact(3, _INTEGER, event.priority),
            self._fact(4, _TEXT, event.kind.value.encode()),
            self._fact(5, _TEXT, text_bytes(event.text)),
            self._fact(6, _TEXT, text_bytes(device)),
            self._fact(7, _TEXT, text_bytes(point)),
            self._fact(8, _TEXT, value),
        ]
        oid = own_oid(self._plan, EVENT_LEVELS[level])
        self._hold(Notification(oid, self._uptime_cs(), varbinds), event.priority)

    def events_lost(self, first: int, last: int) -> None:
        """Events that came too fast for us: what they would have caused was dropped."""
        self._counters.traps_dropped += last - first + 1

    def inform_lost(self) -> None:
        """An inform that nobody acknowledged."""
        self._counters.traps_dropped += 1

    async def run(self, sender: Sending) -> None:
        """Send until cancelled."""
        while True:
            self._outbox.release_due(self._clock.monotonic_ns())
            while (item := self._outbox.take()) is not None:
                if sender.send(*item):
                    self._counters.out_traps += 1
                else:
                    self._counters.traps_dropped += 1
                await asyncio.sleep(0)
            self._counters.traps_dropped += self._outbox.dropped
            self._outbox.dropped = 0
            self._wake.clear()
            due_ns = self._outbox.next_due_ns()
            delay_s = None if due_ns is None else max(due_ns - self._clock.monotonic_ns(), 0) / 1e9
            try:
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _fact(self, arc: int, syntax: Syntax, value: int | bytes) -> Varbind:
        return Varbind((*objects_oid(self._plan, EVENT_ARC, arc), 0), syntax, value)

    def _now(self, oid: Oid, *varbinds: Varbind) -> None:
        self._outbox.at_once(Notification(oid, self._uptime_cs(), varbinds))
        self._wake.set()

    def _hold(self, notification: Notification, priority: int) -> None:
        if self._outbox.hold(notification, priority, self._clock.monotonic_ns()):
            self._wake.set()
