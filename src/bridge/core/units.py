"""Engineering units: the canonical symbol of each, its dimension and its factor to the base unit."""

import enum
from dataclasses import dataclass


class Dimension(enum.Enum):
    """What a unit measures; units of one dimension convert into one another."""

    NONE = "none"
    VOLTAGE = "voltage"
    CURRENT = "current"
    ACTIVE_POWER = "active power"
    REACTIVE_POWER = "reactive power"
    APPARENT_POWER = "apparent power"
    ACTIVE_ENERGY = "active energy"
    REACTIVE_ENERGY = "reactive energy"
    APPARENT_ENERGY = "apparent energy"
    FREQUENCY = "frequency"
    RATIO = "ratio"
    ANGLE = "angle"
    TIME = "time"
    TEMPERATURE = "temperature"
    VOLT_SQUARE_HOURS = "volt square hours"
    AMPERE_SQUARE_HOURS = "ampere square hours"
    PULSE_WEIGHT = "energy per pulse"
    BIT_RATE = "bit rate"


@dataclass(frozen=True, slots=True)
class Unit:
    """`exponent`: 1 of this unit is 10**exponent of the base unit; None where it is no power of ten."""

    symbol: str
    dimension: Dimension
    exponent: int | None = 0


_ALL = (
    Unit("", Dimension.NONE),
    Unit("mV", Dimension.VOLTAGE, -3),
    Unit("V", Dimension.VOLTAGE),
    Unit("kV", Dimension.VOLTAGE, 3),
    Unit("mA", Dimension.CURRENT, -3),
    Unit("A", Dimension.CURRENT),
    Unit("kA", Dimension.CURRENT, 3),
    Unit("W", Dimension.ACTIVE_POWER),
    Unit("kW", Dimension.ACTIVE_POWER, 3),
    Unit("MW", Dimension.ACTIVE_POWER, 6),
    Unit("var", Dimension.REACTIVE_POWER),
    Unit("kvar", Dimension.REACTIVE_POWER, 3),
    Unit("Mvar", Dimension.REACTIVE_POWER, 6),
    Unit("VA", Dimension.APPARENT_POWER),
    Unit("kVA", Dimension.APPARENT_POWER, 3),
    Unit("MVA", Dimension.APPARENT_POWER, 6),
    Unit("Wh", Dimension.ACTIVE_ENERGY),
    Unit("kWh", Dimension.ACTIVE_ENERGY, 3),
    Unit("MWh", Dimension.ACTIVE_ENERGY, 6),
    Unit("varh", Dimension.REACTIVE_ENERGY),
    Unit("kvarh", Dimension.REACTIVE_ENERGY, 3),
    Unit("Mvarh", Dimension.REACTIVE_ENERGY, 6),
    Unit("VAh", Dimension.APPARENT_ENERGY),
    Unit("kVAh", Dimension.APPARENT_ENERGY, 3),
    Unit("MVAh", Dimension.APPARENT_ENERGY, 6),
    Unit("Hz", Dimension.FREQUENCY),
    Unit("%", Dimension.RATIO, -2),
    Unit("deg", Dimension.ANGLE),
    Unit("ms", Dimension.TIME, -3),
    Unit("s", Dimension.TIME),
    Unit("min", Dimension.TIME, None),
    Unit("h", Dimension.TIME, None),
    Unit("degC", Dimension.TEMPERATURE),
    Unit("V2h", Dimension.VOLT_SQUARE_HOURS),
    Unit("A2h", Dimension.AMPERE_SQUARE_HOURS),
    Unit("Wh/pulse", Dimension.PULSE_WEIGHT),
    Unit("bit/s", Dimension.BIT_RATE),
)

# Symbol -> unit; the only spelling the bridge accepts.
UNITS = {unit.symbol: unit for unit in _ALL}
