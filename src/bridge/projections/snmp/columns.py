"""
The typed columns: what a quantity is called in the MIB, which sub-identifier it has and in which steps it is shown.

    sub-identifier = QQ SS DD PP T: quantity, statistic, direction, phase (or number of an input), tariff

It follows from the meaning alone, so that one MIB serves every site and dashboards move from site to site. The
numbers below are public: never change one, never use one again.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bridge.core.point import Kind, PointDef
from bridge.core.quantity import Direction, Meaning, Phase, Quantity, Statistic
from bridge.core.units import UNITS, Dimension
from bridge.projections.snmp.plan import Column, Shape

Q = Quantity
QUANTITIES: Mapping[Quantity, int] = MappingProxyType(
    {
        Q.ACTIVE_POWER: 1, Q.REACTIVE_POWER: 2, Q.APPARENT_POWER: 3, Q.POWER_FACTOR: 4, Q.COS_PHI: 5,
        Q.VOLTAGE: 6, Q.CURRENT: 7, Q.RESIDUAL_CURRENT: 8, Q.FREQUENCY: 9, Q.PHASE_ANGLE: 10, Q.TEMPERATURE: 11,
        Q.ACTIVE_ENERGY: 12, Q.REACTIVE_ENERGY: 13, Q.APPARENT_ENERGY: 14,
        Q.VOLT_SQUARE_HOURS: 15, Q.AMPERE_SQUARE_HOURS: 16,
        Q.ACTIVE_DEMAND: 17, Q.REACTIVE_DEMAND: 18, Q.APPARENT_DEMAND: 19, Q.CURRENT_DEMAND: 20,
        Q.DEMAND_PEAK_CURRENT: 21, Q.DEMAND_PEAK_TIMESTAMP: 22,
        Q.VOLTAGE_UNBALANCE: 23, Q.CURRENT_UNBALANCE: 24, Q.THD_VOLTAGE: 25, Q.THD_CURRENT: 26,
        Q.THD_R_VOLTAGE: 27, Q.THD_R_CURRENT: 28, Q.TDD_CURRENT: 29, Q.K_FACTOR_CURRENT: 30,
        Q.CREST_FACTOR_VOLTAGE: 31, Q.CREST_FACTOR_CURRENT: 32, Q.RUN_HOURS: 33, Q.ACTIVE_TARIFF: 34,
        Q.COMMUNICATION_STATUS: 35, Q.PHASE_LOSS: 36, Q.OVERLOAD_ALARM: 37, Q.ENERGY_DIRECTION: 38,
        Q.TAMPER_ALARM: 39, Q.MID_CERTIFICATION_VALID: 40, Q.PULSE_OUTPUT_ACTIVE: 41, Q.METER_ERROR: 42,
        Q.VOLTAGE_UNBALANCE_ALARM: 43, Q.CURRENT_UNBALANCE_ALARM: 44, Q.REVERSE_PHASE_SEQUENCE: 45,
        Q.TEST_MODE: 46, Q.BILLING_LOCK: 47, Q.DIGITAL_INPUT: 48, Q.DIGITAL_OUTPUT: 49,
        Q.RESET_DEMAND_PEAK: 50, Q.RESET_MIN_MAX: 51, Q.RESET_PARTIAL_ENERGY: 52, Q.SYNC_CLOCK: 53,
        Q.TARIFF_SELECT: 54, Q.CT_PRIMARY_RATING: 55, Q.CT_SECONDARY_RATING: 56, Q.PT_PRIMARY_RATING: 57,
        Q.PT_SECONDARY_RATING: 58, Q.DEMAND_INTERVAL: 59, Q.PULSE_CONSTANT: 60, Q.MODBUS_ADDRESS: 61,
        Q.MODBUS_BAUDRATE: 62, Q.DISPLAY_BACKLIGHT_TIMEOUT: 63, Q.OVERLOAD_THRESHOLD: 64,
        Q.VOLTAGE_UNBALANCE_THRESHOLD: 65, Q.CURRENT_UNBALANCE_THRESHOLD: 66, Q.NETWORK_TYPE: 67,
        Q.SERIAL_NUMBER: 68, Q.MODEL: 69, Q.VENDOR: 70, Q.FIRMWARE_VERSION: 71, Q.PRODUCT_FAMILY: 72,
        Q.PRODUCT_ID: 73, Q.TABLE_VERSION: 74, Q.OPTIONS: 75, Q.EVENT_FLAGS: 76, Q.DEVICE_NAME: 77,
        Q.DEVICE_CLOCK: 78,
    }
)  # fmt: skip
S = Statistic
STATISTICS: Mapping[Statistic, int] = MappingProxyType(
    {
        S.PRESENT: 0, S.MINIMUM: 1, S.MAXIMUM: 2, S.MEAN: 3, S.PEAK: 4, S.PREDICTED: 5,
        S.MINIMUM_TIME: 6, S.MAXIMUM_TIME: 7, S.PEAK_TIME: 8, S.PARTIAL: 9, S.INDICATIVE: 10, S.COINCIDENT: 11,
    }
)  # fmt: skip
D = Direction
DIRECTIONS: Mapping[Direction, int] = MappingProxyType(
    {
        D.NONE: 0, D.IMPORT: 1, D.EXPORT: 2, D.NET: 3, D.SUM: 4, D.INDUCTIVE: 5, D.CAPACITIVE: 6,
        D.Q1: 7, D.Q2: 8, D.Q3: 9, D.Q4: 10,
    }
)  # fmt: skip
P = Phase
PHASES: Mapping[Phase, int] = MappingProxyType(
    {
        P.TOTAL: 0, P.L1: 1, P.L2: 2, P.L3: 3, P.N: 4, P.L1_N: 5, P.L2_N: 6, P.L3_N: 7,
        P.L1_L2: 8, P.L2_L3: 9, P.L3_L1: 10, P.AVERAGE: 11, P.AVERAGE_LN: 12, P.AVERAGE_LL: 13,
    }
)  # fmt: skip

# Power of ten of the base unit in which a dimension is shown, and how UNITS says it. Integer32 then reaches 21 MV,
# 2.1 MA, 2.1 GW.
_STEPS: Mapping[Dimension, tuple[int, str]] = MappingProxyType(
    {
        Dimension.VOLTAGE: (-2, "0.01 V"),
        Dimension.CURRENT: (-3, "mA"),
        Dimension.ACTIVE_POWER: (0, "W"),
        Dimension.REACTIVE_POWER: (0, "var"),
        Dimension.APPARENT_POWER: (0, "VA"),
        Dimension.FREQUENCY: (-3, "mHz"),
        # a ratio's base unit is 1, its step a hundredth of a per cent
        Dimension.RATIO: (-4, "0.01 %"),
        Dimension.ANGLE: (-1, "0.1 deg"),
        Dimension.TEMPERATURE: (-1, "0.1 degC"),
        Dimension.TIME: (0, "s"),
        Dimension.PULSE_WEIGHT: (-2, "0.01 Wh/pulse"),
        Dimension.BIT_RATE: (0, "bit/s"),
        Dimension.NONE: (-3, "0.001"),
    }
)
_COUNTERS = {
    Dimension.ACTIVE_ENERGY: "Wh",
    Dimension.REACTIVE_ENERGY: "varh",
    Dimension.APPARENT_ENERGY: "VAh",
    Dimension.VOLT_SQUARE_HOURS: "V2h",
    Dimension.AMPERE_SQUARE_HOURS: "A2h",
}
# Seconds of the units that are no power of ten of the base unit
SECONDS = {"min": 60, "h": 3600}

_LABEL = re.compile(r"[^A-Za-z0-9]+")
_PHASE_WORDS = {
    P.L1: "of phase L1", P.L2: "of phase L2", P.L3: "of phase L3", P.N: "of the neutral conductor",
    P.L1_N: "between L1 and neutral", P.L2_N: "between L2 and neutral", P.L3_N: "between L3 and neutral",
    P.L1_L2: "between L1 and L2", P.L2_L3: "between L2 and L3", P.L3_L1: "between L3 and L1",
    P.AVERAGE: "averaged over the phases", P.AVERAGE_LN: "line to neutral, averaged over the phases",
    P.AVERAGE_LL: "line to line, averaged over the phases",
}  # fmt: skip
_DIRECTION_WORDS = {
    D.IMPORT: "delivered to the load", D.EXPORT: "received from the load", D.NET: "delivered minus received",
    D.SUM: "delivered plus received", D.INDUCTIVE: "inductive", D.CAPACITIVE: "capacitive",
    D.Q1: "quadrant 1", D.Q2: "quadrant 2", D.Q3: "quadrant 3", D.Q4: "quadrant 4",
}  # fmt: skip
_STATISTIC_WORDS = {
    S.MINIMUM: "minimum", S.MAXIMUM: "maximum", S.MEAN: "mean", S.PEAK: "peak", S.PREDICTED: "predicted",
    S.MINIMUM_TIME: "time of the minimum", S.MAXIMUM_TIME: "time of the maximum", S.PEAK_TIME: "time of the peak",
    S.PARTIAL: "since it was last set to zero by a user", S.INDICATIVE: "indicative, not for billing",
    S.COINCIDENT: "in the window of the peak of the active power",
}  # fmt: skip


def arc_of(meaning: Meaning) -> int:
    """Return the sub-identifier of a quantity, 0 for what the vocabulary has no word for."""
    quantity = QUANTITIES.get(meaning.quantity, 0)
    if not quantity:
        return 0
    where = meaning.number or PHASES[meaning.phase]
    digits = (STATISTICS[meaning.statistic] * 100 + DIRECTIONS[meaning.direction]) * 100 + where
    return (quantity * 1_000_000 + digits) * 10 + meaning.tariff


def name_of(meaning: Meaning) -> str:
    """Return the descriptor: a lower-case letter first, letters and digits only (RFC 2578, 3.1)."""
    words = ["meter", meaning.quantity.value]
    words += [meaning.phase.value] if meaning.phase is not P.TOTAL else []
    words += [meaning.direction.value] if meaning.direction is not D.NONE else []
    words += [meaning.statistic.value] if meaning.statistic is not S.PRESENT else []
    words += [f"t{meaning.tariff}"] if meaning.tariff else []
    words += [str(meaning.number)] if meaning.number else []
    first, *rest = "_".join(words).split("_")
    return first + "".join(word.capitalize() for word in rest)


def description_of(meaning: Meaning, units: str) -> str:
    """Return what an operator reads: quantity, place, direction, unit."""
    head = meaning.quantity.value.replace("_", " ")
    head = head[0].upper() + head[1:]
    words = [f"{head} {meaning.number}" if meaning.number else head]
    words += [_PHASE_WORDS[meaning.phase]] if meaning.phase in _PHASE_WORDS else []
    parts = [" ".join(words)]
    parts += [_DIRECTION_WORDS[meaning.direction]] if meaning.direction in _DIRECTION_WORDS else []
    parts += [_STATISTIC_WORDS[meaning.statistic]] if meaning.statistic in _STATISTIC_WORDS else []
    parts += [f"tariff {meaning.tariff}"] if meaning.tariff else []
    return (
        ", ".join(parts) + "." + (f" In steps of {units}." if units[:1].isdigit() else f" In {units}." if units else "")
    )


def column_of(definition: PointDef, alike: Iterable[PointDef]) -> Column | None:
    """
    Return the typed column of a point, None for what has none. `alike`: every point that shares it.

    An energy that is no accumulator (a copy in a float) has no typed column: nobody shall bill from it.
    """
    meaning = definition.meaning
    arc, name = arc_of(meaning), name_of(meaning)
    dimension = UNITS[definition.unit].dimension
    if not arc:
        return None
    match definition.kind:
        case Kind.ACCUMULATOR:
            units = _COUNTERS.get(dimension, "")
            shape = Shape.DECIMAL if meaning.direction is D.NET else Shape.COUNTER
            return Column(arc, name, shape, units, description_of(meaning, units))
        case Kind.ANALOG:
            if dimension not in _STEPS:
                return None
            power, units = _STEPS[dimension]
            return Column(arc, name, Shape.SCALED, units, description_of(meaning, units), power)
        case Kind.BINARY | Kind.MULTISTATE:
            states = {point.states for point in alike}
            codes = "; ".join(sorted({f"{code} = {text}" for some in states for code, text in some}))
            text = description_of(meaning, "") + (f" Codes: {codes}." if codes else "")
            return Column(arc, name, Shape.STATE, "", text, 0, labels(states.pop()) if len(states) == 1 else ())
        case Kind.TEXT:
            return Column(arc, name, Shape.TEXT, "", description_of(meaning, ""))
        case Kind.TIME:
            return Column(arc, name, Shape.TIME, "", description_of(meaning, ""))


def labels(states: Iterable[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """Return states as labels of an enumeration (RFC 2578, 7.1.1), empty where that cannot be."""
    made: dict[int, str] = {}
    for code, text in states:
        first, *rest = [word for word in _LABEL.split(text) if word] or [""]
        made[code] = (
            (first if first.isupper() and len(first) > 1 else first[:1].lower() + first[1:]).lower()
            if not rest
            else first.lower()
        )
        made[code] += "".join(word.capitalize() for word in rest)
        if not made[code][:1].isalpha() or len(made[code]) > 64:
            return ()
    return tuple(made.items()) if len(set(made.values())) == len(made) else ()
