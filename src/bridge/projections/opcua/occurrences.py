"""
What happened, as the fields of an OPC UA event (OPC 10000-5, 6.4.2; OPC 10000-9, 5.5 to 5.8). Pure.

A field is asked for by its browse path, "ActiveState/Id"; "" is the condition itself. A Variant is its type byte and
the value.
"""

import struct
from typing import NamedTuple, Protocol

from bridge.core.alarm import Alarm, Band
from bridge.projections.opcua.binary import I4, localized_text, numeric_node_id, string, string_node_id, ticks
from bridge.projections.opcua.nodes import SERVER, Localized
from bridge.projections.opcua.plan import NAMESPACE_INDEX

# Event types and the types above each (OPC 10000-5, OPC 10000-9)
BASE_EVENT, CONDITION, ACKNOWLEDGEABLE, ALARM_CONDITION, DISCRETE, OFF_NORMAL = 2041, 2782, 2881, 2915, 10523, 10637
SYSTEM_EVENT, REFRESH_START, REFRESH_END, QUEUE_OVERFLOW = 2130, 2787, 2788, 3035
_ABOVE = {
    ALARM_CONDITION: (ACKNOWLEDGEABLE, CONDITION, BASE_EVENT),
    OFF_NORMAL: (DISCRETE, ALARM_CONDITION, ACKNOWLEDGEABLE, CONDITION, BASE_EVENT),
    REFRESH_START: (SYSTEM_EVENT, BASE_EVENT),
    REFRESH_END: (SYSTEM_EVENT, BASE_EVENT),
    QUEUE_OVERFLOW: (BASE_EVENT,),
}
PROCESS_CONDITION_CLASS = 11163
# Severity 1 to 333 is low, to 666 medium, to 1000 high (OPC 10000-5, 6.4.2): our bands end where those end.
_BANDS = ((Band.INFO, Band.LOW, 1, 166), (Band.LOW, Band.MEDIUM, 167, 333), (Band.MEDIUM, Band.HIGH, 334, 666))
_HIGHEST = 255
_EVENT_ID = struct.Struct(">QB")


class NodeName(NamedTuple):
    """A node id: a text of our namespace or a number of namespace 0; "" is the null node id."""

    identifier: str | int


class Ticks(NamedTuple):
    """A DateTime: 100 ns since 1601."""

    since_1601: int


class Status(NamedTuple):
    code: int


Field = bool | int | str | bytes | Localized | NodeName | Ticks | Status | None


class Occurrence(Protocol):
    """One event. `device`: "" for one of the server itself. `types`: its own type and all above."""

    @property
    def device(self) -> str: ...
    @property
    def types(self) -> frozenset[int]: ...
    def field(self, path: str) -> Field:
        """Return None for a field that this event has not."""
        ...


def severity_of(priority: int) -> int:
    """Return the severity of a priority of 0 to 255, in the same band."""
    for low, end, first, last in _BANDS:
        if priority < end:
            return first + max(0, priority - low) * (last - first) // (end - 1 - low)
    return 667 + (min(priority, _HIGHEST) - Band.HIGH) * 333 // (_HIGHEST - Band.HIGH)


def types_of(event_type: int) -> frozenset[int]:
    return frozenset((event_type, *_ABOVE[event_type]))


def event_id(alarm: Alarm, *, branch: bool) -> bytes:
    """Name the event of an alarm that has come to a state; it never comes to the same one again."""
    flags = alarm.active | alarm.acknowledged << 1 | alarm.confirmed << 2 | branch << 3
    return _EVENT_ID.pack(alarm.id, flags)


def alarm_of(event: bytes) -> int | None:
    """Return the id of the alarm that an event id names."""
    return int(_EVENT_ID.unpack(event)[0]) if len(event) == _EVENT_ID.size else None


def variant(field: Field) -> bytes:
    """Return a field as a Variant. An int is a UInt16."""
    match field:
        case None:
            return b"\0"
        case bool():
            return b"\x01\x01" if field else b"\x01\x00"
        case int():
            return struct.pack("<BH", 5, field)
        case str():
            return b"\x0c" + string(field)
        case Ticks():
            return struct.pack("<Bq", 13, field.since_1601)
        case bytes():
            return b"\x0f" + I4.pack(len(field)) + field
        case NodeName():
            return b"\x11" + _node_id(field.identifier)
        case Status():
            return struct.pack("<BI", 19, field.code)
        case Localized():
            return b"\x15" + localized_text(field.text)


def _node_id(identifier: str | int) -> bytes:
    if isinstance(identifier, int) or not identifier:
        return numeric_node_id(int(identifier or 0))
    return string_node_id(NAMESPACE_INDEX, identifier)


class Notice:
    """An event of the server itself: the begin and end of a refresh, events that were lost."""

    __slots__ = ("_id", "_now", "_text", "_type")
    device = ""

    def __init__(self, event_type: int, text: str, id_: bytes, utc_ns: int) -> None:
        self._type, self._text, self._id, self._now = event_type, text, id_, Ticks(ticks(utc_ns))

    @property
    def types(self) -> frozenset[int]:
        return types_of(self._type)

    def field(self, path: str) -> Field:
        match path:
            case "EventId":
                return self._id
            case "EventType":
                return NodeName(self._type)
            case "SourceNode":
                return NodeName(SERVER)
            case "SourceName":
                return "Server"
            case "Time" | "ReceiveTime":
                return self._now
            case "Message":
                return Localized(self._text)
            case "Severity":
                return 1
            case _:
                return None


class Source(NamedTuple):
    """Where an alarm is. `node`: of the point, the meter, or the server. `point`: it is a point's."""

    node: NodeName
    name: str
    device: str
    point: bool = False
    discrete: bool = False


class ConditionEvent:
    """A condition in one of its states. `branch`: an earlier alarm of a condition that has a newer one."""

    __slots__ = ("_alarm", "_branch", "_comment", "_confirming", "_quality", "_source", "_utc_ns")

    def __init__(
        self, alarm: Alarm, source: Source, utc_ns: int, quality: int, *, branch: bool, confirming: bool, comment: str
    ) -> None:
        """`confirming`: whether this site has alarms confirmed. `quality`: StatusCode of the point."""
        self._alarm, self._source, self._utc_ns, self._quality = alarm, source, utc_ns, quality
        self._branch, self._confirming, self._comment = branch, confirming, comment

    @property
    def device(self) -> str:
        return self._source.device

    @property
    def types(self) -> frozenset[int]:
        return types_of(OFF_NORMAL if self._source.discrete else ALARM_CONDITION)

    @property
    def retain(self) -> bool:
        return is_open(self._alarm, confirming=self._confirming)

    def field(self, path: str) -> Field:
        name, _, part = path.partition("/")
        states = {"EnabledState": True, "ActiveState": self._alarm.active, "AckedState": self._alarm.acknowledged}
        if self._confirming:
            states["ConfirmedState"] = self._is_confirmed()
        if name in states:
            return self._state(name, part, holds=states[name])
        return self._own(path) if not part or path == "LastSeverity/SourceTimestamp" else self._beside(path)

    def _state(self, name: str, part: str, *, holds: bool) -> Field:
        alarm, words = self._alarm, _WORDS[name]
        times = {
            "ActiveState": alarm.end_ns or alarm.start_ns,
            "AckedState": alarm.acknowledged_ns or alarm.start_ns,
            "ConfirmedState": alarm.confirmed_ns or alarm.acknowledged_ns or alarm.start_ns,
        }
        match part:
            case "":
                return Localized(words[holds])
            case "Id":
                return holds
            case "TransitionTime" if name in times:
                return Ticks(ticks(times[name]))
            case "TrueState" | "FalseState":
                return Localized(words[part == "TrueState"])
            case _:
                return None

    def _own(self, path: str) -> Field:
        alarm, source = self._alarm, self._source
        match path:
            case "":
                return NodeName(condition_of(alarm, source))
            case "EventId":
                return event_id(alarm, branch=self._branch)
            case "EventType":
                return NodeName(OFF_NORMAL if source.discrete else ALARM_CONDITION)
            case "SourceNode":
                return source.node
            case "SourceName":
                return source.name
            case "Time":
                moments = (alarm.start_ns, alarm.end_ns, alarm.acknowledged_ns, alarm.confirmed_ns)
                return Ticks(ticks(max(moments)))
            case "ReceiveTime":
                return Ticks(ticks(self._utc_ns))
            case "Message":
                return Localized(message_of(alarm))
            case "Severity" | "LastSeverity":
                return severity_of(alarm.priority)
            case "ConditionClassId":
                return NodeName(PROCESS_CONDITION_CLASS)
            case "ConditionClassName":
                return Localized("ProcessConditionClassType")
            case "ConditionName":
                return alarm.name
            case "BranchId":
                return NodeName(f"{condition_of(alarm, source)}#{alarm.id}" if self._branch else "")
            case "Retain":
                return self.retain
            case "Quality":
                return Status(self._quality)
            case "Comment":
                return Localized(self._comment)
            case "ClientUserId":
                return alarm.confirmed_by or alarm.acknowledged_by
            case "InputNode":
                return source.node if source.point else NodeName("")
            case "NormalState":
                return NodeName("") if source.discrete else None
            case "SuppressedOrShelved":
                return False
            case _:
                return None

    def _beside(self, path: str) -> Field:
        """Times of fields that have one."""
        match path:
            case "Quality/SourceTimestamp" | "LastSeverity/SourceTimestamp":
                return Ticks(ticks(self._alarm.end_ns or self._alarm.start_ns))
            case "Comment/SourceTimestamp":
                noted_ns = self._alarm.confirmed_ns or self._alarm.acknowledged_ns
                return Ticks(ticks(noted_ns)) if noted_ns else None
            case _:
                return None

    def _is_confirmed(self) -> bool:
        """There is nothing to confirm before somebody has acknowledged (OPC 10000-9, 5.7.2)."""
        return self._alarm.confirmed or not self._alarm.acknowledged


_WORDS = {
    "EnabledState": ("Disabled", "Enabled"),
    "ActiveState": ("Inactive", "Active"),
    "AckedState": ("Unacknowledged", "Acknowledged"),
    "ConfirmedState": ("Unconfirmed", "Confirmed"),
}


def is_open(alarm: Alarm, *, confirming: bool) -> bool:
    """Tell whether somebody still has to care: Retain (OPC 10000-9, 5.5.2)."""
    return alarm.active or not alarm.acknowledged or (confirming and not alarm.confirmed)


def condition_of(alarm: Alarm, source: Source) -> str:
    """Return the node id of the condition: no point, meter or property has a name with a slash in it."""
    place = source.node.identifier
    return f"{place if isinstance(place, str) else source.name}/{alarm.name}"


def message_of(alarm: Alarm) -> str:
    furthest = f", furthest {alarm.extreme:g}" if alarm.extreme is not None else ""
    limit = f", limit {alarm.limit:g}" if alarm.limit is not None and alarm.extreme is not None else ""
    return f"{alarm.label} {'began' if alarm.active else 'ended'}{furthest}{limit}"
