"""
What stations are told unasked, and when (the rules of the ION7400, seed 004, l.3809-3881).

Generic notifications go at once. Those of alarms and meters have a level (low, medium, high) that can be switched off;
each receiver collects them until there are `buffer` of them or the first is `hold_s` old. Pure: no socket, no clock.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bridge.projections.snmp.ber import Oid, Syntax, Value
from bridge.projections.snmp.plan import MODULE_ARC, NOTIFICATIONS_ARC, Plan, Target, TrapPlan

_SNMP_TRAPS: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 5)
COLD_START: Oid = (*_SNMP_TRAPS, 1)
LINK_UP: Oid = (*_SNMP_TRAPS, 4)
AUTHENTICATION_FAILURE: Oid = (*_SNMP_TRAPS, 5)
# the arcs of the notifications in the MIB
EVENT_LEVELS = (1, 2, 3)
DEVICE_LOST, DEVICE_RESTORED = 4, 5
# first priority of low, medium and high
LEVELS = (64, 128, 192)
# Notifications that wait to be sent, all receivers together; one more is dropped and counted.
QUEUE_MOST = 2000
# Informs of one receiver that wait for their acknowledgement; one more is dropped and counted.
INFORMS_MOST = 30


class Varbind(NamedTuple):
    oid: Oid
    syntax: Syntax
    value: Value


@dataclass(frozen=True, slots=True)
class Notification:
    """`uptime_cs`: sysUpTime when it happened."""

    oid: Oid
    uptime_cs: int
    varbinds: Sequence[Varbind] = ()


def own_oid(plan: Plan, arc: int) -> Oid:
    return (*plan.enterprise, MODULE_ARC, NOTIFICATIONS_ARC, arc)


def level_of(priority: int) -> int:
    """Return 0, 1, 2 for low, medium, high; -1 for what is no alarm."""
    return sum(priority >= first for first in LEVELS) - 1


class Outbox:
    """What is to be sent to whom, in order. Loop thread only."""

    def __init__(self, traps: TrapPlan) -> None:
        self._targets, self._levels = traps.targets, traps.levels
        self._held: list[list[Notification]] = [[] for _ in traps.targets]
        self._since_ns = [0] * len(traps.targets)
        self._queue: deque[tuple[int, Notification]] = deque()
        self.dropped = 0

    def at_once(self, notification: Notification) -> None:
        """Queue a generic notification for every receiver."""
        for at in range(len(self._targets)):
            self._put(at, notification)

    def hold(self, notification: Notification, priority: int, now_ns: int) -> bool:
        """Collect an alarm's notification; False where its level is switched off or it has none."""
        level = level_of(priority)
        if level < 0 or not self._levels[level]:
            return False
        for at, target in enumerate(self._targets):
            held = self._held[at]
            if not held:
                self._since_ns[at] = now_ns
            held.append(notification)
            if len(held) >= target.buffer:
                self._release(at)
        return True

    def release_due(self, now_ns: int) -> None:
        """Queue what has been held for long enough."""
        for at, target in enumerate(self._targets):
            if self._held[at] and now_ns >= self._since_ns[at] + _hold_ns(target):
                self._release(at)

    def next_due_ns(self) -> int | None:
        """Return when something held has to go, None if nothing is held."""
        due = [self._since_ns[at] + _hold_ns(target) for at, target in enumerate(self._targets) if self._held[at]]
        return min(due, default=None)

    def take(self) -> tuple[int, Notification] | None:
        """Return the next notification and the position of its receiver."""
        return self._queue.popleft() if self._queue else None

    def _release(self, at: int) -> None:
        held, self._held[at] = self._held[at], []
        for notification in held:
            self._put(at, notification)

    def _put(self, at: int, notification: Notification) -> None:
        if len(self._queue) >= QUEUE_MOST:
            self.dropped += 1
        else:
            self._queue.append((at, notification))


def _hold_ns(target: Target) -> int:
    return round(target.hold_s * 1e9)
