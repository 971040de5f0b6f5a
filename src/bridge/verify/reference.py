"""
Registers as the meter sent them -> values, by other code than the bridge's decoder (pymodbus and `struct`).

The bridge keeps the newest raw blocks of each device with the time of their reply, so a point can be compared with
exactly the registers it was made of, however fast it moves.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from pymodbus.client.mixin import ModbusClientMixin

from bridge.config.meter import RegisterType, WordOrder
from bridge.config.model import Register

_Type = ModbusClientMixin.DATATYPE
_NUMBERS = {
    RegisterType.UINT16: _Type.UINT16,
    RegisterType.INT16: _Type.INT16,
    RegisterType.UINT32: _Type.UINT32,
    RegisterType.INT32: _Type.INT32,
    RegisterType.UINT64: _Type.UINT64,
    RegisterType.INT64: _Type.INT64,
    RegisterType.FLOAT32: _Type.FLOAT32,
    RegisterType.FLOAT64: _Type.FLOAT64,
    RegisterType.UNIX_TIME: _Type.UINT32,
}
_BIT_TABLES = frozenset({1, 2})


@dataclass(frozen=True, slots=True)
class RawBlock:
    """
    Registers of one reply. `function`: 1 to 4; for 1 and 2 `data` is the packed bits of the reply, of which `count` are
    bits (0: all) and the rest padding.
    """

    function: int
    address: int
    data: bytes
    utc_ns: int
    count: int = 0


def registers_of(register: Register, blocks: Sequence[RawBlock], at_ns: int) -> tuple[bytes, int] | None:
    """
    Return the bytes of a register and the time of their reply: those of `at_ns`, else the newest; None if no block
    covers it.
    """
    found: tuple[bytes, int] | None = None
    for block in blocks:
        if block.function != register.table.value or (found is not None and found[1] == at_ns):
            continue
        offset = register.address - block.address
        if block.function in _BIT_TABLES:
            if not 0 <= offset < (block.count or 8 * len(block.data)):
                continue
            data = bytes([block.data[offset // 8] >> offset % 8 & 1])
        else:
            data = block.data[2 * offset : 2 * (offset + register.count)] if offset >= 0 else b""
            if len(data) != 2 * register.count:
                continue
        if found is None or block.utc_ns > found[1] or block.utc_ns == at_ns:
            found = data, block.utc_ns
    return found


def raw_value(register: Register, data: bytes) -> Fraction | str | None:
    """Return what registers say, unscaled; times as UTC nanoseconds. None: not a number (NaN, infinite)."""
    if register.table.value in _BIT_TABLES:
        return Fraction(data[0])
    if register.type is RegisterType.STRING:
        return data.split(b"\0")[0].decode("utf-8", "replace").strip()
    if register.type is RegisterType.STRING16:
        return data[1::2].split(b"\0")[0].decode("latin-1").strip()
    if register.type is RegisterType.DATETIME4:
        return _datetime4(data)
    if register.type is RegisterType.BOOL:
        bit = register.bit or 0
        return Fraction(int.from_bytes(data, "big") >> bit & 1)
    words = _words(register, data)
    if register.type in (RegisterType.UM10K, RegisterType.M10K):
        code = "H" if register.type is RegisterType.UM10K else "h"
        high, low = struct.unpack(f">{code}{code}", b"".join(word.to_bytes(2, "big") for word in words))
        return Fraction(high * 10000 + low)
    number = ModbusClientMixin.convert_from_registers(words, _NUMBERS[register.type])
    if not isinstance(number, int | float) or number != number or number in (float("inf"), float("-inf")):
        return None
    if register.type is RegisterType.UNIX_TIME:
        return Fraction(number) * 1_000_000_000
    return Fraction(number)


def _words(register: Register, data: bytes) -> list[int]:
    """Bring the bytes into the order pymodbus expects: high byte first, high word first."""
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if len(words) > 1 and register.order in (WordOrder.BADC, WordOrder.DCBA):
        words = [word[::-1] for word in words]
    if register.order in (WordOrder.CDAB, WordOrder.DCBA):
        words.reverse()
    return [int.from_bytes(word, "big") for word in words]


def _datetime4(data: bytes) -> Fraction | None:
    """IEC 60870-5-4: year, month and day, hour and minute, milliseconds."""
    year, month, day = data[1] & 0x7F, data[2] & 0x0F, data[3] & 0x1F
    hour, minute, millisecond = data[4] & 0x1F, data[5] & 0x3F, int.from_bytes(data[6:8], "big")
    try:
        at = datetime(2000 + year, month, day, hour, minute, millisecond // 1000, tzinfo=UTC)
    except ValueError:
        return None
    return Fraction(int(at.timestamp()) * 1000 + millisecond % 1000) * 1_000_000
