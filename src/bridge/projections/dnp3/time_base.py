"""
The outstation's time of day: the bridge's clock, moved by what the time master writes.

Only what DNP3 shows moves: the clock of the machine and the times of every other server stay what they are.
Source: IEEE 1815-2012, 10.3.3.
"""

from bridge.core.clock import Clock

_NS_PER_MS = 1_000_000


class TimeBase:
    """`offset_ms`: what is added to the bridge's time. `written`: a master has set it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_ms = 0
        self.written = False

    def now_ms(self) -> int:
        return self._clock.utc_ns() // _NS_PER_MS + self.offset_ms

    def set(self, time_ms: int) -> None:
        self.offset_ms += time_ms - self.now_ms()
        self.written = True
