"""
The object table: which group and variation carries which fields.

Layout letters: F flags; S command status; i h f d signed 32, 16, float, double; I H unsigned 32, 16; T time (ms, 48
bits); R ms since the common time of occurrence (16 bits); P one bit per point; Q two bits per point. Little-endian.
Source: IEEE 1815-2012, Annex A.
"""

import enum
import struct
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
    # only events: what a master commanded and what became of it
    BINARY_COMMAND = "binary_command"
    ANALOG_COMMAND = "analog_command"


class Flag(enum.IntFlag):
    """Quality octet. Bits 5 to 7 mean other things for other types."""

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
    """`static` 0: there are only events."""

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
    PointType.BINARY_COMMAND: Groups(0, 13),
    PointType.ANALOG_COMMAND: Groups(0, 43),
}
_EVENT_COUNTER = {1: "FI", 2: "FH", 5: "FIT", 6: "FHT"}
_EVENT_ANALOG = {1: "Fi", 2: "Fh", 3: "FiT", 4: "FhT", 5: "Ff", 6: "Fd", 7: "FfT", 8: "FdT"}
_FIELDS: dict[int, dict[int, str]] = {
    1: {1: "P", 2: "F"},
    2: {1: "F", 2: "FT", 3: "FR"},
    3: {1: "Q", 2: "F"},
    4: {1: "F", 2: "FT", 3: "FR"},
    10: {1: "P", 2: "F"},
    11: {1: "F", 2: "FT"},
    13: {1: "S", 2: "ST"},
    20: {1: "FI", 2: "FH", 5: "I", 6: "H"},
    21: {1: "FI", 2: "FH", 5: "FIT", 6: "FHT", 9: "I", 10: "H"},
    22: _EVENT_COUNTER,
    23: _EVENT_COUNTER,
    30: {1: "Fi", 2: "Fh", 3: "i", 4: "h", 5: "Ff", 6: "Fd"},
    32: _EVENT_ANALOG,
    40: {1: "Fi", 2: "Fh", 3: "Ff", 4: "Fd"},
    42: _EVENT_ANALOG,
    43: {variation: "S" + fields[1:] for variation, fields in _EVENT_ANALOG.items()},
}
# The variation with flags that answers for one without, where a point is not simply online or does not fit.
FLAGGED = {
    (1, 1): 2,
    (3, 1): 2,
    (10, 1): 2,
    (20, 5): 1,
    (20, 6): 2,
    (21, 9): 1,
    (21, 10): 2,
    (30, 3): 1,
    (30, 4): 2,
}
# Time is packed as its low 32 and high 16 bits.
_CODES = {"F": "B", "S": "B", "T": "IH", "R": "H"}


def _layout(group: int, variation: int, fields: str) -> Layout:
    packed = fields in ("P", "Q")
    pattern = "" if packed else "".join(_CODES.get(field, field) for field in fields)
    return Layout(group, variation, fields, pattern, 0 if packed else struct.calcsize("<" + pattern))


LAYOUTS = {(g, v): _layout(g, v, fields) for g, rows in _FIELDS.items() for v, fields in rows.items()}
STATIC_TYPES = {groups.static: point_type for point_type, groups in GROUPS.items() if groups.static}
EVENT_TYPES = {groups.event: point_type for point_type, groups in GROUPS.items()}
