"""
The library's objects of our points, built only when the stack itself must touch one, and the device that lists them.

A prototype per shape also yields the octets of what never changes (`entries_of`), encoded by the library itself.
"""

import inspect
from collections.abc import Iterable
from typing import Any

from bacpypes3.basetypes import (
    DateTime,
    DeviceStatus,
    EventTransitionBits,
    LimitEnable,
    ObjectTypesSupported,
    Prescale,
    PriorityArray,
    PriorityValue,
    PropertyIdentifier,
    Scale,
    TimeStamp,
)
from bacpypes3.constructeddata import ArrayOf, ListOf
from bacpypes3.local.device import DeviceObject as StockDevice
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.local.object import Object as StockLocal
from bacpypes3.object import (
    AccumulatorObject,
    AnalogInputObject,
    AnalogOutputObject,
    BinaryInputObject,
    BinaryOutputObject,
    CharacterStringValueObject,
    DateTimeValueObject,
    LargeAnalogValueObject,
    MultiStateInputObject,
    MultiStateOutputObject,
    MultiStateValueObject,
    StructuredViewObject,
)
from bacpypes3.primitivedata import Date, ObjectIdentifier, Time, Unsigned

from bridge.projections.bacnet import wire
from bridge.projections.bacnet.model import NEVER, NONE_OPEN, Entry
from bridge.projections.bacnet.plan import BINARIES, COMMANDABLE, MULTI_STATES, REALS, Intrinsic, ObjectType, Shape
from bridge.projections.bacnet.values import Shown

# Clause 12.1.1.4: these four never stand in Property_List.
_NOT_LISTED = ("objectIdentifier", "objectName", "objectType", "propertyList")


class PointObject(StockLocal):
    """What every built object shares: no start-up task, a lawful Property_List."""

    async def _post_init(self) -> None:
        """The stock one starts COV and alarm algorithms, which here belong to the model."""

    def _listed(self) -> Any:
        names = [
            n for n in self._elements if n not in _NOT_LISTED and inspect.getattr_static(self, n, None) is not None
        ]
        return ArrayOf(PropertyIdentifier)([self._property_identifier_class(n) for n in names])

    propertyList = property(_listed, StockLocal.propertyList.fset)


class OurAnalogInput(PointObject, AnalogInputObject): ...


class OurAnalogOutput(PointObject, AnalogOutputObject): ...


class OurBinaryInput(PointObject, BinaryInputObject): ...


class OurBinaryOutput(PointObject, BinaryOutputObject): ...


class OurMultiStateInput(PointObject, MultiStateInputObject): ...


class OurMultiStateOutput(PointObject, MultiStateOutputObject): ...


class OurMultiStateValue(PointObject, MultiStateValueObject): ...


class OurAccumulator(PointObject, AccumulatorObject): ...


class OurCharacterStringValue(PointObject, CharacterStringValueObject): ...


class OurDateTimeValue(PointObject, DateTimeValueObject): ...


class OurLargeAnalogValue(PointObject, LargeAnalogValueObject): ...


class OurStructuredView(PointObject, StructuredViewObject): ...


class OurNetworkPort(NetworkPortObject):
    """A Network Port with a lawful Property_List."""

    propertyList = property(PointObject._listed, StockLocal.propertyList.fset)


_CLASSES: dict[ObjectType, Any] = {
    ObjectType.ANALOG_INPUT: OurAnalogInput,
    ObjectType.ANALOG_OUTPUT: OurAnalogOutput,
    ObjectType.BINARY_INPUT: OurBinaryInput,
    ObjectType.BINARY_OUTPUT: OurBinaryOutput,
    ObjectType.MULTI_STATE_INPUT: OurMultiStateInput,
    ObjectType.MULTI_STATE_OUTPUT: OurMultiStateOutput,
    ObjectType.MULTI_STATE_VALUE: OurMultiStateValue,
    ObjectType.ACCUMULATOR: OurAccumulator,
    ObjectType.CHARACTERSTRING_VALUE: OurCharacterStringValue,
    ObjectType.DATETIME_VALUE: OurDateTimeValue,
    ObjectType.LARGE_ANALOG_VALUE: OurLargeAnalogValue,
}


class OurDevice(StockDevice):
    """Device object whose lists come from the application's model."""

    def _types(self) -> Any:
        bits = ObjectTypesSupported([])
        for number in self._app.object_types():
            bits.extend([0] * (number + 1 - len(bits)))
            bits[number] = 1
        return bits

    def _objects(self) -> Any:
        octets = self._app.model.object_list()
        numbers = [int.from_bytes(octets[k : k + 4], "big") for k in range(1, len(octets), 5)]
        return ArrayOf(ObjectIdentifier)([ObjectIdentifier((n >> 22, n & wire.WILDCARD)) for n in numbers])

    def _status(self) -> Any:
        return DeviceStatus("nonOperational" if self._app.is_dead() else "operational")

    systemStatus = property(_status, lambda self, value: None)
    protocolObjectTypesSupported = property(_types, StockDevice.protocolObjectTypesSupported.fset)
    objectList = property(_objects, StockDevice.objectList.fset)
    propertyList = property(PointObject._listed, StockLocal.propertyList.fset)


def identifier(object_id: int) -> Any:
    """Return the library's object identifier."""
    return ObjectIdentifier((object_id >> 22, object_id & wire.WILDCARD))


def build(shape: Shape, object_id: int, name: str) -> Any:
    """Build the object of one point; `show` gives it the present value."""
    more: dict[str, Any] = {}
    kind = shape.object_type
    if shape.units >= 0:
        more["units"] = shape.units
    if kind in REALS or kind is ObjectType.LARGE_ANALOG_VALUE:
        more["covIncrement"] = shape.increment
        limits = {"minPresValue": shape.low, "maxPresValue": shape.high} if kind in REALS else {}
        more |= {name_of: limit for name_of, limit in limits.items() if limit is not None}
    if kind is ObjectType.ACCUMULATOR:
        more["scale"] = Scale(integerScale=shape.resolution)
        more["prescale"] = Prescale(multiplier=1, moduloDivide=1)
        more["maxPresValue"] = shape.maximum
    if kind in BINARIES:
        more["polarity"] = "normal"
        more["inactiveText"], more["activeText"] = shape.texts
    if kind in MULTI_STATES:
        more["numberOfStates"], more["stateText"] = len(shape.texts), list(shape.texts)
    if kind is ObjectType.DATETIME_VALUE:
        more["isUTC"] = True
    if shape.event is not None:
        more |= _reporting(shape, shape.event)
    obj = _CLASSES[kind](
        objectIdentifier=identifier(object_id),
        objectName=name,
        description=shape.description,
        statusFlags=[0, 0, 0, 0],
        eventState="normal",
        reliability="no-fault-detected",
        outOfService=False,
        **more,
    )
    present = 1 if kind in MULTI_STATES else "" if kind is ObjectType.CHARACTERSTRING_VALUE else 0
    show(obj, kind, present)
    if kind in COMMANDABLE:
        command(obj, kind, {})
    return obj


def _reporting(shape: Shape, event: Intrinsic) -> dict[str, Any]:
    """Return the properties of intrinsic reporting (clause 13.3) as the alarm service of the bridge has them."""
    more: dict[str, Any] = {
        "eventDetectionEnable": True,
        "notificationClass": event.told_by,
        "eventEnable": enabled(event),
        "ackedTransitions": acknowledged(NONE_OPEN),
        "notifyType": "alarm",
        "eventTimeStamps": ArrayOf(TimeStamp)(stamps(NEVER)),
        "timeDelay": event.delay_s,
        "timeDelayNormal": event.delay_normal_s,
    }
    kind = shape.object_type
    if kind in BINARIES:
        more["alarmValue"] = event.states[-1] if event.states else 1
    elif kind in MULTI_STATES:
        more["alarmValues"] = ListOf(Unsigned)([Unsigned(state) for state in event.states])
    else:
        more["limitEnable"] = LimitEnable([int(event.low is not None), int(event.high is not None)])
        more["lowLimit"], more["highLimit"] = event.low or 0.0, event.high or 0.0
        more["deadband"] = event.deadband
    return more


def enabled(event: Intrinsic) -> Any:
    """Return Event_Enable: faults are told for the meter as a whole, by one of its objects."""
    return EventTransitionBits([1, int(event.is_fault), 1])


def acknowledged(open_: tuple[bool, bool]) -> Any:
    """Return Acked_Transitions."""
    return EventTransitionBits([int(not open_[0]), int(not open_[1]), 1])


def stamps(utc_ns: Iterable[int]) -> list[Any]:
    """Return Event_Time_Stamps."""
    return [time_stamp(each) for each in utc_ns]


def time_stamp(utc_ns: int) -> Any:
    """Return a date and a time on the device's own clock; unspecified for 0."""
    octets = wire.local_date_time(utc_ns)
    return TimeStamp(dateTime=DateTime(date=Date(tuple(octets[1:5])), time=Time(tuple(octets[6:10]))))


def show(obj: Any, kind: ObjectType, value: Shown) -> None:
    """Give a built object its present value, past the library's monitors."""
    obj.__dict__["presentValue"] = typed = _typed(obj, kind, value)
    if kind in COMMANDABLE:
        obj.__dict__["relinquishDefault"] = typed


def command(obj: Any, kind: ObjectType, commanded: dict[int, Shown]) -> None:
    """Give a built object its priority array: `commanded` by priority 1 to 16."""
    slots = [PriorityValue(null=())] * 16
    word = "real" if kind in REALS else "enumerated" if kind in BINARIES else "unsigned"
    for priority, value in commanded.items():
        slots[priority - 1] = PriorityValue(**{word: value})
    obj.__dict__["priorityArray"] = PriorityArray(slots)
    element = obj._elements["currentCommandPriority"]
    obj.__dict__["currentCommandPriority"] = element(unsigned=min(commanded)) if commanded else element(null=())


def _typed(obj: Any, kind: ObjectType, value: Shown) -> Any:
    if kind is ObjectType.DATETIME_VALUE:
        octets = wire.date_time(int(value))
        return DateTime(date=Date(tuple(octets[1:5])), time=Time(tuple(octets[6:10])))
    return obj._elements["presentValue"](value)


def entries_of(shape: Shape, dynamic: dict[int, Entry]) -> dict[int, Entry]:
    """Return octets or encoder of every property the objects of a shape have."""
    prototype = build(shape, shape.object_type << 22, "-")
    entries: dict[int, Entry] = {}
    for name in prototype._elements:
        if inspect.getattr_static(prototype, name, None) is None:
            continue
        value = getattr(prototype, name)
        if value is None:
            continue
        prop = int(PropertyIdentifier(name))
        entries[prop] = dynamic.get(prop) or octets_of(value)
    return entries


def octets_of(value: Any) -> bytes:
    """Encode one property value as the library does."""
    return bytes(value.encode().encode().pduData)
