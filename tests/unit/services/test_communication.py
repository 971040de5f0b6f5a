"""services.communication: the bridge's own knowledge of whether a device answers."""

from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.communication import Communication, status_points
from tests.support.clock import ManualClock
from tests.support.field_points import device, point

POWER, STATUS = point("active_power_total", 0), point("communication_status", 1)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = PointStore([POWER, STATUS])
        self.service = Communication(self.store, self.clock, status_points([device([POWER], [STATUS])]))

    def hear(self, quality: Quality, value: float | None = 1.0) -> Sample:
        self.store.publish([(POWER.index, Sample(value, quality, self.clock.utc, 1))])
        return self.store.get(STATUS.index)


def test_a_device_that_answers_is_1_and_one_that_does_not_is_0_both_in_good_quality() -> None:
    # P-04
    bench = Bench()

    assert (bench.hear(Quality.GOOD).value, bench.hear(Quality.COMM_LOST).value) == (True, False)
    assert bench.hear(Quality.COMM_LOST).quality == Quality.GOOD


def test_a_device_that_answers_with_an_exception_answers() -> None:
    assert Bench().hear(Quality.DEVICE_FAULT | Quality.NEVER_READ, None).value is True


def test_a_device_that_never_answered_is_0() -> None:
    assert Bench().hear(Quality.COMM_LOST | Quality.NEVER_READ, None).value is False


def test_a_mark_of_age_on_some_point_says_nothing_of_the_device() -> None:
    bench = Bench()
    bench.hear(Quality.GOOD)

    assert bench.hear(Quality.STALE | Quality.COMM_LOST).value is True


def test_the_time_of_an_unchanged_status_moves_every_ten_seconds() -> None:
    bench = Bench()
    first = bench.hear(Quality.GOOD).source_ns
    bench.clock.pass_s(9)
    second = bench.hear(Quality.GOOD).source_ns
    bench.clock.pass_s(1)

    assert (second, bench.hear(Quality.GOOD).source_ns) == (first, bench.clock.utc)


def test_a_status_that_the_meter_has_itself_is_left_to_it() -> None:
    assert status_points([device([POWER, STATUS], [])]) == {}
