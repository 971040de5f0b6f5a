"""What a device of the site changes about its meter's points: CT mounted backwards, transformer ratios, word order."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from bridge.config.faults import Wrong
from bridge.config.meter import PfSign, WordOrder
from bridge.config.model import Register
from bridge.config.points import Facts
from bridge.config.registers import FLOATS
from bridge.core.point import Kind
from bridge.core.quantity import Direction, Quantity, Statistic

Q = Quantity

_SIGNED = frozenset({Q.ACTIVE_POWER, Q.REACTIVE_POWER, Q.ACTIVE_DEMAND, Q.REACTIVE_DEMAND, Q.DEMAND_PEAK_CURRENT})
# Swapped by a CT that is mounted backwards
_OPPOSITE = (
    (Direction.IMPORT, Direction.EXPORT),
    (Statistic.MINIMUM, Statistic.MAXIMUM),
    (Statistic.MINIMUM_TIME, Statistic.MAXIMUM_TIME),
)
# Powers of (CT ratio, PT ratio) that a secondary value is multiplied with
_RATIOS: Mapping[Quantity, tuple[int, int]] = MappingProxyType(
    {
        Q.VOLTAGE: (0, 1),
        Q.CURRENT: (1, 0),
        Q.CURRENT_DEMAND: (1, 0),
        Q.VOLT_SQUARE_HOURS: (0, 2),
        Q.AMPERE_SQUARE_HOURS: (2, 0),
        **dict.fromkeys((Q.ACTIVE_POWER, Q.REACTIVE_POWER, Q.APPARENT_POWER), (1, 1)),
        **dict.fromkeys((Q.ACTIVE_ENERGY, Q.REACTIVE_ENERGY, Q.APPARENT_ENERGY), (1, 1)),
        **dict.fromkeys((Q.ACTIVE_DEMAND, Q.REACTIVE_DEMAND, Q.APPARENT_DEMAND, Q.DEMAND_PEAK_CURRENT), (1, 1)),
    }
)
# Digits a count may become finer by, so that a ratio like 12.5 stays exact
_FINER = 3


def with_order(facts: Facts, order: WordOrder | None) -> Facts:
    """Return the point as read with the device's own word order, unless the file fixes it for this point."""
    if order is None or facts.own_order:
        return facts
    read = replace(facts.read, order=order) if facts.read is not None else None
    write = replace(facts.write, register=replace(facts.write.register, order=order)) if facts.write else None
    return replace(facts, read=read, write=write)


def inverted(points: Mapping[str, Facts], circuits: frozenset[int], pf_sign: PfSign) -> dict[str, Facts]:
    """
    Return the points with the CTs of `circuits` turned round: import and export change places, powers their sign.

    A power factor changes its sign only by the IEC convention; by IEEE's it tells lead from lag, which stays.
    Raises: Wrong for a register whose opposite the meter does not have.
    """
    return {
        name: _inverted(facts, points, pf_sign) if facts.meaning.circuit in circuits else facts
        for name, facts in points.items()
    }


def _inverted(facts: Facts, points: Mapping[str, Facts], pf_sign: PfSign) -> Facts:
    meaning = facts.meaning
    if meaning.quantity is Q.ENERGY_DIRECTION:
        # computed from the sign of the power, which is the corrected one
        return replace(facts, read=None)
    if facts.read is None:
        return facts
    signed = meaning.quantity in _SIGNED or meaning.direction is Direction.NET
    if meaning.quantity in (Q.POWER_FACTOR, Q.COS_PHI):
        signed = pf_sign is PfSign.IEC
    if meaning.direction in (Direction.IMPORT, Direction.EXPORT) or (signed and _is_extreme(meaning.statistic)):
        opposite = _opposite_name(facts.name, signed)
        other = points.get(opposite)
        if other is None or other.read is None:
            raise Wrong("invert", f"expected a meter with `{opposite}` as well, for {facts.name} would be read from it")
        facts = _read_from(facts, other)
    if not signed or meaning.statistic in (Statistic.MINIMUM_TIME, Statistic.MAXIMUM_TIME):
        return facts
    assert facts.read is not None
    return replace(
        facts,
        read=replace(facts.read, inverted=not facts.read.inverted),
        limits=_mirrored(facts.limits),
        typical=_mirrored(facts.typical),
    )


def _is_extreme(statistic: Statistic) -> bool:
    return any(statistic in pair for pair in _OPPOSITE)


def _opposite_name(name: str, signed: bool) -> str:
    words = [("import", "export"), *([("min", "max")] if signed else [])]
    swap = {**dict(words), **{b: a for a, b in words}}
    return "_".join(swap.get(word, word) for word in name.split("_"))


def _read_from(facts: Facts, other: Facts) -> Facts:
    """Return the point as read from the other's register, with all that belongs to the register."""
    return replace(
        facts,
        read=other.read,
        unit=other.unit,
        resolution=other.resolution,
        modulus=other.modulus,
        limits=other.limits,
        typical=other.typical,
        own_order=other.own_order,
        certainty=other.certainty,
    )


def _mirrored(pair: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if pair is None else (-pair[1], -pair[0])


def with_ratios(facts: Facts, ct: Fraction, pt: Fraction) -> Facts:
    """
    Return the point of a meter that reports secondary values in primary values.

    Raises: Wrong for a counter whose ratio cannot be exact.
    """
    ct_power, pt_power = _RATIOS.get(facts.meaning.quantity, (0, 0))
    ratio = ct**ct_power * pt**pt_power
    if ratio == 1 or facts.read is None:
        return facts
    factor = float(ratio)
    facts = replace(
        facts,
        limits=_times(facts.limits, factor),
        typical=_times(facts.typical, factor),
        deadband=facts.deadband * factor,
    )
    assert facts.read is not None
    if facts.kind is Kind.ACCUMULATOR:
        return _counter_with_ratio(facts, facts.read, ratio)
    read = replace(
        facts.read,
        scale=facts.read.scale * ratio,
        offset=facts.read.offset * factor,
        scale_alternatives=tuple(scale * ratio for scale in facts.read.scale_alternatives),
    )
    return replace(facts, read=read)


def _counter_with_ratio(facts: Facts, read: Register, ratio: Fraction) -> Facts:
    for finer in range(_FINER + 1):
        step = ratio * 10**finer
        counts = read.counts * step
        modulus = facts.modulus * step
        if (read.type in FLOATS or counts.denominator == 1) and modulus.denominator == 1:
            register = replace(read, scale=read.scale * ratio, counts=counts)
            whole = int(modulus) if modulus < 2**63 else 0
            return replace(facts, read=register, resolution=facts.resolution - finer, modulus=whole)
    raise Wrong("ct_ratio", f"expected a ratio that keeps {facts.name} exact, found {float(ratio):g}")


def _times(pair: tuple[float, float] | None, factor: float) -> tuple[float, float] | None:
    return None if pair is None else (pair[0] * factor, pair[1] * factor)
