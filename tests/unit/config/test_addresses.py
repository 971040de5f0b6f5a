"""Addresses as maker's documents have them -> table and 0-based wire address; numbers as exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.addresses import register_count, wire_address
from bridge.config.exact import duration_ns, exact, power_of_ten
from bridge.config.faults import Wrong
from bridge.config.meter import Addressing, RegisterType, Table

ZERO, ONE, MODICON = Addressing.ZERO, Addressing.ONE, Addressing.MODICON


@pytest.mark.parametrize(
    ("at", "addressing", "table", "address"),
    [
        (0, ZERO, Table.HOLDING, 0),
        (65535, ZERO, Table.HOLDING, 65535),
        (1, ONE, Table.HOLDING, 0),
        (65536, ONE, Table.HOLDING, 65535),
        # P-12
        (30001, MODICON, Table.INPUT, 0),
        (40001, MODICON, Table.HOLDING, 0),
        (49999, MODICON, Table.HOLDING, 9998),
        (400001, MODICON, Table.HOLDING, 0),
        (465536, MODICON, Table.HOLDING, 65535),
        (300100, MODICON, Table.INPUT, 99),
        (1, MODICON, Table.COIL, 0),
        (10023, MODICON, Table.DISCRETE_INPUT, 22),
        ("ir:52", ONE, Table.INPUT, 52),
        ("hr:0x2100", MODICON, Table.HOLDING, 0x2100),
        ("coil: 3", ZERO, Table.COIL, 3),
        ("di:0", ZERO, Table.DISCRETE_INPUT, 0),
    ],
)
def test_an_address_becomes_the_one_on_the_wire(
    at: int | str, addressing: Addressing, table: Table, address: int
) -> None:
    assert wire_address(at, addressing, Table.HOLDING) == (table, address)


def test_without_modicon_the_file_names_the_table_once() -> None:
    assert wire_address(7, ZERO, Table.INPUT) == (Table.INPUT, 7)


@given(st.one_of(st.integers(0, 500_000), st.text(max_size=12)), st.sampled_from(Addressing))
def test_whatever_is_written_is_an_address_on_the_wire_or_a_mistake(at: int | str, addressing: Addressing) -> None:
    try:
        _, address = wire_address(at, addressing, Table.HOLDING)
    except Wrong:
        return

    assert 0 <= address <= 65535


@pytest.mark.parametrize(
    ("kind", "registers", "count"),
    [
        (RegisterType.UINT16, None, 1),
        (RegisterType.FLOAT32, 2, 2),
        (RegisterType.UM10K, None, 2),
        (RegisterType.FLOAT64, None, 4),
        (RegisterType.DATETIME4, None, 4),
        (RegisterType.STRING, 7, 7),
    ],
)
def test_a_type_knows_its_registers(kind: RegisterType, registers: int | None, count: int) -> None:
    assert register_count(kind, registers, Table.HOLDING, 0) == count


@pytest.mark.parametrize(
    ("text", "ns"), [("500ms", 500_000_000), ("2s", 2 * 10**9), ("1.5s", 1_500_000_000), ("1m", 60 * 10**9)]
)
def test_durations_are_exact(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@pytest.mark.parametrize("text", ["", "2", "s", "-1s", "2 days", "1e3s", "199ms", "25h", "9" * 30 + "s", "٣s"])
def test_a_time_that_is_none_or_too_short_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        duration_ns(text)


def test_a_decimal_is_the_one_that_was_written() -> None:
    assert exact(0.01) == Fraction(1, 100)
    assert exact(1e-3) == Fraction(1, 1000)
    assert exact(0.1) * 3 == Fraction(3, 10)


@pytest.mark.parametrize("exponent", range(-9, 7))
def test_powers_of_ten_are_recognised(exponent: int) -> None:
    assert power_of_ten(float(f"1e{exponent}")) == exponent


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_resolution_is_a_power_of_ten_or_a_mistake(number: float) -> None:
    try:
        exponent = power_of_ten(number)
    except Wrong:
        return

    assert float(Fraction(10) ** exponent) == number
