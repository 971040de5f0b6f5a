"""What keeps commands bounded in time: rate of one origin, selections, lock-out after a reset of a peak. Pure."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from bridge.core.command import Command, Origin
from bridge.core.point import Value

# Origins remembered at once; the one heard of longest ago is forgotten first
ORIGINS_KEPT = 1024
SELECTIONS_KEPT = 1024
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS


class Rates:
    """A token bucket per key, `per_minute` of capacity. Times are CLOCK_MONOTONIC ns."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        # key -> tokens, and when they were counted
        self._buckets: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def take(self, key: Hashable, now_ns: int) -> bool:
        """Take one token; tell whether there was one."""
        tokens, at_ns = self._buckets.pop(key, (float(self._per_minute), now_ns))
        tokens = min(float(self._per_minute), tokens + (now_ns - at_ns) * self._per_minute / (60 * SECOND_NS))
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now_ns)
        if len(self._buckets) > ORIGINS_KEPT:
            self._buckets.popitem(last=False)
        return allowed


@dataclass(frozen=True, slots=True)
class _Selected:
    value: Value
    until_ns: int


class Selections:
    """Select before operate: what somebody selected, until `window_ns` later, once."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._kept: OrderedDict[tuple[Origin, int], _Selected] = OrderedDict()

    def select(self, command: Command, now_ns: int) -> bool:
        """Keep a selection; False while somebody else has the point selected."""
        for (origin, index), kept in self._kept.items():
            if index == command.index and origin != command.origin and kept.until_ns > now_ns:
                return False
        key = (command.origin, command.index)
        self._kept.pop(key, None)
        self._kept[key] = _Selected(command.value, now_ns + self._window_ns)
        if len(self._kept) > SELECTIONS_KEPT:
            self._kept.popitem(last=False)
        return True

    def operate(self, command: Command, now_ns: int) -> bool:
        """Tell whether exactly this was selected in time, and forget it: a second operate needs a second select."""
        kept = self._kept.pop((command.origin, command.index), None)
        same = kept is not None and type(kept.value) is type(command.value) and kept.value == command.value
        return same and kept is not None and now_ns < kept.until_ns


def locked_out(last_ns: int | None, now_ns: int, lockout_days: float) -> bool:
    """Tell whether a peak was reset so short ago that another reset is refused (E-05). UTC ns."""
    if last_ns is None or lockout_days <= 0:
        return False
    # a clock that was set back by some days frees nobody, one that was a year ahead locks nobody for a year
    return abs(now_ns - last_ns) < lockout_days * DAY_NS
