"""mappings/meters: every file of the library is sound by itself, and the submeter list is there whole."""

import csv
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from bridge.config.meter import Certainty, Golden, PfSign, PointFile, PollClass, RegisterType, Table, WordOrder
from bridge.config.site import Device, RtuChannel
from bridge.core.point import Kind, Role
from bridge.core.quantity import ENERGIES, POINT_NAME, Quantity, Statistic, dimension_of, meaning_of
from bridge.core.units import UNITS
from tests.support.golden_encoder import bit_reply, load_meter, place, reply, words

LIBRARY = Path(__file__).parents[3] / "mappings" / "meters"
FILES = sorted(LIBRARY.glob("*.yaml"))
METERS = {path.stem: load_meter(path) for path in FILES}
# registers of each type that has a fixed size
SIZES = {
    RegisterType.UINT16: 1,
    RegisterType.INT16: 1,
    RegisterType.BOOL: 1,
    RegisterType.UINT64: 4,
    RegisterType.INT64: 4,
    RegisterType.FLOAT64: 4,
    RegisterType.DATETIME4: 4,
}
SUBMETER = METERS["mid-submeter"].points
LISTED = {
    row["point"].lower(): row
    for row in csv.DictReader(Path(__file__).with_name("submeter_points.csv").read_text(encoding="utf-8").splitlines())
}
# poll classes that keep the period the list states (CONFIG.md has the periods of the classes)
CLASSES = {
    "5s": {PollClass.STATE_FAST},
    "5-15s": {PollClass.FAST},
    "10s": {PollClass.STATE},
    "10-30s": {PollClass.NORMAL, PollClass.STATE},
    "30s": {PollClass.STATE},
    "30-60s": {PollClass.FREQUENCY},
    "60s": {PollClass.SLOW, PollClass.STATE_SLOW},
    "300s": {PollClass.CERTIFICATE},
    "On change": {PollClass.ON_CHANGE},
}
UNITS_OF_THE_LIST = {"kVArh": "kvarh", "kVAr": "kvar", "-": "", "timestamp": ""}

meters = pytest.mark.parametrize("name", METERS)


def size_of(point: PointFile) -> int:
    assert point.type is not None
    return point.registers or SIZES.get(point.type, 2)


def points_of(name: str) -> list[tuple[str, PointFile]]:
    return list(METERS[name].points.items())


@meters
def test_a_meter_file_is_named_as_the_meter_and_states_its_source(name: str) -> None:
    # M-34
    meter = METERS[name]

    assert meter.meter == name
    assert len(meter.source) > 20
    assert meter.models


@meters
def test_every_point_has_a_name_of_the_vocabulary_and_a_unit_of_its_quantity(name: str) -> None:
    for key, point in points_of(name):
        quantity = meaning_of(key).quantity

        assert POINT_NAME.match(key), key
        assert quantity is not Quantity.OTHER, key
        if point.kind is not Kind.MULTISTATE:
            assert UNITS[point.unit].dimension is dimension_of(quantity), key
        assert point.label, key


@meters
def test_no_two_points_share_a_register(name: str) -> None:
    meter = METERS[name]

    taken = Counter(
        (table, address + i)
        for _, point in points_of(name)
        if point.at is not None
        for table, address in [place(meter, point)]
        for i in range(size_of(point))
    )

    assert [where for where, users in taken.items() if users > 1] == []


@meters
def test_a_row_that_is_not_certain_says_why(name: str) -> None:
    # M-34
    unexplained = [key for key, point in points_of(name) if point.certainty is not Certainty.CERTAIN and not point.note]

    assert unexplained == []


@meters
def test_nothing_is_writable_out_of_the_box(name: str) -> None:
    # M-06
    assert [key for key, point in points_of(name) if point.writable] == []


@meters
def test_an_energy_is_an_exact_count_unless_it_is_named_indicative(name: str) -> None:
    # M-25
    for key, point in points_of(name):
        meaning = meaning_of(key)
        if meaning.quantity in ENERGIES:
            assert (point.resolution is None) == (meaning.statistic is Statistic.INDICATIVE), key
            assert (point.kind is Kind.ANALOG) == (meaning.statistic is Statistic.INDICATIVE), key


@meters
def test_what_is_not_billed_from_is_not_locked_as_billed(name: str) -> None:
    # M-28
    locked = [key for key, point in points_of(name) if point.mid]

    assert [key for key in locked if meaning_of(key).statistic is not Statistic.PRESENT] == []


@meters
def test_limits_hold_the_typical_range(name: str) -> None:
    for key, point in points_of(name):
        if point.limits and point.typical:
            assert point.limits[0] <= point.typical[0] < point.typical[1] <= point.limits[1], key


def frames() -> list[tuple[str, Golden]]:
    return [(name, golden) for name, meter in METERS.items() for golden in meter.golden]


@pytest.mark.parametrize(("name", "golden"), frames())
def test_golden_values_encoded_by_another_library_give_the_golden_frame(name: str, golden: Golden) -> None:
    meter = METERS[name]
    first, count = golden.block
    pdu = bytes.fromhex(golden.reply)
    bit_table = golden.table in (Table.COIL, Table.DISCRETE_INPUT)
    bits = [False] * count
    block = [int.from_bytes(pdu[i : i + 2], "big") for i in range(2, len(pdu), 2)]
    for key, value in golden.values.items():
        point = meter.points[key]
        table, address = place(meter, point)
        assert table is golden.table
        assert first <= address < first + count
        if bit_table:
            bits[address - first] = bool(value)
        elif value is not None:
            exponent = block[int(point.scale_at) - first] if point.scale_at is not None else 0
            raw = value // 10**9 if point.type is RegisterType.UNIX_TIME and isinstance(value, int) else value
            encoded = words(meter, point, raw, exponent - 0x10000 if exponent > 0x7FFF else exponent)
            block[address - first : address - first + len(encoded)] = encoded

    expected = bit_reply(golden.table.value, bits) if bit_table else reply(golden.table.value, block)

    assert golden.reply == expected


def test_every_register_type_of_a_meter_stands_in_a_golden_frame() -> None:
    for name, meter in METERS.items():
        used = {point.type for point in meter.points.values() if point.at is not None}
        shown = {meter.points[key].type for golden in meter.golden for key in golden.values}

        assert used <= shown, name


def test_the_submeter_list_is_there_whole() -> None:
    # P-01
    assert len(LISTED) == 53
    assert list(SUBMETER) == list(LISTED)
    assert Counter(row["section"] for row in LISTED.values()) == {
        "measurement": 29,
        "command": 2,
        "status": 13,
        "configuration": 9,
    }


@pytest.mark.parametrize("name", LISTED)
def test_a_submeter_point_has_the_tags_and_class_of_the_list(name: str) -> None:
    # P-01 P-13
    row = LISTED[name]

    assert SUBMETER[name].tags == tuple(tag.strip() for tag in row["haystack_tags"].split(","))
    assert SUBMETER[name].brick == row["brick_class"]


@pytest.mark.parametrize("name", LISTED)
def test_a_submeter_point_stands_where_the_list_says(name: str) -> None:
    # P-12
    text = LISTED[name]["modbus"]
    kind, _, number = text.rpartition(" ")
    expected = {"Coil": 0, "DI": 10_000, "HR": 40_000, "": 0}[kind] + int(number)

    assert SUBMETER[name].at == expected


@pytest.mark.parametrize("name", [name for name, row in LISTED.items() if row["poll"]])
def test_a_submeter_point_is_polled_as_often_as_the_list_says(name: str) -> None:
    # P-01 F-05
    assert SUBMETER[name].poll in CLASSES[LISTED[name]["poll"]]


@pytest.mark.parametrize("name", [name for name, row in LISTED.items() if row["section"] == "measurement"])
def test_a_measure_of_the_submeter_has_the_unit_and_range_of_the_list(name: str) -> None:
    # P-01 P-02 P-03
    row, point = LISTED[name], SUBMETER[name]
    found = re.match(r"(-?[\d.]+)\s*-\s*\+?([\d.]+)", row["typical_range"])
    expected = (float(found[1]), float(found[2])) if found else None

    assert point.unit == UNITS_OF_THE_LIST.get(row["unit"], row["unit"])
    assert point.typical == expected


def test_the_energies_of_the_submeter_are_accumulators() -> None:
    # P-02
    energies = [name for name in SUBMETER if meaning_of(name).quantity in ENERGIES]

    assert len(energies) == 4
    assert all(SUBMETER[name].resolution == 0.01 and SUBMETER[name].mid for name in energies)


@pytest.mark.parametrize("name", [name for name, row in LISTED.items() if row["section"] == "status"])
def test_a_state_of_the_submeter_keeps_its_polarity(name: str) -> None:
    # P-04
    faults = {"communication_status": 0, "mid_certification_valid": 0}
    states = SUBMETER[name].states

    assert set(states) == {0, 1}
    assert SUBMETER[name].role is Role.STATUS
    if name == "energy_direction":
        assert states == {0: "Import", 1: "Export"}
    elif name == "pulse_output_active":
        assert states == {0: "Inactive", 1: "Active"}
    else:
        assert states[1 - faults.get(name, 1)] in ("OK", "Valid")


@pytest.mark.parametrize("name", [name for name, row in LISTED.items() if row["section"] == "configuration"])
def test_a_setting_of_the_submeter_takes_only_what_the_list_allows(name: str) -> None:
    # P-06
    point, text = SUBMETER[name], LISTED[name]["values"]

    assert point.role is Role.SETTING
    if name == "modbus_baudrate":
        assert point.values == (9600, 19200, 38400)
    else:
        low, high = text.split(" ")[0].split("-")
        assert point.range == (float(low), float(high))


@pytest.mark.parametrize("name", ["reset_demand_peak", "sync_clock"])
def test_a_command_of_the_submeter_is_idle_at_zero(name: str) -> None:
    assert SUBMETER[name].role is Role.COMMAND
    assert SUBMETER[name].states[0] == "Idle"


def test_ratios_of_current_transformers_are_locked_with_the_energy() -> None:
    assert SUBMETER["ct_primary_rating"].mid
    assert SUBMETER["ct_secondary_rating"].mid


def test_b_smart_has_every_row_of_its_table_at_the_makers_offsets() -> None:
    # M-03 M-04 M-05
    points = METERS["bsmart"].points
    rows = {name: point for name, point in points.items() if point.at is not None}

    assert len(rows) == 108
    for prefix, floats, energies in (("", 0x2100, 0x3000), ("ch2_", 0x2300, 0x3100)):
        assert rows[f"{prefix}voltage_l1_n"].at == floats
        assert rows[f"{prefix}current_neutral"].at == floats + 0x12
        assert rows[f"{prefix}active_power_total"].at == floats + 0x1A
        assert rows[f"{prefix}power_factor_total"].at == floats + 0x32
        assert rows[f"{prefix}frequency"].at == floats + 0x34
        assert rows[f"{prefix}active_energy_import"].at == energies + 0x04
        assert rows[f"{prefix}apparent_energy"].at == energies + 0x18
        assert rows[f"{prefix}reactive_energy_export_l3"].at == energies + 0x60
        assert sum(name.startswith("ch2_") for name in rows) == 52


def test_what_the_maker_of_b_smart_does_not_state_is_marked() -> None:
    # M-09
    for name, point in METERS["bsmart"].points.items():
        if point.type in (RegisterType.FLOAT32, RegisterType.FLOAT64):
            assert point.certainty is not Certainty.CERTAIN, name
            assert "word order" in point.note


def test_a_single_register_of_b_smart_is_written_with_function_16() -> None:
    # M-02
    assert METERS["bsmart"].modbus.writes == (16,)


def test_what_the_b_smart_does_not_have_is_no_register_of_it() -> None:
    # M-13 P-09
    absent = {"thd_voltage_l1", "tamper_alarm", "meter_error", "sync_clock", "active_tariff", "reverse_phase_sequence"}
    points = METERS["bsmart"].points

    assert not absent & set(points)
    assert {name for name, point in points.items() if point.at is None} == {
        "communication_status",
        "phase_loss_l1",
        "overload_alarm",
        "energy_direction",
        "demand_peak_current",
        "demand_peak_timestamp",
        "reset_demand_peak",
        "demand_interval",
        "overload_threshold",
    }


def test_the_b_smart_shows_the_plausible_ranges_of_its_maker() -> None:
    # M-11
    points = METERS["bsmart"].points

    assert points["voltage_l1_n"].typical == (184, 276)
    assert points["current_l1"].typical == (0, 80)
    assert points["frequency"].limits == (45, 65)


def test_no_b_smart_is_sold_as_mid() -> None:
    # M-14
    assert [facts.mid for facts in METERS["bsmart"].models.values()] == [False]


def test_of_the_countis_only_the_e28_is_mid() -> None:
    # M-21
    models = METERS["socomec-countis-e2x"].models

    assert {name: facts.mid for name, facts in models.items()} == {"COUNTIS E27": False, "COUNTIS E28": True}


def test_the_countis_reads_the_instantaneous_values_of_all_phases() -> None:
    # phase sequence and active tariff are missing: no source knows their registers
    points = METERS["socomec-countis-e2x"].points
    phases = ("l1", "l2", "l3")
    powers = [f"{q}_power_{p}" for q in ("active", "reactive", "apparent") for p in (*phases, "total")]
    others = [f"voltage_{p}_n" for p in phases] + [f"current_{p}" for p in (*phases, "neutral")]
    lines = ["voltage_l1_l2", "voltage_l2_l3", "voltage_l3_l1", "frequency"]
    factors = [f"power_factor_{p}" for p in (*phases, "total")]

    assert {*powers, *others, *lines, *factors} <= {name for name, point in points.items() if point.at is not None}


def test_system_values_of_the_countis_are_averages_and_no_totals() -> None:
    # M-27
    points = METERS["socomec-countis-e2x"].points

    assert "divided by 3" in points["current_average"].note
    assert "divided by 3" in points["voltage_average_ln"].note


def test_what_the_countis_only_displays_is_no_register_of_it() -> None:
    # M-24
    points = METERS["socomec-countis-e2x"].points

    assert not {"pulse_output_active", "meter_error"} & set(points)
    assert points["energy_direction"].at is None


def test_partial_counters_of_the_countis_are_resettable_and_not_billed() -> None:
    points = METERS["socomec-countis-e2x"].points
    partial = [name for name in points if meaning_of(name).statistic is Statistic.PARTIAL]

    assert len(partial) == 3
    assert not any(points[name].mid for name in partial)
    assert points["reset_partial_energy"].at is None
    assert points["reset_partial_energy"].write_at == 57890


def test_the_countis_tells_its_identity() -> None:
    points = METERS["socomec-countis-e2x"].points

    for name in ("vendor", "model", "device_name", "firmware_version", "table_version", "product_id"):
        assert points[name].role is Role.IDENTITY


def test_the_countis_counts_10_wh_and_starts_again_after_999999_99_kwh() -> None:
    # M-25
    points = METERS["socomec-countis-e2x"].points

    for name in ("active_energy_import", "active_energy_export", "reactive_energy_import", "reactive_energy_export"):
        assert points[name].resolution == 0.01
        assert points[name].modulus == 100_000_000


def test_the_frequency_of_the_countis_is_decided_by_plausibility() -> None:
    # M-34
    frequency = METERS["socomec-countis-e2x"].points["frequency"]

    assert frequency.certainty is Certainty.CONFLICT
    assert (frequency.scale, *frequency.scale_alternatives) == (0.01, 0.001)
    assert frequency.limits == (45, 65)


def test_the_ion7400_bills_from_its_integers() -> None:
    points = METERS["ion7400"].points

    assert points["active_energy_import"].type is RegisterType.INT64
    assert {point.type for name, point in points.items() if name.endswith("_indicative")} == {RegisterType.FLOAT32}


def test_word_orders_of_the_library_are_those_of_the_makers() -> None:
    low_word_first = {name for name, meter in METERS.items() if meter.modbus.word_order is WordOrder.CDAB}

    assert low_word_first == {"carlo-gavazzi-em340"}


def test_models_that_share_a_layout_share_the_file() -> None:
    parents = {name: meter.extends for name, meter in METERS.items() if meter.extends}

    assert parents == {
        **{f"sunspec-{n}": "sunspec-203" for n in (201, 202, 204)},
        **{f"sunspec-{n}": "sunspec-213" for n in (211, 212, 214)},
    }


def test_the_library_is_the_one_the_manual_lists() -> None:
    text = (LIBRARY.parents[1] / "docs" / "meters.md").read_text(encoding="utf-8")

    assert [name for name in METERS if f"`{name}`" not in text] == []


def test_the_b_smart_is_a_serial_meter_read_as_fast_as_a_site_wants() -> None:
    # M-01 M-12
    assert RtuChannel(port="x").baud == 9600
    assert RtuChannel(port="x").framing[1] == "N"
    for unit, accepted in ((0, False), (1, True), (247, True), (249, False)):
        text = {"meter": "bsmart", "channel": "line", "unit": unit, "poll": {"fast": "0.5s"}}
        if accepted:
            assert msgspec.convert(text, Device).unit == unit
        else:
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert(text, Device)
    points = METERS["bsmart"].points
    assert {points[name].poll for name in ("active_power_total", "current_l1")} == {PollClass.FAST}


def test_the_countis_is_bound_to_the_ranges_of_its_data_sheet() -> None:
    # M-30
    points = METERS["socomec-countis-e2x"].points

    assert points["frequency"].limits == (45, 65)
    for name in ("power_factor_total", "power_factor_l1", "power_factor_l2", "power_factor_l3"):
        assert points[name].limits == (-1, 1)
    for phase in ("l1", "l2", "l3"):
        assert points[f"voltage_{phase}_n"].limits == (0, 999.9)
        assert points[f"voltage_{phase}_n"].typical == (184, 288)
        assert points[f"current_{phase}"].limits == (0, 99.99)
        assert points[f"current_{phase}"].typical == (0, 80)
        assert points[f"active_power_{phase}"].limits == (-99.99, 99.99)
        assert points[f"apparent_power_{phase}"].limits == (0, 99.99)


def test_what_comes_over_modbus_from_an_mid_countis_is_said_to_have_no_legal_value() -> None:
    # M-33, in the documents; the exports are in tests/unit/pack
    assert "no legal value" in (LIBRARY / "socomec-countis-e2x.yaml").read_text()
    assert "no legal value" in (LIBRARY.parents[1] / "docs" / "meters.md").read_text()


def test_the_ion7400_counts_delivered_received_and_apparent_energy() -> None:
    # total and net stand as float32 beside; V2h and A2h are in no source found
    points = METERS["ion7400"].points

    for kind in ("active", "reactive", "apparent"):
        assert {points[f"{kind}_energy_{way}"].type for way in ("import", "export")} == {RegisterType.INT64}
        assert {f"{kind}_energy_sum_indicative", f"{kind}_energy_net_indicative"} <= set(points)
    assert not [name for name in points if "energy" in name and name.endswith(("_l1", "_l2", "_l3"))]


def test_signs_of_the_ion7400_are_those_of_its_manual() -> None:
    # M-45: P flows to the load, so delivered is import; a true power factor with the sign of IEEE
    meter = METERS["ion7400"]

    assert meter.pf_sign is PfSign.IEEE
    assert meter.points["power_factor_total"].limits == (-1.01, 1.01)
    # delivered before received in the maker's block
    assert meter.points["active_energy_import"].at == 3204
    assert meter.points["active_energy_export"].at == 3208


def test_the_mid_mark_of_the_ion7400_covers_active_energy_and_nothing_else() -> None:
    # M-46: EN 50470 class C
    meter = METERS["ion7400"]

    assert {name for name, facts in meter.models.items() if facts.mid} == {"ION7400 MID"}
    billed = {name for name, point in meter.points.items() if point.mid}
    assert billed == {"active_energy_import", "active_energy_export"}


def test_a_device_says_who_it_is_as_far_as_its_source_knows_the_registers() -> None:
    # serial number and order number of the ION7400 are in no source found
    identity = {
        name: {key for key, point in METERS[name].points.items() if point.role is Role.IDENTITY} for name in METERS
    }

    assert identity["socomec-countis-e2x"] >= {"vendor", "model", "device_name", "firmware_version", "product_id"}
    assert identity["ion7400"] >= {"device_name", "model"}
    assert METERS["bsmart"].serial_number is not None
