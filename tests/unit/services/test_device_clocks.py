"""services.device_clocks: the clock of a meter, and what setting it came to (T-06)."""

from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.device_clocks import DeviceClocks
from bridge.services.events import EventLog
from tests.support.clock import SECOND, ManualClock
from tests.support.field_points import point

CLOCK = point("device_clock", 0, kind=Kind.TIME)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = PointStore([CLOCK])
        self.events = EventLog(self.clock)
        self.clocks = DeviceClocks(self.store, self.clock, self.events)
        self.clocks.redefine([CLOCK])

    def read(self, off_s: float, quality: Quality = Quality.GOOD) -> None:
        self.clock.pass_s(60)
        value = self.clock.utc + round(off_s * SECOND)
        self.store.publish([(0, Sample(value, quality, self.clock.utc, 1))])

    def told(self) -> list[tuple[int, str]]:
        return [(event.priority, event.text) for event in self.events.events()]


def test_a_wrong_clock_is_told_once_and_when_it_is_right_again() -> None:
    bench = Bench()

    for off_s in (0.4, -5.0, 7.0, 8.0, 900.0, -0.6):
        bench.read(off_s)

    assert bench.told() == [
        (128, "m.device_clock is wrong: off by +7.0 s"),
        (32, "m.device_clock is right again: off by -0.6 s"),
    ]


def test_a_setting_is_checked_against_the_clock_that_is_read_after_it() -> None:
    # T-06
    bench = Bench()
    bench.read(0.0)
    bench.clock.pass_s(60)

    bench.clocks.was_set("m")
    bench.read(0.3)
    bench.read(0.3)

    assert bench.told() == [(64, "m.device_clock was set: off by +0.3 s")]


def test_a_setting_without_effect_is_told_as_such() -> None:
    # T-06: the reading that followed the command is there already
    bench = Bench()
    bench.read(30.0)

    bench.clocks.was_set("m")

    assert bench.told() == [
        (128, "m.device_clock is wrong: off by +30.0 s"),
        (128, "m.device_clock was set in vain: off by +30.0 s"),
    ]


def test_a_clock_that_cannot_be_read_says_nothing() -> None:
    bench = Bench()

    bench.read(900.0, Quality.COMM_LOST)
    bench.clocks.was_set("m")

    assert bench.told() == []
