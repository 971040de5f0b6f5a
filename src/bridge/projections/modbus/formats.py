"""
How one value stands in registers: formats, word orders, and what a register says when there is no value.

The formats and the reserved values are those of the ION table (seed 004, l.3180-3247); float64, uint64 and M10K
follow its pattern. 16-bit words go high byte first, longer values high word first unless `WordOrder` says otherwise.
"""

import enum
import math
import struct
from collections.abc import Callable

from bridge.core.point import Kind, PointDef, Value


class Format(enum.Enum):
    """Names as in modbus.yaml. BOOLEAN: 0 or 1 in one register. TIME: int64, UTC milliseconds since 1970."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    # two 16-bit words, high * 10000 + low (ION "32B-M10K")
    M10K = "m10k"
    M10K_SIGNED = "m10k_signed"
    BOOLEAN = "boolean"
    TIME = "time"
    TEXT = "text"


class WordOrder(enum.Enum):
    """A is the most significant byte. For 64-bit values the same permutation of words and bytes."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


_CODES = {
    Format.INT16: ">h",
    Format.UINT16: ">H",
    Format.BOOLEAN: ">H",
    Format.INT32: ">i",
    Format.UINT32: ">I",
    Format.INT64: ">q",
    Format.UINT64: ">Q",
    Format.TIME: ">q",
    Format.FLOAT32: ">f",
    Format.FLOAT64: ">d",
    Format.M10K: ">HH",
    Format.M10K_SIGNED: ">hh",
}
_SENTINELS = {
    Format.INT16: "8000",
    Format.UINT16: "ffff",
    Format.BOOLEAN: "ffff",
    Format.INT32: "80000000",
    Format.UINT32: "ffffffff",
    Format.INT64: "8000000000000000",
    Format.UINT64: "ffffffffffffffff",
    Format.TIME: "8000000000000000",
    Format.FLOAT32: "ffc00000",
    Format.FLOAT64: "fff8000000000000",
    Format.M10K: "ffffffff",
    Format.M10K_SIGNED: "80008000",
}
FLOATS = frozenset({Format.FLOAT32, Format.FLOAT64})
# registers of a text field unless the mapping says otherwise: 32 bytes of UTF-8
TEXT_REGISTERS = 16
_NS_PER_MS, _NS_PER_S = 1_000_000, 1_000_000_000
# M10K: the low word counts to 9999
_M10K_BASE = 10_000

Encode = Callable[[Value], "bytes | None"]
Decode = Callable[[bytes], Value]


def registers_of(form: Format, text_registers: int = TEXT_REGISTERS) -> int:
    """Return how many 16-bit registers a value takes."""
    return text_registers if form is Format.TEXT else struct.calcsize(_CODES[form]) // 2


def sentinel_of(form: Format, registers: int, order: WordOrder = WordOrder.ABCD) -> bytes:
    """Return the reserved value of a format (M-44); an empty text for TEXT."""
    if form is Format.TEXT:
        return bytes(2 * registers)
    return ordered(bytes.fromhex(_SENTINELS[form]), order)


def ordered(data: bytes, order: WordOrder) -> bytes:
    """Put big-endian bytes into a word order, and back again."""
    match order:
        case WordOrder.ABCD:
            return data
        case WordOrder.DCBA:
            return data[::-1]
        case WordOrder.CDAB:
            return b"".join(data[at : at + 2] for at in range(len(data) - 2, -1, -2))
        case WordOrder.BADC:
            return b"".join(data[at : at + 2][::-1] for at in range(0, len(data), 2))


def encoder(
    definition: PointDef, form: Format, registers: int, ratio: tuple[int, int], order: WordOrder = WordOrder.ABCD
) -> Encode:
    """
    Return value -> bytes of `registers` registers, None where the value does not fit the format.

    `ratio`: register = value * ratio[0] / ratio[1]; the value of an accumulator is its count. Integers of a count
    are exact and, where a step is coarser than a count, floored: energy is never rounded up.
    """
    plain = _number_encoder(definition, form, ratio) if form is not Format.TEXT else _text_encoder(registers)
    if order is WordOrder.ABCD or form is Format.TEXT:
        return plain

    def turned(value: Value) -> bytes | None:
        data = plain(value)
        return data if data is None else ordered(data, order)

    return turned


def _number_encoder(definition: PointDef, form: Format, ratio: tuple[int, int]) -> Encode:
    pack, (times, over) = struct.Struct(_CODES[form]).pack, ratio
    sentinel = bytes.fromhex(_SENTINELS[form])
    split = form in (Format.M10K, Format.M10K_SIGNED)

    def number_of(value: float) -> float | int:
        if form in FLOATS:
            if definition.kind is Kind.ACCUMULATOR:
                scaled = int(value) * times
                return scaled / over
            return value if times == over else value * times / over
        if isinstance(value, int):
            return value * times // over
        return round(value) if times == over else round(value * times / over)

    def encode(value: Value) -> bytes | None:
        if value is None or isinstance(value, str) or not math.isfinite(value):
            return None
        try:
            number = number_of(value)
            data = pack(*_m10k(int(number))) if split else pack(number)
        except (struct.error, OverflowError):
            return None
        # a number that reads like "no value" is none that may be shown
        return None if data == sentinel else data

    def encode_time(value: Value) -> bytes | None:
        return pack(value // _NS_PER_MS) if isinstance(value, int) else None

    return encode_time if form is Format.TIME else encode


def _m10k(number: int) -> tuple[int, int]:
    high, low = divmod(abs(number), _M10K_BASE)
    return (high, low) if number >= 0 else (-high, -low)


def _text_encoder(registers: int) -> Encode:
    size = 2 * registers

    def encode(value: Value) -> bytes | None:
        if not isinstance(value, str):
            return None
        # cut between characters, not inside one
        return value.encode()[:size].decode(errors="ignore").encode().ljust(size, b"\0")

    return encode


def decoder(definition: PointDef, form: Format, ratio: tuple[int, int], order: WordOrder = WordOrder.ABCD) -> Decode:
    """
    Return bytes -> value for a command, the inverse of `encoder`; None for what is no value of the point.

    A reserved value is no value: nobody can set a point to "no value".
    """

    def decode(data: bytes) -> Value:
        if form is Format.TEXT:
            return _text(data)
        data = ordered(data, order)
        if data == bytes.fromhex(_SENTINELS[form]):
            return None
        words = struct.unpack(_CODES[form], data)
        number = words[0] * _M10K_BASE + words[1] if len(words) == 2 else words[0]
        return _value(definition.kind, form, number, ratio)

    return decode


def _text(data: bytes) -> Value:
    try:
        return data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return None


def _value(kind: Kind, form: Format, number: float, ratio: tuple[int, int]) -> Value:
    times, over = ratio
    if not math.isfinite(number):
        return None
    match kind:
        case Kind.BINARY:
            return bool(number) if number in (0, 1) else None
        case Kind.MULTISTATE:
            return int(number) if number == int(number) else None
        case Kind.TIME:
            return int(number) * _NS_PER_MS if form is Format.TIME else int(number) * over // times
        case Kind.ANALOG:
            return float(number) if times == over else number * over / times
        case Kind.ACCUMULATOR | Kind.TEXT:
            return None


def unit_ratio(definition: PointDef, scale_numerator: int, scale_denominator: int) -> tuple[int, int]:
    """Return the ratio of `encoder` for register = value / scale, in the unit of the point, in seconds for a TIME."""
    times, over = scale_denominator, scale_numerator
    if definition.kind is Kind.TIME:
        over *= _NS_PER_S
    if definition.kind is Kind.ACCUMULATOR:
        if definition.resolution >= 0:
            times *= 10**definition.resolution
        else:
            over *= 10**-definition.resolution
    divisor = math.gcd(times, over)
    return times // divisor, over // divisor
