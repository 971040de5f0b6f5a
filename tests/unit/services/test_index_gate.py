"""services.index_gate: what reaches the store of an energy, whatever the poller says."""

from bridge.core.event import EventKind
from bridge.core.point import Nominal, PointDef, Sample, counts_up
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.accumulator import IndexState, Verdict
from bridge.services.events import EventLog
from bridge.services.index_gate import GROWTH, IndexGate, most_per_s
from tests.support.clock import NEW_YEAR, SECOND, ManualClock
from tests.support.field_points import device, point

ENERGY = point("active_energy_import", 0, modulus=100_000_000)
POWER = point("active_power_total", 1)
TEST = point("test_mode", 2)
NET = point("active_energy_net", 3)
NOMINAL = Nominal(230, 80, 50)


class Bench:
    def __init__(self, kept: IndexState | None = None, *measured: PointDef, nominal: Nominal | None = None) -> None:
        self.clock = ManualClock()
        points = measured or (ENERGY, POWER, NET)
        self.store = PointStore(points)
        self.events = EventLog(self.clock)
        self.accepted: list[tuple[int, int, Verdict]] = []
        self.gate = IndexGate(self.store, self.clock, self.events, self._accepted)
        if kept is not None:
            self.gate.restore({ENERGY.id: kept})
        self.gate.redefine([device(points, [], nominal)])

    def _accepted(self, definition: PointDef, state: IndexState, verdict: Verdict) -> None:
        self.accepted.append((state.count, state.epoch, verdict))

    def read(self, value: int | float | None, quality: Quality = Quality.GOOD, of: PointDef = ENERGY) -> Sample:
        self.clock.pass_s(60)
        self.gate.publish([(of.index, Sample(value, quality, self.clock.utc, 1))])
        return self.store.get(of.index)

    def told(self) -> list[str]:
        return [event.text for event in self.events.events()]


def test_a_good_reading_passes_as_it_is() -> None:
    bench = Bench()

    assert bench.read(1_000) == Sample(1_000, Quality.GOOD, bench.clock.utc, 1)
    assert bench.accepted == [(1_000, 0, Verdict.ACCEPTED)]


def test_a_regression_shows_the_old_count_with_its_old_time_until_it_is_confirmed() -> None:
    bench = Bench()
    bench.read(1_000)
    read_at = bench.clock.utc

    held = [bench.read(5) for _ in range(3)]

    assert {(s.value, s.quality, s.source_ns) for s in held} == {(1_000, Quality.QUESTIONABLE, read_at)}
    assert bench.read(5) == Sample(5, Quality.DISCONTINUITY, bench.clock.utc, 1)
    assert bench.read(6).quality == Quality.GOOD


def test_a_discontinuity_is_an_event_and_never_silent() -> None:
    # M-47
    bench = Bench()
    bench.read(1_000)

    for _ in range(4):
        bench.read(5)

    assert bench.told() == [
        "m.active_energy_import held: 10.00 kWh -> 0.05 kWh",
        "m.active_energy_import reset: 10.00 kWh -> 0.05 kWh",
    ]
    assert {event.kind for event in bench.events.events()} == {EventKind.ACCUMULATOR}


def test_a_rollover_is_marked_and_told() -> None:
    bench = Bench()
    bench.read(99_999_990)

    assert bench.read(15).quality == Quality.ROLLOVER
    assert bench.told() == ["m.active_energy_import rolled over: 999999.90 kWh -> 0.15 kWh"]


def test_a_replaced_meter_starts_a_new_epoch_and_two_events() -> None:
    bench = Bench(IndexState(1_000, NEW_YEAR, 2, "A1"))

    bench.gate.serial("m", "B2")

    assert bench.read(3) == Sample(3, Quality.DISCONTINUITY, bench.clock.utc, 1)
    assert bench.accepted == [(3, 3, Verdict.REPLACED)]
    assert bench.told() == [
        "m: another meter, serial number B2; its indexes start a new epoch",
        "m.active_energy_import meter replaced: 10.00 kWh -> 0.03 kWh",
    ]


def test_a_lost_device_shows_the_accepted_count_and_not_the_odd_one_read_last() -> None:
    bench = Bench()
    bench.read(1_000)
    read_at = bench.clock.utc
    bench.read(5)

    assert bench.read(5, Quality.COMM_LOST) == Sample(1_000, Quality.COMM_LOST, read_at, 1)


def test_negative_energy_is_refused_with_one_event() -> None:
    bench = Bench()
    bench.read(1_000)

    samples = [bench.read(-5) for _ in range(5)]

    assert {(s.value, s.quality) for s in samples} == {(1_000, Quality.QUESTIONABLE | Quality.OUT_OF_RANGE)}
    assert len(bench.told()) == 1


def test_the_count_of_before_a_restart_is_there_at_once_and_stale() -> None:
    bench = Bench(IndexState(1_000, NEW_YEAR - SECOND))

    assert bench.gate.held() == [(ENERGY.index, Sample(1_000, Quality.STALE, NEW_YEAR - SECOND, 0))]


def test_a_restart_makes_no_jump() -> None:
    bench = Bench(IndexState(1_000, NEW_YEAR - SECOND, 7))

    assert bench.read(1_002).quality == Quality.GOOD
    assert bench.accepted == [(1_002, 7, Verdict.ACCEPTED)]


def test_a_meter_that_was_reset_while_the_bridge_was_down_is_held_as_well() -> None:
    bench = Bench(IndexState(1_000, NEW_YEAR - SECOND, 7))

    assert bench.read(5) == Sample(1_000, Quality.QUESTIONABLE, NEW_YEAR - SECOND, 1)


def test_a_clock_that_was_set_back_over_the_restart_refuses_nothing() -> None:
    # BARS R5
    bench = Bench(IndexState(1_000, NEW_YEAR + 86_400 * SECOND), nominal=NOMINAL)

    assert bench.read(900_000).quality == Quality.GOOD


def test_an_increase_that_no_line_carries_is_held() -> None:
    bench = Bench(nominal=NOMINAL)
    bench.read(1_000)

    assert bench.read(90_000).quality == Quality.QUESTIONABLE


def test_a_meter_without_an_answer_yet_is_lost_and_never_read() -> None:
    assert Bench().read(None, Quality.COMM_LOST).quality == Quality.COMM_LOST | Quality.NEVER_READ


def test_in_test_mode_nothing_is_a_measurement_and_no_index_moves() -> None:
    # M-48
    bench = Bench(None, ENERGY, POWER, TEST)
    bench.read(1_000)
    bench.read(1, of=TEST)

    assert bench.read(77.0, of=POWER).quality == Quality.SUBSTITUTED | Quality.QUESTIONABLE
    assert (bench.read(5).value, bench.read(5).quality) == (1_000, Quality.SUBSTITUTED | Quality.QUESTIONABLE)
    bench.read(0, of=TEST)
    assert bench.read(1_001).quality == Quality.GOOD
    assert bench.told() == ["m: test mode begins", "m: test mode ends"]


def test_net_and_partial_energies_are_no_indexes() -> None:
    assert counts_up(ENERGY)
    assert not counts_up(NET)
    assert not counts_up(point("active_energy_import_partial", 0))


def test_a_net_energy_may_fall() -> None:
    bench = Bench()
    bench.read(1_000, of=NET)

    assert bench.read(-5, of=NET) == Sample(-5, Quality.GOOD, bench.clock.utc, 1)


def test_a_reload_goes_on_with_the_same_index() -> None:
    bench = Bench()
    bench.read(1_000)

    bench.gate.redefine([device([ENERGY, POWER, NET], [])])

    assert bench.read(5).value == 1_000


def test_ten_times_the_nominal_power_is_the_most_a_line_carries() -> None:
    # 3 * 230 V * 80 A * 10 = 552 kW, in counts of 10 Wh
    assert most_per_s(ENERGY, device([], [], NOMINAL).definition) == 552_000 / 3600 / 10


def test_a_site_may_believe_any_rise_but_no_fall() -> None:
    bench = Bench(nominal=NOMINAL)
    bench.gate.redefine([device([ENERGY, POWER, NET], [], NOMINAL)], growth=0.0)
    bench.read(1_000)

    assert bench.read(50_000_000) == Sample(50_000_000, Quality.GOOD, bench.clock.utc, 1)
    assert bench.read(30_000_000).value == 50_000_000
    assert GROWTH == 10


def test_the_registers_of_an_accepted_count_are_kept_with_it_and_those_of_an_odd_one_are_in_its_event() -> None:
    # E-14: what a dispute about a bill goes back to
    bench = Bench()
    for count in (1_000, 5):
        bench.clock.pass_s(60)
        bench.gate.registers(bench.clock.utc, [(ENERGY.index, count.to_bytes(4))])
        bench.gate.publish([(ENERGY.index, Sample(count, Quality.GOOD, bench.clock.utc, 1))])

    state = bench.gate.state(ENERGY.index)

    assert state is not None
    assert (state.count, state.registers) == (1_000, b"\x00\x00\x03\xe8")
    assert bench.told() == ["m.active_energy_import held: 10.00 kWh -> 0.05 kWh, registers 0000 0005"]


def test_registers_of_another_reply_are_not_taken_for_those_of_a_count() -> None:
    bench = Bench()
    bench.gate.registers(bench.clock.utc, [(ENERGY.index, b"\x00\x01")])

    bench.read(1_000)

    state = bench.gate.state(ENERGY.index)
    assert state is not None
    assert state.registers == b""
