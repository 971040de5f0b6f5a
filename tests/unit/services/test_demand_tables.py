"""
Demand against a table worked out by hand: a window of 15 minutes that slides by 5, with a gap, a clock that is stepped
and a restart inside it (E-03).

    minutes          power      read for     sums of the window that ends here        demand            counts as
     0 ..  5         6 kW       5 min
     5 .. 10         12 kW      5 min
    10 .. 15         9 kW       5 min        6*5 + 12*5 + 9*5     = 135 / 15          9.0               a peak
    15 .. 20         3 kW       5 min        12*5 + 9*5 + 3*5     = 120 / 15          8.0
    20 .. 25         -          0            9*5 + 3*5            =  60 / 10          6.0               doubtful: 67 %
    25 .. 30         30 kW      5 min        3*5 + 30*5           = 165 / 10          16.5              doubtful: 67 %
    30 .. 35         9 kW       5 min        30*5 + 9*5           = 195 / 10          19.5              doubtful: 67 %
    35 .. 40         6 kW       5 min        30*5 + 9*5 + 6*5     = 225 / 15          15.0              a peak
    40 .. 45         3 kW       5 min        9*5 + 6*5 + 3*5      =  90 / 15          6.0
"""

import pytest

from bridge.services.demand import Demand, DemandSettings, DemandWindow, Peak
from tests.support.clock import NEW_YEAR, SECOND, ManualClock

MINUTE = 60 * SECOND
SETTINGS = DemandSettings(interval_min=15, subintervals=3)
# a reading stands for ten seconds
HOLD = 10 * SECOND
POWERS: tuple[float | None, ...] = (6, 12, 9, 3, None, 30, 9, 6, 3)
TABLE = ((15, 9.0, True), (20, 8.0, True), (25, 6.0, False), (30, 16.5, False), (35, 19.5, False), (40, 15.0, True))
WHOLE_TABLE = (*TABLE, (45, 6.0, True))


class Meter:
    """Reads every ten seconds."""

    def __init__(self) -> None:
        self.clock, self.window = ManualClock(), DemandWindow(SETTINGS, HOLD)
        self.found: list[Demand] = []

    def minutes(self, power: float | None, minutes: float) -> None:
        for _ in range(round(6 * minutes)):
            if power is not None:
                self.found += self.window.reading(power, self.clock.utc, self.clock.monotonic)
            self.clock.pass_s(10)
        self.found += self.window.look(self.clock.utc, self.clock.monotonic)

    def restart(self) -> None:
        """The process ends and begins at once."""
        kept, self.window = self.window.saved(), DemandWindow(SETTINGS, HOLD)
        self.window.restore(kept, self.clock.utc, self.clock.monotonic)

    def table(self) -> tuple[tuple[float, float, bool], ...]:
        return tuple(((d.end_utc_ns - NEW_YEAR) / MINUTE, round(d.value, 9), d.whole) for d in self.found)


def test_the_table() -> None:
    # E-03 E-04
    meter = Meter()
    for power in POWERS:
        meter.minutes(power, 5)

    peak = Peak()
    for demand in meter.found:
        peak = peak.with_demand(demand)
    assert meter.table() == WHOLE_TABLE
    assert (peak.value, (peak.at_utc_ns - NEW_YEAR) / MINUTE) == (15.0, 40)


# from the third sub-interval on; before, a restart brings a doubtful window of what there is
@pytest.mark.parametrize("place", range(2, len(POWERS)))
def test_a_restart_between_two_readings_changes_nothing_in_the_table(place: int) -> None:
    # E-03
    meter = Meter()
    for n, power in enumerate(POWERS):
        meter.minutes(power, 2)
        if n == place:
            meter.restart()
        meter.minutes(power, 3)

    # what was under way is kept at every look; the reading in force is not, and is taken again ten seconds later
    assert [(end, whole) for end, _, whole in meter.table()] == [(end, whole) for end, _, whole in WHOLE_TABLE]
    assert [value for _, value, _ in meter.table()] == pytest.approx([value for _, value, _ in WHOLE_TABLE], abs=0.3)


@pytest.mark.parametrize("step_s", [-3600.0, -300.0, 300.0, 86_400.0])
def test_a_step_of_the_clock_doubts_every_window_it_is_in_and_makes_no_peak(step_s: float) -> None:
    # E-06, BARS R5
    meter = Meter()
    for n, power in enumerate(POWERS):
        if n == 5:
            # a whole number of windows, so that the table's ends stay where they are
            meter.clock.step_s(step_s)
        meter.minutes(power, 5)

    shown = [((d.end_utc_ns - NEW_YEAR) / MINUTE, d.stepped, d.whole) for d in meter.found]
    before, after = shown[:2], shown[-1]
    assert before == [(15, False, True), (20, False, True)]
    assert any(stepped for _, stepped, _ in shown)
    assert not any(stepped and whole for _, stepped, whole in shown)
    assert after == (45 + step_s / 60, False, True)
    assert round(meter.found[-1].value, 9) == 6.0
