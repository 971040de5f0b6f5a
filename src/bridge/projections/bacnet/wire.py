"""BACnet application-layer encodings of the read path (ANSI/ASHRAE 135-2020, clause 20.2)."""

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

# Property identifiers, clause 21.
DESCRIPTION, EVENT_STATE, OBJECT_ID, OBJECT_LIST, OBJECT_NAME, OBJECT_TYPE = 28, 36, 75, 76, 77, 79
OUT_OF_SERVICE, PRESENT_VALUE, RELIABILITY, STATUS_FLAGS, PROPERTY_LIST = 81, 85, 103, 111, 371
EVENT_TIME_STAMPS, ACKED_TRANSITIONS = 130, 0
LOG_BUFFER, RECORD_COUNT, TOTAL_RECORD_COUNT = 131, 141, 145
COV_INCREMENT, ALL, OPTIONAL, REQUIRED = 22, 8, 80, 105
PRIORITY_ARRAY, RELINQUISH_DEFAULT, CURRENT_COMMAND_PRIORITY = 87, 104, 431
# Services, clause 21.
SUBSCRIBE_COV, READ_PROPERTY, READ_PROPERTY_MULTIPLE, READ_RANGE, SUBSCRIBE_COV_PROPERTY = 5, 12, 14, 26, 28
# Error class and code pairs as they stand in an Error PDU or a propertyAccessError.
UNKNOWN_OBJECT = b"\x91\x01\x91\x1f"
UNKNOWN_PROPERTY = b"\x91\x02\x91\x20"
# resources, out-of-memory
OUT_OF_MEMORY = b"\x91\x03\x91\x85"
INVALID_ARRAY_INDEX = b"\x91\x02\x91\x2a"
# max-APDU-length-accepted nibble, clause 20.1.2.5.
APDU_LIMITS = (50, 128, 206, 480, 1024, 1476) + (0,) * 10
# Instance that stands for "this device" in a request to it, clause 12.11.1.
WILDCARD = 0x3FFFFF
NULL = b"\x00"

pack_real = struct.Struct(">Bf").pack
pack_double = struct.Struct(">BBd").pack
# Tags of Real and, in its extended form with eight octets, Double.
REAL_TAG, DOUBLE_TAG = 0x44, 0x55
# A Date and a Time of which nothing is known.
UNSPECIFIED_TIME = b"\xa4\xff\xff\xff\xff\xb4\xff\xff\xff\xff"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Status_Flags by nibble in-alarm, fault, overridden, out-of-service; clause 12.
STATUS_FLAGS_OCTETS = tuple(bytes((0x82, 0x04, nibble << 4)) for nibble in range(16))
IN_ALARM, FAULT, OVERRIDDEN, OUT_OF_SERVICE_FLAG = 8, 4, 2, 1


def unsigned_octets(value: int) -> bytes:
    """Encode without leading zeros, at least one octet. Raises: OverflowError for a negative number."""
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def unsigned(value: int) -> bytes:
    """Encode an application-tagged Unsigned of any size."""
    octets = unsigned_octets(value)
    return (bytes((0x20 | len(octets),)) if len(octets) < 5 else bytes((0x25, len(octets)))) + octets


def enumerated(value: int) -> bytes:
    """Encode an application-tagged Enumerated."""
    octets = unsigned_octets(value)
    return bytes((0x90 | len(octets),)) + octets


def real(value: float) -> bytes:
    """Encode an application-tagged Real. Raises: OverflowError."""
    return pack_real(REAL_TAG, value)


def double(value: float) -> bytes:
    """Encode an application-tagged Double."""
    return pack_double(DOUBLE_TAG, 8, value)


def context_unsigned(tag: int, value: int) -> bytes:
    """Encode a context-tagged Unsigned or Enumerated."""
    octets = unsigned_octets(value)
    return bytes((tag << 4 | 8 | len(octets),)) + octets


def context_object_id(tag: int, object_id: int) -> bytes:
    """Encode a context-tagged BACnetObjectIdentifier."""
    return bytes((tag << 4 | 0x0C,)) + object_id.to_bytes(4, "big")


def character_string(text: str) -> bytes:
    """Encode an application-tagged UTF-8 CharacterString (character set 0)."""
    body = b"\x00" + text.encode()
    if len(body) < 5:
        return bytes((0x70 | len(body),)) + body
    if len(body) < 254:
        return bytes((0x75, len(body))) + body
    return b"\x75\xfe" + len(body).to_bytes(2, "big") + body


def date_time(utc_ns: int) -> bytes:
    """Encode a Date and a Time in UTC, hundredths of a second; unspecified outside 1900 to 2154 (clause 20.2.12)."""
    try:
        at = _EPOCH + timedelta(microseconds=utc_ns // 1000)
    except OverflowError:
        return UNSPECIFIED_TIME
    if not 1900 <= at.year <= 2154:
        return UNSPECIFIED_TIME
    return _date_and_time(at)


def local_date_time(utc_ns: int) -> bytes:
    """As `date_time`, on the device's own clock, which is local time; unspecified for 0."""
    return (
        _date_and_time(datetime.fromtimestamp(utc_ns // 10**9, UTC).astimezone(), utc_ns)
        if utc_ns
        else UNSPECIFIED_TIME
    )


def time_stamps(utc_ns: Iterable[int]) -> bytes:
    """Encode BACnetTimeStamps of the choice dateTime (clause 21)."""
    return b"".join([b"\x2e%b\x2f" % local_date_time(each) for each in utc_ns])


def transition_bits(to_offnormal: bool, to_fault: bool, to_normal: bool) -> bytes:
    """Encode BACnetEventTransitionBits."""
    return bytes((0x82, 5, to_offnormal << 7 | to_fault << 6 | to_normal << 5))


def _date_and_time(at: datetime, ns: int | None = None) -> bytes:
    hundredths = at.microsecond // 10_000 if ns is None else ns % 10**9 // 10**7
    date = bytes((0xA4, at.year - 1900, at.month, at.day, at.isoweekday()))
    return date + bytes((0xB4, at.hour, at.minute, at.second, hundredths))
