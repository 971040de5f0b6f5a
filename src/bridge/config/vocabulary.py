"""What follows from a point's meaning when the meter file does not say it: kind, role, texts, unit, poll class."""

from collections.abc import Mapping
from types import MappingProxyType

from bridge.config.meter import PollClass
from bridge.core.point import Kind, Role, Wiring
from bridge.core.quantity import ENERGIES, Meaning, Phase, Quantity, Statistic
from bridge.core.units import UNITS, Dimension

Q = Quantity
States = tuple[tuple[int, str], ...]

TIME_STATISTICS = frozenset({Statistic.MINIMUM_TIME, Statistic.MAXIMUM_TIME, Statistic.PEAK_TIME})

# Texts of the submeter point list (seed 003), and of the states it has no row for
STATES: Mapping[Quantity, States] = MappingProxyType(
    {
        Q.RESET_DEMAND_PEAK: ((0, "Inactive"), (1, "Reset")),
        Q.RESET_MIN_MAX: ((0, "Inactive"), (1, "Reset")),
        Q.RESET_PARTIAL_ENERGY: ((0, "Inactive"), (1, "Reset")),
        Q.SYNC_CLOCK: ((0, "Inactive"), (1, "Sync")),
        Q.COMMUNICATION_STATUS: ((0, "Fault"), (1, "OK")),
        Q.PHASE_LOSS: ((0, "OK"), (1, "Loss")),
        Q.OVERLOAD_ALARM: ((0, "OK"), (1, "Overload")),
        Q.ENERGY_DIRECTION: ((0, "Import"), (1, "Export")),
        Q.TAMPER_ALARM: ((0, "OK"), (1, "Open")),
        Q.MID_CERTIFICATION_VALID: ((0, "Invalid"), (1, "Valid")),
        Q.PULSE_OUTPUT_ACTIVE: ((0, "Inactive"), (1, "Active")),
        Q.METER_ERROR: ((0, "OK"), (1, "Error")),
        Q.VOLTAGE_UNBALANCE_ALARM: ((0, "OK"), (1, "Unbalance")),
        Q.CURRENT_UNBALANCE_ALARM: ((0, "OK"), (1, "Unbalance")),
        Q.REVERSE_PHASE_SEQUENCE: ((0, "OK"), (1, "Reversed")),
        Q.TEST_MODE: ((0, "Normal"), (1, "Test")),
        Q.BILLING_LOCK: ((0, "Unlocked"), (1, "Locked")),
        Q.DIGITAL_INPUT: ((0, "Off"), (1, "On")),
        Q.DIGITAL_OUTPUT: ((0, "Off"), (1, "On")),
        Q.ACTIVE_TARIFF: ((1, "T1"), (2, "T2")),
        Q.TARIFF_SELECT: ((1, "T1"), (2, "T2")),
        Q.MODBUS_BAUDRATE: ((9600, "9600"), (19200, "19200"), (38400, "38400")),
    }
)

# Written range of the configuration points (seed 003), in the unit beside it
RANGES: Mapping[Quantity, tuple[float, float, str]] = MappingProxyType(
    {
        Q.CT_PRIMARY_RATING: (50, 5000, "A"),
        Q.CT_SECONDARY_RATING: (1, 5, "A"),
        Q.DEMAND_INTERVAL: (1, 60, "min"),
        Q.PULSE_CONSTANT: (1, 10000, "Wh/pulse"),
        Q.MODBUS_ADDRESS: (1, 247, ""),
        Q.DISPLAY_BACKLIGHT_TIMEOUT: (0, 300, "s"),
        Q.OVERLOAD_THRESHOLD: (80, 120, "%"),
        Q.VOLTAGE_UNBALANCE_THRESHOLD: (1, 10, "%"),
        Q.CURRENT_UNBALANCE_THRESHOLD: (1, 10, "%"),
    }
)

# Commands and settings that a point without a register stands for: the bridge itself obeys them
KEPT_BY_BRIDGE = frozenset(
    {
        Q.RESET_DEMAND_PEAK,
        Q.RESET_MIN_MAX,
        Q.RESET_PARTIAL_ENERGY,
        Q.SYNC_CLOCK,
        Q.DEMAND_INTERVAL,
        Q.OVERLOAD_THRESHOLD,
        Q.VOLTAGE_UNBALANCE_THRESHOLD,
        Q.CURRENT_UNBALANCE_THRESHOLD,
    }
)

_MULTISTATE = frozenset({Q.ENERGY_DIRECTION, Q.ACTIVE_TARIFF, Q.TARIFF_SELECT, Q.MODBUS_BAUDRATE, Q.NETWORK_TYPE})
_IDENTITY = frozenset({Q.SERIAL_NUMBER, Q.MODEL, Q.VENDOR, Q.FIRMWARE_VERSION, Q.DEVICE_NAME})
_COMMANDS = frozenset({Q.RESET_DEMAND_PEAK, Q.RESET_MIN_MAX, Q.RESET_PARTIAL_ENERGY, Q.SYNC_CLOCK, Q.TARIFF_SELECT})
_SETTINGS = frozenset({*RANGES, Q.PT_PRIMARY_RATING, Q.PT_SECONDARY_RATING, Q.MODBUS_BAUDRATE, Q.NETWORK_TYPE})
_STATUS = frozenset(STATES) - _COMMANDS - _SETTINGS

# What a MID meter bills by, besides its energies: locked for everybody (REQUIREMENTS a-16)
MID_LOCKED = frozenset(
    {
        Q.RESET_PARTIAL_ENERGY,
        Q.CT_PRIMARY_RATING,
        Q.CT_SECONDARY_RATING,
        Q.PT_PRIMARY_RATING,
        Q.PT_SECONDARY_RATING,
    }
)

# Unit of what the bridge computes itself
_OWN_UNITS: Mapping[Dimension, str] = MappingProxyType(
    {
        Dimension.VOLTAGE: "V",
        Dimension.CURRENT: "A",
        Dimension.ACTIVE_POWER: "kW",
        Dimension.REACTIVE_POWER: "kvar",
        Dimension.APPARENT_POWER: "kVA",
        Dimension.ACTIVE_ENERGY: "kWh",
        Dimension.REACTIVE_ENERGY: "kvarh",
        Dimension.APPARENT_ENERGY: "kVAh",
    }
)

# Default periods, ns; on_change is read at start, after a write and when asked: 0
PERIODS_NS: Mapping[PollClass, int] = MappingProxyType(
    {
        PollClass.FAST: 5 * 10**9,
        PollClass.NORMAL: 10 * 10**9,
        PollClass.STATE: 10 * 10**9,
        PollClass.STATE_FAST: 5 * 10**9,
        PollClass.STATE_SLOW: 60 * 10**9,
        PollClass.FREQUENCY: 30 * 10**9,
        PollClass.SLOW: 60 * 10**9,
        PollClass.CERTIFICATE: 300 * 10**9,
        PollClass.ON_CHANGE: 0,
    }
)

_POLL: Mapping[Quantity, PollClass] = MappingProxyType(
    {
        Q.ACTIVE_POWER: PollClass.FAST,
        Q.CURRENT: PollClass.FAST,
        Q.FREQUENCY: PollClass.FREQUENCY,
        Q.PULSE_OUTPUT_ACTIVE: PollClass.STATE_FAST,
        Q.REVERSE_PHASE_SEQUENCE: PollClass.STATE_SLOW,
        Q.MID_CERTIFICATION_VALID: PollClass.CERTIFICATE,
        Q.DEMAND_PEAK_TIMESTAMP: PollClass.ON_CHANGE,
    }
)
_SLOW_WORDS = ("energy", "demand", "thd", "tdd", "k_factor", "crest", "_hours", "unbalance")

_SINGLE_PHASE = frozenset({Phase.L1, Phase.L1_N, Phase.N, Phase.TOTAL})
_LINE_TO_NEUTRAL = frozenset({Phase.L1_N, Phase.L2_N, Phase.L3_N, Phase.AVERAGE_LN, Phase.N})
_POLYPHASE_ONLY = frozenset(
    {
        Q.VOLTAGE_UNBALANCE,
        Q.CURRENT_UNBALANCE,
        Q.VOLTAGE_UNBALANCE_ALARM,
        Q.CURRENT_UNBALANCE_ALARM,
        Q.VOLTAGE_UNBALANCE_THRESHOLD,
        Q.CURRENT_UNBALANCE_THRESHOLD,
        Q.REVERSE_PHASE_SEQUENCE,
    }
)


def is_energy(meaning: Meaning) -> bool:
    """Tell whether the point counts energy (a billed register, or one that a user may zero)."""
    return meaning.quantity in ENERGIES and meaning.statistic in (Statistic.PRESENT, Statistic.PARTIAL)


def is_time(meaning: Meaning) -> bool:
    """Tell whether the point states when something was."""
    return meaning.quantity in (Q.DEMAND_PEAK_TIMESTAMP, Q.DEVICE_CLOCK) or meaning.statistic in TIME_STATISTICS


def natural_kind(meaning: Meaning) -> Kind | None:
    """Return the kind that the meaning alone decides, None where type and states do."""
    if is_time(meaning):
        return Kind.TIME
    if is_energy(meaning):
        return Kind.ACCUMULATOR
    if meaning.quantity in _IDENTITY:
        return Kind.TEXT
    if meaning.quantity in _MULTISTATE:
        return Kind.MULTISTATE
    return Kind.BINARY if meaning.quantity in STATES else None


def natural_role(meaning: Meaning, writable: bool) -> Role:
    """Return what the point is for."""
    if meaning.quantity in _IDENTITY:
        return Role.IDENTITY
    if meaning.quantity in _COMMANDS or (meaning.quantity is Q.DIGITAL_OUTPUT and writable):
        return Role.COMMAND
    if meaning.quantity in _SETTINGS:
        return Role.SETTING
    return Role.STATUS if meaning.quantity in _STATUS else Role.MEASUREMENT


def natural_poll(meaning: Meaning, kind: Kind, role: Role) -> PollClass:
    """Return the poll class of CONFIG.md's table."""
    if role in (Role.SETTING, Role.COMMAND, Role.IDENTITY) or kind is Kind.TIME:
        return PollClass.ON_CHANGE
    if role is Role.STATUS:
        return _POLL.get(meaning.quantity, PollClass.STATE)
    if meaning.statistic is not Statistic.PRESENT or any(word in meaning.quantity.value for word in _SLOW_WORDS):
        return PollClass.SLOW
    if meaning.quantity is Q.CURRENT and meaning.phase is Phase.N:
        return PollClass.NORMAL
    return _POLL.get(meaning.quantity, PollClass.NORMAL)


def only_unit(dimension: Dimension, own: bool) -> str | None:
    """Return the unit of a dimension that has only one, or the bridge's `own` choice; None: the file must say it."""
    symbols = [unit.symbol for unit in UNITS.values() if unit.dimension is dimension]
    if len(symbols) == 1:
        return symbols[0]
    return _OWN_UNITS.get(dimension) if own else None


def exists(meaning: Meaning, wiring: Wiring) -> bool:
    """Tell whether a meter connected like this can know the point (REQUIREMENTS a-06, M-08)."""
    if wiring is Wiring.SINGLE_PHASE:
        return meaning.phase in _SINGLE_PHASE and meaning.quantity not in _POLYPHASE_ONLY
    return wiring is Wiring.FOUR_WIRE or meaning.phase not in _LINE_TO_NEUTRAL
