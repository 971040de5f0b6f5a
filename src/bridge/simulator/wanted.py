"""What a client of the control port asks a point to be -> its value. Input from outside: every size is checked."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from bridge.core.point import Kind, PointDef, Value
from bridge.simulator.cell import BadValue

# Powers of ten a number may have: exact arithmetic on 1e999999999 would fill the memory.
_LARGEST_EXPONENT, _SMALLEST_EXPONENT = 30, -40
_SECOND_NS = 1_000_000_000


def wanted_value(definition: PointDef, given: object) -> Value:
    """
    Return a JSON value (numbers as int or Decimal) in the conventions of `core.point.Value`.

    Energy goes to the nearest count; a time is ISO 8601 text or seconds since 1970; a state is its code or its text.
    Raises: BadValue.
    """
    kind = definition.kind
    if kind is Kind.TEXT:
        if not isinstance(given, str) or not given.isascii() or not given.isprintable() or len(given) > 250:
            raise BadValue("expected a text of at most 250 printable ASCII characters")
        return given.strip()
    if kind is Kind.BINARY:
        return _flag(definition, given)
    if kind is Kind.MULTISTATE:
        return _code(definition, given)
    if kind is Kind.TIME and isinstance(given, str):
        return _instant(given)
    number = _number(given)
    if kind is Kind.ACCUMULATOR:
        return round(Fraction(number) / Fraction(10) ** definition.resolution)
    if kind is Kind.TIME:
        return int(Fraction(number) * _SECOND_NS)
    return float(number)


def _number(given: object) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal):
        raise BadValue(f"expected a number, found {type(given).__name__}")
    if isinstance(given, float) and not math.isfinite(given):
        raise BadValue("expected a finite number")
    number = Decimal(str(given)) if isinstance(given, float) else Decimal(given)
    if not number.is_finite() or number.adjusted() > _LARGEST_EXPONENT:
        raise BadValue("expected a number of at most 30 digits")
    return Decimal(0) if number.adjusted() < _SMALLEST_EXPONENT else number


def _flag(definition: PointDef, given: object) -> bool:
    if isinstance(given, bool):
        return given
    if given in (0, 1):
        return bool(given)
    for code, text in definition.states:
        if given == text:
            return bool(code)
    raise BadValue("expected true or false")


def _code(definition: PointDef, given: object) -> int:
    for code, text in definition.states:
        if isinstance(given, str) and given == text:
            return code
    if isinstance(given, bool) or not isinstance(given, int):
        raise BadValue(f"expected a code, found {type(given).__name__}")
    if abs(given) > 2**63:
        raise BadValue("expected a code of at most 64 bits")
    return given


def _instant(given: str) -> int:
    try:
        when = datetime.fromisoformat(given)
    except ValueError as exc:
        raise BadValue("expected an ISO 8601 time, e.g. 2026-11-20T12:00:00Z") from exc
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    seconds = when.timestamp()
    if seconds < 0:
        raise BadValue("expected a time after 1970")
    return int(seconds) * _SECOND_NS + when.microsecond * 1000
