"""bridge.simulator.load, energy and state: values that belong together"""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.point import DeviceDef, Nominal, Wiring
from bridge.core.quantity import Direction, Meaning, Phase, Quantity
from bridge.simulator.energy import WATT_HOUR, Integrals, Milli, step_of
from bridge.simulator.load import Circuit, flow_of
from bridge.simulator.sources import Index
from bridge.simulator.state import MeterState, Tracker

NOON_S = 1_795_176_000.0
HOUR_NS = 3600 * 10**9
CIRCUIT = Circuit("dev:1", 230.0, 63.0, 50.0)


@given(st.floats(0, 86_400), st.integers(0, 50), st.booleans())
def test_voltage_current_and_powers_belong_together(after_s: float, seed: int, generator: bool) -> None:
    flow = flow_of(replace(CIRCUIT, generator=generator), seed)(NOON_S + after_s)

    assert flow.p_total == pytest.approx(sum(flow.p))
    assert flow.s_total**2 == pytest.approx(flow.p_total**2 + flow.q_total**2)
    for k in range(3):
        assert flow.i[k] * flow.u[k] == pytest.approx(flow.s[k])
        assert flow.s[k] ** 2 == pytest.approx(flow.p[k] ** 2 + flow.q[k] ** 2)
        assert 207 < flow.u[k] < 253
        assert flow.i[k] < 80
    assert all(math.sqrt(3) * 207 < u < math.sqrt(3) * 253 for u in flow.u_line)
    assert 49.9 < flow.frequency < 50.1
    assert flow.i_neutral <= sum(flow.i)
    assert flow.p_total <= 0 if generator else flow.p_total > 0


def test_the_same_seed_gives_the_same_curve_and_another_seed_another() -> None:
    assert flow_of(CIRCUIT, 1)(NOON_S) == flow_of(CIRCUIT, 1)(NOON_S)
    assert flow_of(CIRCUIT, 1)(NOON_S) != flow_of(CIRCUIT, 2)(NOON_S)


def test_a_solar_roof_rests_at_night() -> None:
    roof = flow_of(replace(CIRCUIT, generator=True), 1)

    assert roof(NOON_S + 12 * 3600).p_total == 0
    assert roof(NOON_S).p_total < -5000


def index_of(integrals: Integrals, direction: Direction, phase: Phase = Phase.TOTAL, tariff: int = 0) -> int:
    meaning = Meaning(Quantity.ACTIVE_ENERGY, phase, direction, tariff=tariff)
    return integrals.total(integrals.terms(meaning))


@given(
    st.lists(
        st.tuples(st.tuples(*[st.integers(-(10**8), 10**8)] * 3), st.integers(1, 2), st.integers(0, 5 * HOUR_NS)),
        max_size=20,
    )
)
def test_energy_is_the_exact_integral_of_the_power(
    steps: list[tuple[tuple[int, int, int], int, int]],
) -> None:
    integrals = Integrals(random.Random(1), 3, generator=False)
    before = {d: index_of(integrals, d) for d in (Direction.IMPORT, Direction.EXPORT, Direction.NET, Direction.SUM)}

    for power, tariff, elapsed_ns in steps:
        integrals.add(Milli(power, power, power, power, power), tariff, elapsed_ns)

    flowed = sum(sum(p) * ns for p, _, ns in steps)
    turned = sum(sum(map(abs, p)) * ns for p, _, ns in steps)
    gained = {d: index_of(integrals, d) - was for d, was in before.items()}
    assert gained[Direction.IMPORT] - gained[Direction.EXPORT] == gained[Direction.NET] == flowed
    assert gained[Direction.IMPORT] + gained[Direction.EXPORT] == gained[Direction.SUM] == turned
    for direction in before:
        by_phase = sum(index_of(integrals, direction, phase) for phase in (Phase.L1, Phase.L2, Phase.L3))
        by_tariff = sum(index_of(integrals, direction, tariff=tariff) for tariff in (1, 2))
        assert by_phase == by_tariff == index_of(integrals, direction)


@given(st.integers(0, 99_999_999), st.integers(0, 10**18), st.integers(0, 10**7))
def test_an_index_shows_what_it_was_set_to_and_goes_on_from_there(count: int, integral: int, more: int) -> None:
    total = integral
    index = Index(lambda: total, step_of("kWh", -2), 100_000_000)

    index.set_to(count)
    assert index() == count
    total += more * 10 * WATT_HOUR
    assert index() == (count + more) % 100_000_000


def test_an_index_starts_again_at_its_modulus() -> None:
    total = 0
    index = Index(lambda: total, step_of("kWh", -2), 100)
    index.set_to(99)
    total += 10 * WATT_HOUR

    assert index() == 0


def make_state() -> MeterState:
    device = DeviceDef(
        "dev", "toy", "ACME", "T1", "line", 1, False, Wiring.FOUR_WIRE, Nominal(230.0, 63.0, 50.0), {}, "site.yaml:1"
    )
    return MeterState(device, frozenset({1}), 7, round(NOON_S) * 10**9)


def test_a_pinned_power_is_what_is_integrated() -> None:
    state = make_state()
    circuit = state.circuits[1]
    circuit.forced[Quantity.ACTIVE_POWER, Phase.TOTAL] = 10_000.0
    before = index_of(circuit.integrals, Direction.IMPORT)

    state.step(round(NOON_S) * 10**9 + HOUR_NS, HOUR_NS)

    assert index_of(circuit.integrals, Direction.IMPORT) - before == 10_000 * WATT_HOUR


def test_the_tariff_follows_the_hour_until_somebody_chooses() -> None:
    state = make_state()
    seen = [state.tariff]
    state.step(state.utc_ns + 11 * HOUR_NS, HOUR_NS)
    seen.append(state.tariff)
    state.forced_tariff = 1
    seen.append(state.tariff)

    assert seen == [1, 2, 1]


def test_a_demand_reaches_nine_tenths_of_a_step_after_its_interval() -> None:
    present = 0.0
    tracker = Tracker(lambda: present, 900 / math.log(10), 0)
    present = 100.0
    for second in range(900):
        tracker.step(1.0, second * 10**9)

    assert tracker.value == pytest.approx(90.0)
    assert (tracker.high, tracker.high_ns) == (tracker.value, 899 * 10**9)
    present = 0.0
    tracker.step(60.0, 10**12)
    tracker.reset(10**12)
    assert (tracker.high, tracker.high_ns) == (tracker.value, 10**12)
