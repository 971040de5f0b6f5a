"""Engineering units of a point as BACnet numbers them (135-2020, clause 21, BACnetEngineeringUnits)."""

from bridge.core.point import PointDef
from bridge.core.quantity import Quantity

NO_UNITS, POWER_FACTOR = 95, 15
# BACnet has no kiloampere.
AMPERES = 3
_NUMBERS = {
    "": NO_UNITS,
    "mV": 124,
    "V": 5,
    "kV": 6,
    "mA": 2,
    "A": AMPERES,
    "kA": AMPERES,
    "W": 47,
    "kW": 48,
    "MW": 49,
    "var": 11,
    "kvar": 12,
    "Mvar": 13,
    "VA": 8,
    "kVA": 9,
    "MVA": 10,
    "Wh": 18,
    "kWh": 19,
    "MWh": 146,
    "varh": 242,
    "kvarh": 243,
    "Mvarh": 244,
    "VAh": 239,
    "kVAh": 240,
    "MVAh": 241,
    "Hz": 27,
    "%": 98,
    "deg": 14,
    "ms": 159,
    "s": 73,
    "min": 72,
    "h": 71,
    "degC": 62,
    "V2h": 245,
    "A2h": 246,
}
# Names of clause 21 for the exports and documents.
NAMES = {
    124: "millivolts",
    5: "volts",
    6: "kilovolts",
    2: "milliamperes",
    3: "amperes",
    47: "watts",
    48: "kilowatts",
    49: "megawatts",
    11: "volt-amperes-reactive",
    12: "kilovolt-amperes-reactive",
    13: "megavolt-amperes-reactive",
    8: "volt-amperes",
    9: "kilovolt-amperes",
    10: "megavolt-amperes",
    18: "watt-hours",
    19: "kilowatt-hours",
    146: "megawatt-hours",
    242: "volt-ampere-hours-reactive",
    243: "kilovolt-ampere-hours-reactive",
    244: "megavolt-ampere-hours-reactive",
    239: "volt-ampere-hours",
    240: "kilovolt-ampere-hours",
    241: "megavolt-ampere-hours",
    27: "hertz",
    98: "percent",
    14: "degrees-phase",
    159: "milliseconds",
    73: "seconds",
    72: "minutes",
    71: "hours",
    62: "degrees-celsius",
    245: "volt-square-hours",
    246: "ampere-square-hours",
    NO_UNITS: "no-units",
    POWER_FACTOR: "power-factor",
}
_POWER_FACTORS = frozenset({Quantity.POWER_FACTOR, Quantity.COS_PHI})


def units_of(definition: PointDef) -> tuple[int, float]:
    """Return the number of the unit and the factor that brings the value of the point into it."""
    if definition.meaning.quantity in _POWER_FACTORS and not definition.unit:
        return POWER_FACTOR, 1.0
    return _NUMBERS.get(definition.unit, NO_UNITS), 1000.0 if definition.unit == "kA" else 1.0
