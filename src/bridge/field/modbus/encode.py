"""A commanded value -> the request that writes it. Pure: range, states, scale and type are checked before any byte."""

import math
import struct
from fractions import Fraction

from bridge.config.meter import RegisterType, Table
from bridge.config.model import Register, WriteTo
from bridge.core.accumulator import STEP_TOLERANCE
from bridge.core.point import Kind, PointDef, Value
from bridge.field.modbus.decode import SENTINELS
from bridge.field.modbus.words import FLOATS, packer

_WRITE_COIL, _WRITE_REGISTER, _WRITE_COILS, _WRITE_REGISTERS = 5, 6, 15, 16
# A client with 32-bit floats has no exact 23.1: this share of the value, in steps, is taken for the step.
_SINGLE = Fraction(1, 2**22)
_SECOND_NS = 1_000_000_000


class Unwritable(Exception):
    """The mapping offers no request that writes this point whole."""


class OutOfRange(Exception):
    """The value is none that the point may be given."""


def encode(write: WriteTo, definition: PointDef, value: Value) -> bytes:
    """Return the value's registers as they go on the wire; of a coil: one byte, 0 or 1. Raises: OutOfRange."""
    register = write.register
    _check(write, definition, value)
    if register.type in (RegisterType.STRING, RegisterType.STRING16):
        return _text(register, value)
    if register.type is RegisterType.BOOL:
        bit = bytes((int(bool(value)),))
        return bit if register.table is Table.COIL else b"\x00" + bit
    if register.type is RegisterType.DATETIME4:
        raise OutOfRange("dates are not written")
    if register.type in FLOATS:
        raw: int | float = float(_raw(register, definition, value))
    else:
        raw = _step(_raw(register, definition, value))
        if raw in SENTINELS.get(register.type, ()):
            raise OutOfRange(f"{raw} means that there is no value")
    try:
        return packer(register.type, register.order)(raw)
    except struct.error as exc:
        raise OutOfRange(f"{raw} is no {register.type.value}") from exc


def write_pdu(write: WriteTo, data: bytes) -> bytes:
    """Return the request PDU: one request for the whole value, never a part of it. Raises: Unwritable."""
    register = write.register
    head = register.address.to_bytes(2, "big")
    if register.table is Table.COIL:
        if _WRITE_COILS in write.functions and _WRITE_COIL not in write.functions:
            return bytes((_WRITE_COILS,)) + head + b"\x00\x01\x01" + data
        return bytes((_WRITE_COIL,)) + head + (b"\xff\x00" if data != b"\x00" else b"\x00\x00")
    if register.table is not Table.HOLDING:
        raise Unwritable(f"{register.table.name.lower()} is read-only")
    if register.bit is not None:
        raise Unwritable("one bit of a register cannot be written without its neighbours")
    # only function 16 may be broadcast (seed 004, l.3216-3220)
    if len(data) == 2 and _WRITE_REGISTER in write.functions and not write.broadcast:
        return bytes((_WRITE_REGISTER,)) + head + data
    if _WRITE_REGISTERS not in write.functions:
        raise Unwritable(f"{len(data) // 2} registers need function 16, which the device does not know")
    return bytes((_WRITE_REGISTERS,)) + head + struct.pack(">HB", len(data) // 2, len(data)) + data


def _check(write: WriteTo, definition: PointDef, value: Value) -> None:
    kind = definition.kind
    if kind is Kind.TEXT:
        fits = isinstance(value, str)
    elif kind is Kind.BINARY:
        fits = isinstance(value, bool) or value in (0, 1)
    elif kind is Kind.ANALOG:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    else:
        fits = isinstance(value, int) and not isinstance(value, bool)
    if not fits:
        raise OutOfRange(f"expected a value of kind {kind.value}, found {value!r}")
    if kind is Kind.MULTISTATE and definition.states and value not in dict(definition.states):
        raise OutOfRange(f"expected one of the states, found {value}")
    if isinstance(value, int | float):
        if (write.low is not None and value < write.low) or (write.high is not None and value > write.high):
            raise OutOfRange(f"expected {write.low} .. {write.high}, found {value}")
        if write.values and value not in write.values:
            raise OutOfRange(f"expected one of {write.values}, found {value}")


def _raw(register: Register, definition: PointDef, value: Value) -> Fraction:
    """Return what the register must hold, exactly: the inverse of the decoder's arithmetic."""
    assert isinstance(value, int | float)
    sign = -1 if register.inverted else 1
    if definition.kind is Kind.ANALOG:
        return sign * (Fraction(value) - Fraction(register.offset)) / register.scale
    if definition.kind is Kind.ACCUMULATOR:
        return sign * Fraction(value) / register.counts
    if definition.kind is Kind.TIME:
        return Fraction(value) / (register.scale * _SECOND_NS)
    return Fraction(value)


def _step(raw: Fraction) -> int:
    nearest = round(raw)
    if abs(raw - nearest) > max(STEP_TOLERANCE, abs(raw) * _SINGLE):
        raise OutOfRange(f"{float(raw)} lies between two steps of the register")
    return nearest


def _text(register: Register, value: Value) -> bytes:
    assert isinstance(value, str)
    characters = value.encode("utf-8")
    narrow = register.type is RegisterType.STRING16
    room = register.count if narrow else 2 * register.count
    if len(characters) > room or "\x00" in value or not value.isprintable():
        raise OutOfRange(f"expected at most {room} printable characters")
    padded = characters.ljust(room, b"\x00")
    return b"".join(b"\x00" + bytes((c,)) for c in padded) if narrow else padded
