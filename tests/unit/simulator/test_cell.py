"""bridge.simulator.cell and wanted: a value, the register that holds it, and what is reported of it"""

import dataclasses
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.meter import RegisterType
from bridge.config.model import FieldPoint
from bridge.core.point import Kind
from bridge.simulator.cell import BadValue, Cell, exact_decimal
from bridge.simulator.wanted import wanted_value
from tests.support.sim_site import energy, point, register


def cell(made: FieldPoint, exponent: int = 0) -> Cell:
    assert made.read is not None
    return Cell(made.definition, made.read, exponent)


@pytest.mark.parametrize("kind", [RegisterType.UINT32, RegisterType.INT64, RegisterType.FLOAT64])
@given(count=st.integers(0, 99_999_999))
def test_an_energy_asked_for_with_all_its_digits_is_held_to_the_last_one(kind: RegisterType, count: int) -> None:
    index = cell(energy("active_energy_import", 0, kind))
    asked = exact_decimal(count, -2)

    raw = index.exact_raw(wanted_value(index.definition, asked))

    assert index.shown(raw) == asked
    assert index.held(raw) == count


def test_what_float32_cannot_hold_is_reported_as_what_it_does_hold() -> None:
    index = cell(energy("active_energy_import", 0, RegisterType.FLOAT32))

    assert index.shown(index.exact_raw(13_107_201)) == Decimal("131072.01")
    assert index.shown(index.exact_raw(13_107_202)) == Decimal("131072.01")


@given(count=st.integers(0, 1_600_000))
def test_a_float32_index_shows_every_step_while_it_has_the_digits(count: int) -> None:
    index = cell(energy("active_energy_import", 0, RegisterType.FLOAT32))

    assert index.held(index.exact_raw(count)) == count


def test_json_keeps_the_digits_of_an_energy() -> None:
    text = msgspec.json.Encoder(decimal_format="number").encode({"e": exact_decimal(13_107_201, -2)})

    assert text == b'{"e":131072.01}'


@pytest.mark.parametrize(
    ("count", "exponent", "text"), [(5, -2, "0.05"), (-5, -2, "-0.05"), (12, 1, "120"), (0, -3, "0.000")]
)
def test_a_decimal_has_all_its_digits(count: int, exponent: int, text: str) -> None:
    assert str(exact_decimal(count, exponent)) == text


def test_a_scaled_register_reports_the_step_it_holds() -> None:
    voltage = cell(point("voltage_l1_n", register(0, RegisterType.UINT32, scale=Fraction(1, 100)), unit="V"))

    assert voltage.exact_raw(230.12) == 23012
    assert voltage.held(voltage.exact_raw(230.123)) == 230.12


def test_a_turned_ct_is_turned_back_by_the_reader() -> None:
    power = cell(
        point("active_power_total", register(0, RegisterType.INT32, scale=Fraction(1, 100), inverted=True), unit="kW")
    )

    assert power.exact_raw(1.5) == -150
    assert power.held(-150) == 1.5


def test_a_scale_factor_multiplies() -> None:
    voltage = cell(point("voltage_l1_n", register(0, RegisterType.UINT16, scale_at=9), unit="V"), exponent=-1)

    assert voltage.exact_raw(230.1) == 2301
    assert voltage.held(2301) == 230.1


def test_a_curve_beyond_the_register_stays_at_its_end_and_off_the_codes_for_no_value() -> None:
    power = cell(point("active_power_total", register(0, RegisterType.INT16), unit="kW"))

    assert (power.raw(1e9), power.raw(-1e9)) == (0x7FFF, -0x7FFF)
    with pytest.raises(BadValue):
        power.exact_raw(40_000.0)


@pytest.mark.parametrize("given", [True, "1", None, [1], {}, float("nan"), Decimal("1e400"), Decimal("1e999999999")])
def test_what_is_no_number_is_refused(given: object) -> None:
    with pytest.raises(BadValue):
        wanted_value(energy("active_energy_import", 0).definition, given)


def test_an_index_cannot_be_set_beyond_its_modulus() -> None:
    with pytest.raises(BadValue, match="less than 100000000 counts"):
        cell(energy("active_energy_import", 0)).exact_raw(100_000_000)


def test_states_go_by_code_or_text_and_no_other() -> None:
    state = point(
        "communication_status",
        register(0, RegisterType.UINT16),
        kind=Kind.MULTISTATE,
        states=((0, "offline"), (1, "online")),
    )

    assert wanted_value(state.definition, "online") == wanted_value(state.definition, 1) == 1
    with pytest.raises(BadValue, match="one of"):
        cell(state).exact_raw(7)


def test_times_are_texts_or_seconds() -> None:
    when = point("demand_peak_timestamp", register(0, RegisterType.UNIX_TIME), kind=Kind.TIME)
    at_ns = wanted_value(when.definition, "2026-11-20T12:34:09Z")

    assert at_ns == wanted_value(when.definition, 1_795_178_049) == 1_795_178_049_000_000_000
    assert cell(when).shown(cell(when).exact_raw(at_ns)) == "2026-11-20T12:34:09Z"
    for wrong in ("yesterday", "1811-01-01", -5, Decimal("1e30")):
        with pytest.raises(BadValue):
            cell(when).exact_raw(wanted_value(when.definition, wrong))


def test_what_the_meter_file_calls_no_value_is_neither_sent_nor_taken() -> None:
    made = energy("active_energy_import", 0, modulus=0)
    assert made.read is not None
    counter = Cell(made.definition, dataclasses.replace(made.read, invalid=frozenset({0, 77})))

    assert (counter.raw(0), counter.raw(77), counter.raw(78)) == (1, 76, 78)
    with pytest.raises(BadValue):
        counter.exact_raw(0)
