"""services.settings and services.own_commands: what the bridge keeps and obeys for a meter that cannot."""

import msgspec
import pytest

from bridge.core.command import Command, Origin, Outcome
from bridge.core.point import Kind, PointDef, Value
from bridge.core.store import PointStore
from bridge.services.demand import DemandSettings
from bridge.services.demand_points import demands_of
from bridge.services.demand_service import DemandService
from bridge.services.events import EventLog
from bridge.services.min_max import MinMax
from bridge.services.own_commands import OwnCommands
from bridge.services.partial import Partials
from bridge.services.settings import Setting, Settings
from tests.support.clock import ManualClock
from tests.support.field_points import device, point

POWER = point("active_power_total", 0)
PEAK = point("demand_peak_current", 1)
RESET = point("reset_demand_peak", 2)
INTERVAL = point("demand_interval", 3, unit="min", low=1.0, high=60.0)
OVERLOAD = point("overload_threshold", 4, unit="%", low=80.0, high=120.0)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.changed: list[tuple[str, float]] = []
        self.store = PointStore([POWER, PEAK, RESET, INTERVAL, OVERLOAD])
        self.demand = DemandService(self.store, self.clock)
        self.demand.redefine([(d, DemandSettings()) for d in demands_of(device([POWER], [PEAK]))])
        self.settings = Settings(self.store, self.clock, self._setting_changed)
        self.settings.redefine([Setting(INTERVAL, 15.0), Setting(OVERLOAD, 100.0)])
        self.min_max = MinMax(self.store)
        self.events = EventLog(self.clock)
        self.commands = OwnCommands(
            self.store, self.clock, self.events, self.settings, self.demand, self.min_max, Partials(self.store)
        )
        self.commands.redefine([RESET])

    def _setting_changed(self, definition: PointDef, value: float) -> None:
        self.changed.append((definition.name, value))

    async def write(self, definition: PointDef, value: Value) -> Outcome:
        origin = Origin("test", "", "")
        result = await self.commands.submit(Command(definition.index, value, origin, self.clock.monotonic + 10**9))
        return result.outcome


async def test_a_setting_shows_what_the_site_says_until_it_is_written() -> None:
    bench = Bench()
    before = bench.store.get(OVERLOAD.index).value

    outcome = await bench.write(OVERLOAD, 90)

    assert (before, outcome, bench.store.get(OVERLOAD.index).value) == (100.0, Outcome.DONE, 90.0)


@pytest.mark.parametrize("value", [79.9, 120.1, True, "90", None, float("nan")])
async def test_a_value_out_of_the_range_of_a_setting_is_refused(value: Value) -> None:
    # P-06
    bench = Bench()

    assert await bench.write(OVERLOAD, value) is Outcome.OUT_OF_RANGE
    assert bench.store.get(OVERLOAD.index).value == 100.0


async def test_the_demand_interval_is_whole_minutes() -> None:
    bench = Bench()

    assert await bench.write(INTERVAL, 7.5) is Outcome.OUT_OF_RANGE
    assert await bench.write(INTERVAL, 30) is Outcome.DONE
    assert bench.changed[-1] == ("demand_interval", 30.0)


async def test_a_written_setting_outlives_a_reload_and_a_restart() -> None:
    bench = Bench()
    await bench.write(OVERLOAD, 90)
    bench.settings.redefine([Setting(INTERVAL, 15.0), Setting(OVERLOAD, 110.0)])
    again = Bench()

    again.settings.restore(bench.settings.written())

    assert bench.store.get(OVERLOAD.index).value == 90.0
    assert again.store.get(OVERLOAD.index).value == 90.0


async def test_a_command_stands_idle_acts_on_1_and_falls_back() -> None:
    # P-05
    bench = Bench()
    before = bench.store.get(RESET.index).value

    outcome = await bench.write(RESET, 1)

    assert (before, outcome, bench.store.get(RESET.index).value) == (False, Outcome.DONE, False)


async def test_writing_0_to_a_command_does_nothing() -> None:
    bench = Bench()

    assert await bench.write(RESET, False) is Outcome.DONE
    assert await bench.write(RESET, 1) is Outcome.DONE


async def test_a_second_reset_of_the_peak_within_the_lock_out_is_refused() -> None:
    # E-05, P-10
    bench = Bench()
    await bench.write(RESET, 1)
    bench.clock.pass_s(24 * 86_400)

    assert await bench.write(RESET, 1) is Outcome.REFUSED_BY_POLICY
    assert [event.text for event in bench.events.events()] == [
        "m.reset_demand_peak carried out",
        "m.reset_demand_peak refused: the lock-out after the last one runs",
    ]


async def test_a_point_that_is_none_of_its_own_is_not_writable() -> None:
    bench = Bench()

    assert not bench.commands.owns(POWER.index)
    assert await bench.write(POWER, 1) is Outcome.NOT_WRITABLE


def test_a_command_that_has_codes_stands_idle_at_its_code_0() -> None:
    bench = Bench()
    coded = msgspec.structs.replace(RESET, kind=Kind.MULTISTATE, states=((0, "idle"), (1, "reset")))

    bench.commands.redefine([coded])

    value = bench.store.get(RESET.index).value
    assert (value, type(value)) == (0, int)
