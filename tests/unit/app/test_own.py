"""app.own and app.memory: the services together, and what they know after a restart."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.own import OwnServices
from bridge.config.history_keys import HistoryKey, RecordKey
from bridge.config.model import SiteConfig
from bridge.config.services import ServicesFile
from bridge.core.event import EventKind
from bridge.core.point import Nominal, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.field.modbus.notice import Notice, NoticeKind
from bridge.history.database import Access, Database
from bridge.history.opening import FILE
from tests.support import sim_site
from tests.support.clock import NEW_YEAR, SECOND, ManualClock
from tests.support.field_points import device, point

pytestmark = pytest.mark.real_time

ENERGY = point("active_energy_import", 0)
POWER = point("active_power_total", 1)
V1 = point("voltage_l1_n", 2)
STATUS = point("communication_status", 3)
LOSS = point("phase_loss_l1", 4, states=((0, "OK"), (1, "Loss")))
PEAK = point("demand_peak_current", 5)
OVERLOAD = point("overload_threshold", 6, unit="%", low=80.0, high=120.0)
MEASURED, OWN = (ENERGY, POWER, V1), (STATUS, LOSS, PEAK, OVERLOAD)
SITE = sim_site.site([device(MEASURED, OWN, Nominal(230, 80, 50))], channels={})


class Bench:
    def __init__(self, folder: Path, clock: ManualClock, site: SiteConfig = SITE) -> None:
        self.clock = clock
        self.config = replace(site, state_dir=folder)
        self.store = PointStore(site.points, site.devices)
        self.own = OwnServices(self.store, clock)

    async def start(self) -> None:
        await self.own.start(self.config)

    def read(self, count: int, power: float = 6.0, voltage: float = 230.0) -> None:
        at = self.clock.utc
        values = ((0, count), (1, power), (2, voltage))
        self.own.gate.publish([(index, Sample(value, Quality.GOOD, at, 1)) for index, value in values])

    def minutes(self, count: int, minutes: int) -> None:
        for n in range(6 * minutes):
            self.read(count + n)
            self.clock.pass_s(10)
        self.own.demand.look()


async def test_what_the_bridge_knew_is_there_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    first = Bench(tmp_path, clock)
    await first.start()
    first.minutes(1_000, 15)
    first.own.settings.write(OVERLOAD.index, 90)
    first.read(1_090, voltage=20.0)
    await first.own.stop()
    again = Bench(tmp_path, clock)

    await again.start()

    assert again.store.get(ENERGY.index) == Sample(1_090, Quality.STALE, clock.utc, 0)
    assert again.store.get(PEAK.index).value == 6.0
    assert again.store.get(OVERLOAD.index).value == 90.0
    assert {(a.name, a.active) for a in again.own.alarms.alarms()} == {
        ("voltage_interruption", True),
        ("phase_loss", True),
    }
    assert [e.text for e in again.own.events.events(first.own.events.last)] == ["bridge started, 7 points"]
    await again.own.stop()


async def test_an_index_goes_on_without_a_jump_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    first = Bench(tmp_path, clock)
    await first.start()
    first.read(1_000)
    await first.own.stop()
    again = Bench(tmp_path, clock)
    await again.start()
    clock.pass_s(60)

    again.read(5)
    held = again.store.get(ENERGY.index)
    again.read(1_001)

    assert (held.value, held.quality, held.source_ns) == (1_000, Quality.QUESTIONABLE, NEW_YEAR)
    assert again.store.get(ENERGY.index).quality == Quality.GOOD
    await again.own.stop()


async def test_a_damaged_database_is_an_alarm_and_an_event(tmp_path: Path) -> None:
    # BARS R7
    clock = ManualClock()
    first = Bench(tmp_path, clock)
    await first.start()
    first.read(1_000)
    await first.own.stop()
    path = tmp_path / "history" / FILE
    path.write_bytes(b"\xff" * path.stat().st_size)
    again = Bench(tmp_path, clock)

    await again.start()

    assert [(a.name, a.priority, a.active) for a in again.own.alarms.alarms()] == [("history_damaged", 224, False)]
    assert any("set aside as history.damaged-20260101T000000Z.sqlite" in e.text for e in again.own.events.events())
    assert again.store.get(ENERGY.index).value == 1_000
    await again.own.stop()


async def test_without_any_place_to_write_the_bridge_serves_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("in the way")
    bench = Bench(tmp_path, ManualClock())

    await bench.start()
    bench.read(1_000)

    assert bench.store.get(ENERGY.index).value == 1_000
    assert [(a.name, a.active) for a in bench.own.alarms.alarms()] == [("history_failure", True)]
    await bench.own.stop()


async def test_what_the_field_side_notices_becomes_events(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ManualClock())
    await bench.start()

    bench.own.noticed(Notice(NoticeKind.LOST, "m", -1, "no reply"))
    bench.own.noticed(Notice(NoticeKind.SERIAL_NUMBER, "m", -1, "A17"))

    told = [(e.kind, e.device, e.text) for e in bench.own.events.events()]
    assert (EventKind.COMMUNICATION, "m", "m: lost: no reply") in told
    assert (EventKind.SYSTEM, "m", "m: serial number A17") in told
    await bench.own.stop()


async def test_the_clock_one_hour_back_or_a_day_ahead_stops_nothing(tmp_path: Path) -> None:
    # BARS R5
    clock = ManualClock()
    bench = Bench(tmp_path, clock)
    await bench.start()
    bench.minutes(1_000, 5)
    clock.step_s(-3600)
    bench.minutes(1_030, 5)
    clock.step_s(86_400)
    bench.minutes(1_060, 25)

    energy, peak = bench.store.get(ENERGY.index), bench.store.get(PEAK.index)
    numbers = [event.number for event in bench.own.events.events()]
    assert (energy.quality, energy.source_ns, energy.value) == (Quality.GOOD, clock.utc - 10 * SECOND, 1_209)
    assert numbers == list(range(1, len(numbers) + 1))
    assert peak.value == 6.0
    assert any("clock was stepped" in event.text for event in bench.own.events.events())
    await bench.own.stop()


async def test_the_load_profile_and_the_closing_readings_can_be_taken_out_as_csv(tmp_path: Path) -> None:
    # E-09 E-12 E-14 E-15
    clock = ManualClock(utc=NEW_YEAR - 1800 * SECOND)
    bench = Bench(tmp_path, clock)
    await bench.start()
    for n in range(45):
        bench.read(1_000 + n)
        clock.pass_s(60)
        bench.own.records.look()
    await bench.own.stop()

    with Database(tmp_path / "history" / FILE, access=Access.READ) as database:
        profile = [(row.count, row.at_ns - NEW_YEAR) for row in database.profile(ENERGY.id)]
        closings = [(row.period, row.count, row.source_ns) for row in database.proofs(ENERGY.id)]

    assert profile == [(1_014, -900 * SECOND), (1_029, 0), (1_044, 900 * SECOND)]
    assert closings == [("2025-12", 1_030, NEW_YEAR), ("2025-12-31", 1_030, NEW_YEAR)]


async def test_an_outage_of_the_bridge_is_a_record_of_the_profile(tmp_path: Path) -> None:
    # E-12
    clock = ManualClock()
    first = Bench(tmp_path, clock)
    await first.start()
    for n in range(31):
        first.read(1_000 + n)
        first.own.records.look()
        clock.pass_s(60)
    await first.own.stop()
    clock.pass_s(7200)
    again = Bench(tmp_path, clock)

    await again.start()
    await again.own.stop()

    with Database(tmp_path / "history" / FILE, access=Access.READ) as database:
        rows = [(row.count, (row.at_ns - NEW_YEAR) // (900 * SECOND)) for row in database.profile(ENERGY.id)]
    assert rows == [(1_015, 1), (1_030, 2), (None, 3)]


async def test_the_past_is_read_while_it_is_written(tmp_path: Path) -> None:
    clock = ManualClock()
    bench = Bench(tmp_path, clock)
    await bench.start()
    for n in range(61):
        bench.read(1_000 + n)
        bench.own.records.look()
        clock.pass_s(60)
    recorder = bench.own.memory.recorder
    assert recorder is not None
    await recorder.commit()

    first = await bench.own.past.samples(ENERGY.index, 0, 1 << 62, most=2)
    rest = await bench.own.past.samples(ENERGY.index, first.samples[-1].source_ns, 1 << 62)
    numbered = await bench.own.past.records(ENERGY.index, 3, 9)
    since = await bench.own.past.records(ENERGY.index, -1, 2, rest.samples[0].source_ns)
    events = await bench.own.past.events(0)
    nobody = await bench.own.past.samples(99, 0, 1)

    assert [(s.value, (s.source_ns - NEW_YEAR) // (900 * SECOND)) for s in first.samples] == [(1_015, 1), (1_030, 2)]
    assert (first.more, [s.value for s in rest.samples], rest.more) == (True, [1_045, 1_060], False)
    assert ([s.value for s in numbered.samples], numbered.first, numbered.oldest, numbered.newest) == (
        [1_045, 1_060],
        3,
        1,
        4,
    )
    assert ([s.value for s in since.samples], since.first) == ([1_030, 1_045], 2)
    assert [event.text for event in events.events] == ["bridge started, 7 points"]
    assert nobody.failure == "no such point"
    await bench.own.stop()


DEMAND, NET = point("active_demand", 7), point("active_energy_net", 8)
LOGGED_SITE = sim_site.site([device(MEASURED, (*OWN, DEMAND, NET), Nominal(230, 80, 50))], channels={})


async def test_demand_and_net_energy_are_logged_at_the_end_of_each_quarter_of_an_hour(tmp_path: Path) -> None:
    # E-10 E-12
    clock = ManualClock()
    bench = Bench(tmp_path, clock, LOGGED_SITE)
    await bench.start()
    for n in range(75):
        if n < 46:
            bench.read(1_000 + n)
        clock.pass_s(60)
        bench.own.demand.look()
        bench.own.records.look()
    await bench.own.stop()

    with Database(tmp_path / "history" / FILE, access=Access.READ) as database:
        rows = [((r.at_ns - NEW_YEAR) // (900 * SECOND), r.value) for r in database.samples(DEMAND.id)]

    # nothing was read in the last interval: a gap, and nothing in its place
    assert rows == [(1, 6.0), (2, 6.0), (3, 6.0), (4, 6.0), (5, None)]


async def test_the_mean_of_an_hour_stays_when_its_values_are_let_go(tmp_path: Path) -> None:
    # seed 004 keeps such means for good; see docs/services.md
    clock = ManualClock()
    bench = Bench(tmp_path, clock)
    record = (RecordKey(match=POWER.id, every_s=60, keep_days=1 / 24, then_every_s=1800, then_keep_days=10),)
    bench.config = replace(bench.config, services=ServicesFile(history=HistoryKey(record=record)))
    await bench.start()
    for n in range(181):
        bench.read(1_000, power=float(n))
        clock.pass_s(60)
    assert bench.own.memory.recorder is not None
    await bench.own.memory.recorder.commit()

    await bench.own.records.tidy()
    page = await bench.own.past.samples(POWER.index, 0, 1 << 62)

    minutes = [(round((s.source_ns - NEW_YEAR) / SECOND / 60), s.value) for s in page.samples]
    assert minutes[:5] == [(0, 0.0), (30, 15.5), (60, 45.5), (90, 75.5), (120, 105.5)]
    assert minutes[5:] == [(n, float(n)) for n in range(121, 181)]
    await bench.own.stop()


async def test_a_reading_that_is_billed_by_says_when_the_clock_was_not_to_be_believed(tmp_path: Path) -> None:
    # T-07
    clock = ManualClock(utc=NEW_YEAR - 1800 * SECOND)
    bench = Bench(tmp_path, clock)
    await bench.start()
    for n in range(45):
        bench.own.time.synchronised = n < 20
        bench.read(1_000 + n)
        clock.pass_s(60)
        bench.own.records.look()
    await bench.own.stop()

    with Database(tmp_path / "history" / FILE, access=Access.READ) as database:
        profile = [Quality(row.quality) for row in database.profile(ENERGY.id)]
        closings = [Quality(row.quality) for row in database.proofs(ENERGY.id)]

    assert profile == [Quality.GOOD, Quality.CLOCK_UNSYNCED, Quality.CLOCK_UNSYNCED]
    assert closings == [Quality.CLOCK_UNSYNCED] * 2
