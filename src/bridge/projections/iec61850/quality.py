"""
Our quality flags -> the 61850 quality bits and UtcTime, as pure functions.

Quality, 13 bits (IEC 61850-7-3, type Quality; bit 0 leftmost on the wire, lowest in the integer libiec61850 takes):

    0-1 validity: 00 good, 01 invalid, 10 reserved, 11 questionable
    2 overflow  3 outOfRange  4 badReference  5 oscillatory  6 failure  7 oldData  8 inconsistent  9 inaccurate
    10 source substituted  11 test  12 operatorBlocked

UtcTime, 8 bytes (IEC 61850-8-1, type TimeStamp), high byte first:

    seconds since 1970 (4) | fraction of a second, 2^-24 (3) |
    1: leapSecondsKnown, clockFailure, clockNotSynchronized, accuracy (5 bits)
"""

import enum
from typing import Final

from bridge.core.quality import Quality


class Bits(enum.IntFlag):
    INVALID = 0b10
    QUESTIONABLE = 0b11
    OUT_OF_RANGE = 1 << 3
    FAILURE = 1 << 6
    OLD_DATA = 1 << 7
    INCONSISTENT = 1 << 8
    SUBSTITUTED = 1 << 10


class ClockState(enum.Enum):
    SYNCHRONISED = enum.auto()
    UNSYNCHRONISED = enum.auto()
    FAILED = enum.auto()


_VALIDITY: Final = 0b11
# ROLLOVER and DISCONTINUITY have no 61850 bit (overflow means "value not representable"); CLOCK_UNSYNCED goes into the
# time stamp. COMM_LOST is old data and not invalid: the value was good once; NEVER_READ says that there is none.
_INVALID: Final = ((Quality.NEVER_READ, Bits(0)), (Quality.DEVICE_FAULT, Bits.FAILURE))
_QUESTIONABLE: Final = (
    (Quality.STALE, Bits.OLD_DATA),
    (Quality.COMM_LOST, Bits.OLD_DATA),
    (Quality.OUT_OF_RANGE, Bits.OUT_OF_RANGE),
    (Quality.QUESTIONABLE, Bits.INCONSISTENT),
)
# Number of significant bits of the fraction: 10 is 1 ms. 31: not specified.
ACCURACY_1_MS: Final = 10
ACCURACY_UNKNOWN: Final = 31
_LEAP_KNOWN, _CLOCK_FAILURE, _UNSYNCHRONISED = 0x80, 0x40, 0x20
_FLAGS: Final = {
    ClockState.SYNCHRONISED: _LEAP_KNOWN | ACCURACY_1_MS,
    ClockState.UNSYNCHRONISED: _LEAP_KNOWN | _UNSYNCHRONISED | ACCURACY_UNKNOWN,
    ClockState.FAILED: _CLOCK_FAILURE | _UNSYNCHRONISED | ACCURACY_UNKNOWN,
}
_LAST_SECOND: Final = (1 << 32) - 1
_NS: Final = 1_000_000_000


def bits(quality: Quality) -> int:
    """Translate flags; the worse validity wins, details add up."""
    if not quality:
        return 0
    details, validity = 0, 0
    for flag, detail in _QUESTIONABLE:
        if quality & flag:
            details, validity = details | detail, Bits.QUESTIONABLE
    for flag, detail in _INVALID:
        if quality & flag:
            details, validity = details | detail, Bits.INVALID
    if quality & Quality.SUBSTITUTED:
        details |= Bits.SUBSTITUTED
    return (details & ~_VALIDITY) | validity


def clock_of(quality: Quality) -> ClockState:
    """Return what the sample says of the clock that stamped it."""
    return ClockState.UNSYNCHRONISED if quality & Quality.CLOCK_UNSYNCED else ClockState.SYNCHRONISED


def utc_time(source_ns: int, clock: ClockState = ClockState.SYNCHRONISED) -> bytes:
    """Encode nanoseconds since 1970. Raises: ValueError outside 1970 to 2106."""
    seconds, rest = divmod(source_ns, _NS)
    if not 0 <= seconds <= _LAST_SECOND:
        raise ValueError(f"{source_ns} ns is outside 1970 to 2106")
    fraction = (rest << 24) // _NS
    return seconds.to_bytes(4, "big") + fraction.to_bytes(3, "big") + bytes([_FLAGS[clock]])
