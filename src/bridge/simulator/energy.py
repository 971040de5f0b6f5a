"""
Energy as the exact integral of what the meter shows: integers from milliwatts to counts. Pure.

One unit of an integral is 1 mW for 1 ns (likewise mvar, mVA, mV2, mA2); a float never enters it.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bridge.core.quantity import Direction, Meaning, Phase, Quantity
from bridge.core.units import UNITS

# integral units of one Wh
WATT_HOUR = 3600 * 1000 * 10**9
# tariff 2 at night, hours UTC
_NIGHT = (22, 6)
TARIFFS = (1, 2)
_QUANTITIES = (
    Quantity.ACTIVE_ENERGY,
    Quantity.REACTIVE_ENERGY,
    Quantity.APPARENT_ENERGY,
    Quantity.VOLT_SQUARE_HOURS,
    Quantity.AMPERE_SQUARE_HOURS,
)
INTEGRATED = frozenset(_QUANTITIES)
_PHASES = {Phase.L1: 0, Phase.L2: 1, Phase.L3: 2, Phase.L1_N: 0, Phase.L2_N: 1, Phase.L3_N: 2}
_IMPORT, _EXPORT = 0, 1
_Key = tuple[Quantity, int, int, int]


@dataclass(frozen=True, slots=True)
class Milli:
    """Power of each phase in thousandths: W, var, VA, V2, A2."""

    p: Sequence[int]
    q: Sequence[int]
    s: Sequence[int]
    u2: Sequence[int]
    i2: Sequence[int]


def tariff_at(hour: int) -> int:
    """Return the tariff at an hour of the day, UTC."""
    return 2 if hour >= _NIGHT[0] or hour < _NIGHT[1] else 1


class Integrals:
    """The indexes of one circuit, per quantity, direction, phase and tariff; totals are sums of these."""

    def __init__(self, rng: random.Random, phases: int, generator: bool) -> None:
        self._phases = phases
        self._cells: dict[_Key, int] = {}
        for k in range(phases):
            # an installation some years old: the indexes do not begin at zero
            active_wh = rng.randrange(2_000_000, 30_000_000)
            for quantity, factor in zip(_QUANTITIES, (1.0, 0.3, 1.05, 2.0, 1.5), strict=True):
                for direction in (_IMPORT, _EXPORT):
                    main = direction == (_EXPORT if generator and quantity is not Quantity.REACTIVE_ENERGY else _IMPORT)
                    for tariff, part in zip(TARIFFS, (0.7, 0.3), strict=True):
                        watt_hours = round(active_wh * factor * part * (1.0 if main else 0.01))
                        self._cells[quantity, direction, k, tariff] = watt_hours * WATT_HOUR

    def add(self, power: Milli, tariff: int, elapsed_ns: int) -> None:
        """Integrate: `power` flowed for `elapsed_ns`."""
        cells = self._cells
        for k in range(self._phases):
            p, q = power.p[k], power.q[k]
            way = _EXPORT if p < 0 else _IMPORT
            cells[Quantity.ACTIVE_ENERGY, way, k, tariff] += abs(p) * elapsed_ns
            cells[Quantity.REACTIVE_ENERGY, _EXPORT if q < 0 else _IMPORT, k, tariff] += abs(q) * elapsed_ns
            cells[Quantity.APPARENT_ENERGY, way, k, tariff] += power.s[k] * elapsed_ns
            cells[Quantity.VOLT_SQUARE_HOURS, _IMPORT, k, tariff] += power.u2[k] * elapsed_ns
            cells[Quantity.AMPERE_SQUARE_HOURS, _IMPORT, k, tariff] += power.i2[k] * elapsed_ns

    def kept(self) -> dict[str, str]:
        """Return every cell as text: 10**23 and more are beyond the integers of JSON libraries."""
        return {_name(key): str(value) for key, value in self._cells.items()}

    def restore(self, kept: Mapping[str, str]) -> None:
        """Take over the cells that are still there. Raises: ValueError for what is no number."""
        for key in self._cells:
            if _name(key) in kept:
                self._cells[key] = int(kept[_name(key)])

    def total(self, terms: Mapping[_Key, int]) -> int:
        """Return the sum of the cells times their signs."""
        cells = self._cells
        return sum(cells[key] * sign for key, sign in terms.items())

    def terms(self, meaning: Meaning) -> dict[_Key, int]:
        """Return which cells make up the index `meaning` asks for, and with what sign. Empty: no such phase."""
        signs = {
            Direction.EXPORT: {_EXPORT: 1},
            Direction.CAPACITIVE: {_EXPORT: 1},
            Direction.NET: {_IMPORT: 1, _EXPORT: -1},
            Direction.SUM: {_IMPORT: 1, _EXPORT: 1},
            Direction.NONE: {_IMPORT: 1, _EXPORT: 1},
        }.get(meaning.direction, {_IMPORT: 1})
        phase = _PHASES.get(meaning.phase)
        phases = range(self._phases) if phase is None else (phase,) if phase < self._phases else ()
        tariffs = TARIFFS if meaning.tariff == 0 else (meaning.tariff,) if meaning.tariff in TARIFFS else ()
        return {(meaning.quantity, w, k, t): sign for w, sign in signs.items() for k in phases for t in tariffs}


def _name(key: _Key) -> str:
    quantity, way, phase, tariff = key
    return f"{quantity.value}:{way}:{phase}:{tariff}"


def step_of(unit: str, exponent: int) -> Fraction:
    """Return one count (10**exponent of `unit`) in integral units."""
    return Fraction(10) ** (exponent + (UNITS[unit].exponent or 0)) * WATT_HOUR


def count_of(integral: int, step: Fraction, modulus: int) -> int:
    """Return an integral as a count: whole steps, starting again at `modulus` (0 = never)."""
    whole = abs(integral) * step.denominator // step.numerator
    if modulus:
        whole %= modulus
    return -whole if integral < 0 else whole
