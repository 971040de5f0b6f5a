"""
One point's value <-> what its register holds. Pure.

The rule one must not break: `held` is computed from the raw number in the register, never from the value that was
wished for, so that what the control port reports is what a master can read.
"""

import math
import struct
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from bridge.config.meter import RegisterType, Table
from bridge.config.model import Register
from bridge.core.point import Kind, PointDef, Value
from bridge.simulator.words import INTEGER_RANGE, Raw, single, single_above, words_of

# Steps: a float register this near to a step of an energy index shows that step (DESIGN: accumulators).
_NEAR = Fraction(1, 1_000_000)
_TEXT_TYPES = frozenset({RegisterType.STRING, RegisterType.STRING16})
_TIME_TYPES = frozenset({RegisterType.UNIX_TIME, RegisterType.DATETIME4})
_FLOAT_TYPES = frozenset({RegisterType.FLOAT32, RegisterType.FLOAT64})
_SECOND_NS = 1_000_000_000
# What JSON says of a value; Decimal: a number with all its digits.
Shown = Decimal | float | int | bool | str


class BadValue(ValueError):
    """A value this point's register cannot hold, or of another kind."""


class Cell:
    """A register and the point in it. `exponent`: of ten, in the scale factor register (`scale_at`), else 0."""

    def __init__(self, definition: PointDef, register: Register, exponent: int = 0) -> None:
        self.definition, self.register = definition, register
        factor = Fraction(10) ** exponent
        sign = -1 if register.inverted else 1
        self._scale = register.scale * factor * sign
        self._counts = register.counts * factor * sign
        self._per_unit = float(1 / self._scale) if self._scale else 0.0
        self._range = INTEGER_RANGE.get(register.type)
        self._is_bit = register.table in (Table.COIL, Table.DISCRETE_INPUT)
        # asked once: an enum in a set costs a Python call each time
        self._is_float = register.type in _FLOAT_TYPES
        self._is_text = register.type in _TEXT_TYPES
        self._is_time = register.type in _TIME_TYPES

    def raw(self, value: Value) -> Raw:
        """Return what the register holds for `value`, at the end of its range where that is exceeded."""
        kind, stored = self.definition.kind, self.register.type
        if kind is Kind.ANALOG and not isinstance(value, str) and value is not None:
            number = float(value) - self.register.offset
            if self._is_float:
                scaled = number * self._per_unit
                return single(scaled) if stored is RegisterType.FLOAT32 else scaled
            return self._inside(round(number * self._per_unit))
        if kind is Kind.ACCUMULATOR and isinstance(value, int):
            if self._is_float:
                return self._float_of_count(value)
            return self._inside(math.floor(value / self._counts))
        if self._is_text:
            room = self.register.count * (1 if stored is RegisterType.STRING16 else 2)
            return str(value)[:room]
        if self._is_time:
            return int(value or 0)
        if kind is Kind.TEXT:
            digits = "".join(c for c in str(value) if c.isdigit())
            return self._inside(int(digits[-18:] or "0"))
        if kind is Kind.TIME:
            return self._inside(int(Fraction(int(value or 0), _SECOND_NS) / self._scale))
        return self._inside(int(value or 0))

    def exact_raw(self, value: Value) -> Raw:
        """
        Return what the register holds for `value`: the nearest number where it is a float. Raises: BadValue where it
        cannot be held.
        """
        raw = self.raw(value)
        self._within_limits(value)
        held = self.held(raw)
        if isinstance(value, float) and isinstance(held, float):
            step = 0.0 if isinstance(raw, float) else abs(float(self._scale))
            if not math.isfinite(held) or abs(held - value) > max(step * 0.5, abs(value) * 1e-6) * 1.000001:
                raise BadValue(f"expected a value the register can hold, found {value}")
        elif isinstance(raw, float):
            if not math.isfinite(raw):
                raise BadValue(f"expected a value the register can hold, found {value}")
        elif held != value and not self._is_time:
            raise BadValue(f"expected a value the register can hold, found {value}")
        self.words(raw)
        return raw

    def words(self, raw: Raw) -> tuple[int, ...]:
        """Return the registers. Raises: BadValue where they cannot hold it."""
        if self._is_bit:
            return (int(bool(raw)),)
        if self.register.bit is not None:
            return (int(bool(raw)) << self.register.bit,)
        try:
            return words_of(raw, self.register.type, self.register.order, self.register.count)
        except (ValueError, ArithmeticError, struct.error) as exc:
            raise BadValue(str(exc)) from exc

    def held(self, raw: Raw) -> Value:
        """Return the value a reader of the register gets, in the conventions of `core.point.Value`."""
        kind, stored = self.definition.kind, self.register.type
        if self._is_text:
            return str(raw).strip()
        if self._is_time:
            step = _SECOND_NS if stored is RegisterType.UNIX_TIME else 1_000_000
            return int(raw) // step * step
        if isinstance(raw, str):
            return raw
        if kind is Kind.ANALOG:
            return raw * self._scale.numerator / self._scale.denominator + self.register.offset
        if kind is Kind.ACCUMULATOR:
            return self._count_of_float(raw) if isinstance(raw, float) else math.floor(raw * self._counts)
        if kind is Kind.TEXT:
            return str(int(raw))
        if kind is Kind.TIME:
            return int(Fraction(raw) * self._scale * _SECOND_NS)
        return bool(raw) if kind is Kind.BINARY else int(raw)

    def shown(self, raw: Raw) -> Shown:
        """Return the held value as the control port writes it: the point's unit, energy with all its digits."""
        value = self.held(raw)
        kind = self.definition.kind
        if value is None:
            return ""
        if kind is Kind.ACCUMULATOR and isinstance(value, int):
            return exact_decimal(value, self.definition.resolution)
        if kind is Kind.TIME and isinstance(value, int):
            return datetime.fromtimestamp(value // _SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%S") + (
                f".{value % _SECOND_NS // 1_000_000:03d}Z" if value % _SECOND_NS else "Z"
            )
        return value

    def _within_limits(self, value: Value) -> None:
        definition = self.definition
        if definition.kind is Kind.MULTISTATE and definition.states and value not in dict(definition.states):
            raise BadValue(f"expected one of {sorted(dict(definition.states))}, found {value}")
        if definition.kind is not Kind.ACCUMULATOR or not isinstance(value, int):
            return
        if definition.modulus and abs(value) >= definition.modulus:
            raise BadValue(f"expected less than {definition.modulus} counts, found {value}")

    def _inside(self, number: int) -> int:
        if self._is_bit or self.register.bit is not None:
            return 1 if number else 0
        if self._range is None:
            return number
        low, high = self._range
        inside = min(max(number, low), high)
        # what the meter file calls "no value" is never sent for one: a step below, or above where there is none
        if self._is_no_value(inside):
            inside += -1 if inside > low else 1
        return inside

    def _is_no_value(self, raw: Raw) -> bool:
        invalid = self.register.invalid
        return raw in invalid or (isinstance(raw, int) and raw < 0 and raw % (1 << 16 * self.register.count) in invalid)

    def _float_of_count(self, count: int) -> float:
        """Return the register value that shows `count`: the nearest, or the one above where that shows one less."""
        exact = Fraction(count) / self._counts
        try:
            if self.register.type is RegisterType.FLOAT64:
                return float(exact)
            nearest = single(float(exact))
        except OverflowError as exc:
            raise BadValue(f"expected a count the register can hold, found {count}") from exc
        if nearest > 0 and self._count_of_float(nearest) < count:
            above = single_above(nearest)
            return above if self._count_of_float(above) == count else nearest
        return nearest

    def _count_of_float(self, raw: float) -> int:
        steps = Fraction(raw) * self._counts
        nearest = round(steps)
        return nearest if abs(steps - nearest) <= _NEAR else math.floor(steps)


def exact_decimal(count: int, exponent: int) -> Decimal:
    """Return count * 10**exponent with all its digits: 131072 at -2 is 1310.72."""
    if exponent >= 0:
        return Decimal(count * 10**exponent)
    digits = tuple(int(d) for d in str(abs(count)))
    return Decimal((1 if count < 0 else 0, digits, exponent))
