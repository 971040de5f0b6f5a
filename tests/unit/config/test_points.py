"""What follows from a point's entry in a meter file: kind, role, unit, states, exact scales, writes."""

from fractions import Fraction

import pytest

from bridge.config.faults import Wrong
from bridge.config.meter import Addressing, MeterFile, Modbus, PointFile, PollClass, RegisterType, Table
from bridge.config.points import Facts, Locked, point_facts
from bridge.core.point import Kind, Role

T = RegisterType


def facts(name: str, point: PointFile, modbus: Modbus | None = None, given: str = "") -> Facts:
    meter = MeterFile(meter="m", vendor="v", source="s", points={}, modbus=modbus or Modbus())
    return point_facts(name, point, meter, frozenset(given.split()), "m.yaml:1")


@pytest.mark.parametrize(
    ("name", "type_", "kind", "role", "poll"),
    [
        ("active_energy_import", None, Kind.ACCUMULATOR, Role.MEASUREMENT, PollClass.SLOW),
        ("active_energy_import_l1_t2", None, Kind.ACCUMULATOR, Role.MEASUREMENT, PollClass.SLOW),
        ("active_energy_partial", None, Kind.ACCUMULATOR, Role.MEASUREMENT, PollClass.SLOW),
        ("active_power_total", T.INT32, Kind.ANALOG, Role.MEASUREMENT, PollClass.FAST),
        ("current_l1", T.INT32, Kind.ANALOG, Role.MEASUREMENT, PollClass.FAST),
        ("current_neutral", T.INT32, Kind.ANALOG, Role.MEASUREMENT, PollClass.NORMAL),
        ("voltage_l1_n", T.INT32, Kind.ANALOG, Role.MEASUREMENT, PollClass.NORMAL),
        ("power_factor_total", T.INT32, Kind.ANALOG, Role.MEASUREMENT, PollClass.NORMAL),
        ("frequency", T.UINT16, Kind.ANALOG, Role.MEASUREMENT, PollClass.FREQUENCY),
        ("demand_peak_current", T.UINT16, Kind.ANALOG, Role.MEASUREMENT, PollClass.SLOW),
        ("demand_peak_timestamp", T.UNIX_TIME, Kind.TIME, Role.MEASUREMENT, PollClass.ON_CHANGE),
        ("thd_voltage_l1", T.UINT16, Kind.ANALOG, Role.MEASUREMENT, PollClass.SLOW),
        ("communication_status", T.BOOL, Kind.BINARY, Role.STATUS, PollClass.STATE),
        ("phase_loss_l1", T.BOOL, Kind.BINARY, Role.STATUS, PollClass.STATE),
        ("pulse_output_active", T.BOOL, Kind.BINARY, Role.STATUS, PollClass.STATE_FAST),
        ("reverse_phase_sequence", T.BOOL, Kind.BINARY, Role.STATUS, PollClass.STATE_SLOW),
        ("mid_certification_valid", T.BOOL, Kind.BINARY, Role.STATUS, PollClass.CERTIFICATE),
        ("energy_direction", T.UINT16, Kind.MULTISTATE, Role.STATUS, PollClass.STATE),
        ("modbus_baudrate", T.UINT16, Kind.MULTISTATE, Role.SETTING, PollClass.ON_CHANGE),
        ("ct_primary_rating", T.UINT16, Kind.ANALOG, Role.SETTING, PollClass.ON_CHANGE),
        ("reset_demand_peak", T.BOOL, Kind.BINARY, Role.COMMAND, PollClass.ON_CHANGE),
        ("serial_number", T.UINT32, Kind.TEXT, Role.IDENTITY, PollClass.ON_CHANGE),
        ("firmware_version", T.STRING, Kind.TEXT, Role.IDENTITY, PollClass.ON_CHANGE),
        ("makers_own_word", T.UINT16, Kind.ANALOG, Role.MEASUREMENT, PollClass.NORMAL),
    ],
)
def test_kind_role_and_poll_class_follow_from_the_name(
    name: str, type_: RegisterType | None, kind: Kind, role: Role, poll: PollClass
) -> None:
    # F-05
    units = {"active_power_total": "kW", "current": "A", "voltage": "V", "demand_peak_current": "kW", "ct_primary": "A"}
    unit = next((unit for start, unit in units.items() if name.startswith(start)), "")
    registers = 4 if type_ is T.STRING else None
    at = None if type_ is None else 100

    found = facts(
        name, PointFile(at=at, type=type_, unit=unit, registers=registers, bit=0 if type_ is T.BOOL else None)
    )

    assert (found.kind, found.role, found.poll) == (kind, role, poll)


@pytest.mark.parametrize(
    ("type_", "scale", "resolution", "counts"),
    [
        # kWh in the register, 10 Wh a count: 100 counts a register unit
        (T.FLOAT64, None, 0.01, Fraction(100)),
        (T.FLOAT32, 0.001, 0.01, Fraction(1, 10)),
        (T.UINT32, None, 0.01, Fraction(1)),
        (T.UINT32, 0.01, 0.01, Fraction(1)),
        (T.UINT32, 1.0, 0.001, Fraction(1000)),
        (T.UINT32, 0.25, 0.01, Fraction(25)),
    ],
)
def test_counts_of_an_energy_are_exact(
    type_: RegisterType, scale: float | None, resolution: float, counts: Fraction
) -> None:
    point = PointFile(at=1, type=type_, unit="kWh", resolution=resolution, scale=1.0 if scale is None else scale)

    found = facts("active_energy_import", point, given="at type" + (" scale" if scale is not None else ""))

    assert found.read is not None
    assert found.read.counts == counts
    assert found.read.scale == counts * Fraction(10) ** found.resolution


@pytest.mark.parametrize(
    ("type_", "scale", "modulus", "expected"),
    [
        (T.UINT32, 0.01, None, 2**32),
        (T.UINT32, 1.0, None, 2**32 * 100),
        (T.UINT16, 0.01, None, 2**16),
        (T.UINT64, 0.01, None, 0),
        (T.INT32, 0.01, None, 0),
        (T.UINT32, 0.01, 100_000_000, 100_000_000),
    ],
)
def test_an_energy_starts_again_where_the_file_says_or_its_register_ends(
    type_: RegisterType, scale: float, modulus: int | None, expected: int
) -> None:
    # M-25
    point = PointFile(at=1, type=type_, unit="kWh", resolution=0.01, scale=scale, modulus=modulus)

    assert facts("active_energy_import", point, given="scale").modulus == expected


@pytest.mark.parametrize("name", ["frequency", "modbus_baudrate", "pulse_constant", "thd_voltage_l1"])
def test_a_unit_that_is_the_only_one_of_its_kind_need_not_be_written(name: str) -> None:
    units = {"frequency": "Hz", "modbus_baudrate": "", "pulse_constant": "Wh/pulse", "thd_voltage_l1": "%"}

    assert facts(name, PointFile(at=1, type=T.UINT16)).unit == units[name]


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("energy_direction", ((0, "Import"), (1, "Export"))),
        ("communication_status", ((0, "Fault"), (1, "OK"))),
        ("phase_loss_l2", ((0, "OK"), (1, "Loss"))),
        ("tamper_alarm", ((0, "OK"), (1, "Open"))),
        ("reset_demand_peak", ((0, "Inactive"), (1, "Reset"))),
        ("modbus_baudrate", ((9600, "9600"), (19200, "19200"), (38400, "38400"))),
    ],
)
def test_states_are_those_of_the_submeter_list(name: str, states: tuple[tuple[int, str], ...]) -> None:
    # a-02
    assert facts(name, PointFile()).states == states


def test_a_setting_may_be_written_in_the_range_of_the_list_unless_the_meter_has_its_own() -> None:
    # P-06
    listed = facts("ct_primary_rating", PointFile(at=1, type=T.UINT16, unit="A", writable=True)).write
    own = facts("ct_primary_rating", PointFile(at=1, type=T.UINT32, unit="A", writable=True, range=(1, 999_999))).write

    assert listed is not None
    assert own is not None
    assert (listed.low, listed.high, listed.functions) == (50, 5000, (6, 16))
    assert (own.low, own.high, own.functions) == (1, 999_999, (16,))


def test_a_device_without_function_6_is_written_by_function_16() -> None:
    # M-02
    point = PointFile(at=1, type=T.UINT16, writable=True)

    write = facts("modbus_address", point, Modbus(writes=(16,))).write

    assert write is not None
    assert write.functions == (16,)


def test_a_command_may_have_a_place_to_write_and_none_to_read() -> None:
    found = facts("reset_demand_peak", PointFile(write_at="coil:0", writable=True))

    assert found.read is None
    assert found.write is not None
    assert (found.write.register.table, found.write.register.address, found.write.functions) == (Table.COIL, 0, (5,))


def test_a_coil_and_a_discrete_input_are_bits_without_being_told() -> None:
    found = facts("phase_loss_l1", PointFile(at=10003), Modbus(addressing=Addressing.MODICON))

    assert found.read is not None
    assert (found.read.table, found.read.address, found.read.type) == (Table.DISCRETE_INPUT, 2, T.BOOL)


@pytest.mark.parametrize(
    ("name", "point", "locked"),
    [
        ("active_energy_import", PointFile(), Locked.ON_MID_DEVICE),
        ("ct_primary_rating", PointFile(), Locked.ON_MID_DEVICE),
        ("pt_secondary_rating", PointFile(), Locked.ON_MID_DEVICE),
        ("reset_partial_energy", PointFile(), Locked.ON_MID_DEVICE),
        ("reset_demand_peak", PointFile(), Locked.NEVER),
        ("reset_demand_peak", PointFile(mid=True), Locked.ON_MID_DEVICE),
        ("active_power_total", PointFile(), Locked.NEVER),
    ],
)
def test_what_a_mid_meter_bills_by_is_locked_without_being_told(name: str, point: PointFile, locked: Locked) -> None:
    # a-16
    assert facts(name, point).locked is locked


def test_a_scale_is_never_rounded() -> None:
    found = facts(
        "voltage_l1_n", PointFile(at=1, type=T.UINT16, unit="V", scale=0.1, scale_alternatives=(0.01,), limits=(1, 2))
    )

    assert found.read is not None
    assert (found.read.scale, found.read.scale_alternatives) == (Fraction(1, 10), (Fraction(1, 100),))


def test_a_counter_of_another_kind_needs_only_a_resolution() -> None:
    found = facts("makers_pulses", PointFile(at=1, type=T.UINT32, resolution=1.0))

    assert (found.kind, found.resolution) == (Kind.ACCUMULATOR, 0)


def test_a_number_cannot_be_a_name() -> None:
    with pytest.raises(Wrong, match="small letters"):
        facts("1st_power", PointFile())
