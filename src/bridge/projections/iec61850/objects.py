"""
What a point is in IEC 61850-7-4: its logical node, data object, unit and multiplier, out of its meaning alone.

What the standard has no object for gets a numbered one of GGIO; a text or a time, which GGIO has not, one of class VSS
under a name of our own. Qualifiers become the node's prefix: L1MMTR1.SupWh is the import of phase 1, T2MMTR1.SupWh that
of tariff 2, MaxMMXU1.TotW the maximum of the power, MMXU2 the second circuit.
"""

from dataclasses import dataclass
from typing import Final

from bridge.core.point import Kind, PointDef, Role
from bridge.core.quantity import ENERGIES, Direction, Meaning, Phase, Quantity, Statistic
from bridge.core.units import UNITS, Dimension
from bridge.projections.iec61850.catalogue import MULTIPLIER_TEXT, SiUnit
from bridge.projections.iec61850.settings import Import

_Q, _P, _D, _S = Quantity, Phase, Direction, Statistic


@dataclass(frozen=True, slots=True)
class Spot:
    """A standard data object: L1MMTR1.SupWh is Spot("L1", "MMTR", 1, "SupWh")."""

    prefix: str
    ln_class: str
    inst: int
    object: str
    phase: str = ""


_PHASES: Final = {
    _P.L1: "phsA", _P.L2: "phsB", _P.L3: "phsC", _P.L1_N: "phsA", _P.L2_N: "phsB", _P.L3_N: "phsC", _P.N: "neut",
    _P.L1_L2: "phsAB", _P.L2_L3: "phsBC", _P.L3_L1: "phsCA",
}  # fmt: skip
_LINE: Final = frozenset({_P.L1_L2, _P.L2_L3, _P.L3_L1})
# Quantity -> (object per phase, object of the whole, object of the mean over the phases) of MMXU.
_MEASURED: Final = {
    _Q.ACTIVE_POWER: ("W", "TotW", "AvWPhs"),
    _Q.REACTIVE_POWER: ("VAr", "TotVAr", "AvVArPhs"),
    _Q.APPARENT_POWER: ("VA", "TotVA", "AvVAPhs"),
    _Q.POWER_FACTOR: ("PF", "TotPF", "AvPFPhs"),
    _Q.CURRENT: ("A", "", "AvAPhs"),
    _Q.VOLTAGE: ("PhV", "", ""),
}
_AVERAGE_VOLTAGE: Final = {_P.AVERAGE_LN: "AvPhVPhs", _P.AVERAGE_LL: "AvPPVPhs"}
# Quantity -> (mean over the interval, its maximum) of MSTA.
_DEMAND: Final = {
    _Q.ACTIVE_DEMAND: ("AvW", "MaxW"),
    _Q.REACTIVE_DEMAND: ("AvVAr", "MaxVAr"),
    _Q.APPARENT_DEMAND: ("AvVA", "MaxVA"),
    _Q.CURRENT_DEMAND: ("AvAmps", "MaxAmps"),
    _Q.DEMAND_PEAK_CURRENT: ("MaxW", ""),
}
_ENERGY: Final = {_Q.ACTIVE_ENERGY: "Wh", _Q.REACTIVE_ENERGY: "VArh"}
_STATISTIC: Final = {
    _S.MAXIMUM: "Max",
    _S.MINIMUM: "Min",
    _S.MEAN: "Avg",
    _S.PEAK: "Pk",
    _S.PREDICTED: "Prd",
    _S.PARTIAL: "Prt",
    _S.COINCIDENT: "Coi",
}
_DIRECTION: Final = {
    _D.IMPORT: "Imp", _D.EXPORT: "Exp", _D.NET: "Net", _D.SUM: "Sum", _D.INDUCTIVE: "Ind", _D.CAPACITIVE: "Cap",
    _D.Q1: "Q1", _D.Q2: "Q2", _D.Q3: "Q3", _D.Q4: "Q4",
}  # fmt: skip
_UNITS: Final = {
    Dimension.VOLTAGE: SiUnit.VOLT,
    Dimension.CURRENT: SiUnit.AMPERE,
    Dimension.ACTIVE_POWER: SiUnit.WATT,
    Dimension.REACTIVE_POWER: SiUnit.VAR,
    Dimension.APPARENT_POWER: SiUnit.VOLT_AMPERE,
    Dimension.ACTIVE_ENERGY: SiUnit.WATT_HOUR,
    Dimension.REACTIVE_ENERGY: SiUnit.VAR_HOUR,
    Dimension.APPARENT_ENERGY: SiUnit.VOLT_AMPERE_HOUR,
    Dimension.FREQUENCY: SiUnit.HERTZ,
    Dimension.ANGLE: SiUnit.DEGREE,
    Dimension.TEMPERATURE: SiUnit.CELSIUS,
}
_TIMES: Final = {"ms": (SiUnit.SECOND, -3), "s": (SiUnit.SECOND, 0), "min": (SiUnit.MINUTE, 0), "h": (SiUnit.HOUR, 0)}
# 10**10 is the largest power of ten that FLOAT32 holds exactly.
_PULSE_MOST: Final = 10


def spot_of(definition: PointDef, import_energy: Import) -> Spot | None:
    """Return the standard object of a point; None for what only GGIO can show."""
    meaning = definition.meaning
    if meaning.statistic is _S.INDICATIVE or definition.role is not Role.MEASUREMENT:
        return None
    if definition.kind is Kind.ACCUMULATOR:
        return _energy(meaning, import_energy)
    if definition.kind is not Kind.ANALOG or meaning.tariff:
        return None
    if meaning.quantity in _DEMAND:
        return _demand(meaning)
    return _measured(meaning) or _harmonic(meaning)


def generic_stem(definition: PointDef, output: bool) -> str:
    """Return the name, without its number, of the generic object of a point. `output`: a client may command it."""
    output = output or definition.role is Role.COMMAND
    match definition.kind:
        case Kind.BINARY:
            return "SPCSO" if output else "Ind"
        case Kind.MULTISTATE:
            return "ISCSO" if output else "IntIn"
        case Kind.ANALOG:
            return "AnOut" if output else "AnIn"
        case Kind.ACCUMULATOR:
            return "CntVal"
        case Kind.TEXT | Kind.TIME:
            return "Txt"


def unit_of(definition: PointDef) -> tuple[SiUnit, int]:
    """Return the unit and the power of ten a value of the point has; a percentage is unit 1 with -2."""
    if definition.unit in _TIMES:
        return _TIMES[definition.unit]
    if definition.meaning.quantity in (_Q.POWER_FACTOR, _Q.COS_PHI):
        return SiUnit.COS_PHI, 0
    unit = UNITS.get(definition.unit)
    if unit is None:
        return SiUnit.NONE, 0
    exponent = unit.exponent or 0
    if unit.dimension in _UNITS:
        return _UNITS[unit.dimension], exponent
    return SiUnit.NONE, exponent if unit.dimension is Dimension.RATIO else 0


def pulse_of(exponent: int) -> tuple[float, int]:
    """
    Split 10**`exponent` of a unit into (pulsQty, multiplier), the first a whole power of ten and exact in FLOAT32.

    10 Wh is (10, 0) and never 0.01 kWh. Raises: ValueError beyond 10**10 or below 10**-6.
    """
    if 0 <= exponent <= _PULSE_MOST:
        return 10.0**exponent, 0
    for multiplier in sorted(MULTIPLIER_TEXT, reverse=True):
        if multiplier <= exponent < 0:
            return 10.0 ** (exponent - multiplier), multiplier
    raise ValueError(f"10**{exponent} has no pulsQty")


def _prefix(meaning: Meaning, phase: bool = False, direction: bool = False) -> str:
    words = [_STATISTIC.get(meaning.statistic, "")]
    if direction:
        words.append(_DIRECTION.get(meaning.direction, ""))
    if phase and meaning.phase is not _P.TOTAL:
        words.append("".join(part.capitalize() for part in meaning.phase.value.split("_")))
    if meaning.tariff:
        words.append(f"T{meaning.tariff}")
    return "".join(words)


def _energy(meaning: Meaning, import_energy: Import) -> Spot | None:
    if meaning.quantity not in ENERGIES:
        return None
    unit = _ENERGY.get(meaning.quantity)
    if unit is None:
        # apparent energy has a net counter only
        named = meaning.direction not in (_D.NONE, _D.NET)
        return Spot(_prefix(meaning, True, named), "MMTR", meaning.circuit, "TotVAh")
    supplied = _D.IMPORT if import_energy is Import.SUPPLY else _D.EXPORT
    if meaning.direction in (_D.IMPORT, _D.EXPORT):
        word = "Sup" if meaning.direction is supplied else "Dmd"
        return Spot(_prefix(meaning, True), "MMTR", meaning.circuit, word + unit)
    named = meaning.direction not in (_D.NONE, _D.NET)
    return Spot(_prefix(meaning, True, named), "MMTR", meaning.circuit, "Tot" + unit)


def _demand(meaning: Meaning) -> Spot | None:
    mean, maximum = _DEMAND[meaning.quantity]
    names = {_S.PRESENT: mean, _S.PEAK: maximum, _S.MAXIMUM: maximum}
    name = names.get(meaning.statistic, "")
    if not name:
        return None
    plain = Meaning(meaning.quantity, meaning.phase, meaning.direction)
    named = meaning.direction not in (_D.NONE, _D.IMPORT)
    return Spot(_prefix(plain, True, named), "MSTA", meaning.circuit, name)


def _measured(meaning: Meaning) -> Spot | None:
    quantity, phase = meaning.quantity, meaning.phase
    prefix, inst = _prefix(meaning, direction=True), meaning.circuit
    if quantity is _Q.FREQUENCY and phase is _P.TOTAL:
        return Spot(prefix, "MMXU", inst, "Hz")
    if quantity is _Q.RESIDUAL_CURRENT and phase is _P.TOTAL:
        return Spot(prefix, "MMXU", inst, "A", "res")
    if quantity not in _MEASURED:
        return None
    per_phase, whole, mean = _MEASURED[quantity]
    if quantity is _Q.VOLTAGE and phase in _LINE:
        return Spot(prefix, "MMXU", inst, "PPV", _PHASES[phase])
    if phase in _PHASES and phase not in _LINE:
        return Spot(prefix, "MMXU", inst, per_phase, _PHASES[phase])
    name = {_P.TOTAL: whole, _P.AVERAGE: mean}.get(phase, "")
    if quantity is _Q.VOLTAGE:
        name = _AVERAGE_VOLTAGE.get(phase, "")
    return Spot(prefix, "MMXU", inst, name) if name else None


def _harmonic(meaning: Meaning) -> Spot | None:
    phase = meaning.phase
    if phase not in _PHASES or meaning.quantity not in (_Q.THD_CURRENT, _Q.THD_VOLTAGE):
        return None
    if meaning.quantity is _Q.THD_CURRENT:
        name = "" if phase in _LINE else "ThdA"
    else:
        name = "ThdPPV" if phase in _LINE else "ThdPhV"
    return Spot(_prefix(meaning), "MHAI", meaning.circuit, name, _PHASES[phase]) if name else None
