"""
Energy as an integer: count and decimal resolution, from the meter's register to every protocol.

The rule one must not break: a count is never computed through a float that cannot hold it. `floor(v * 100)` is
wrong for 4,708 of 100,301 float64 register values, and through float32 62,688 are wrong.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from bridge.core.errors import DecodeError
from bridge.core.units import UNITS

# Share of one step within which a float register is taken for the step itself (DESIGN 5).
STEP_TOLERANCE = Fraction(1, 1_000_000)
# Counts: the largest integer every protocol's 64-bit signed counter can carry.
MAX_COUNT = 2**63 - 1
# Counts: below it a float64 holds counts with 2.4e-7 between neighbours.
_QUICK_BELOW = 2**30


@dataclass(frozen=True, slots=True)
class AccumulatorValue:
    """
    `count` steps of 10**`exponent` of `unit`. `epoch` grows by one with every reset or replacement, so that two
    counts may be subtracted only inside one epoch.
    """

    count: int
    exponent: int
    unit: str
    epoch: int = 0

    def text(self) -> str:
        """Return the exact decimal in `unit`, e.g. '123456.78'."""
        return decimal_text(self.count, self.exponent)

    def base_units(self) -> tuple[int, int]:
        """Return (integer, exponent): the count in 10**exponent of the base unit (Wh), nothing rounded."""
        shift = self.exponent + (UNITS[self.unit].exponent or 0)
        return (self.count * 10**shift, 0) if shift >= 0 else (self.count, shift)


def decimal_text(count: int, exponent: int) -> str:
    """Return count * 10**exponent as an exact decimal text with all its digits: 2 at -2 is '0.02'."""
    if exponent >= 0:
        return str(count * 10**exponent)
    digits = str(abs(count)).rjust(1 - exponent, "0")
    return ("-" if count < 0 else "") + digits[:exponent] + "." + digits[exponent:]


def as_float(count: int, exponent: int) -> float:
    """Return the nearest float64 of count * 10**exponent: for display and comfort values, never for billing."""
    return float(count * 10**exponent) if exponent >= 0 else count / 10**-exponent


def count_of_float(value: float, scale: Fraction, spacing: float = 0.0) -> int:
    """
    Return a float register as a count. `scale`: counts per register unit, e.g. 100 for kWh in steps of 10 Wh.
    `spacing`: between neighbouring numbers of the register's own format at `value`, 0 = float64.

    The nearest step if the value is within 1e-6 of it (in steps) or is the float nearest to it, else the step below:
    energy is never rounded up. Raises: DecodeError for what is no finite number, or beyond MAX_COUNT.
    """
    if not math.isfinite(value):
        raise DecodeError(f"expected a finite number, found {value}")
    if not spacing and scale.denominator == 1:
        quick = value * scale.numerator
        whole = round(quick)
        # below 2**30 the product is off by at most 1.2e-7: far from the tolerance's edge it decides as the exact one
        if abs(quick) < _QUICK_BELOW and not 0.8e-6 < abs(quick - whole) < 1.2e-6:
            return whole if abs(quick - whole) < 1e-6 else math.floor(quick)
    steps = Fraction(value) * scale
    nearest = round(steps)
    # From 9e9 counts on even the float64 nearest to a step is further than 1e-6 from it: 435,643,576,561 counts of
    # 10 Wh came out one too low. A format coarser than the step cannot tell, and is taken down.
    doubt = Fraction(spacing or math.ulp(value)) * abs(scale) / 2
    tolerance = STEP_TOLERANCE if doubt >= Fraction(1, 2) else max(STEP_TOLERANCE, doubt)
    count = nearest if abs(steps - nearest) <= tolerance else math.floor(steps)
    if abs(count) > MAX_COUNT:
        raise DecodeError(f"expected at most {MAX_COUNT} counts, found {count}")
    return count


def difference(earlier: int, later: int, modulus: int) -> int:
    """Return how far a counter went from `earlier` to `later`; `modulus` 0 = it never starts again."""
    return (later - earlier) % modulus if modulus else later - earlier
