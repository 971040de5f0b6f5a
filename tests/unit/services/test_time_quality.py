"""services.time_quality: steps of the clock and a clock that nobody disciplines."""

from bridge.services.events import EventLog
from bridge.services.kernel_clock import KernelClock, kernel_clock
from bridge.services.time_quality import TimeQuality
from tests.support.clock import ManualClock

GOOD, LOST = KernelClock(True, 0.01), KernelClock(False, 16.0)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.events = EventLog(self.clock)
        self.kernel: KernelClock | OSError = GOOD
        self.quality = TimeQuality(self.clock, self.events, self._ask)

    def _ask(self) -> KernelClock:
        if isinstance(self.kernel, OSError):
            raise self.kernel
        return self.kernel

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.clock.pass_s(1)
            self.quality.look()

    def told(self) -> list[str]:
        return [event.text for event in self.events.events()]


def test_a_step_is_told_with_its_size_and_sign() -> None:
    # T-05, BARS R5
    bench = Bench()
    bench.seconds(2)
    bench.clock.step_s(-3600)
    bench.seconds(2)
    bench.clock.step_s(86_400)
    bench.seconds(2)

    assert bench.told() == [
        "the clock was stepped by -3600.000000 s",
        "the clock was stepped by +86400.000000 s",
    ]


def test_slewing_is_no_step() -> None:
    bench = Bench()
    for _ in range(100):
        bench.seconds(1)
        bench.clock.step_s(0.0005)

    assert bench.told() == []


def test_a_clock_counts_as_lost_after_60_seconds_without_synchronisation() -> None:
    # T-01
    bench = Bench()
    bench.kernel = LOST
    bench.seconds(60)
    before = bench.quality.synchronised

    bench.seconds(11)

    assert (before, bench.quality.synchronised) == (True, False)
    assert bench.told() == [
        "the clock is not synchronised: no time service disciplines it, error up to 16.000 s (kernel)"
    ]


def test_a_clock_that_is_synchronised_again_counts_at_once() -> None:
    bench = Bench()
    bench.kernel = LOST
    bench.seconds(80)
    bench.kernel = GOOD
    bench.seconds(10)

    assert bench.quality.synchronised
    assert len(bench.told()) == 2


def test_a_clock_with_too_great_an_error_is_not_synchronised() -> None:
    bench = Bench()
    bench.kernel = KernelClock(True, 1.5)
    bench.seconds(80)

    assert not bench.quality.synchronised


def test_a_kernel_that_does_not_answer_is_no_proof_of_synchronisation() -> None:
    bench = Bench()
    bench.kernel = OSError(1, "not permitted")
    bench.seconds(80)

    assert not bench.quality.synchronised


def test_the_kernel_of_this_machine_answers() -> None:
    assert kernel_clock().error_s >= 0
