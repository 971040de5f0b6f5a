"""Points to bytes: runs in one C call, single points with what does not fit clamped and marked OVER_RANGE."""

import math
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache

from bridge.projections.dnp3.objects import Flag, Layout

_LIMITS = {"i": (-(1 << 31), (1 << 31) - 1), "h": (-(1 << 15), (1 << 15) - 1)}
_MASKS = {"I": 0xFFFFFFFF, "H": 0xFFFF}
_FLOAT32_MAX = 3.4028234663852886e38
# ms since 1970 in the 48 bits of a DNP3 time.
TIME_MAX = (1 << 48) - 1
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
        if field in "FS":
            args.append(0)
        elif field == "R":
            args.append(time_ms)
        elif field == "T":
            args += (time_ms & 0xFFFFFFFF, time_ms >> 32 & 0xFFFF)
        else:
            number, over = _fit(field, value)
            flags |= Flag.OVER_RANGE if over and layout.fields[0] == "F" else 0
            args.append(number)
    if layout.fields[0] in "FS":
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


def fits(layout: Layout, values: Sequence[float]) -> bool:
    """Tell whether all values can be told in a layout of signed integers; True for others."""
    limits = _LIMITS.get(layout.fields)
    return limits is None or all(limits[0] <= value <= limits[1] for value in values)


def clamp_time(time_ms: int) -> int:
    return min(max(time_ms, 0), TIME_MAX)
