"""
What a conformance laboratory reads first: properties each object type must and must not have (135-2020, clause 12), and
whether a device does what its bit strings say. Pure: asks through the functions it is given.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

# Object_Identifier, Object_Name, Object_Type, Property_List: every object (clause 12.1).
_ALL = (75, 77, 79, 371)
_STATUS = (85, 111, 36, 81)
_COMMANDABLE = (87, 104, 431)
# Object type -> required properties.
REQUIRED: dict[int, tuple[int, ...]] = {
    0: (*_STATUS, 117),
    1: (*_STATUS, 117, *_COMMANDABLE),
    3: (*_STATUS, 84),
    4: (*_STATUS, 84, *_COMMANDABLE),
    # Device: system status, vendor, model, revisions, services, types, list, sizes, timers, binding, database revision
    8: (112, 121, 120, 70, 44, 12, 98, 139, 97, 96, 76, 62, 107, 11, 73, 30, 155),
    13: (*_STATUS, 74),
    14: (*_STATUS, 74, *_COMMANDABLE),
    # Notification Class: class, priorities, ack required, recipients
    15: (17, 86, 1, 102),
    19: (*_STATUS, 74),
    # Trend Log: enable, stop when full, sizes and counts, buffer, logging type
    20: (111, 36, 133, 144, 126, 131, 141, 145, 197),
    # Accumulator: scale, units, maximum
    23: (*_STATUS, 187, 117, 65),
    29: (208, 211),
    40: (85, 111),
    44: (85, 111),
    46: (85, 111, 36, 81, 117),
    # Network Port: status, reliability, network type, level, changes pending
    56: (111, 103, 81, 427, 482, 416),
}
# What an object that reports events (Event_Enable) has besides: class, time stamps, acknowledgements, type, detection.
REPORTING = (17, 130, 0, 72, 353)
# And by type: limits with their enable bits, dead band and delay; alarm values.
REPORTING_OF = {
    **dict.fromkeys((0, 1, 46), (45, 59, 25, 52, 113)),
    3: (6, 113),
    **dict.fromkeys((13, 19), (7, 113)),
}
# With segmentation or COV a Device has these too (clause 12.11).
DEVICE_CONDITIONAL = (167, 10, 152, 57, 56)
# Notification Class: tells of the events of others.
NOTIFYING = 15
# What stands in no Property_List.
NEVER_LISTED = frozenset(_ALL)
# Properties that belong together: both or neither.
PAIRS = ((110, 74), (46, 4), (87, 104))

Read = Callable[[int, int, int], Awaitable[bytes]]
# A request's confirmed service choice -> the PDU type of the answer and, of a Reject, its reason.
Ask = Callable[[int], Awaitable[tuple[int, int]]]
REJECT, UNRECOGNIZED_SERVICE = 6, 9
# Confirmed service choice -> bit of Protocol_Services_Supported (clause 21).
SERVICE_BITS = {
    0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 10: 10, 11: 11, 12: 12, 14: 14, 15: 15, 16: 16, 17: 17,
    18: 18, 19: 19, 20: 20, 21: 21, 22: 22, 23: 23, 26: 35, 27: 37, 28: 38, 29: 39,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing a laboratory would mark."""

    where: str
    what: str


def unsigned_list(octets: bytes) -> list[int]:
    """Decode a sequence of application-tagged Enumerated or Unsigned of up to four octets."""
    found, at = [], 0
    while at < len(octets):
        size = octets[at] & 7
        found.append(int.from_bytes(octets[at + 1 : at + 1 + size], "big"))
        at += 1 + size
    return found


def bits(octets: bytes) -> set[int]:
    """Decode an application-tagged BitString into the numbers of the bits set."""
    body = octets[2:] if octets[0] & 7 == 5 else octets[1:]
    unused, data = body[0], body[1:]
    return {n for n in range(len(data) * 8 - unused) if data[n // 8] & 0x80 >> n % 8}


async def object_faults(kind: int, instance: int, read: Read) -> list[Fault]:
    """Check one object. `read` returns the value octets, b"" for unknown-property."""
    where = f"{kind}.{instance}"
    listed = unsigned_list(await read(kind, instance, 371))
    faults = [Fault(where, f"required {p} is missing") for p in REQUIRED[kind] if not await read(kind, instance, p)]
    faults += [Fault(where, f"required {p} is not listed") for p in REQUIRED[kind] if p not in listed]
    faults += [Fault(where, f"{p} is listed") for p in listed if p in NEVER_LISTED]
    faults += [Fault(where, f"{p} is listed twice") for p in set(listed) if listed.count(p) > 1]
    faults += [Fault(where, f"{p} is listed and not there") for p in listed if not await read(kind, instance, p)]
    faults += [Fault(where, f"{p} is missing") for p in _ALL if not await read(kind, instance, p)]
    if kind == 8:
        faults += [Fault(where, f"{p} is missing") for p in DEVICE_CONDITIONAL if not await read(kind, instance, p)]
    if 35 in listed and kind != NOTIFYING:
        needed = REPORTING + REPORTING_OF.get(kind, ())
        faults += [Fault(where, f"reports events without {p}") for p in needed if not await read(kind, instance, p)]
    elif set(REPORTING) & set(listed) and kind != NOTIFYING:
        faults.append(Fault(where, "half of what reporting events takes"))
    return faults + list(_pair_faults(where, set(listed), kind))


def _pair_faults(where: str, listed: set[int], kind: int) -> Iterator[Fault]:
    for one, other in PAIRS:
        if one in listed and other not in listed and (one, kind) != (110, 0):
            yield Fault(where, f"{one} without {other}")


async def service_faults(supported: set[int], ask: Ask) -> list[Fault]:
    """Every confirmed service is executed if and only if its bit says so."""
    faults = []
    for service, bit in SERVICE_BITS.items():
        kind, reason = await ask(service)
        executed = not (kind == REJECT and reason == UNRECOGNIZED_SERVICE)
        if executed != (bit in supported):
            faults.append(Fault(f"service {service}", f"bit {bit in supported}, executed {executed}"))
    return faults
