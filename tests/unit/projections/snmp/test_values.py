"""Samples as the MIB shows them, and what a SET means."""

import pytest

from bridge.core.point import Kind, PointDef, Sample, Value
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from bridge.projections.snmp.columns import column_of
from bridge.projections.snmp.values import (
    counter_shower,
    date_of,
    flags_of,
    quality_of,
    scaled_of,
    text_bytes,
    text_of,
    typed,
    value_from_number,
    value_from_text,
)

STATES = ((0, "OK"), (1, "Loss"))
ENERGY = PointDef(0, "m.active_energy_import", Kind.ACCUMULATOR, "kWh", resolution=-2)
FINE = PointDef(0, "m.active_energy_import", Kind.ACCUMULATOR, "kWh", resolution=-5)
POWER = PointDef(0, "m.active_power_total", Kind.ANALOG, "kW", low=-100.0, high=100.0)
ALARM = PointDef(0, "m.phase_loss_l1", Kind.BINARY, states=STATES)
MODE = PointDef(0, "m.network_type", Kind.MULTISTATE, states=((3, "3P"), (4, "3P4W")))
TEXT = PointDef(0, "m.serial_number", Kind.TEXT)
TIME = PointDef(0, "m.demand_peak_timestamp", Kind.TIME)


@pytest.mark.parametrize(
    ("definition", "value", "text"),
    [
        (ENERGY, 2**53 + 1, b"90071992547409.93"),
        (ENERGY, 7, b"0.07"),
        (FINE, 123456, b"1.23456"),
        (POWER, 12.5, b"12.5"),
        (POWER, 3.0, b"3"),
        (POWER, 1e-7, b"1e-07"),
        (POWER, float("nan"), b"nan"),
        (ALARM, True, b"Loss"),
        (MODE, 4, b"3P4W"),
        (MODE, 9, b"9"),
        (TEXT, "gr\u00fcn", "gr\u00fcn".encode()),
        (TIME, 1_700_000_000_000_000_000, b"2023-11-14T22:13:20+00:00"),
        (POWER, None, None),
    ],
)
def test_a_value_is_shown_with_all_its_digits(definition: PointDef, value: Value, text: bytes | None) -> None:
    assert text_of(definition, value) == text


def test_a_long_text_is_cut_between_characters() -> None:
    assert text_bytes("\u00e9" * 200) == "\u00e9".encode() * 127


@pytest.mark.parametrize(
    ("value", "scale", "shown"),
    [
        (12.3456, -3, 12346),
        (-0.0005, -3, 0),
        (0.1 + 0.2, -1, 3),
        (5, -3, 5),
        (True, 0, 1),
        (float("inf"), 0, None),
        ("x", 0, None),
    ],
)
def test_an_analog_value_is_rounded_to_the_nearest_step(value: Value, scale: int, shown: int | None) -> None:
    assert scaled_of(value, scale) == shown


@pytest.mark.parametrize(
    ("definition", "count", "wh"),
    [(ENERGY, 2**53 + 1, (2**53 + 1) * 10), (FINE, 199, 1), (FINE, -1, None)],
)
def test_a_register_is_shown_in_whole_wh_and_never_rounded_up(definition: PointDef, count: int, wh: int | None) -> None:
    assert counter_shower(definition.unit, definition.resolution)(count) == wh


@pytest.mark.parametrize(
    ("quality", "shown", "flags"),
    [
        (Quality.GOOD, 1, "0000"),
        (Quality.QUESTIONABLE, 2, "0040"),
        (Quality.STALE, 3, "4000"),
        (Quality.STALE | Quality.COMM_LOST, 6, "6000"),
        (Quality.NEVER_READ, 7, "8000"),
        (Quality.SUBSTITUTED, 8, "0400"),
        (Quality.ROLLOVER, 1, "0200"),
        (Quality.DISCONTINUITY | Quality.CLOCK_UNSYNCED, 1, "0180"),
    ],
)
def test_quality_shows_the_worst_and_flags_show_all(quality: Quality, shown: int, flags: str) -> None:
    # T-04
    assert (quality_of(quality), flags_of(quality).hex()) == (shown, flags)


def test_a_time_is_dateandtime_in_utc() -> None:
    # T-03
    assert date_of(1_700_000_000_400_000_000) == bytes.fromhex("07e70b0e160d14042b0000")
    assert date_of(0) is None
    assert date_of(2**63 * 1000) is None


@pytest.mark.parametrize(
    ("name", "kind", "unit", "resolution", "value", "shown"),
    [
        ("voltage_l1_n", Kind.ANALOG, "V", 0, 230.125, 23012),
        ("voltage_l1_l2", Kind.ANALOG, "kV", 0, 20.5, 2_050_000),
        ("current_l1", Kind.ANALOG, "A", 0, 12.3456, 12346),
        ("active_power_total", Kind.ANALOG, "kW", 0, -12.3456, -12346),
        ("active_power_total", Kind.ANALOG, "MW", 0, 1.5, 1_500_000),
        ("power_factor_total", Kind.ANALOG, "", 0, -0.951, -951),
        ("frequency", Kind.ANALOG, "Hz", 0, 49.987, 49987),
        ("thd_voltage_l1", Kind.ANALOG, "%", 0, 3.21, 321),
        ("run_hours", Kind.ANALOG, "h", 0, 2.5, 9000),
        ("active_energy_import", Kind.ACCUMULATOR, "kWh", -2, 12345, 123450),
        ("reactive_energy_export", Kind.ACCUMULATOR, "Mvarh", -3, 7, 7000),
        ("active_energy_net", Kind.ACCUMULATOR, "kWh", -2, -12345, b"-123450"),
        ("phase_loss_l1", Kind.BINARY, "", 0, True, 1),
        ("serial_number", Kind.TEXT, "", 0, "A7", b"A7"),
    ],
)
def test_a_typed_column_shows_the_quantity_in_one_unit_whatever_the_meter_uses(
    name: str, kind: Kind, unit: str, resolution: int, value: Value, shown: int | bytes
) -> None:
    definition = PointDef(0, f"m.{name}", kind, unit, resolution=resolution, meaning=meaning_of(name))
    column = column_of(definition, [definition])
    assert column is not None

    assert typed(column, definition)(Sample(value, Quality.GOOD, 1, 1)) == shown
    assert typed(column, definition)(Sample(None, Quality.GOOD, 1, 1)) is None


@pytest.mark.parametrize(
    ("definition", "text", "value"),
    [
        (POWER, "12.5", 12.5),
        (POWER, "101", None),
        (POWER, "nan", None),
        (POWER, "1e400", None),
        (POWER, "x", None),
        (ENERGY, "0.07", 7),
        (ENERGY, "0.075", None),
        (ENERGY, "-1", None),
        (ALARM, "Loss", True),
        (ALARM, "0", False),
        (ALARM, "2", None),
        (MODE, "3P4W", 4),
        (MODE, "3", 3),
        (MODE, "5", None),
        (TEXT, "any", "any"),
        (TIME, "2023-11-14", None),
    ],
)
def test_a_text_that_is_set_is_a_value_of_the_point_or_refused(definition: PointDef, text: str, value: Value) -> None:
    assert value_from_text(definition, text) == value


@pytest.mark.parametrize(
    ("definition", "number", "scale", "value"),
    [(POWER, 12500, -3, 12.5), (POWER, 101_000, -3, None), (ENERGY, 7, -2, 7), (ENERGY, -7, -2, None),
     (ALARM, 1, 0, True), (ALARM, 2, 0, None), (MODE, 4, 0, 4), (MODE, 5, 0, None), (TEXT, 1, 0, None)],
)  # fmt: skip
def test_a_number_that_is_set_is_a_value_of_the_point_or_refused(
    definition: PointDef, number: int, scale: int, value: Value
) -> None:
    assert value_from_number(definition, number, scale) == value
