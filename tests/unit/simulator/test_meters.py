"""bridge.simulator.meters and registers: one snapshot, pins, writes, holes"""

import dataclasses
from decimal import Decimal
from fractions import Fraction

import pytest

from bridge.config.meter import RegisterType, Table, WordOrder
from bridge.config.model import FieldDevice, WriteTo
from bridge.core.point import Kind, Wiring
from bridge.simulator.cell import BadValue
from bridge.simulator.meters import SimulatedMeter, UnknownPoint
from bridge.simulator.registers import Holes, Refusal
from bridge.simulator.words import words_of
from tests.support.sim_site import device, energy, point, register

NOON_NS = 1_795_176_000 * 10**9
SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS


def make_meter(made: FieldDevice | None = None, holes: Holes = Holes.FILLED) -> SimulatedMeter:
    return SimulatedMeter(made or device(), 1, NOON_NS, holes)


def step(meter: SimulatedMeter, elapsed_ns: int = SECOND_NS) -> None:
    meter.step(meter.state.utc_ns + elapsed_ns, elapsed_ns)


def holding(meter: SimulatedMeter, address: int, count: int = 1) -> list[int]:
    found = meter.read(Table.HOLDING, address, count)
    assert not isinstance(found, Refusal)
    return found


def test_registers_and_reported_values_change_only_together() -> None:
    meter = make_meter()
    before, registers = meter.shown(), holding(meter, 102, 6)

    assert (meter.shown(), holding(meter, 102, 6)) == (before, registers)
    step(meter)
    assert meter.shown()["voltage_l1_n"] != before["voltage_l1_n"]
    assert holding(meter, 102, 6) != registers


def test_every_reported_energy_is_what_its_registers_hold() -> None:
    meter = make_meter()
    for _ in range(50):
        step(meter, 7 * SECOND_NS)
        high, low = holding(meter, 3000, 2)

        assert meter.shown()["active_energy_import"] == Decimal((0, tuple(map(int, str(high << 16 | low))), -2))


def test_a_pinned_point_stays_until_it_is_released() -> None:
    meter = make_meter()
    meter.pin("voltage_l1_n", Decimal("241.5"))
    step(meter)

    assert meter.shown_point("voltage_l1_n") == 241.5
    assert tuple(holding(meter, 102, 2)) == words_of(241.5, RegisterType.FLOAT32, WordOrder.ABCD, 2)
    meter.release("voltage_l1_n")
    assert meter.shown_point("voltage_l1_n") != 241.5


def test_a_released_energy_goes_on_from_where_it_was_pinned() -> None:
    meter = make_meter()
    meter.pin("active_power_total", 36)
    meter.pin("active_energy_import", Decimal("131072.01"))
    step(meter, HOUR_NS)
    assert meter.shown_point("active_energy_import") == Decimal("131072.01")
    assert holding(meter, 3000, 2) == [13_107_201 >> 16, 13_107_201 & 0xFFFF]

    meter.release("active_energy_import")
    assert meter.shown_point("active_energy_import") == Decimal("131072.01")
    step(meter, HOUR_NS)
    assert meter.shown_point("active_energy_import") == Decimal("131108.01")


def test_an_index_rolls_over_at_its_modulus() -> None:
    meter = make_meter()
    meter.pin("active_power_total", 1)
    meter.pin("active_energy_import", Decimal("999999.99"))
    meter.release("active_energy_import")
    step(meter, 36 * SECOND_NS)

    assert meter.shown_point("active_energy_import") == Decimal("0.00")


def test_energies_of_phases_and_tariffs_add_up() -> None:
    names = [f"active_energy_import{s}" for s in ("", "_l1", "_l2", "_l3", "_t1", "_t2", "_l1_t1", "_l1_t2")]
    meter = make_meter(device(points=[energy(name, 10 * n, modulus=0) for n, name in enumerate(names)]))
    for _ in range(20):
        step(meter, HOUR_NS)
    value = {name.removeprefix("active_energy_import"): meter.shown()[name] for name in names}
    counts = {key: shown for key, shown in value.items() if isinstance(shown, Decimal)}

    # each index shows whole steps: a sum of n may be n - 1 steps behind
    assert 0 <= counts[""] - counts["_l1"] - counts["_l2"] - counts["_l3"] <= Decimal("0.02")
    assert 0 <= counts[""] - counts["_t1"] - counts["_t2"] <= Decimal("0.01")
    assert 0 <= counts["_l1"] - counts["_l1_t1"] - counts["_l1_t2"] <= Decimal("0.01")


def test_bits_share_a_register() -> None:
    meter = make_meter()
    assert holding(meter, 3021) == [0]
    meter.pin("phase_loss_l1", True)
    meter.pin("tamper_alarm", True)

    assert holding(meter, 3021) == [0b1001]
    meter.pin("tamper_alarm", False)
    assert holding(meter, 3021) == [0b1000]


def test_a_table_the_device_does_not_have_is_an_unknown_function() -> None:
    meter = make_meter()

    assert meter.read(Table.INPUT, 100, 2) is Refusal.FUNCTION
    assert meter.read(Table.DISCRETE_INPUT, 7, 1) == [0]
    assert meter.read(Table.DISCRETE_INPUT, 6, 2) is Refusal.ADDRESS


def test_small_holes_read_through_and_far_ones_do_not() -> None:
    meter, strict = make_meter(), make_meter(holes=Holes.REFUSED)

    assert holding(meter, 108, 4) == [0x8000] * 4
    assert strict.read(Table.HOLDING, 106, 6) is Refusal.ADDRESS
    assert meter.read(Table.HOLDING, 142, 100) is Refusal.ADDRESS
    assert meter.read(Table.HOLDING, 3014, 4) is Refusal.ADDRESS, "3016 and 3017 are forbidden"


def test_more_registers_than_the_device_can_are_refused() -> None:
    made = device()
    limited = dataclasses.replace(made, limits=dataclasses.replace(made.limits, max_registers=4))

    assert make_meter(limited).read(Table.HOLDING, 102, 6) is Refusal.VALUE
    assert make_meter(made).read(Table.HOLDING, 102, 6) is not Refusal.VALUE


def test_a_setting_is_written_and_read_back() -> None:
    meter = make_meter()

    assert meter.write(6, Table.HOLDING, 4010, [30]) is None
    assert holding(meter, 4010) == [30]
    assert meter.shown_point("demand_interval") == 30.0
    assert meter.write(6, Table.HOLDING, 4010, [61]) is Refusal.VALUE
    assert meter.write(6, Table.HOLDING, 100, [1]) is Refusal.ADDRESS
    assert meter.write(6, Table.HOLDING, 102, [1]) is Refusal.VALUE, "read-only (seed 004)"
    assert meter.write(6, Table.HOLDING, 4000, [1]) is Refusal.FUNCTION, "written by function 16 only"
    assert holding(meter, 4010) == [30]


def test_a_reset_command_begins_the_peak_again() -> None:
    meter = make_meter()
    meter.step(NOON_NS + HOUR_NS, HOUR_NS)
    early = meter.shown_point("demand_peak_timestamp")
    meter.step(NOON_NS + 13 * HOUR_NS, HOUR_NS)
    assert meter.write(16, Table.HOLDING, 4000, [1]) is None

    assert early != "2026-11-21T01:00:00Z"
    assert meter.shown_point("demand_peak_timestamp") == "2026-11-21T01:00:00Z"


def test_a_scale_factor_register_fits_the_points_it_scales() -> None:
    scaled = [
        point("voltage_l1_n", register(10, RegisterType.UINT16, scale_at=12), unit="V"),
        point("voltage_l2_n", register(11, RegisterType.UINT16, scale_at=12), unit="V"),
        point("active_power_total", register(13, RegisterType.INT16, scale_at=14), unit="W"),
        point(
            "active_energy_import",
            register(15, RegisterType.UINT32, scale_at=17),
            kind=Kind.ACCUMULATOR,
            unit="Wh",
        ),
    ]
    meter = make_meter(device(points=scaled))
    raw_volts, _, volts_exponent, raw_watts, watts_exponent, high, low, energy_exponent = holding(meter, 10, 8)
    signed = [e - 0x10000 if e & 0x8000 else e for e in (volts_exponent, watts_exponent, energy_exponent)]

    assert -3 <= signed[0] <= 0
    assert meter.shown_point("voltage_l1_n") == pytest.approx(raw_volts * 10.0 ** signed[0])
    assert meter.shown_point("active_power_total") == pytest.approx(raw_watts * 10.0 ** signed[1])
    assert signed[2] == 0
    assert meter.shown_point("active_energy_import") == (high << 16 | low)


def test_a_command_without_a_reading_is_not_a_point_to_pin() -> None:
    meter = make_meter()

    with pytest.raises(UnknownPoint):
        meter.pin("reset_demand_peak", 1)
    with pytest.raises(UnknownPoint):
        meter.release("nothing")
    with pytest.raises(BadValue):
        meter.pin("vendor", "a name longer than the sixteen characters there are")
    assert "reset_demand_peak" not in meter.shown()


def test_the_serial_number_stands_where_the_meter_file_says() -> None:
    serial = register(6000, RegisterType.STRING, count=7)
    meter = make_meter(device(serial=serial))

    assert tuple(holding(meter, 6000, 7)) == words_of(meter.state.serial, RegisterType.STRING, serial.order, 7)


def test_a_single_phase_meter_has_one_phase() -> None:
    meter = make_meter(device(wiring=Wiring.SINGLE_PHASE))
    shown = meter.shown()

    assert shown["active_power_total"] == shown["active_power_l1"]
    assert shown["active_power_l2"] == 0


def test_the_second_circuit_produces() -> None:
    points = [
        point("ch1_active_power_total", register(10), unit="kW"),
        point("ch2_active_power_total", register(12), unit="kW"),
        point(
            "ch2_active_energy_export",
            register(14, RegisterType.FLOAT64, counts=Fraction(100)),
            unit="kWh",
            kind=Kind.ACCUMULATOR,
            resolution=-2,
        ),
    ]
    meter = make_meter(device(points=points))
    before = meter.shown()
    step(meter, HOUR_NS)
    after = meter.shown()

    assert isinstance(before["ch2_active_power_total"], float)
    assert before["ch2_active_power_total"] < 0
    gained = after["ch2_active_energy_export"] - before["ch2_active_energy_export"]  # type: ignore[operator]
    assert float(gained) == pytest.approx(-before["ch2_active_power_total"], abs=0.02)


def test_two_settings_in_one_write_are_both_done_or_none() -> None:
    first, second = register(10, RegisterType.UINT16), register(11, RegisterType.UINT16)
    points = [
        point("ct_primary_rating", first, unit="A", write=WriteTo(first, (16,), 1, 1000)),
        point("demand_interval", second, unit="min", write=WriteTo(second, (16,), 1, 60)),
    ]
    meter = make_meter(device(points=points))

    assert meter.write(16, Table.HOLDING, 10, [200, 0]) is Refusal.VALUE
    assert holding(meter, 10, 2) == [100, 15]
    assert meter.write(16, Table.HOLDING, 10, [200, 30]) is None
    assert holding(meter, 10, 2) == [200, 30]
