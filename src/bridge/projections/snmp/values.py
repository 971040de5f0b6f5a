"""A sample as the MIB shows it: text, Integer32, Counter64, DateAndTime, quality. Pure."""

import datetime
import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fractions import Fraction
from functools import cache

from bridge.core.accumulator import decimal_text
from bridge.core.point import Kind, PointDef, Sample
from bridge.core.point import Value as PointValue
from bridge.core.quality import Quality
from bridge.core.units import UNITS
from bridge.projections.snmp.ber import Value
from bridge.projections.snmp.columns import SECONDS
from bridge.projections.snmp.plan import Column, Shape

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# Octets of a text (MbText in the MIB)
TEXT_BYTES = 255
# Flags in the order of BITS: bit 0 is the first (highest) of the first octet
_FLAGS = tuple(Quality)
_QUALITIES = (
    (Quality.NEVER_READ, 7),
    (Quality.COMM_LOST, 6),
    (Quality.OUT_OF_RANGE, 5),
    (Quality.DEVICE_FAULT, 4),
    (Quality.STALE, 3),
    (Quality.SUBSTITUTED, 8),
    (Quality.QUESTIONABLE, 2),
)
GOOD = 1
# Distance from an integer within which a float shows it, and integers whose neighbours are floats
_SURE, _EXACT = 0.49, 1 << 40
_TRUE_WORDS = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}

Show = Callable[[Sample], Value | None]


def text_of(definition: PointDef, value: PointValue) -> bytes | None:
    """Return the value as an operator reads it, None for one that was never there."""
    return None if value is None else text_shower(definition.kind, definition.resolution, definition.states)(value)


def text_shower(kind: Kind, resolution: int, states: tuple[tuple[int, str], ...]) -> Callable[[PointValue], bytes]:
    """Return what makes a value, never None, the text an operator reads; points that are alike may share it."""
    match kind:
        case Kind.ACCUMULATOR:
            return lambda value: decimal_text(value, resolution).encode() if isinstance(value, int) else _text(value)
        case Kind.BINARY | Kind.MULTISTATE:
            texts: dict[PointValue, bytes] = {code: text_bytes(text) for code, text in reversed(states)}
            # a code beyond the states is shown as it is; a text of none too
            return lambda value: texts.get(value) or str(int(value or 0)).encode()
        case Kind.TIME:
            return lambda value: (
                (_EPOCH + datetime.timedelta(microseconds=value // 1000)).isoformat().encode()
                if isinstance(value, int)
                else _text(value)
            )
        case Kind.ANALOG:
            return lambda value: repr(value).removesuffix(".0").encode()
        case Kind.TEXT:
            return _text


def _text(value: PointValue) -> bytes:
    return text_bytes(str(value))


def text_bytes(text: str) -> bytes:
    """Return UTF-8 of at most 255 octets, cut between characters."""
    data = text.encode()
    return data if len(data) <= TEXT_BYTES else data[:TEXT_BYTES].decode("utf-8", "ignore").encode()


def scaled_of(value: PointValue, scale: int) -> int | None:
    """Return the number in steps of 10**`scale`; an accumulator's `value` is a count and its scale 0 here."""
    if isinstance(value, int):
        return int(value)
    return _steps(value, 1, scale) if isinstance(value, float) and math.isfinite(value) else None


def _steps(value: float, factor: int, power: int) -> int:
    """Round to the nearest step; a tie as floats would show it (half to even)."""
    steps = value * (factor * 10.0**-power)
    nearest = round(steps)
    # far from a tie the error of a float decides nothing, and Decimal costs seven times as much
    if abs(steps - nearest) < _SURE and -_EXACT < nearest < _EXACT:
        return nearest
    exact = Decimal(repr(value)) * factor
    return int(exact.scaleb(-power).to_integral_value(ROUND_HALF_EVEN))


def date_of(ns: int) -> bytes | None:
    """Return DateAndTime in UTC (RFC 2579), None for no time and years beyond its range."""
    try:
        at = _EPOCH + datetime.timedelta(microseconds=ns // 1000)
    except OverflowError:
        return None
    if ns <= 0:
        return None
    head = at.year.to_bytes(2, "big")
    return head + bytes((at.month, at.day, at.hour, at.minute, at.second, at.microsecond // 100_000)) + b"+\0\0"


@cache
def quality_of(quality: Quality) -> int:
    """Return MbQuality: the worst that is known against the value."""
    return next((shown for flag, shown in _QUALITIES if quality & flag), GOOD)


@cache
def flags_of(quality: Quality) -> bytes:
    """Return MbFlags (BITS): one bit per flag of the core, in its order."""
    bits = 0
    for flag in _FLAGS:
        if quality & flag:
            bits |= 0x8000 >> (flag.bit_length() - 1)
    return bits.to_bytes(2, "big")


def counter_shower(unit: str, resolution: int) -> Callable[[PointValue], int | None]:
    """
    Return what makes an accumulator's count whole base units (Wh), the fraction of one left out.

    It returns None for what no Counter64 can show.
    """
    power = resolution + (UNITS[unit].exponent or 0)
    factor, divisor = int(10 ** max(power, 0)), int(10 ** max(-power, 0))
    return lambda value: value * factor // divisor if isinstance(value, int) and value >= 0 else None


def typed(column: Column, definition: PointDef) -> Show:
    """Return what shows a sample in its typed column."""
    unit = UNITS[definition.unit]
    match column.shape:
        case Shape.SCALED:
            factor, power = SECONDS.get(unit.symbol, 1), column.power - (unit.exponent or 0)
            return lambda sample: _scaled(sample.value, factor, power)
        case Shape.COUNTER:
            count = counter_shower(definition.unit, definition.resolution)
            return lambda sample: count(sample.value)
        case Shape.DECIMAL:
            exponent = definition.resolution + (unit.exponent or 0)
            return lambda sample: (
                decimal_text(sample.value, exponent).encode() if isinstance(sample.value, int) else None
            )
        case Shape.STATE:
            return lambda sample: None if sample.value is None else int(sample.value)
        case Shape.TEXT:
            return lambda sample: text_of(definition, sample.value)
        case Shape.TIME:
            return lambda sample: date_of(sample.value) if isinstance(sample.value, int) else None


def _scaled(value: PointValue, factor: int, power: int) -> int | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return _steps(value, factor, power)


def value_from_number(definition: PointDef, number: int, scale: int) -> PointValue:
    """Return what a SET of the Integer32 column means, None for what the point cannot be."""
    match definition.kind:
        case Kind.BINARY:
            return bool(number) if number in (0, 1) else None
        case Kind.MULTISTATE:
            return number if _is_state(definition, number) else None
        case Kind.ACCUMULATOR:
            return number if number >= 0 else None
        case Kind.ANALOG:
            value = float(Fraction(number) * Fraction(10) ** scale)
            return value if _within(definition, value) else None
        case _:
            return None


def value_from_text(definition: PointDef, text: str) -> PointValue:
    """Return what a SET of the text column means, None for what the point cannot be."""
    match definition.kind:
        case Kind.TEXT:
            return text
        case Kind.BINARY | Kind.MULTISTATE:
            code = next((code for code, word in definition.states if word == text), None)
            if definition.kind is Kind.BINARY:
                return _TRUE_WORDS.get(text) if code is None else bool(code)
            if code is None and text.removeprefix("-").isdecimal():
                code = int(text)
            return code if code is not None and _is_state(definition, code) else None
        case Kind.ANALOG | Kind.ACCUMULATOR:
            return _number(definition, text)
        case _:
            return None


def _number(definition: PointDef, text: str) -> PointValue:
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return None
    if not exact.is_finite() or abs(exact.adjusted()) > 30:
        return None
    if definition.kind is Kind.ANALOG:
        return float(exact) if _within(definition, float(exact)) else None
    count = exact.scaleb(-definition.resolution)
    return int(count) if count == count.to_integral_value() and count >= 0 else None


def _is_state(definition: PointDef, code: int) -> bool:
    return not definition.states or any(code == known for known, _ in definition.states)


def _within(definition: PointDef, value: float) -> bool:
    low, high = definition.low, definition.high
    return (low is None or value >= low) and (high is None or value <= high)
