"""services.demand: means over windows, against tables computed by hand."""

import pytest

from bridge.services.demand import Demand, DemandSettings, DemandWindow, Part, Peak
from tests.support.clock import NEW_YEAR, SECOND, ManualClock

MINUTE = 60 * SECOND
BLOCK = DemandSettings(interval_min=15, subintervals=1)
SLIDING = DemandSettings(interval_min=15, subintervals=3)
DAY_S = 86_400


class Bench:
    """A window fed with one reading a minute, which holds for three."""

    def __init__(self, settings: DemandSettings, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.window = DemandWindow(settings, hold_ns=3 * MINUTE)
        self.done: list[Demand] = []

    def minutes(self, *powers: float | None) -> None:
        for power in powers:
            self.done += self.window.reading(power, self.clock.utc, self.clock.monotonic)
            self.clock.pass_s(60)

    def silence(self, minutes: int) -> None:
        for _ in range(minutes):
            self.done += self.window.look(self.clock.utc, self.clock.monotonic)
            self.clock.pass_s(60)

    def look(self) -> None:
        self.done += self.window.look(self.clock.utc, self.clock.monotonic)


def test_a_block_is_the_mean_of_its_quarter_of_an_hour() -> None:
    # E-03: 10 min at 6 kW and 5 min at 12 kW are 8 kW
    bench = Bench(BLOCK)

    bench.minutes(*[6.0] * 10, *[12.0] * 5)
    bench.look()

    assert bench.done == [Demand(8.0, NEW_YEAR + 15 * MINUTE, whole=True, stepped=False)]


def test_a_sliding_window_moves_on_by_its_sub_interval() -> None:
    # E-03: 5-minute means 3, 6, 9, 30: (3+6+9)/3 = 6, then (6+9+30)/3 = 15
    bench = Bench(SLIDING)

    bench.minutes(*[3.0] * 5, *[6.0] * 5, *[9.0] * 5, *[30.0] * 5)
    bench.look()

    assert [(d.value, (d.end_utc_ns - NEW_YEAR) // MINUTE) for d in bench.done] == [(6.0, 15), (15.0, 20)]


def test_windows_end_on_the_quarters_of_the_wall_clock() -> None:
    # E-06: started at 00:07, so the first quarter is cut short and counts for no peak
    clock = ManualClock(utc=NEW_YEAR + 7 * MINUTE)
    bench = Bench(BLOCK, clock)

    bench.minutes(*[5.0] * 8, *[7.0] * 15)
    bench.look()

    assert bench.done == [
        Demand(5.0, NEW_YEAR + 15 * MINUTE, whole=False, stepped=False),
        Demand(7.0, NEW_YEAR + 30 * MINUTE, whole=True, stepped=False),
    ]


def test_a_reading_that_spans_the_end_counts_for_both_windows() -> None:
    bench = Bench(BLOCK)
    bench.minutes(*[4.0] * 14)
    bench.clock.pass_s(-30)
    bench.done += bench.window.reading(10.0, bench.clock.utc, bench.clock.monotonic)
    bench.clock.pass_s(120)

    bench.look()

    # 13.5 min at 4 and 1.5 min at 10
    assert bench.done[0].value == pytest.approx((13.5 * 4 + 1.5 * 10) / 15)


def test_a_gap_is_no_zero_the_mean_is_over_what_was_read_and_never_a_peak() -> None:
    bench = Bench(BLOCK)

    # the last reading holds for its 3 minutes, so 8 minutes are covered
    bench.minutes(*[6.0] * 6)
    bench.silence(9)
    bench.look()

    (demand,) = bench.done
    assert (demand.value, demand.whole) == (6.0, False)
    assert Peak().with_demand(demand) == Peak()


def test_a_bad_reading_ends_the_one_before_at_once() -> None:
    bench = Bench(BLOCK)

    bench.minutes(*[6.0] * 10, *[None] * 5)
    bench.look()

    assert bench.done == [Demand(6.0, NEW_YEAR + 15 * MINUTE, whole=False, stepped=False)]


def test_a_window_without_any_reading_has_no_demand() -> None:
    bench = Bench(BLOCK)

    bench.silence(31)

    assert bench.done == []


def test_the_clock_stepped_back_an_hour_flags_the_window_and_loses_no_energy() -> None:
    # BARS R5
    bench = Bench(BLOCK)
    bench.minutes(*[6.0] * 5)
    bench.clock.step_s(-3600)

    bench.minutes(*[12.0] * 10)
    bench.look()

    assert bench.done == [Demand(10.0, NEW_YEAR - 45 * MINUTE, whole=False, stepped=True)]


def test_the_clock_stepped_forward_a_day_ends_the_window_at_the_next_quarter_by_the_new_time() -> None:
    # BARS R5
    bench = Bench(BLOCK)
    bench.minutes(*[6.0] * 5)
    bench.clock.step_s(DAY_S + 300)

    bench.minutes(*[6.0] * 5, *[8.0] * 15)
    bench.look()

    assert [(d.value, d.stepped) for d in bench.done] == [(6.0, True), (8.0, False)]


def test_a_clock_that_is_slewed_flags_nothing() -> None:
    bench = Bench(BLOCK)

    for _ in range(15):
        bench.minutes(6.0)
        bench.clock.step_s(0.03)
    bench.look()

    assert [(d.value, d.stepped, d.whole) for d in bench.done] == [(6.0, False, True)]


def test_a_restart_inside_the_window_is_a_gap_in_it() -> None:
    bench = Bench(BLOCK)
    bench.minutes(*[6.0] * 8)
    bench.window.reading(6.0, bench.clock.utc, bench.clock.monotonic)
    saved = bench.window.saved()
    again = Bench(BLOCK, ManualClock(utc=bench.clock.utc + 30 * SECOND, monotonic=77 * SECOND))

    again.window.restore(saved, again.clock.utc, again.clock.monotonic)
    again.minutes(*[12.0] * 6)
    again.clock.pass_s(30)
    again.look()

    # 8 min at 6, half a minute nobody knows, 6.5 min at 12
    (demand,) = again.done
    assert demand.value == pytest.approx((8 * 6 + 6.5 * 12) / 14.5)
    assert demand.whole is True


def test_a_restart_after_the_window_starts_with_what_still_belongs_to_it() -> None:
    parts = (Part(3.0 * 5 * MINUTE, 5 * MINUTE, NEW_YEAR), Part(6.0 * 5 * MINUTE, 5 * MINUTE, NEW_YEAR + 5 * MINUTE))
    clock = ManualClock(utc=NEW_YEAR + 5 * MINUTE)
    bench = Bench(SLIDING, clock)

    bench.window.restore(parts, clock.utc, clock.monotonic)
    bench.minutes(*[9.0] * 5)
    bench.look()

    assert bench.done == [Demand(6.0, NEW_YEAR + 10 * MINUTE, whole=True, stepped=False)]


def test_what_was_kept_long_ago_is_of_no_use() -> None:
    clock = ManualClock(utc=NEW_YEAR + DAY_S * SECOND)
    bench = Bench(SLIDING, clock)

    bench.window.restore((Part(9.0 * 5 * MINUTE, 5 * MINUTE, NEW_YEAR),), clock.utc, clock.monotonic)
    bench.minutes(*[3.0] * 15)
    bench.look()

    assert [d.value for d in bench.done] == [3.0]


def test_the_prediction_takes_the_present_power_for_the_rest_of_the_window() -> None:
    # 5 min at 6 and 10 min at 12 to come
    bench = Bench(BLOCK)
    bench.minutes(*[6.0] * 5)

    bench.window.reading(12.0, bench.clock.utc, bench.clock.monotonic)

    assert bench.window.predicted() == pytest.approx(10.0)


def test_the_prediction_of_a_sliding_window_leaves_out_what_slides_out() -> None:
    bench = Bench(SLIDING)
    bench.minutes(*[3.0] * 5, *[6.0] * 5, *[9.0] * 5)

    bench.window.reading(30.0, bench.clock.utc, bench.clock.monotonic)

    assert bench.window.predicted() == pytest.approx(15.0)


def test_a_process_that_slept_for_hours_goes_on_with_a_fresh_window() -> None:
    bench = Bench(SLIDING)
    bench.minutes(*[6.0] * 4)
    bench.clock.pass_s(10 * 3600)

    bench.minutes(*[2.0] * 20)

    assert [d for d in bench.done if d.whole] == [Demand(2.0, bench.done[-1].end_utc_ns, True, False)]


def test_the_peak_is_the_greatest_whole_window_and_when_it_ended() -> None:
    peak = Peak().with_demand(Demand(8.0, 1, True, False)).with_demand(Demand(9.0, 2, True, False))

    assert peak.with_demand(Demand(8.5, 3, True, False)).with_demand(Demand(99.0, 4, False, True)) == Peak(9.0, 2)


def test_a_second_reset_within_25_days_is_refused() -> None:
    # E-05
    peak = Peak(9.0, 2).reset(NEW_YEAR, None)

    assert peak == Peak(None, 0, NEW_YEAR)
    assert not peak.may_reset(NEW_YEAR + 24 * DAY_S * SECOND, BLOCK)
    assert peak.may_reset(NEW_YEAR + 25 * DAY_S * SECOND, BLOCK)


def test_after_a_reset_the_peak_is_the_present_demand() -> None:
    present = Demand(4.0, NEW_YEAR, True, False)

    assert Peak(9.0, 2).reset(NEW_YEAR + 1, present) == Peak(4.0, NEW_YEAR, NEW_YEAR + 1)
