"""services.demand_points and services.demand_service: powers in, demand points out."""

from collections.abc import Sequence

import pytest

from bridge.config.services import DemandKey, DeviceDemandLimits
from bridge.core.point import PointDef, Sample, Value
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.demand import DemandSettings
from bridge.services.demand_points import demands_of, settings_of
from bridge.services.demand_service import DemandService
from tests.support.clock import NEW_YEAR, SECOND, ManualClock
from tests.support.field_points import device, point

BLOCK = DemandSettings(interval_min=15, subintervals=1)
POWER = point("active_power_total", 0)


class Bench:
    def __init__(
        self, *own: PointDef, measured: Sequence[PointDef] = (POWER,), clock: ManualClock | None = None
    ) -> None:
        self.clock = clock or ManualClock()
        self.store = PointStore([*measured, *own])
        self.service = DemandService(self.store, self.clock)
        self.demands = demands_of(device(measured, own))
        self.service.redefine([(points, BLOCK) for points in self.demands])

    def power(self, kilowatts: float, minutes: int, quality: Quality = Quality.GOOD) -> None:
        for _ in range(6 * minutes):
            self.store.publish([(0, Sample(kilowatts, quality, self.clock.utc, 1))])
            self.clock.pass_s(10)
        self.service.look()

    def value(self, definition: PointDef) -> Value:
        return self.store.get(definition.index).value


def test_the_peak_and_its_time_are_points() -> None:
    # seed 003 points 26 and 27, REQUIREMENTS a-03
    peak, when = point("demand_peak_current", 1), point("demand_peak_timestamp", 2, unit="")
    bench = Bench(peak, when)

    bench.power(6.0, 15)
    bench.power(4.0, 15)

    assert bench.value(peak) == 6.0
    assert bench.value(when) == NEW_YEAR + 900 * SECOND
    assert bench.store.get(peak.index).source_ns == NEW_YEAR + 1800 * SECOND


def test_before_the_first_whole_window_there_is_no_demand() -> None:
    peak = point("demand_peak_current", 1)
    bench = Bench(peak)

    bench.power(6.0, 14)

    assert bench.store.get(peak.index).quality == Quality.NEVER_READ


def test_present_and_predicted_demand_are_points() -> None:
    present, predicted = point("active_demand", 1, unit="W"), point("active_demand_predicted", 2)
    bench = Bench(present, predicted)

    bench.power(6.0, 15)
    bench.power(9.0, 1)

    assert bench.value(present) == 6000.0
    assert bench.value(predicted) == 9.0


def test_import_and_export_are_demands_of_their_own() -> None:
    # del, rec, del - rec
    own = [point(f"active_demand{word}", n) for n, word in enumerate(("_import", "_export", "_net"), start=1)]
    bench = Bench(*own)

    bench.power(6.0, 10)
    bench.power(-3.0, 5)

    assert [bench.value(definition) for definition in own] == [4.0, 1.0, 3.0]


def test_a_device_that_is_lost_makes_a_doubtful_demand_and_no_peak() -> None:
    present, peak = point("active_demand", 1), point("active_demand_peak", 2)
    bench = Bench(present, peak)

    bench.power(6.0, 10)
    bench.power(6.0, 5, Quality.COMM_LOST)

    assert bench.store.get(present.index).quality == Quality.QUESTIONABLE
    assert bench.value(peak) is None


def test_a_reset_begins_the_peak_with_the_present_demand_and_locks_the_next_out() -> None:
    # E-05
    peak = point("demand_peak_current", 1)
    bench = Bench(peak)
    bench.power(6.0, 15)
    bench.power(4.0, 15)

    assert bench.service.reset_peaks("m")
    assert bench.value(peak) == 4.0
    bench.power(9.0, 15)
    assert not bench.service.reset_peaks("m")
    assert bench.value(peak) == 9.0


def test_a_reload_that_means_the_same_goes_on_in_the_middle_of_the_window() -> None:
    peak = point("demand_peak_current", 1)
    bench = Bench(peak)
    bench.power(6.0, 8)

    bench.service.redefine([(points, BLOCK) for points in bench.demands])
    bench.power(6.0, 7)

    assert bench.value(peak) == 6.0


def test_another_interval_begins_anew_and_keeps_the_peak() -> None:
    peak, present = point("demand_peak_current", 1), point("active_demand", 2)
    bench = Bench(peak, present)
    bench.power(6.0, 15)

    bench.service.set_interval("m", 5)
    bench.power(3.0, 5)

    assert (bench.value(peak), bench.value(present)) == (6.0, 3.0)


def test_a_peak_outlives_a_restart() -> None:
    peak = point("demand_peak_current", 1)
    bench = Bench(peak)
    bench.power(6.0, 15)
    kept = bench.service.kept()
    again = Bench(peak, clock=bench.clock)

    again.service.restore(kept)

    assert again.store.get(peak.index) == Sample(6.0, Quality.GOOD, NEW_YEAR + 900 * SECOND, 1)


def test_the_demand_of_a_current_is_that_of_the_average_or_of_the_one_phase() -> None:
    own = [point("current_demand", 5)]

    (average,) = demands_of(device([point("current_l1", 0), point("current_average", 1)], own))
    (single,) = demands_of(device([point("current_l1", 0)], own))

    assert (average.source, single.source) == (1, 0)


def test_a_demand_without_its_power_stays_unread() -> None:
    assert demands_of(device([point("reactive_power_total", 0)], [point("active_demand", 1)])) == []


def test_the_interval_of_a_device_goes_before_that_of_the_site() -> None:
    key = DemandKey(interval_min=30, devices=(DeviceDemandLimits(match="m", subintervals=1, lockout_days=0),))

    assert settings_of(key, "m") == DemandSettings(30, 1, 0)
    assert settings_of(key, "n") == DemandSettings(30, 3, 25)


REACTIVE = point("reactive_power_total", 1)


class Both:
    """Two powers; a reading of both every ten seconds."""

    def __init__(self) -> None:
        own = [point("demand_peak_current", 2), point("reactive_demand_coincident", 3, unit="kvar")]
        self.coincident, self.clock = own[1], ManualClock()
        self.store = PointStore([POWER, REACTIVE, *own])
        self.service = DemandService(self.store, self.clock)
        self.demands = demands_of(device((POWER, REACTIVE), own))
        self.service.redefine([(points, BLOCK) for points in self.demands])

    def powers(self, active: float, reactive: float, order: tuple[int, int] = (0, 1)) -> Value:
        """A quarter of an hour; return the coincident demand."""
        values = {0: active, 1: reactive}
        for _ in range(90):
            for index in order:
                self.store.publish([(index, Sample(values[index], Quality.GOOD, self.clock.utc, 1))])
            self.clock.pass_s(10)
        self.service.look()
        return self.store.get(self.coincident.index).value


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_coincident_demand_is_that_of_the_window_of_the_active_peak(order: tuple[int, int]) -> None:
    # E-04
    bench = Both()

    shown = [bench.powers(*powers, order) for powers in ((6.0, 1.0), (9.0, 2.0), (5.0, 7.0), (9.5, 0.5))]

    # the greatest reactive demand, 7, was in another window
    assert shown == [1.0, 2.0, 2.0, 0.5]


def test_the_coincident_demand_outlives_a_restart_and_begins_anew_with_the_peak() -> None:
    # E-04
    first, again = Both(), Both()
    for powers in ((9.0, 2.0), (5.0, 7.0)):
        first.powers(*powers)
    again.clock.utc = first.clock.utc

    again.service.restore(first.service.kept())

    assert again.store.get(again.coincident.index).value == 2.0
    assert first.service.reset_peaks("m")
    assert first.store.get(first.coincident.index).value == 7.0
