"""
Demand: the mean of a power over an interval of equal sub-intervals (E-03), its prediction and its peak. Pure.

The rule one must not break: it integrates by monotonic time and only aligns to the wall clock. A window that the clock
was stepped in, or that readings are missing from, is told as such and never becomes a peak.
"""

from collections import deque
from dataclasses import dataclass

# ns; a wall clock that moves further than this between two looks was stepped, not slewed
STEP_NS = 500_000_000
# Share of a window that must be covered by readings for it to count
WHOLE = 0.95
_MINUTE_NS = 60_000_000_000
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class DemandSettings:
    """`subintervals` of equal length make the interval: 1 = block, more = a window that slides."""

    interval_min: int = 15
    subintervals: int = 3
    lockout_days: float = 25.0

    @property
    def step_ns(self) -> int:
        """Length of a sub-interval."""
        return self.interval_min * _MINUTE_NS // self.subintervals

    @property
    def lockout_ns(self) -> int:
        """Time after a reset in which another is refused."""
        return round(self.lockout_days * _DAY_NS)


@dataclass(frozen=True, slots=True)
class Part:
    """One sub-interval, also one under way. `integral`: unit * ns. `covered_ns`: of it, with readings."""

    integral: float
    covered_ns: int
    end_utc_ns: int
    stepped: bool = False


@dataclass(frozen=True, slots=True)
class Demand:
    """Of one complete window. `value`: mean over what was covered. `whole`: it may become a peak."""

    value: float
    end_utc_ns: int
    whole: bool
    stepped: bool


class DemandWindow:
    """
    One power's windows. The caller brings every reading, and looks in once a second besides.

    `hold_ns`: how long a reading stands for the power when no other follows; afterwards the window has a gap.
    """

    def __init__(self, settings: DemandSettings, hold_ns: int) -> None:
        self._step_ns, self._hold_ns = settings.step_ns, hold_ns
        self._count = settings.subintervals
        self._parts: deque[Part] = deque(maxlen=self._count)
        self._value: float | None = None
        self._until = 0
        self._at = 0
        self._offset: int | None = None
        self._end_utc = self._end = 0
        self._integral, self._covered, self._stepped = 0.0, 0, False

    def reading(self, value: float | None, utc_ns: int, monotonic_ns: int) -> list[Demand]:
        """Take a reading, None = there is none at present; return the windows that are complete by now."""
        done = self.look(utc_ns, monotonic_ns)
        self._value, self._until = value, monotonic_ns + self._hold_ns
        return done

    def look(self, utc_ns: int, monotonic_ns: int) -> list[Demand]:
        """Return the windows that are complete by now, oldest first."""
        self._align(utc_ns, monotonic_ns)
        done: list[Demand] = []
        # after a pause of the process only the last windows are of interest
        for _ in range(2 * self._count):
            if monotonic_ns < self._end:
                break
            self._integrate(self._end)
            done += self._close()
        if monotonic_ns >= self._end:
            self._begin(utc_ns, monotonic_ns)
            self._parts.clear()
        self._integrate(monotonic_ns)
        return done

    def predicted(self) -> float | None:
        """Return what the window under way will come to if the power stays as it is; None before the first reading."""
        if self._value is None or self._offset is None:
            return None
        earlier = list(self._parts)[-(self._count - 1) :] if self._count > 1 else []
        rest = max(self._end - self._at, 0)
        integral = self._integral + self._value * rest + sum(part.integral for part in earlier)
        covered = self._covered + rest + sum(part.covered_ns for part in earlier)
        return integral / covered if covered else None

    def saved(self) -> tuple[Part, ...]:
        """Return the complete sub-intervals and the one under way, to be kept over a restart."""
        under_way = Part(self._integral, self._covered, self._end_utc, self._stepped)
        return (*self._parts, under_way) if self._offset is not None else ()

    def restore(self, parts: tuple[Part, ...], utc_ns: int, monotonic_ns: int) -> None:
        """
        Go on after a restart. What does not join on to the sub-interval of now is of no use; the time in between is a
        gap.
        """
        self._begin(utc_ns, monotonic_ns)
        by_end = {part.end_utc_ns: part for part in parts}
        now, *earlier = (self._end_utc - n * self._step_ns for n in range(self._count))
        if not any(end in by_end for end in (now, *earlier)):
            return
        if (part := by_end.get(now)) is not None:
            self._integral, self._covered, self._stepped = part.integral, part.covered_ns, part.stepped
        self._parts.extend(by_end.get(end) or Part(0.0, 0, end) for end in reversed(earlier))

    def _align(self, utc_ns: int, monotonic_ns: int) -> None:
        offset = utc_ns - monotonic_ns
        if self._offset is None:
            self._begin(utc_ns, monotonic_ns)
        elif abs(offset - self._offset) > STEP_NS:
            self._stepped = True
            self._end_utc = (utc_ns // self._step_ns + 1) * self._step_ns
        self._offset = offset
        self._end = self._end_utc - offset

    def _begin(self, utc_ns: int, monotonic_ns: int) -> None:
        self._offset = utc_ns - monotonic_ns
        self._end_utc = (utc_ns // self._step_ns + 1) * self._step_ns
        self._end = self._end_utc - self._offset
        self._at = monotonic_ns
        self._integral, self._covered, self._stepped = 0.0, 0, False

    def _integrate(self, to: int) -> None:
        if self._value is not None:
            length = min(to, self._until) - self._at
            if length > 0:
                self._integral += self._value * length
                self._covered += length
        self._at = max(to, self._at)

    def _close(self) -> list[Demand]:
        self._parts.append(Part(self._integral, self._covered, self._end_utc, self._stepped))
        self._integral, self._covered, self._stepped = 0.0, 0, False
        self._end_utc += self._step_ns
        self._end += self._step_ns
        covered = sum(part.covered_ns for part in self._parts)
        if len(self._parts) < self._count or not covered:
            return []
        stepped = any(part.stepped for part in self._parts)
        whole = not stepped and covered >= WHOLE * self._step_ns * len(self._parts)
        value = sum(part.integral for part in self._parts) / covered
        return [Demand(value, self._parts[-1].end_utc_ns, whole, stepped)]


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest demand since `reset_utc_ns`, None before there was any."""

    value: float | None = None
    at_utc_ns: int = 0
    reset_utc_ns: int = 0

    def with_demand(self, demand: Demand) -> "Peak":
        """Return the peak after one more window."""
        if not demand.whole or (self.value is not None and demand.value <= self.value):
            return self
        return Peak(demand.value, demand.end_utc_ns, self.reset_utc_ns)

    def may_reset(self, utc_ns: int, settings: DemandSettings) -> bool:
        """Tell whether the lock-out is over (E-05); a clock that stands before the last reset locks nothing out."""
        since = utc_ns - self.reset_utc_ns
        return not self.reset_utc_ns or since >= settings.lockout_ns or since < 0

    def reset(self, utc_ns: int, last: Demand | None) -> "Peak":
        """Begin anew with the present demand."""
        fresh = Peak(None, 0, utc_ns)
        return fresh.with_demand(last) if last is not None else fresh
