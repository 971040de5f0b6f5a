"""
Whether the wall clock can be believed: steps are told, and a clock that nobody disciplines is (T-01, T-04, T-05).

The rule one must not break: the bridge never sets the clock, and no protocol can (T-02).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.clock import Clock
from bridge.core.event import EventKind
from bridge.services.events import EventLog
from bridge.services.kernel_clock import KernelClock

# Seconds between two looks, and time without synchronisation after which it is told
_LOOK_S = 1.0
UNSYNCED_NS = 60_000_000_000
# Looks between two questions to the kernel
_ASK_EVERY = 10

AskKernel = Callable[[], KernelClock]


@dataclass(frozen=True, slots=True)
class TimeSettings:
    """`step_s`: least step that is told. `error_s`: greatest error of a clock that counts as synchronised."""

    step_s: float = 0.5
    error_s: float = 1.0


class TimeQuality:
    """Loop thread only. `synchronised`: False from the sixtieth second without synchronisation on."""

    def __init__(self, clock: Clock, events: EventLog, ask: AskKernel, settings: TimeSettings | None = None) -> None:
        self._clock, self._events, self._ask = clock, events, ask
        self.settings = settings or TimeSettings()
        self.synchronised = True
        self._offset = clock.utc_ns() - clock.monotonic_ns()
        self._lost_ns: int | None = None
        self._looks = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)

    def look(self) -> None:
        """Look once."""
        self._find_step()
        if self._looks % _ASK_EVERY == 0:
            self._find_state()
        self._looks += 1

    def _find_step(self) -> None:
        offset = self._clock.utc_ns() - self._clock.monotonic_ns()
        step_s, self._offset = (offset - self._offset) / 1e9, offset
        if abs(step_s) >= self.settings.step_s:
            self._events.record(EventKind.TIME, 128, f"the clock was stepped by {step_s:+.6f} s")

    def _find_state(self) -> None:
        now = self._clock.monotonic_ns()
        good, words = self._state()
        if good:
            self._lost_ns = None
            if not self.synchronised:
                self.synchronised = True
                self._events.record(EventKind.TIME, 32, f"the clock is synchronised, {words}")
            return
        if self._lost_ns is None:
            self._lost_ns = now
        if self.synchronised and now - self._lost_ns >= UNSYNCED_NS:
            self.synchronised = False
            self._events.record(EventKind.TIME, 128, f"the clock is not synchronised: {words}")

    def _state(self) -> tuple[bool, str]:
        try:
            clock = self._ask()
        except OSError as exc:
            return False, str(exc)
        if not clock.synchronised:
            return False, f"no time service disciplines it, error up to {clock.error_s:.3f} s ({clock.told_by})"
        return clock.error_s <= self.settings.error_s, f"error up to {clock.error_s:.6f} s ({clock.told_by})"
