"""
OPC UA binary encoding of what this server says thousands of times a second (OPC 10000-6, 5.2). Little-endian.

    NodeId, string identifier   03 | namespace u16 | length i32 | UTF-8
    NodeId, numeric             00 | u8     or     01 | namespace u8 | u16     or     02 | namespace u16 | u32
    DataValue                   mask | [Variant] | [StatusCode u32] | [SourceTimestamp i64] | [ServerTimestamp i64]
    Variant                     type u8 | value
    DateTime                    i64, 100 ns since 1601-01-01
"""

import enum
import struct

# 100 ns from 1601-01-01 to 1970-01-01
EPOCH = 116_444_736_000_000_000
I4 = struct.Struct("<i")
U4 = struct.Struct("<I")
II = struct.Struct("<II")
_U4_I8 = struct.Struct("<Iq").pack
_STRING_HEAD = struct.Struct("<BHi").pack
NULL_STRING = b"\xff\xff\xff\xff"
NULL_VARIANT = b"\0"

# bits of the mask of a DataValue
HAS_VALUE, HAS_STATUS, HAS_SOURCE, HAS_SERVER = 0x01, 0x02, 0x04, 0x08


class VariantType(enum.IntEnum):
    """Built-in types (OPC 10000-6, table 1), as far as points use them."""

    BOOLEAN = 1
    INT32 = 6
    UINT32 = 7
    INT64 = 8
    DOUBLE = 11
    STRING = 12
    DATE_TIME = 13
    LOCALIZED_TEXT = 21


# Bytes of a value of fixed size.
FIXED = {
    VariantType.BOOLEAN: 1,
    VariantType.INT32: 4,
    VariantType.UINT32: 4,
    VariantType.INT64: 8,
    VariantType.DOUBLE: 8,
    VariantType.DATE_TIME: 8,
}


class Timestamps(enum.IntEnum):
    """TimestampsToReturn (OPC 10000-4, 7.40)."""

    SOURCE = 0
    SERVER = 1
    BOTH = 2
    NEITHER = 3


def ticks(utc_ns: int) -> int:
    """Return a DateTime in whole microseconds: the library's own path knows no finer ones."""
    return utc_ns // 1000 * 10 + EPOCH


def string(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return I4.pack(len(data)) + data


def string_node_id(namespace: int, identifier: str) -> bytes:
    data = identifier.encode("utf-8")
    return _STRING_HEAD(3, namespace, len(data)) + data


def numeric_node_id(identifier: int) -> bytes:
    """Namespace 0."""
    if identifier <= 255:
        return bytes((0, identifier))
    if identifier <= 65_535:
        return struct.pack("<BBH", 1, 0, identifier)
    return struct.pack("<BHI", 2, 0, identifier)


def qualified_name(namespace: int, name: str) -> bytes:
    return struct.pack("<H", namespace) + string(name)


def localized_text(text: str) -> bytes:
    """Text without a locale; a null text for ""."""
    return b"\x02" + string(text) if text else b"\0"


def data_value(variant: bytes, status: int, source_ns: int, timestamps: int) -> bytes:
    """
    Encode a DataValue without its server time, which comes last: who sends it appends 8 bytes when
    `timestamps` asks for it. No source time for a sample that has none.
    """
    mask = HAS_VALUE | HAS_STATUS | (HAS_SERVER if timestamps in (Timestamps.SERVER, Timestamps.BOTH) else 0)
    if source_ns and timestamps in (Timestamps.SOURCE, Timestamps.BOTH):
        return bytes((mask | HAS_SOURCE,)) + variant + _U4_I8(status, ticks(source_ns))
    return bytes((mask,)) + variant + U4.pack(status)


def has_server_time(timestamps: int) -> bool:
    return timestamps in (Timestamps.SERVER, Timestamps.BOTH)


def node_id_end(data: bytes, at: int) -> int:
    """Return where the NodeId at `at` ends. Raises: IndexError, struct.error."""
    kind = data[at]
    if kind == 0:
        return at + 2
    if kind == 1:
        return at + 4
    if kind == 2:
        return at + 7
    if kind == 4:
        return at + 19
    if kind in (3, 5):
        return at + 7 + max(0, int(I4.unpack_from(data, at + 3)[0]))
    raise IndexError("a kind of NodeId that is not known")
