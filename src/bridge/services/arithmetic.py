"""
Sums, means, ratios and unbalances over points of different units. Pure.

The rule one must not break: energies are added as whole counts; where the result is coarser than its inputs it is
rounded down, never up.
"""

import math
from collections.abc import Sequence

from bridge.core.point import Kind, PointDef, Value
from bridge.core.units import UNITS
from bridge.services.rules import Compute, Numbers

# Decimals below this share of a result are float noise: 0.1 + 0.2
_DIGITS = 13


def exponent_of(definition: PointDef) -> int:
    """Return k: one step of the point's value is 10**k of the base unit."""
    unit = UNITS[definition.unit].exponent or 0
    return unit + (definition.resolution if definition.kind is Kind.ACCUMULATOR else 0)


def scaled(value: float, exponent: int) -> float:
    """Return value * 10**exponent; dividing by a whole number is exact where multiplying by 0.001 is not."""
    return value * float(10**exponent) if exponent >= 0 else value / float(10**-exponent)


def sum_of(out: PointDef, plus: Sequence[PointDef], minus: Sequence[PointDef] = ()) -> Compute:
    """Return plus - minus in the unit of `out`."""
    signs = [1] * len(plus) + [-1] * len(minus)
    steps = [exponent_of(definition) for definition in (*plus, *minus)]
    if out.kind is Kind.ACCUMULATOR:
        return _count_sum(exponent_of(out), signs, steps)
    shifts = [step - exponent_of(out) for step in steps]

    def total(values: Numbers, _: Numbers, held: Value) -> Value:
        terms = (sign * scaled(value, shift) for sign, value, shift in zip(signs, values, shifts, strict=True))
        return tidy(math.fsum(terms))

    return total


def _count_sum(step: int, signs: Sequence[int], steps: Sequence[int]) -> Compute:
    finest = min(step, *steps)
    factors = [sign * int(10 ** (own - finest)) for sign, own in zip(signs, steps, strict=True)]
    whole = int(10 ** (step - finest))

    def total(values: Numbers, _: Numbers, held: Value) -> Value:
        return sum(factor * int(value) for factor, value in zip(factors, values, strict=True)) // whole

    return total


def average_of(out: PointDef, inputs: Sequence[PointDef]) -> Compute:
    """Return the mean in the unit of `out`."""
    shifts = [exponent_of(definition) - exponent_of(out) for definition in inputs]

    def mean(values: Numbers, _: Numbers, held: Value) -> Value:
        return tidy(math.fsum(map(scaled, values, shifts)) / len(values))

    return mean


def ratio_of(out: PointDef, above: PointDef, below: PointDef) -> Compute:
    """Return above / below in the unit of `out`; nothing by nothing is no number."""
    shift = exponent_of(above) - exponent_of(below) - exponent_of(out)

    def ratio(values: Numbers, _: Numbers, held: Value) -> Value:
        return tidy(scaled(values[0] / values[1], shift)) if values[1] else None

    return ratio


def power_factor_of(active: PointDef, apparent: PointDef) -> Compute:
    """Return P / S with the sign of P, at most 1: meters do not sample both at one moment."""
    shift = exponent_of(active) - exponent_of(apparent)

    def factor(values: Numbers, _: Numbers, held: Value) -> Value:
        if not values[1]:
            return None
        return max(-1.0, min(1.0, tidy(scaled(values[0] / abs(values[1]), shift))))

    return factor


def apparent_power_of(out: PointDef, active: PointDef, reactive: PointDef) -> Compute:
    """Return the root of P^2 + Q^2."""
    shifts = exponent_of(active) - exponent_of(out), exponent_of(reactive) - exponent_of(out)

    def apparent(values: Numbers, _: Numbers, held: Value) -> Value:
        return tidy(math.hypot(*map(scaled, values, shifts)))

    return apparent


def unbalance_of(out: PointDef, inputs: Sequence[PointDef]) -> Compute:
    """Return the greatest distance from the mean as a share of the mean (NEMA MG 1, 14.36), in the unit of `out`."""
    shifts = [exponent_of(definition) for definition in inputs]

    def unbalance(values: Numbers, _: Numbers, held: Value) -> Value:
        share = unbalance_share([scaled(value, shift) for value, shift in zip(values, shifts, strict=True)])
        return None if share is None else tidy(scaled(share, -exponent_of(out)))

    return unbalance


def unbalance_share(values: Numbers) -> float | None:
    """Return the greatest distance from the mean as a share of it; None where the mean is 0."""
    sizes = [abs(value) for value in values]
    mean = math.fsum(sizes) / len(sizes)
    return max(abs(size - mean) for size in sizes) / mean if mean else None


def tidy(value: float) -> float:
    """Return `value` without the noise of float arithmetic."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else math.nan
