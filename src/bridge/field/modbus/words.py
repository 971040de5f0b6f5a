"""
Registers as bytes <-> the raw number they hold: types and word orders, nothing about meaning. Pure.

A 32-bit value with bytes A (most significant) to D; a 64-bit value ABCDEFGH follows the same pattern:

    ABCD  high word first, high byte first          ABCDEFGH
    CDAB  low word first, high byte first           GHEFCDAB
    BADC  high word first, low byte first           BADCFEHG
    DCBA  low word first, low byte first            HGFEDCBA

A 16-bit value is always high byte first (Modbus Application Protocol V1.1b3, 4.2) whatever the order says.
"""

import struct
from collections.abc import Callable

from bridge.config.meter import RegisterType, WordOrder

Raw = int | float
Unpack = Callable[[bytes], Raw]
Pack = Callable[[Raw], bytes]

_LETTERS = {
    RegisterType.UINT16: "H",
    RegisterType.INT16: "h",
    RegisterType.UINT32: "I",
    RegisterType.INT32: "i",
    RegisterType.UINT64: "Q",
    RegisterType.INT64: "q",
    RegisterType.FLOAT32: "f",
    RegisterType.FLOAT64: "d",
    RegisterType.UNIX_TIME: "I",
    RegisterType.BOOL: "H",
}
# 32B-M10K: the low word counts 0..9999, the high word ten thousands (seed 004, table of Modbus formats)
_TEN_THOUSAND = 10_000
FLOATS = frozenset({RegisterType.FLOAT32, RegisterType.FLOAT64})
M10K = frozenset({RegisterType.UM10K, RegisterType.M10K})
# Types that `struct` unpacks in one step when high words and bytes come first
PLAIN = frozenset(_LETTERS) - {RegisterType.BOOL}


def letter_of(kind: RegisterType) -> str:
    """Return the `struct` letter of a numeric type. Raises: KeyError for the others."""
    return _LETTERS[kind]


def words_of(kind: RegisterType) -> int:
    """Return how many registers a value of the type takes; 0 for text (any) and bits (one bit or one register)."""
    if kind is RegisterType.DATETIME4:
        return 4
    if kind in M10K:
        return 2
    return struct.calcsize(_LETTERS[kind]) // 2 if kind in _LETTERS and kind is not RegisterType.BOOL else 0


def unpacker(kind: RegisterType, order: WordOrder) -> Unpack:
    """Return the function from a value's bytes on the wire to the raw number. Raises: KeyError for text and dates."""
    if kind in M10K:
        return _m10k_unpacker(kind, order)
    letter = _LETTERS[kind]
    words = struct.calcsize(letter) // 2
    if words == 1 or order is WordOrder.ABCD:
        return _straight(struct.Struct(">" + letter))
    if order is WordOrder.DCBA:
        return _straight(struct.Struct("<" + letter))
    number = struct.Struct((">" if order is WordOrder.BADC else "<") + letter).unpack
    read, turn = struct.Struct(f">{words}H").unpack, struct.Struct(f"<{words}H").pack

    def swapped(raw: bytes) -> Raw:
        value: Raw = number(turn(*read(raw)))[0]
        return value

    return swapped


def packer(kind: RegisterType, order: WordOrder) -> Pack:
    """
    Return the inverse of `unpacker`. What it returns raises struct.error for a number that does not fit.

    Raises: KeyError for text and dates.
    """
    if kind in M10K:
        return _m10k_packer(kind, order)
    layout = struct.Struct(">" + _LETTERS[kind])
    integer = kind not in FLOATS

    def pack(value: Raw) -> bytes:
        try:
            return arranged(layout.pack(value), order)
        except OverflowError as exc:
            raise struct.error(str(exc)) from exc

    def pack_integer(value: Raw) -> bytes:
        if isinstance(value, float):
            raise struct.error("expected an integer")
        return pack(value)

    return pack_integer if integer else pack


def arranged(high_first: bytes, order: WordOrder) -> bytes:
    """Return the bytes of a value, most significant first, as they stand on the wire; its own inverse."""
    if len(high_first) <= 2 or order is WordOrder.ABCD:
        return high_first
    if order is WordOrder.DCBA:
        return high_first[::-1]
    pairs = [high_first[at : at + 2] for at in range(0, len(high_first), 2)]
    if order is WordOrder.CDAB:
        return b"".join(reversed(pairs))
    return b"".join(pair[::-1] for pair in pairs)


def _straight(layout: struct.Struct) -> Unpack:
    unpack = layout.unpack

    def straight(raw: bytes) -> Raw:
        value: Raw = unpack(raw)[0]
        return value

    return straight


def _m10k_unpacker(kind: RegisterType, order: WordOrder) -> Unpack:
    unpack = struct.Struct(">HH" if kind is RegisterType.UM10K else ">hh").unpack

    def m10k(raw: bytes) -> Raw:
        high, low = unpack(arranged(raw, order))
        if not -_TEN_THOUSAND < low < _TEN_THOUSAND or high * low < 0:
            raise struct.error(f"expected a low word below 10000 of the same sign, found {low}")
        return int(high * _TEN_THOUSAND + low)

    return m10k


def _m10k_packer(kind: RegisterType, order: WordOrder) -> Pack:
    layout = struct.Struct(">HH" if kind is RegisterType.UM10K else ">hh")

    def pack(value: Raw) -> bytes:
        if isinstance(value, float):
            raise struct.error("expected an integer")
        high, low = divmod(abs(value), _TEN_THOUSAND)
        sign = -1 if value < 0 else 1
        return arranged(layout.pack(sign * high, sign * low), order)

    return pack
