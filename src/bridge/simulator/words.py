"""
Raw numbers and texts <-> 16-bit registers. Pure; written for the simulator alone.

The rule one must not break: nothing here is shared with the decoder of the field side, so that a mistake in either
shows as a difference between meter and bridge. Byte orders: config.meter.WordOrder; of a 64-bit value likewise.

DATETIME4 (IEC 60870-5-4, as in Schneider's register lists):

    word 0: year - 2000 (bits 0-6)       word 1: month (8-11), weekday 1 = Monday (5-7), day (0-4)
    word 2: hour (8-12), minute (0-5)    word 3: milliseconds of the minute
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bridge.config.meter import RegisterType, WordOrder

# What a register holds before scaling. TIME types: UTC nanoseconds.
Raw = int | float | str | bool

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAYOUT = {
    RegisterType.UINT16: ">H",
    RegisterType.INT16: ">h",
    RegisterType.UINT32: ">I",
    RegisterType.INT32: ">i",
    RegisterType.UINT64: ">Q",
    RegisterType.INT64: ">q",
    RegisterType.FLOAT32: ">f",
    RegisterType.FLOAT64: ">d",
    RegisterType.BOOL: ">H",
}
_FLOAT_LAYOUTS = frozenset({">f", ">d"})
_M10K = frozenset({RegisterType.UM10K, RegisterType.M10K})

# Largest and smallest integer of a type that is a number: the codes for "no value" (seed 004) are left out.
INTEGER_RANGE = {
    RegisterType.UINT16: (0, 0xFFFE),
    RegisterType.INT16: (-0x7FFF, 0x7FFF),
    RegisterType.UINT32: (0, 0xFFFF_FFFE),
    RegisterType.INT32: (-0x7FFF_FFFF, 0x7FFF_FFFF),
    RegisterType.UINT64: (0, 0xFFFF_FFFF_FFFF_FFFE),
    RegisterType.INT64: (-0x7FFF_FFFF_FFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF),
    RegisterType.UM10K: (0, 655_349_999),
    RegisterType.M10K: (-327_679_999, 327_679_999),
    RegisterType.BOOL: (0, 1),
}


def words_of(raw: Raw, kind: RegisterType, order: WordOrder, count: int) -> tuple[int, ...]:
    """
    Return the registers of `raw`, `count` of them for texts. Raises: struct.error or OverflowError for a number the
    type cannot hold, ValueError for a text that is too long.
    """
    layout = _LAYOUT.get(kind)
    if layout is not None:
        return _arranged(struct.pack(layout, float(raw) if layout in _FLOAT_LAYOUTS else int(raw)), order)
    if kind in (RegisterType.STRING, RegisterType.STRING16):
        return _text_words(str(raw), kind, count)
    if kind is RegisterType.DATETIME4:
        return _datetime_words(int(raw))
    if kind in _M10K:
        high, low = divmod(abs(int(raw)), 10_000)
        sign = -1 if int(raw) < 0 else 1
        return _arranged(struct.pack(">HH" if kind is RegisterType.UM10K else ">hh", sign * high, sign * low), order)
    # UNIX_TIME, the last one
    return _arranged(struct.pack(">I", int(raw) // 1_000_000_000), order)


def raw_of(words: Sequence[int], kind: RegisterType, order: WordOrder) -> Raw:
    """Return what a master wrote. Raises: ValueError for registers that are no value of the type."""
    if kind in (RegisterType.STRING, RegisterType.STRING16):
        data = (
            bytes(w & 0xFF for w in words) if kind is RegisterType.STRING16 else struct.pack(f">{len(words)}H", *words)
        )
        return data.partition(b"\0")[0].decode("ascii").strip()
    if kind is RegisterType.DATETIME4:
        return _datetime_ns(words)
    data = b"".join(struct.pack(">H", w) for w in _unarranged(words, order))
    if kind in _M10K:
        high, low = struct.unpack(">HH" if kind is RegisterType.UM10K else ">hh", data)
        return int(high * 10_000 + low)
    if kind is RegisterType.UNIX_TIME:
        return int.from_bytes(data, "big") * 1_000_000_000
    number: int | float = struct.unpack(_LAYOUT[kind], data)[0]
    return number


def single(value: float) -> float:
    """Return the float32 nearest to `value`."""
    nearest: float = struct.unpack(">f", struct.pack(">f", value))[0]
    return nearest


def single_above(value: float) -> float:
    """Return the float32 that follows `value`, a positive float32."""
    following: float = struct.unpack(">f", struct.pack(">I", struct.unpack(">I", struct.pack(">f", value))[0] + 1))[0]
    return following


def _arranged(high_first: bytes, order: WordOrder) -> tuple[int, ...]:
    words: tuple[int, ...] = struct.unpack(f">{len(high_first) // 2}H", high_first)
    if order is WordOrder.ABCD or len(words) == 1:
        # of one register the protocol itself says: high byte first (Application Protocol V1.1b3, 4.2)
        return words
    if order is not WordOrder.CDAB:
        words = tuple((w & 0xFF) << 8 | w >> 8 for w in words)
    return words if order is WordOrder.BADC else words[::-1]


def _unarranged(words: Sequence[int], order: WordOrder) -> tuple[int, ...]:
    # every order is its own inverse
    return _arranged(struct.pack(f">{len(words)}H", *words), order)


def _text_words(text: str, kind: RegisterType, count: int) -> tuple[int, ...]:
    data = text.encode("ascii")
    room = count if kind is RegisterType.STRING16 else 2 * count
    if len(data) > room:
        raise ValueError(f"expected at most {room} characters, found {len(data)}")
    padded = data.ljust(room, b"\0")
    return tuple(padded) if kind is RegisterType.STRING16 else struct.unpack(f">{count}H", padded)


def _datetime_words(utc_ns: int) -> tuple[int, ...]:
    when = _EPOCH + timedelta(microseconds=utc_ns // 1000)
    if not 2000 <= when.year <= 2127:
        raise OverflowError(f"expected a year from 2000 to 2127, found {when.year}")
    return (
        when.year - 2000,
        when.month << 8 | when.isoweekday() << 5 | when.day,
        when.hour << 8 | when.minute,
        when.second * 1000 + when.microsecond // 1000,
    )


def _datetime_ns(words: Sequence[int]) -> int:
    year, date, clock, millisecond = words
    when = datetime(2000 + (year & 0x7F), date >> 8 & 0xF, date & 0x1F, clock >> 8 & 0x1F, clock & 0x3F, tzinfo=UTC)
    return ((when - _EPOCH) // timedelta(milliseconds=1) + millisecond) * 1_000_000
