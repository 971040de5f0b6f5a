"""A clock that stands until a test moves it, wall clock and monotonic time apart."""

from dataclasses import dataclass

SECOND = 1_000_000_000
# 2026-01-01T00:00:00Z, which is a whole quarter of an hour
NEW_YEAR = 1_767_225_600 * SECOND


@dataclass
class ManualClock:
    """Both clocks in ns; `pass_s` moves both, `step_s` the wall clock alone."""

    utc: int = NEW_YEAR
    monotonic: int = 5_000 * SECOND

    def utc_ns(self) -> int:
        return self.utc

    def monotonic_ns(self) -> int:
        return self.monotonic

    def pass_s(self, seconds: float) -> None:
        self.utc += round(seconds * SECOND)
        self.monotonic += round(seconds * SECOND)

    def step_s(self, seconds: float) -> None:
        self.utc += round(seconds * SECOND)
