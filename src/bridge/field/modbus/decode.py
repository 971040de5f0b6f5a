"""
A value's registers -> value and quality of its point. Pure.

The rule one must not break: what the device marks as "no value", what lies outside the limits and what cannot be
represented is (None, why) - hold the last value - and never a number shown as good.
"""

import math
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache

from bridge.config.meter import RegisterType, Table
from bridge.config.model import Register
from bridge.core.accumulator import MAX_COUNT, count_of_float
from bridge.core.errors import DecodeError
from bridge.core.point import Kind, PointDef, Value
from bridge.core.quality import Quality
from bridge.core.quantity import Direction
from bridge.field.modbus.words import FLOATS, M10K, PLAIN, Raw, letter_of, unpacker, words_of

Reading = tuple[Value, Quality]
Decoder = Callable[[bytes], Reading]
Judge = Callable[[Raw], Reading]

NO_VALUE: Reading = (None, Quality.DEVICE_FAULT)
OUTSIDE: Reading = (None, Quality.OUT_OF_RANGE)
GOOD = Quality.GOOD

# Registers of a reserved or valueless reading (seed 004, "Invalid read responses"); a NaN is met as a NaN.
SENTINELS: dict[RegisterType, frozenset[int]] = {
    RegisterType.UINT16: frozenset({0xFFFF}),
    RegisterType.INT16: frozenset({-0x8000}),
    RegisterType.UINT32: frozenset({0xFFFFFFFF}),
    RegisterType.INT32: frozenset({-0x80000000}),
    RegisterType.UINT64: frozenset({0xFFFFFFFFFFFFFFFF}),
    RegisterType.INT64: frozenset({-0x8000000000000000}),
    RegisterType.UNIX_TIME: frozenset({0xFFFFFFFF}),
}
_SIGNED = {RegisterType.INT16: 16, RegisterType.INT32: 32, RegisterType.INT64: 64}
_FLOAT_BITS = {RegisterType.FLOAT32: ">I", RegisterType.FLOAT64: ">Q"}
_TEXTS = frozenset({RegisterType.STRING, RegisterType.STRING16})
# exponent of a SunSpec scale factor (SunSpec Information Model Specification, "sunssf": -10 to 10)
SCALE_EXPONENTS = range(-10, 11)
_SECOND_NS = 1_000_000_000
# Decoders kept for others to share; a library of meters has some 1,500 different registers
_SHARED = 4096


def decoder_for(register: Register, definition: PointDef) -> Decoder:
    """
    Return the decoder of one point. It takes the value's registers as on the wire (of a bit table: one byte, 0 or 1)
    and never raises: bytes that are too few or too many are no value.

    A `scale_at` is not looked at: see `scaled`. Raises: ValueError where `count` does not fit the type.
    """
    words = words_of(register.type)
    if words and words != register.count:
        raise ValueError(f"{definition.id}: {register.type.value} takes {words} register(s), not {register.count}")
    return _decoder(*_essence(register, definition))


# a hundred meters of one model share their decoders: 82 instead of 8,200, 2.5 kB each
@lru_cache(maxsize=_SHARED)
def _decoder(register: Register, definition: PointDef) -> Decoder:
    if register.type in _TEXTS:
        decode = _text(register)
    elif register.type is RegisterType.DATETIME4:
        decode = _datetime4
    elif register.type is RegisterType.BOOL:
        decode = _bit(register, definition)
    else:
        decode = _number(register, definition)
    length = 1 if register.table in (Table.COIL, Table.DISCRETE_INPUT) else 2 * register.count

    def guarded(raw: bytes) -> Reading:
        return decode(raw) if len(raw) == length else NO_VALUE

    return guarded


def scaled(register: Register, factor: Fraction) -> Register:
    """Return the register with another scale: an alternative (new / old) or a scale factor (10**n)."""
    return replace(register, scale=register.scale * factor, counts=register.counts * factor)


def scale_factor(raw: bytes) -> Fraction | None:
    """Return the factor a SunSpec scale register stands for; None if it is not implemented or no scale factor."""
    if len(raw) != 2:
        return None
    exponent = int.from_bytes(raw, "big", signed=True)
    return Fraction(10) ** exponent if exponent in SCALE_EXPONENTS else None


def judge_for(register: Register, definition: PointDef) -> Judge | None:
    """
    Return what makes a reading of a number as `words` unpacks it; None for types that are no plain number.

    For a reader that unpacks many values at once; `decoder_for` does both for one.
    """
    if register.type not in PLAIN:
        return None
    return _shared_judge(*_essence(register, definition))


def _essence(register: Register, definition: PointDef) -> tuple[Register, PointDef]:
    """Return both without what differs between meters of one model."""
    essence = PointDef(
        0,
        "",
        definition.kind,
        meaning=definition.meaning,
        resolution=definition.resolution,
        modulus=definition.modulus,
        states=definition.states,
        low=definition.low,
        high=definition.high,
    )
    return replace(register, address=0, scale_alternatives=(), scale_at=None), essence


def _number(register: Register, definition: PointDef) -> Decoder:
    unpack, judge = unpacker(register.type, register.order), _judge(register, definition)

    def m10k(raw: bytes) -> Reading:
        try:
            number = unpack(raw)
        except struct.error:
            return NO_VALUE
        return judge(number)

    return m10k if register.type in M10K else lambda raw: judge(unpack(raw))


@lru_cache(maxsize=_SHARED)
def _shared_judge(register: Register, definition: PointDef) -> Judge:
    return _judge(register, definition)


def _judge(register: Register, definition: PointDef) -> Judge:
    if definition.kind is Kind.ANALOG:
        return _analog(register, definition)
    if definition.kind is Kind.ACCUMULATOR:
        return _accumulator(register, definition)
    if definition.kind is Kind.TEXT:
        return _finite(register, lambda number: (str(number), GOOD))
    if definition.kind is Kind.TIME:
        return _finite(register, lambda number: _whole(int(Fraction(number) * register.scale * _SECOND_NS)))
    return _finite(register, _code(definition))


def _reserved(register: Register) -> frozenset[int] | frozenset[float]:
    """Return the numbers the device has no value with; a NaN is not among them, for it equals nothing."""
    if register.type in FLOATS:
        return _invalid_floats(register)
    return SENTINELS.get(register.type, frozenset()) | _invalid_integers(register)


def _invalid_integers(register: Register) -> frozenset[int]:
    bits = _SIGNED.get(register.type)
    if bits is None:
        return register.invalid
    return frozenset(value - (1 << bits) if value >= 1 << (bits - 1) else value for value in register.invalid)


def _invalid_floats(register: Register) -> frozenset[float]:
    """A float register's `invalid` may be given as the number itself or as the bits of the registers."""
    bits, layout = _FLOAT_BITS[register.type], ">" + letter_of(register.type)
    found = {float(value) for value in register.invalid}
    for value in register.invalid:
        if 0 < value < 1 << (8 * struct.calcsize(bits)):
            found.add(struct.unpack(layout, struct.pack(bits, value))[0])
    return frozenset(value for value in found if value == value)


def _finite(register: Register, make: Judge) -> Judge:
    reserved = _reserved(register)

    def judge(number: Raw) -> Reading:
        if number in reserved or number != number:
            return NO_VALUE
        return make(number) if math.isfinite(number) else OUTSIDE

    return judge


def _whole(value: int) -> Reading:
    return (value, GOOD) if -MAX_COUNT <= value <= MAX_COUNT else OUTSIDE


def _analog(register: Register, definition: PointDef) -> Judge:
    # an integer times numerator over denominator is rounded once, so that 23012 * 0.01 is 230.12 itself
    up, down = register.scale.numerator * (-1 if register.inverted else 1), register.scale.denominator
    offset, reserved, largest = register.offset, _reserved(register), sys.float_info.max
    low = -largest if definition.low is None else max(definition.low, -largest)
    high = largest if definition.high is None else min(definition.high, largest)

    def real(number: Raw) -> Reading:
        # no NaN is between two limits
        if low <= number <= high and number not in reserved:
            return number, GOOD
        return NO_VALUE if number != number or number in reserved else OUTSIDE

    def scaled_value(number: Raw) -> Reading:
        if number in reserved or number != number:
            return NO_VALUE
        value = number * up / down + offset
        return (value, GOOD) if low <= value <= high else OUTSIDE

    return real if register.type in FLOATS and up == down == 1 and not offset else scaled_value


def _accumulator(register: Register, definition: PointDef) -> Judge:
    counts = register.counts * (-1 if register.inverted else 1)
    up, down = counts.numerator, counts.denominator
    reserved, single = _reserved(register), register.type is RegisterType.FLOAT32
    low, high = _count_limits(definition)

    def integer(number: Raw) -> Reading:
        if number in reserved:
            return NO_VALUE
        # below one count nothing is shown: energy is never rounded up
        count = int(number) * up // down
        return (count, GOOD) if low <= count <= high else OUTSIDE

    def real(number: Raw) -> Reading:
        if number in reserved or number != number:
            return NO_VALUE
        try:
            count = count_of_float(number, counts, _spacing32(number) if single else 0.0)
        except DecodeError:
            return OUTSIDE
        return (count, GOOD) if low <= count <= high else OUTSIDE

    return real if register.type in FLOATS else integer


def _spacing32(value: float) -> float:
    """Return the distance to the next float32."""
    # a float32 has 24 significant bits and no exponent below -126
    return math.ldexp(1.0, max(math.frexp(value)[1], -125) - 24)


def _count_limits(definition: PointDef) -> tuple[int, int]:
    """Return the counts between which a reading is one: an index is never negative, a balance may be."""
    signed = definition.meaning.direction is Direction.NET
    low, high = (-MAX_COUNT if signed else 0), MAX_COUNT
    if definition.modulus:
        high = min(high, definition.modulus - 1)
        low = max(low, -high)
    step = Fraction(10) ** definition.resolution
    if definition.low is not None:
        low = max(low, math.ceil(Fraction(definition.low) / step))
    if definition.high is not None and math.isfinite(definition.high):
        high = min(high, math.floor(Fraction(definition.high) / step))
    return low, high


def _code(definition: PointDef) -> Judge:
    """A state: a code that has no text is not one of the device's states."""
    codes = frozenset(code for code, _ in definition.states)
    if definition.kind is Kind.BINARY:
        return lambda number: (number == 1, GOOD) if number in (0, 1) else OUTSIDE
    if codes:
        return lambda number: (int(number), GOOD) if number in codes else OUTSIDE
    return lambda number: _whole(int(number)) if number == int(number) else OUTSIDE


def _bit(register: Register, definition: PointDef) -> Decoder:
    whole: Callable[[Reading], Reading] = lambda reading: reading  # noqa: E731 - one of three shapes of a bit
    if definition.kind is Kind.ANALOG:
        whole = _bit_as(float)
    elif definition.kind is not Kind.BINARY:
        whole = _bit_as(int)
    if register.table in (Table.COIL, Table.DISCRETE_INPUT):
        return lambda raw: whole((raw != b"\x00", GOOD))
    mask = None if register.bit is None else 1 << register.bit
    invalid = register.invalid

    def bit(raw: bytes) -> Reading:
        word = raw[-2] << 8 | raw[-1]
        if word in invalid:
            return NO_VALUE
        if mask is not None:
            return whole((word & mask != 0, GOOD))
        # without a bit number the register itself is the flag: anything but 0 and 1 is none
        return whole((word == 1, GOOD)) if word <= 1 else OUTSIDE

    return bit


def _bit_as(make: type[int] | type[float]) -> Callable[[Reading], Reading]:
    return lambda reading: (make(bool(reading[0])), reading[1])


def _text(register: Register) -> Decoder:
    narrow = register.type is RegisterType.STRING16

    def text(raw: bytes) -> Reading:
        characters = raw[1::2] if narrow else raw
        if not characters.strip(b"\xff") or raw == b"\x80\x00" * register.count:
            return NO_VALUE
        shown = characters.partition(b"\x00")[0].decode("utf-8", errors="replace")
        # what is no text is shown as such: control characters would reach terminals and log files
        clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown.strip())
        return clean, Quality.QUESTIONABLE if "\N{REPLACEMENT CHARACTER}" in clean else GOOD

    return text


def _datetime4(raw: bytes) -> Reading:
    """
    IEC 60870-5-4 date and time in four registers, high byte first:

        0: - (9) year (7, from 2000)         1: - (4) month (4) day of week (3) day (5)
        2: summer (1) - (2) hour (5) invalid (1) - (1) minute (6)      3: millisecond (16)
    """
    year, date, clock, millisecond = struct.unpack(">4H", raw)
    if clock & 0x80 or raw in (b"\xff" * 8, b"\x80\x00" * 4, bytes(8)):
        return NO_VALUE
    try:
        whole = datetime(
            2000 + (year & 0x7F), date >> 8 & 0x0F, date & 0x1F, clock >> 8 & 0x1F, clock & 0x3F, tzinfo=UTC
        )
    except ValueError:
        return OUTSIDE
    if millisecond >= 60_000:
        return OUTSIDE
    return int(whole.timestamp()) * _SECOND_NS + millisecond * 1_000_000, GOOD
