"""
The vocabulary: what a point measures, on which phase, in which direction; read out of its name.

    [chN_] quantity [_qualifier ...]        active_energy_import, voltage_l1_n, ch2_active_power_total,
                                            active_energy_import_l1_t2, reactive_demand_peak_timestamp

Every projection derives its own item (BACnet object type, MMXU path, DNP3 group, OPC UA unit, tags) from these
facts and from nothing else, so that a meter file needs no protocol knowledge.
"""

import enum
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from bridge.core.units import Dimension

W = TypeVar("W", bound=enum.Enum)


class Quantity(enum.Enum):
    """What is measured, stated, set or commanded. The value is the word used in point names."""

    ACTIVE_POWER = "active_power"
    REACTIVE_POWER = "reactive_power"
    APPARENT_POWER = "apparent_power"
    # true power factor, harmonics included
    POWER_FACTOR = "power_factor"
    # displacement power factor, fundamental only
    COS_PHI = "cos_phi"
    VOLTAGE = "voltage"
    CURRENT = "current"
    RESIDUAL_CURRENT = "residual_current"
    FREQUENCY = "frequency"
    PHASE_ANGLE = "phase_angle"
    TEMPERATURE = "temperature"
    ACTIVE_ENERGY = "active_energy"
    REACTIVE_ENERGY = "reactive_energy"
    APPARENT_ENERGY = "apparent_energy"
    VOLT_SQUARE_HOURS = "volt_square_hours"
    AMPERE_SQUARE_HOURS = "ampere_square_hours"
    # mean power or current over the demand interval
    ACTIVE_DEMAND = "active_demand"
    REACTIVE_DEMAND = "reactive_demand"
    APPARENT_DEMAND = "apparent_demand"
    CURRENT_DEMAND = "current_demand"
    # seed 003, point 26: the maximum of the 15 min active power demand, in kW
    DEMAND_PEAK_CURRENT = "demand_peak_current"
    DEMAND_PEAK_TIMESTAMP = "demand_peak_timestamp"
    VOLTAGE_UNBALANCE = "voltage_unbalance"
    CURRENT_UNBALANCE = "current_unbalance"
    # THD: residual / fundamental; THD_R: residual / RMS (seed 004)
    THD_VOLTAGE = "thd_voltage"
    THD_CURRENT = "thd_current"
    THD_R_VOLTAGE = "thd_r_voltage"
    THD_R_CURRENT = "thd_r_current"
    TDD_CURRENT = "tdd_current"
    K_FACTOR_CURRENT = "k_factor_current"
    CREST_FACTOR_VOLTAGE = "crest_factor_voltage"
    CREST_FACTOR_CURRENT = "crest_factor_current"
    RUN_HOURS = "run_hours"
    ACTIVE_TARIFF = "active_tariff"
    COMMUNICATION_STATUS = "communication_status"
    PHASE_LOSS = "phase_loss"
    OVERLOAD_ALARM = "overload_alarm"
    ENERGY_DIRECTION = "energy_direction"
    TAMPER_ALARM = "tamper_alarm"
    MID_CERTIFICATION_VALID = "mid_certification_valid"
    PULSE_OUTPUT_ACTIVE = "pulse_output_active"
    METER_ERROR = "meter_error"
    VOLTAGE_UNBALANCE_ALARM = "voltage_unbalance_alarm"
    CURRENT_UNBALANCE_ALARM = "current_unbalance_alarm"
    REVERSE_PHASE_SEQUENCE = "reverse_phase_sequence"
    TEST_MODE = "test_mode"
    BILLING_LOCK = "billing_lock"
    DIGITAL_INPUT = "digital_input"
    DIGITAL_OUTPUT = "digital_output"
    RESET_DEMAND_PEAK = "reset_demand_peak"
    RESET_MIN_MAX = "reset_min_max"
    RESET_PARTIAL_ENERGY = "reset_partial_energy"
    SYNC_CLOCK = "sync_clock"
    # the device's own clock
    DEVICE_CLOCK = "device_clock"
    TARIFF_SELECT = "tariff_select"
    CT_PRIMARY_RATING = "ct_primary_rating"
    CT_SECONDARY_RATING = "ct_secondary_rating"
    PT_PRIMARY_RATING = "pt_primary_rating"
    PT_SECONDARY_RATING = "pt_secondary_rating"
    DEMAND_INTERVAL = "demand_interval"
    PULSE_CONSTANT = "pulse_constant"
    MODBUS_ADDRESS = "modbus_address"
    MODBUS_BAUDRATE = "modbus_baudrate"
    DISPLAY_BACKLIGHT_TIMEOUT = "display_backlight_timeout"
    OVERLOAD_THRESHOLD = "overload_threshold"
    VOLTAGE_UNBALANCE_THRESHOLD = "voltage_unbalance_threshold"
    CURRENT_UNBALANCE_THRESHOLD = "current_unbalance_threshold"
    NETWORK_TYPE = "network_type"
    SERIAL_NUMBER = "serial_number"
    MODEL = "model"
    VENDOR = "vendor"
    FIRMWARE_VERSION = "firmware_version"
    # product family and product as the maker numbers them, the version of its register table, fitted options
    PRODUCT_FAMILY = "product_family"
    PRODUCT_ID = "product_id"
    TABLE_VERSION = "table_version"
    OPTIONS = "options"
    # bits of several conditions in one register, as the device packs them
    EVENT_FLAGS = "event_flags"
    DEVICE_NAME = "device_name"
    # a point the vocabulary has no word for: shown as it is, derived from by nobody
    OTHER = "other"


class Phase(enum.Enum):
    """Where on the system. TOTAL for sums over all phases and for what has no phase."""

    TOTAL = "total"
    L1 = "l1"
    L2 = "l2"
    L3 = "l3"
    N = "neutral"
    L1_N = "l1_n"
    L2_N = "l2_n"
    L3_N = "l3_n"
    L1_L2 = "l1_l2"
    L2_L3 = "l2_l3"
    L3_L1 = "l3_l1"
    AVERAGE = "average"
    AVERAGE_LN = "average_ln"
    AVERAGE_LL = "average_ll"


class Direction(enum.Enum):
    """Energy flow seen from the load: IMPORT = delivered to the load, EXPORT = received from it."""

    NONE = "none"
    IMPORT = "import"
    EXPORT = "export"
    # import minus export, signed
    NET = "net"
    # import plus export
    SUM = "sum"
    INDUCTIVE = "inductive"
    CAPACITIVE = "capacitive"
    # quadrants: Q1 +P +Q, Q2 -P +Q, Q3 -P -Q, Q4 +P -Q (P and Q positive = into the load)
    Q1 = "q1"
    Q2 = "q2"
    Q3 = "q3"
    Q4 = "q4"


class Statistic(enum.Enum):
    """What was done with the quantity over time."""

    PRESENT = "present"
    MINIMUM = "min"
    MAXIMUM = "max"
    MEAN = "mean"
    PEAK = "peak"
    PREDICTED = "predicted"
    # a demand in the window in which the active power's had its peak
    COINCIDENT = "coincident"
    # when the minimum, maximum or peak was
    MINIMUM_TIME = "min_timestamp"
    MAXIMUM_TIME = "max_timestamp"
    PEAK_TIME = "peak_timestamp"
    # a counter that a user may zero: never billed from
    PARTIAL = "partial"
    # a copy of less resolution or in a float: for display only, never billed from
    INDICATIVE = "indicative"


class Meaning(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    What a point is about. `circuit`: measuring circuit of the device, from 1 (a B-SMART has two).
    `tariff`: 0 = all tariffs. `number`: of a digital input or output, else 0.
    """

    quantity: Quantity = Quantity.OTHER
    phase: Phase = Phase.TOTAL
    direction: Direction = Direction.NONE
    statistic: Statistic = Statistic.PRESENT
    tariff: int = 0
    circuit: int = 1
    number: int = 0


_DIMENSIONS: dict[Quantity, Dimension] = {
    Quantity.ACTIVE_POWER: Dimension.ACTIVE_POWER,
    Quantity.REACTIVE_POWER: Dimension.REACTIVE_POWER,
    Quantity.APPARENT_POWER: Dimension.APPARENT_POWER,
    Quantity.VOLTAGE: Dimension.VOLTAGE,
    Quantity.CURRENT: Dimension.CURRENT,
    Quantity.RESIDUAL_CURRENT: Dimension.CURRENT,
    Quantity.FREQUENCY: Dimension.FREQUENCY,
    Quantity.PHASE_ANGLE: Dimension.ANGLE,
    Quantity.TEMPERATURE: Dimension.TEMPERATURE,
    Quantity.ACTIVE_ENERGY: Dimension.ACTIVE_ENERGY,
    Quantity.REACTIVE_ENERGY: Dimension.REACTIVE_ENERGY,
    Quantity.APPARENT_ENERGY: Dimension.APPARENT_ENERGY,
    Quantity.VOLT_SQUARE_HOURS: Dimension.VOLT_SQUARE_HOURS,
    Quantity.AMPERE_SQUARE_HOURS: Dimension.AMPERE_SQUARE_HOURS,
    Quantity.ACTIVE_DEMAND: Dimension.ACTIVE_POWER,
    Quantity.REACTIVE_DEMAND: Dimension.REACTIVE_POWER,
    Quantity.APPARENT_DEMAND: Dimension.APPARENT_POWER,
    Quantity.CURRENT_DEMAND: Dimension.CURRENT,
    Quantity.DEMAND_PEAK_CURRENT: Dimension.ACTIVE_POWER,
    Quantity.VOLTAGE_UNBALANCE: Dimension.RATIO,
    Quantity.CURRENT_UNBALANCE: Dimension.RATIO,
    Quantity.THD_VOLTAGE: Dimension.RATIO,
    Quantity.THD_CURRENT: Dimension.RATIO,
    Quantity.THD_R_VOLTAGE: Dimension.RATIO,
    Quantity.THD_R_CURRENT: Dimension.RATIO,
    Quantity.TDD_CURRENT: Dimension.RATIO,
    Quantity.RUN_HOURS: Dimension.TIME,
    Quantity.CT_PRIMARY_RATING: Dimension.CURRENT,
    Quantity.CT_SECONDARY_RATING: Dimension.CURRENT,
    Quantity.PT_PRIMARY_RATING: Dimension.VOLTAGE,
    Quantity.PT_SECONDARY_RATING: Dimension.VOLTAGE,
    Quantity.DEMAND_INTERVAL: Dimension.TIME,
    Quantity.PULSE_CONSTANT: Dimension.PULSE_WEIGHT,
    Quantity.MODBUS_BAUDRATE: Dimension.BIT_RATE,
    Quantity.DISPLAY_BACKLIGHT_TIMEOUT: Dimension.TIME,
    Quantity.OVERLOAD_THRESHOLD: Dimension.RATIO,
    Quantity.VOLTAGE_UNBALANCE_THRESHOLD: Dimension.RATIO,
    Quantity.CURRENT_UNBALANCE_THRESHOLD: Dimension.RATIO,
}

ENERGIES = frozenset({Quantity.ACTIVE_ENERGY, Quantity.REACTIVE_ENERGY, Quantity.APPARENT_ENERGY})

_QUANTITIES = sorted((q for q in Quantity if q is not Quantity.OTHER), key=lambda q: -len(q.value))
_PHASES = sorted(Phase, key=lambda p: -len(p.value))
_DIRECTIONS = tuple(d for d in Direction if d is not Direction.NONE)
_STATISTICS = sorted((s for s in Statistic if s is not Statistic.PRESENT), key=lambda s: -len(s.value))
_CIRCUIT = re.compile(r"ch([1-9])_")
_TARIFF = re.compile(r"_t([1-9])$")
_NUMBERED = re.compile(r"(digital_input|digital_output)_([1-9][0-9]?)$")
POINT_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


def dimension_of(quantity: Quantity) -> Dimension:
    """Return the dimension every unit of this quantity must have."""
    return _DIMENSIONS.get(quantity, Dimension.NONE)


def meaning_of(name: str) -> Meaning:
    """Read the meaning out of a point name; Quantity.OTHER when it does not follow the grammar."""
    circuit = 1
    if found := _CIRCUIT.match(name):
        circuit, rest = int(found[1]), name[found.end() :]
    else:
        rest = name
    if numbered := _NUMBERED.match(rest):
        return Meaning(Quantity(numbered[1]), circuit=circuit, number=int(numbered[2]))
    for quantity in _QUANTITIES:
        if rest == quantity.value or rest.startswith(quantity.value + "_"):
            return _qualified(quantity, rest[len(quantity.value) :], circuit) or Meaning(circuit=circuit)
    return Meaning(circuit=circuit)


def _qualified(quantity: Quantity, rest: str, circuit: int) -> Meaning | None:
    """Take the qualifiers off the end of `rest`, in any order, each kind once; None for an unknown one."""
    phase: Phase | None = None
    direction: Direction | None = None
    statistic: Statistic | None = None
    tariff: int | None = None
    while rest:
        if tariff is None and (found := _TARIFF.search(rest)):
            tariff, rest = int(found[1]), rest[: found.start()]
        elif statistic is None and (match_s := _ending(rest, _STATISTICS)):
            statistic, rest = match_s, rest[: -len(match_s.value) - 1]
        elif phase is None and (match_p := _ending(rest, _PHASES)):
            phase, rest = match_p, rest[: -len(match_p.value) - 1]
        elif direction is None and (match_d := _ending(rest, _DIRECTIONS)):
            direction, rest = match_d, rest[: -len(match_d.value) - 1]
        else:
            return None
    return Meaning(
        quantity,
        phase or Phase.TOTAL,
        direction or Direction.NONE,
        statistic or Statistic.PRESENT,
        tariff or 0,
        circuit,
    )


def _ending(rest: str, words: Sequence[W]) -> W | None:
    return next((word for word in words if rest.endswith("_" + str(word.value))), None)
