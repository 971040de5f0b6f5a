"""A sample in BACnet's terms: the value an object shows, and what its flags and Reliability say of it."""

import enum
import math
from collections.abc import Callable

from bridge.core.point import Value
from bridge.core.quality import UNUSABLE, Quality
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.plan import BINARIES, MULTI_STATES, REALS, ObjectType, Shape

# What a Present_Value holds: Real and Double as float, Unsigned and Enumerated as int, strings, UTC ns.
Shown = float | int | str
Show = Callable[[Value], Shown | None]
# Largest magnitude of a Real.
_REAL_MOST = 3.4028234663852886e38
# Integers a Double holds exactly.
_EXACT = 2**53
# Octets of a CharacterString we show.
_TEXT_MOST = 400


class Condition(enum.IntEnum):
    """What there is to say of a value; index of the tables below."""

    GOOD = 0
    NOT_HEARD = 1
    UNRELIABLE = 2
    OVER_RANGE = 3
    UNDER_RANGE = 4
    SUBSTITUTED = 5


# Clause 21, BACnetReliability: no-fault-detected 0, communication-failure 12, unreliable-other 7, over-range 2,
# under-range 3.
RELIABILITY_OF = bytes((0, 12, 7, 2, 3, 0))
FLAGS_OF = bytes((0, wire.FAULT, wire.FAULT, wire.FAULT, wire.FAULT, wire.OVERRIDDEN))
_NOT_HEARD = Quality.NEVER_READ | Quality.STALE | Quality.COMM_LOST


def _condition(quality: int) -> Condition:
    if quality & _NOT_HEARD:
        return Condition.NOT_HEARD
    if quality & UNUSABLE or quality & Quality.QUESTIONABLE:
        return Condition.UNRELIABLE
    return Condition.SUBSTITUTED if quality & Quality.SUBSTITUTED else Condition.GOOD


# Condition by quality, every combination of its ten flags.
CONDITION_OF = bytes(_condition(quality) for quality in range(1024))


def shower(shape: Shape) -> Show:
    """
    Return the function from a point's value to what the object shows; None where the type cannot carry it.

    What cannot be carried is never squeezed: the last value shown stays, with a fault.
    """
    kind = shape.object_type
    if kind in REALS:
        return _real if shape.factor == 1.0 else _scaled(shape.factor)
    if kind in BINARIES:
        return _binary
    if kind in MULTI_STATES:
        states = {code: number + 1 for number, code in enumerate(shape.codes)}
        return lambda value: states.get(value) if isinstance(value, int) else None
    if kind is ObjectType.ACCUMULATOR:
        modulus = shape.maximum + 1
        return lambda value: value % modulus if isinstance(value, int) and value >= 0 else None
    if kind is ObjectType.LARGE_ANALOG_VALUE:
        return _double(10.0**shape.resolution, shape.resolution, shape.factor)
    if kind is ObjectType.CHARACTERSTRING_VALUE:
        return _text
    return lambda value: value if isinstance(value, int) else None


def initial(shape: Shape) -> Shown:
    """Return what is shown before the first reading, always with a fault: NaN, or the least the type can say."""
    kind = shape.object_type
    if kind in REALS or kind is ObjectType.LARGE_ANALOG_VALUE:
        return math.nan
    if kind is ObjectType.CHARACTERSTRING_VALUE:
        return ""
    if kind is ObjectType.DATETIME_VALUE:
        # encodes as "unspecified"
        return -(2**63)
    return 1 if kind in MULTI_STATES else 0


def encoder(kind: ObjectType) -> Callable[[Shown], bytes]:
    """Return the application-tagged encoding of a Present_Value."""
    if kind in REALS:
        return _encode_real
    if kind is ObjectType.LARGE_ANALOG_VALUE:
        return _encode_double
    if kind in BINARIES:
        return lambda value: b"\x91\x01" if value else b"\x91\x00"
    if kind is ObjectType.CHARACTERSTRING_VALUE:
        return lambda value: wire.character_string(str(value))
    if kind is ObjectType.DATETIME_VALUE:
        return lambda value: wire.date_time(int(value))
    return lambda value: wire.unsigned(int(value))


def _encode_real(value: Shown) -> bytes:
    return wire.pack_real(wire.REAL_TAG, value)


def _encode_double(value: Shown) -> bytes:
    return wire.pack_double(wire.DOUBLE_TAG, 8, value)


def _real(value: Value) -> Shown | None:
    if isinstance(value, float | int) and not abs(value) > _REAL_MOST:
        return float(value)
    return None


def _scaled(factor: float) -> Show:
    return lambda value: _real(value * factor) if isinstance(value, float | int) else None


def _binary(value: Value) -> Shown | None:
    return int(value) if isinstance(value, bool | int) else None


def _text(value: Value) -> Shown | None:
    return value if isinstance(value, str) and len(value.encode()) <= _TEXT_MOST else None


def _double(step: float, resolution: int, factor: float) -> Show:
    def show(value: Value) -> Shown | None:
        if not isinstance(value, float | int):
            return None
        if isinstance(value, int) and abs(value) > _EXACT:
            return None
        # division is exact to the last bit where a multiplication by 0.01 is not
        return value / 10**-resolution if resolution < 0 else value * step * factor

    return show
