"""What a device of the site makes of its meter: wiring, MID, CTs turned round, ratios, periods, limits."""

from fractions import Fraction
from pathlib import Path

import pytest

from bridge.config.load import load_site
from bridge.config.meter import PollClass, WordOrder
from bridge.config.model import FieldDevice, FieldPoint, SiteConfig
from bridge.core.errors import ConfigErrors

METER = """
meter: acme
vendor: Acme
source: made up
models: {A1: {mid: false}, A2: {mid: true}}
pf_sign: iec
modbus: {word_order: ABCD, timeout_s: 0.5, request_delay_s: 0.1}
nominal: {voltage_v: 230, current_a: 80}
serial_number: {at: 900, type: string, registers: 4}
points:
  voltage_l1_n: {at: 0, type: uint16, scale: 0.1, unit: V, limits: [184, 276]}
  voltage_l2_n: {at: 1, type: uint16, scale: 0.1, unit: V}
  voltage_l1_l2: {at: 3, type: uint16, scale: 0.1, unit: V}
  voltage_unbalance: {at: 4, type: uint16}
  current_l1: {at: 5, type: uint16, scale: 0.01, unit: A, deadband: 0.5}
  current_neutral: {at: 6, type: uint16, scale: 0.01, unit: A}
  active_power_total: {at: 10, type: int32, scale: 0.01, unit: kW, limits: [-10, 50]}
  active_power_total_max: {at: 12, type: int32, scale: 0.01, unit: kW}
  active_power_total_min: {at: 14, type: int32, scale: 0.01, unit: kW}
  power_factor_total: {at: 16, type: int16, scale: 0.001}
  active_energy_import: {at: 20, type: uint32, resolution: 0.01, unit: kWh, mid: true}
  active_energy_export: {at: 22, type: uint32, resolution: 0.1, unit: kWh, mid: true}
  active_energy_net: {at: 24, type: int32, resolution: 0.01, unit: kWh}
  ch2_active_power_total: {at: 30, type: int32, scale: 0.01, unit: kW}
  energy_direction: {at: 40, type: uint16}
  ct_primary_rating: {at: 50, type: uint16, unit: A, writable: true}
  reset_demand_peak: {at: "coil:1", writable: true}
  phase_loss_l1: {}
  phase_loss_l2: {}
  reverse_phase_sequence: {}
"""


def site(tmp_path: Path, device: str, more: str = "") -> SiteConfig:
    (tmp_path / "acme.yaml").write_text(METER)
    (tmp_path / "site.yaml").write_text(
        "site: {name: tower, meters: [.]}\n"
        "channels: {line: {kind: rtu, port: /dev/ttyUSB0, framing: 8E1}}\n"
        f"devices:\n  flat: {{meter: acme, channel: line, {device}}}\n{more}"
    )
    return load_site(tmp_path)


def device(tmp_path: Path, settings: str = "model: A1") -> FieldDevice:
    return site(tmp_path, settings).field[0]


def point(found: FieldDevice, name: str) -> FieldPoint:
    return next(p for p in found.points if p.definition.name == name)


def names(found: FieldDevice) -> set[str]:
    return {p.definition.name for p in found.points}


def address(found: FieldDevice, name: str) -> int:
    register = point(found, name).read
    assert register is not None
    return register.address


def test_a_single_phase_meter_has_no_points_of_other_phases(tmp_path: Path) -> None:
    # M-08 a-06 b-02
    found = names(device(tmp_path, "model: A1, wiring: single-phase"))

    assert {"voltage_l1_n", "current_l1", "current_neutral", "active_power_total", "phase_loss_l1"} <= found
    assert not found & {"voltage_l2_n", "voltage_l1_l2", "voltage_unbalance", "phase_loss_l2", "reverse_phase_sequence"}


def test_three_wires_have_no_neutral(tmp_path: Path) -> None:
    found = names(device(tmp_path, "model: A1, wiring: 3P3W"))

    assert {"voltage_l1_l2", "voltage_unbalance", "current_l1", "reverse_phase_sequence"} <= found
    assert not found & {"voltage_l1_n", "voltage_l2_n", "current_neutral"}


def test_indexes_are_dense_in_the_order_of_the_file(tmp_path: Path) -> None:
    loaded = site(tmp_path, "model: A1, unit: 1", "  other: {meter: acme, model: A2, channel: line, unit: 2}\n")

    assert [p.index for p in loaded.points] == list(range(len(loaded.points)))
    assert loaded.points[0].id == "flat.voltage_l1_n"
    assert loaded.points[-1].id == "other.reverse_phase_sequence"


def test_what_a_mid_device_bills_by_is_locked_even_if_the_file_says_writable(tmp_path: Path) -> None:
    # a-16 M-21 BARS S2
    free, mid = device(tmp_path), device(tmp_path, "model: A2")

    assert not free.definition.mid
    assert point(free, "ct_primary_rating").definition.writable
    assert not point(free, "active_energy_import").definition.mid
    assert mid.definition.mid
    for name in ("ct_primary_rating", "active_energy_import", "active_energy_export"):
        assert point(mid, name).definition.mid
        assert not point(mid, name).definition.writable
        assert point(mid, name).write is None
    assert point(mid, "reset_demand_peak").definition.writable


def test_where_the_maker_leaves_it_open_the_nameplate_of_the_device_decides(tmp_path: Path) -> None:
    # M-21
    open_meter = (
        "meter: open\nvendor: A\nsource: s\nmodels: {B1: {}, B2: {}}\npoints: {frequency: {at: 1, type: uint16}}\n"
    )
    (tmp_path / "open.yaml").write_text(open_meter)
    more = "  a: {meter: open, channel: line, unit: 2}\n  b: {meter: open, channel: line, unit: 3, mid: true}\n"

    loaded = site(tmp_path, "model: A1, unit: 1", more)

    assert [d.mid for d in loaded.devices] == [False, False, True]


def test_a_ratio_on_a_mid_meter_is_a_warning(tmp_path: Path) -> None:
    # C-08
    loaded = site(tmp_path, "model: A2, ct_ratio: 20")

    assert [w.path for w in loaded.warnings] == ["devices.flat.ct_ratio"]


def test_ct_and_pt_ratio_are_applied_once_to_what_they_concern(tmp_path: Path) -> None:
    # P-11
    found = device(tmp_path, "model: A1, ct_ratio: 20, pt_ratio: 100")

    scales = {p.definition.name: p.read.scale for p in found.points if p.read is not None}
    assert scales["voltage_l1_n"] == Fraction(10)
    assert scales["current_l1"] == Fraction(1, 5)
    assert scales["active_power_total"] == Fraction(20)
    assert scales["power_factor_total"] == Fraction(1, 1000)
    assert point(found, "voltage_l1_n").definition.high == 27600
    assert point(found, "current_l1").definition.deadband == 10
    energy = point(found, "active_energy_import")
    assert energy.read is not None
    assert energy.read.counts == Fraction(2000)
    assert (energy.definition.resolution, energy.definition.modulus) == (-2, 2000 * 2**32)


def test_a_ratio_that_is_no_whole_number_makes_the_counts_finer(tmp_path: Path) -> None:
    energy = point(device(tmp_path, "model: A1, ct_ratio: 12.5"), "active_energy_import")

    assert energy.read is not None
    assert energy.read.counts == Fraction(125)
    assert (energy.definition.resolution, energy.definition.modulus) == (-3, 125 * 2**32)


def test_a_ct_mounted_backwards_swaps_import_and_export_and_turns_powers_round(tmp_path: Path) -> None:
    # M-10
    found = device(tmp_path, "model: A1, invert: [1]")

    assert address(found, "active_energy_import") == 22
    assert address(found, "active_energy_export") == 20
    assert point(found, "active_energy_import").definition.resolution == -1
    inverted = {p.definition.name for p in found.points if p.read is not None and p.read.inverted}
    assert inverted == {
        "active_power_total",
        "active_power_total_min",
        "active_power_total_max",
        "power_factor_total",
        "active_energy_net",
    }
    assert (address(found, "active_power_total_max"), address(found, "active_power_total_min")) == (14, 12)
    power = point(found, "active_power_total").definition
    assert (power.low, power.high) == (-50, 10)


def test_the_direction_of_a_circuit_that_is_turned_round_is_computed_not_read(tmp_path: Path) -> None:
    assert point(device(tmp_path, "model: A1, invert: [1]"), "energy_direction").read is None


def test_the_other_circuit_stays_as_it_is(tmp_path: Path) -> None:
    found = device(tmp_path, "model: A1, invert: [2]")

    assert address(found, "active_energy_import") == 20
    assert {p.definition.name for p in found.points if p.read and p.read.inverted} == {"ch2_active_power_total"}


def test_periods_come_from_the_class_the_site_and_the_device(tmp_path: Path) -> None:
    loaded = site(tmp_path, "model: A1, poll: {fast: 500ms}", "poll: {fast: 2s, slow: 30s}\n")

    periods = loaded.field[0].periods_ns
    assert (periods[PollClass.FAST], periods[PollClass.SLOW], periods[PollClass.NORMAL]) == (
        500_000_000,
        30 * 10**9,
        10 * 10**9,
    )


def test_a_point_is_stale_after_three_periods_and_its_time_outs(tmp_path: Path) -> None:
    found = device(tmp_path, "model: A1, timeout_s: 2, request_delay_s: 0.1")

    assert point(found, "active_power_total").definition.stale_after_ns == 15 * 10**9 + 6_300_000_000
    assert point(found, "ct_primary_rating").definition.stale_after_ns == 0


def test_the_devices_own_settings_win_over_those_of_its_meter(tmp_path: Path) -> None:
    found = device(tmp_path, "model: A1, word_order: CDAB, max_registers: 20, nominal: {current_a: 40}, label: Flat")

    orders = {p.read.order for p in found.points if p.read is not None}
    assert orders == {WordOrder.CDAB}
    assert found.serial is not None
    assert found.serial.order is WordOrder.CDAB
    assert (found.limits.max_registers, found.limits.timeout_s, found.limits.request_delay_s) == (20, 0.5, 0.1)
    assert (found.definition.nominal.voltage_v, found.definition.nominal.current_a) == (230, 40)
    assert found.definition.labels == {"label": "Flat"}


def test_only_and_skip_choose_points_by_pattern(tmp_path: Path) -> None:
    found = device(tmp_path, 'model: A1, only: ["active_*", "current_*"], skip: ["*_m??", current_neutral]')

    assert names(found) == {
        "current_l1",
        "active_power_total",
        "active_energy_import",
        "active_energy_export",
        "active_energy_net",
    }


def test_a_pair_for_a_ct_turned_round_may_be_left_out_of_what_is_shown(tmp_path: Path) -> None:
    found = device(tmp_path, "model: A1, invert: [1], only: [active_energy_import]")

    assert address(found, "active_energy_import") == 22


def test_more_devices_than_a_line_drives_without_repeater_is_a_warning(tmp_path: Path) -> None:
    # F-03
    more = "".join(f"  d{unit}: {{meter: acme, model: A1, channel: line, unit: {unit}}}\n" for unit in range(2, 34))

    loaded = site(tmp_path, "model: A1, unit: 1", more)

    assert [str(w).rsplit(":", 1)[1] for w in loaded.warnings] == [
        " expected at most 32 devices on a line without repeater, found 33"
    ]


def test_a_missing_nominal_current_is_a_warning_where_the_bridge_watches_for_overload(tmp_path: Path) -> None:
    # C-01 C-04
    (tmp_path / "bare.yaml").write_text("meter: bare\nvendor: A\nsource: s\npoints: {overload_alarm: {}}\n")

    loaded = site(tmp_path, "model: A1, unit: 1", "  bare: {meter: bare, channel: line, unit: 2}\n")

    assert [w.path for w in loaded.warnings] == ["devices.bare.nominal.current_a"]


def test_a_device_says_where_it_and_its_points_were_declared(tmp_path: Path) -> None:
    found = device(tmp_path)

    assert found.definition.declared_at == f"{tmp_path}/site.yaml:4"
    assert point(found, "voltage_l1_n").definition.declared_at == f"{tmp_path}/acme.yaml:11"


def test_a_renamed_device_is_told_to_the_ledger(tmp_path: Path) -> None:
    assert site(tmp_path, "model: A1, was: cellar").renamed == {"cellar": "flat"}


def test_devices_with_equal_settings_share_their_registers(tmp_path: Path) -> None:
    loaded = site(tmp_path, "model: A1, unit: 1", "  other: {meter: acme, model: A2, channel: line, unit: 2}\n")

    first, second = loaded.field

    assert all(a.read is b.read for a, b in zip(first.points, second.points, strict=True))


def test_a_site_without_its_library_says_which_meters_there_are(tmp_path: Path) -> None:
    site(tmp_path, "model: A1")

    (tmp_path / "site.yaml").write_text((tmp_path / "site.yaml").read_text().replace("meter: acme", "meter: acmee"))

    with pytest.raises(ConfigErrors, match="did you mean `acme`"):
        load_site(tmp_path, tmp_path)
