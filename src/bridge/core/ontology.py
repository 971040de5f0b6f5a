"""
Project Haystack tags and the Brick class of a point, out of its meaning.

The rule one must not break: for the 53 names of the submeter list (seed 003) the answer is the list's own, so that
every meter tags a quantity as the list does, whatever file it came from. The list mixes Brick versions, and no version
knows all its classes: Active_Energy_Sensor and Peak_Power_Demand_Sensor are of 1.1, Reactive_Energy_Sensor came with
1.3, Apparent_Power_Sensor with 1.5.
"""

from collections.abc import Mapping
from types import MappingProxyType

from bridge.core.point import Role
from bridge.core.quantity import Direction, Meaning, Phase, Quantity, Statistic

Q = Quantity

# What is measured: its tags, between `sensor` and the place, and its class
_MEASURED: Mapping[Quantity, tuple[str, str]] = MappingProxyType(
    {
        Q.ACTIVE_POWER: ("elec power active", "Active_Power_Sensor"),
        Q.REACTIVE_POWER: ("elec power reactive", "Reactive_Power_Sensor"),
        Q.APPARENT_POWER: ("elec power apparent", "Apparent_Power_Sensor"),
        Q.POWER_FACTOR: ("elec pf", "Power_Factor_Sensor"),
        Q.COS_PHI: ("elec pf", "Power_Factor_Sensor"),
        Q.VOLTAGE: ("elec volt", "Voltage_Sensor"),
        Q.CURRENT: ("elec current", "Current_Sensor"),
        Q.RESIDUAL_CURRENT: ("elec current residual", "Current_Sensor"),
        Q.FREQUENCY: ("elec freq", "Frequency_Sensor"),
        Q.PHASE_ANGLE: ("elec angle", "Angle_Sensor"),
        Q.ACTIVE_ENERGY: ("elec energy active", "Active_Energy_Sensor"),
        Q.REACTIVE_ENERGY: ("elec energy reactive", "Reactive_Energy_Sensor"),
        Q.APPARENT_ENERGY: ("elec energy apparent", "Apparent_Energy_Sensor"),
        Q.ACTIVE_DEMAND: ("elec demand power active", "Demand_Sensor"),
        Q.REACTIVE_DEMAND: ("elec demand power reactive", "Demand_Sensor"),
        Q.APPARENT_DEMAND: ("elec demand power apparent", "Demand_Sensor"),
        Q.CURRENT_DEMAND: ("elec demand current", "Demand_Sensor"),
        Q.DEMAND_PEAK_CURRENT: ("elec demand peak power active", "Peak_Power_Demand_Sensor"),
        Q.THD_VOLTAGE: ("elec volt thd", "Voltage_Sensor"),
        Q.THD_CURRENT: ("elec current thd", "Current_Sensor"),
        Q.VOLTAGE_UNBALANCE: ("elec volt unbalance", "Voltage_Sensor"),
        Q.CURRENT_UNBALANCE: ("elec current unbalance", "Current_Sensor"),
    }
)
# Everything else: all tags but `point`, and the class
_STATED: Mapping[Quantity, tuple[str, str]] = MappingProxyType(
    {
        Q.DEMAND_PEAK_TIMESTAMP: ("sensor elec demand peak datetime", "Sensor"),
        Q.TEMPERATURE: ("sensor temp", "Temperature_Sensor"),
        Q.RUN_HOURS: ("sensor elec runtime", "Run_Time_Sensor"),
        Q.RESET_DEMAND_PEAK: ("cmd elec demand reset", "Command"),
        Q.SYNC_CLOCK: ("cmd datetime sync", "Command"),
        Q.COMMUNICATION_STATUS: ("sensor comm status", "Status"),
        Q.PHASE_LOSS: ("sensor elec fault", "Fault_Status"),
        Q.OVERLOAD_ALARM: ("sensor elec alarm overload", "Alarm"),
        Q.ENERGY_DIRECTION: ("sensor elec energy direction", "Status"),
        Q.TAMPER_ALARM: ("sensor security tamper alarm", "Alarm"),
        Q.MID_CERTIFICATION_VALID: ("sensor certification mid status", "Status"),
        Q.PULSE_OUTPUT_ACTIVE: ("sensor pulse output status", "Status"),
        Q.METER_ERROR: ("sensor fault meter", "Fault_Status"),
        Q.VOLTAGE_UNBALANCE_ALARM: ("sensor elec volt alarm unbalance", "Alarm"),
        Q.CURRENT_UNBALANCE_ALARM: ("sensor elec current alarm unbalance", "Alarm"),
        Q.REVERSE_PHASE_SEQUENCE: ("sensor elec alarm phase sequence", "Alarm"),
        Q.CT_PRIMARY_RATING: ("config elec current ct primary", "Parameter"),
        Q.CT_SECONDARY_RATING: ("config elec current ct secondary", "Parameter"),
        Q.DEMAND_INTERVAL: ("config elec demand interval", "Parameter"),
        Q.PULSE_CONSTANT: ("config pulse constant", "Parameter"),
        Q.MODBUS_ADDRESS: ("config comm modbus address", "Parameter"),
        Q.MODBUS_BAUDRATE: ("config comm modbus baudrate", "Parameter"),
        Q.DISPLAY_BACKLIGHT_TIMEOUT: ("config display backlight timeout", "Parameter"),
        Q.OVERLOAD_THRESHOLD: ("config elec alarm overload threshold", "Parameter"),
        Q.VOLTAGE_UNBALANCE_THRESHOLD: ("config elec volt alarm unbalance threshold", "Parameter"),
        Q.CURRENT_UNBALANCE_THRESHOLD: ("config elec current alarm unbalance threshold", "Parameter"),
    }
)
_OTHERS: Mapping[Role, tuple[str, str]] = MappingProxyType(
    {
        Role.MEASUREMENT: ("sensor", "Sensor"),
        Role.STATUS: ("sensor status", "Status"),
        Role.COMMAND: ("cmd", "Command"),
        Role.SETTING: ("config", "Parameter"),
        Role.IDENTITY: ("", ""),
    }
)
_PLACES: Mapping[Phase, tuple[str, ...]] = MappingProxyType(
    {
        Phase.TOTAL: (),
        Phase.L1: ("phase", "L1"),
        Phase.L2: ("phase", "L2"),
        Phase.L3: ("phase", "L3"),
        Phase.N: ("neutral",),
        Phase.L1_N: ("phase", "L1"),
        Phase.L2_N: ("phase", "L2"),
        Phase.L3_N: ("phase", "L3"),
        Phase.L1_L2: ("phase", "L1", "L2"),
        Phase.L2_L3: ("phase", "L2", "L3"),
        Phase.L3_L1: ("phase", "L3", "L1"),
        Phase.AVERAGE: ("avg",),
        Phase.AVERAGE_LN: ("avg",),
        Phase.AVERAGE_LL: ("avg",),
    }
)
# Quantities whose sum over the phases the list tags as such
_TOTALLED = frozenset({Q.ACTIVE_POWER, Q.REACTIVE_POWER, Q.APPARENT_POWER, Q.POWER_FACTOR, Q.COS_PHI})


def haystack_tags(meaning: Meaning, role: Role) -> tuple[str, ...]:
    """Return the marker tags, `point` last; none for what identifies a device, which is no point to Haystack."""
    place = _PLACES[meaning.phase]
    if meaning.quantity in _MEASURED:
        words = _MEASURED[meaning.quantity][0].split()
        if meaning.direction is not Direction.NONE:
            words.append(meaning.direction.value)
        if meaning.phase is Phase.TOTAL and meaning.quantity in _TOTALLED:
            place = ("total",)
        statistic = () if meaning.statistic is Statistic.PRESENT else tuple(meaning.statistic.value.split("_"))
        return ("sensor", *words, *place, *statistic, "ac", "point")
    words = _STATED.get(meaning.quantity, _OTHERS[role])[0].split()
    return (*words, *place, "point") if words else ()


def brick_class(meaning: Meaning, role: Role) -> str:
    """Return the class name without its namespace; empty for what identifies a device."""
    found = _MEASURED.get(meaning.quantity) or _STATED.get(meaning.quantity)
    return (found or _OTHERS[role])[1]
