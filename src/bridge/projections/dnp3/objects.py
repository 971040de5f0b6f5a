"""
The object table: which group and variation carries which fields, and how runs of points become bytes.

Layout letters: F flags; i h f d signed 32, 16, float, double; I H unsigned 32, 16; T time (ms, 48 bits);
P one bit per point; Q two bits per point. Little-endian. Source: IEEE 1815-2012, Annex A.
"""

import enum
import math
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec


class PointType(enum.Enum):
    """Type of point; each has its own index space."""

    BINARY_INPUT = "binary_input"
    DOUBLE_BIT = "double_bit"
    BINARY_OUTPUT = "binary_output"
    COUNTER = "counter"
    FROZEN_COUNTER = "frozen_counter"
    ANALOG_INPUT = "analog_input"
    ANALOG_OUTPUT = "analog_output"
    OCTET_STRING = "octet_string"


class Flag(enum.IntFlag):
    """Quality octet. Bits 5 to 7 mean other things for other kinds."""

    ONLINE = 0x01
    RESTART = 0x02
    COMM_LOST = 0x04
    REMOTE_FORCED = 0x08
    LOCAL_FORCED = 0x10
    OVER_RANGE = 0x20
    DISCONTINUITY = 0x40
    REFERENCE_ERROR = 0x40
    STATE = 0x80


class Layout(msgspec.Struct, frozen=True, gc=False):
    """Fields of one object. `size` in bytes, 0 for packed bits."""

    group: int
    variation: int
    fields: str
    pattern: str
    size: int


class Groups(NamedTuple):
    static: int
    event: int


GROUPS = {
    PointType.BINARY_INPUT: Groups(1, 2),
    PointType.DOUBLE_BIT: Groups(3, 4),
    PointType.BINARY_OUTPUT: Groups(10, 11),
    PointType.COUNTER: Groups(20, 22),
    PointType.FROZEN_COUNTER: Groups(21, 23),
    PointType.ANALOG_INPUT: Groups(30, 32),
    PointType.ANALOG_OUTPUT: Groups(40, 42),
    PointType.OCTET_STRING: Groups(110, 111),
}
_EVENT_COUNTER = {1: "FI", 2: "FH", 5: "FIT", 6: "FHT"}
_EVENT_ANALOG = {1: "Fi", 2: "Fh", 3: "FiT", 4: "FhT", 5: "Ff", 6: "Fd", 7: "FfT", 8: "FdT"}
_FIELDS: dict[int, dict[int, str]] = {
    1: {1: "P", 2: "F"},
    2: {1: "F", 2: "FT"},
    3: {1: "Q", 2: "F"},
    4: {1: "F", 2: "FT"},
    10: {1: "P", 2: "F"},
    11: {1: "F", 2: "FT"},
    20: {1: "FI", 2: "FH", 5: "I", 6: "H"},
    21: {1: "FI", 2: "FH", 5: "FIT", 6: "FHT", 9: "I", 10: "H"},
    22: _EVENT_COUNTER,
    23: _EVENT_COUNTER,
    30: {1: "Fi", 2: "Fh", 3: "i", 4: "h", 5: "Ff", 6: "Fd"},
    32: _EVENT_ANALOG,
    40: {1: "Fi", 2: "Fh", 3: "Ff", 4: "Fd"},
    42: _EVENT_ANALOG,
}
# Time is packed as its low 32 and high 16 bits.
_CODES = {"F": "B", "T": "IH"}
_LIMITS = {"i": (-(1 << 31), (1 << 31) - 1), "h": (-(1 << 15), (1 << 15) - 1)}
_MASKS = {"I": 0xFFFFFFFF, "H": 0xFFFF}
_FLOAT32_MAX = 3.4028234663852886e38
_TIME_MASK = (1 << 48) - 1


def _layout(group: int, variation: int, fields: str) -> Layout:
    packed = fields in ("P", "Q")
    pattern = "" if packed else "".join(_CODES.get(field, field) for field in fields)
    return Layout(group, variation, fields, pattern, 0 if packed else struct.calcsize("<" + pattern))


LAYOUTS = {(g, v): _layout(g, v, fields) for g, rows in _FIELDS.items() for v, fields in rows.items()}
STATIC_TYPES = {groups.static: kind for kind, groups in GROUPS.items()}
EVENT_TYPES = {groups.event: kind for kind, groups in GROUPS.items()}

_ASCII_BIT = bytes(0x31 if flags & 0x80 else 0x30 for flags in range(256))


@lru_cache(maxsize=4096)
def _struct(prefix: str, pattern: str, count: int) -> struct.Struct:
    return struct.Struct("<" + prefix + pattern * count)


def pack_run(layout: Layout, flags: bytearray, values: Sequence[float], times: Sequence[int]) -> bytes:
    """Encode points that lie next to each other; one C call unless a value does not fit its type."""
    if layout.fields == "P":
        return _pack_bits(flags)
    if layout.fields == "Q":
        return _pack_pairs(flags)
    if layout.fields == "F":
        return bytes(flags)
    width = len(layout.pattern)
    args: list[float] = [0] * (len(flags) * width)
    try:
        for at, column in enumerate(_columns(layout.fields, flags, values, times)):
            args[at::width] = column
        return _struct("", layout.pattern, len(flags)).pack(*args)
    except (struct.error, OverflowError, ValueError):
        rows = zip(flags, values, times, strict=True)
        return b"".join(pack_point(layout, *row) for row in rows)


def _columns(fields: str, flags: bytearray, values: Sequence[float], times: Sequence[int]) -> Iterable[Sequence[float]]:
    for field in fields:
        if field == "F":
            yield flags
        elif field == "T":
            yield [time & 0xFFFFFFFF for time in times]
            yield [time >> 32 for time in times]
        elif field in "ih":
            yield list(map(round, values))
        elif field == "H":
            yield [int(value) & 0xFFFF for value in values]
        else:
            yield values


def pack_point(layout: Layout, flags: int, value: float, time_ms: int, index: int | None = None) -> bytes:
    """Encode one point, with a 16-bit index in front if given; what does not fit is clamped, OVER_RANGE."""
    args: list[float] = [] if index is None else [index]
    for field in layout.fields:
        if field == "F":
            args.append(0)
        elif field == "T":
            args += (time_ms & 0xFFFFFFFF, time_ms >> 32 & 0xFFFF)
        else:
            number, over = _fit(field, value)
            flags |= Flag.OVER_RANGE if over else 0
            args.append(number)
    if layout.fields[0] == "F":
        args[0 if index is None else 1] = flags
    return _struct("" if index is None else "H", layout.pattern, 1).pack(*args)


def _fit(field: str, value: float) -> tuple[float, bool]:
    if field in _MASKS:
        return int(value) & _MASKS[field], False
    if field == "d":
        return value, False
    if field == "f":
        if math.isfinite(value) and abs(value) > _FLOAT32_MAX:
            return math.copysign(_FLOAT32_MAX, value), True
        return value, False
    low, high = _LIMITS[field]
    if math.isnan(value):
        return 0, True
    if not low <= value <= high:
        return (high if value > 0 else low), True
    return min(max(round(value), low), high), False


def _pack_bits(flags: bytearray) -> bytes:
    digits = flags.translate(_ASCII_BIT)[::-1]
    return int(digits, 2).to_bytes(-(-len(flags) // 8), "little")


def _pack_pairs(flags: bytearray) -> bytes:
    padded = [octet >> 6 for octet in flags] + [0] * (-len(flags) % 4)
    quads = zip(padded[0::4], padded[1::4], padded[2::4], padded[3::4], strict=True)
    return bytes(a | b << 2 | c << 4 | d << 6 for a, b, c, d in quads)


def clamp_time(time_ms: int) -> int:
    return min(max(time_ms, 0), _TIME_MASK)
