"""Event notifications to the recipients of the mapping; GetEventInformation, GetAlarmSummary, AcknowledgeAlarm."""

import asyncio
from collections.abc import Sequence
from typing import Any

from bacpypes3.apdu import (
    ConfirmedEventNotificationRequest,
    ErrorRejectAbortNack,
    GetAlarmSummaryACK,
    GetEventInformationACK,
    SimpleAckPDU,
    UnconfirmedEventNotificationRequest,
)
from bacpypes3.basetypes import (
    Destination,
    DeviceAddress,
    EventTransitionBits,
    GetAlarmSummaryAlarmSummary,
    GetEventInformationEventSummary,
    NotificationParameters,
    NotificationParametersChangeOfReliabilityType,
    NotificationParametersChangeOfState,
    NotificationParametersDoubleOutOfRangeType,
    NotificationParametersOutOfRange,
    PropertyStates,
    Recipient,
)
from bacpypes3.constructeddata import ListOf
from bacpypes3.errors import ExecutionError
from bacpypes3.object import NotificationClassObject
from bacpypes3.pdu import IPv4Address
from bacpypes3.primitivedata import Time

from bridge.core.alarm import AlarmPort
from bridge.core.clock import Clock
from bridge.core.command import Origin, Outcome
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.alarms import (
    LIMITED,
    Board,
    Change,
    NotificationClass,
    Transition,
    class_of,
    is_silence,
    is_unacknowledged,
)
from bridge.projections.bacnet.model import NEVER, NONE_OPEN
from bridge.projections.bacnet.plan import BINARIES, MULTI_STATES, REALS, AlarmRecipient
from bridge.projections.bacnet.stack.objects import PointObject, acknowledged, enabled, identifier, stamps, time_stamp
from bridge.projections.bacnet.values import RELIABILITY_OF

# Summaries in one GetEventInformation reply: they fit 1476 octets; the client asks for the rest.
_PAGE = 15
# Notifications under way at once; one more is lost, and GetEventInformation still tells.
UNDER_WAY_MOST = 64
# Seconds for one confirmed notification with its repeats.
_GIVE_UP_S = 20.0
_ALWAYS = EventTransitionBits([1, 1, 1])
# Clause 21: BACnetEventType and BACnetNotifyType.
_CHANGE_OF_STATE, _OUT_OF_RANGE, _DOUBLE_OUT_OF_RANGE, _CHANGE_OF_RELIABILITY = 1, 5, 14, 19
_ALARM, _ACK_NOTIFICATION = 0, 2


class OurNotificationClass(PointObject, NotificationClassObject): ...


class Alarming:
    """Part of DeviceApplication."""

    model: Any
    engine: Any
    board: Board
    alarm_port: AlarmPort
    recipients: Sequence[AlarmRecipient]
    clock: Clock
    ack_timeout_ns: int
    counters: dict[str, int]
    device_object: Any
    request: Any
    response: Any
    _telling: set[asyncio.Task[None]]

    def _mine(self, position: int) -> bool:
        object_id = self.model.catalogue.object_ids[position]
        return bool(self.model.by_object_id.get(object_id) == position)

    async def do_GetEventInformationRequest(self, apdu: Any) -> None:
        """Tell of every object in alarm or with something to acknowledge, a page at a time (clause 13.12)."""
        ids = self.model.catalogue.object_ids
        positions = [position for position in self.board.positions() if self._mine(position)]
        last = apdu.lastReceivedObjectIdentifier
        if last is not None:
            number = int(last[0]) << 22 | last[1]
            after = next((n for n, position in enumerate(positions, 1) if ids[position] == number), None)
            if after is None:
                raise ExecutionError("object", "unknownObject")
            positions = positions[after:]
        summaries = [self._summary(position) for position in positions[:_PAGE]]
        await self.response(
            GetEventInformationACK(
                listOfEventSummaries=summaries,
                moreEvents=len(positions) > _PAGE,
                context=apdu,
            )
        )

    def _summary(self, position: int) -> Any:
        told_by = self.board.class_at(position)
        event = self.model.catalogue.points[position].shape.event
        return GetEventInformationEventSummary(
            objectIdentifier=identifier(self.model.catalogue.object_ids[position]),
            eventState=int(self.model.catalogue.event_state[position]),
            acknowledgedTransitions=self._acknowledged(position),
            eventTimeStamps=stamps(self.model.catalogue.event_times.get(position, NEVER)),
            notifyType=_ALARM,
            eventEnable=_ALWAYS if event is None else enabled(event),
            eventPriorities=[told_by.off, told_by.off, told_by.normal],
        )

    def _acknowledged(self, position: int) -> Any:
        return acknowledged(self.model.catalogue.unacknowledged.get(position, NONE_OPEN))

    async def do_GetAlarmSummaryRequest(self, apdu: Any) -> None:
        """Tell of the objects in alarm (clause 13.10)."""
        catalogue = self.model.catalogue
        active = [p for p in self.board.positions() if self._mine(p) and catalogue.event_state[p]]
        summaries = [
            GetAlarmSummaryAlarmSummary(
                objectIdentifier=identifier(catalogue.object_ids[position]),
                alarmState=int(catalogue.event_state[position]),
                acknowledgedTransitions=self._acknowledged(position),
            )
            for position in active
        ]
        await self.response(GetAlarmSummaryACK(listOfAlarmSummaries=summaries, context=apdu))

    async def do_AcknowledgeAlarmRequest(self, apdu: Any) -> None:
        """Acknowledge the alarm with the time stamp given (clause 13.5); the bridge's policy says who may."""
        object_id = int(apdu.eventObjectIdentifier[0]) << 22 | apdu.eventObjectIdentifier[1]
        position = self.model.by_object_id.get(object_id)
        if position is None:
            raise ExecutionError("object", "unknownObject")
        waiting = [alarm for alarm in self.board.at(position) if is_unacknowledged(alarm)]
        if not waiting:
            raise ExecutionError("services", "serviceRequestDenied")
        given = apdu.timeStamp.dateTime
        alarm = next((a for a in waiting if given is not None and _same(given, a.start_ns)), None)
        if alarm is None:
            raise ExecutionError("services", "invalidTimeStamp")
        if int(apdu.eventStateAcknowledged) != self.board.state_of(alarm):
            raise ExecutionError("services", "invalidEventState")
        origin = Origin("bacnet", str(apdu.pduSource), str(apdu.acknowledgmentSource)[:64])
        deadline_ns = self.clock.monotonic_ns() + self.ack_timeout_ns
        result = await self.alarm_port.acknowledge(alarm.id, origin, deadline_ns)
        if result.outcome is not Outcome.DONE:
            self.counters["acks_refused"] += 1
            raise ExecutionError("services", "serviceRequestDenied")
        await self.response(SimpleAckPDU(context=apdu))

    def tell(self, change: Change) -> None:
        """Send a transition to every recipient of its class."""
        told_by = class_of(change.alarm)
        if not self._mine(change.position) or not self.engine.may_initiate():
            return
        for recipient in self.recipients:
            if told_by.name not in recipient.classes:
                continue
            if len(self._telling) >= UNDER_WAY_MOST:
                self.counters["events_lost"] += 1
                continue
            task = asyncio.ensure_future(self._send(self._notification(change, told_by, recipient)))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _send(self, notification: Any) -> None:
        self.counters["events_sent"] += 1
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                await self.request(notification)
        except (TimeoutError, ErrorRejectAbortNack):
            self.counters["events_unanswered"] += 1

    def _notification(self, change: Change, told_by: NotificationClass, recipient: AlarmRecipient) -> Any:
        alarm, acknowledged = change.alarm, change.transition is Transition.ACKNOWLEDGED
        is_end = change.transition is Transition.TO_NORMAL
        at_ns = alarm.acknowledged_ns if acknowledged else alarm.end_ns if is_end else alarm.start_ns
        event_type, values = self._values(change)
        more: dict[str, Any] = {}
        if not acknowledged:
            more = {
                "ackRequired": told_by.ack_required and not is_end,
                "fromState": int(change.before),
                "eventValues": values,
            }
        kind = ConfirmedEventNotificationRequest if recipient.confirmed else UnconfirmedEventNotificationRequest
        return kind(
            processIdentifier=recipient.process,
            initiatingDeviceIdentifier=self.device_object.objectIdentifier,
            eventObjectIdentifier=identifier(self.model.catalogue.object_ids[change.position]),
            timeStamp=time_stamp(at_ns),
            notificationClass=told_by.instance,
            priority=told_by.normal if is_end else told_by.off,
            eventType=event_type,
            messageText=alarm.label or alarm.name,
            notifyType=_ACK_NOTIFICATION if acknowledged else _ALARM,
            toState=int(self.board.state_of(alarm) if acknowledged else change.after),
            destination=IPv4Address((recipient.host, recipient.port)),
            **more,
        )

    def _values(self, change: Change) -> tuple[int, Any]:
        catalogue, position = self.model.catalogue, change.position
        nibble, shape = catalogue.flags(position), catalogue.points[position].shape
        flags = [nibble >> 3 & 1, nibble >> 2 & 1, nibble >> 1 & 1, nibble & 1]
        shown, kind = catalogue.value[position], shape.object_type
        if is_silence(change.alarm):
            values = NotificationParametersChangeOfReliabilityType(
                reliability=RELIABILITY_OF[catalogue.condition[position]], statusFlags=flags, propertyValues=[]
            )
            return _CHANGE_OF_RELIABILITY, NotificationParameters(changeOfReliability=values)
        if kind in LIMITED and change.alarm.limit is not None:
            double = kind not in REALS
            made = NotificationParametersDoubleOutOfRangeType if double else NotificationParametersOutOfRange
            values = made(
                exceedingValue=float(shown),
                statusFlags=flags,
                deadband=0.0 if shape.event is None else shape.event.deadband,
                exceededLimit=change.alarm.limit * shape.factor,
            )
            if double:
                return _DOUBLE_OUT_OF_RANGE, NotificationParameters(doubleOutOfRange=values)
            return _OUT_OF_RANGE, NotificationParameters(outOfRange=values)
        state = PropertyStates(state=int(change.after))
        if kind in BINARIES:
            state = PropertyStates(binaryValue=int(shown))
        elif kind in MULTI_STATES:
            state = PropertyStates(unsignedValue=int(shown))
        values = NotificationParametersChangeOfState(newState=state, statusFlags=flags)
        return _CHANGE_OF_STATE, NotificationParameters(changeOfState=values)


def notification_class(told_by: NotificationClass, recipients: Sequence[AlarmRecipient]) -> Any:
    """Build the object of a class with those it tells."""
    destinations = [
        Destination(
            validDays=[1] * 7,
            fromTime=Time((0, 0, 0, 0)),
            toTime=Time((23, 59, 59, 99)),
            recipient=Recipient(
                address=DeviceAddress(networkNumber=0, macAddress=IPv4Address((r.host, r.port)).addrAddr)
            ),
            processIdentifier=r.process,
            issueConfirmedNotifications=r.confirmed,
            transitions=_ALWAYS,
        )
        for r in recipients
        if told_by.name in r.classes
    ]
    return OurNotificationClass(
        objectIdentifier=("notification-class", told_by.instance),
        objectName=f"alarms-{told_by.name}",
        description=f"Alarms of {told_by.name} priority",
        notificationClass=told_by.instance,
        priority=[told_by.off, told_by.off, told_by.normal],
        ackRequired=[int(told_by.ack_required), int(told_by.ack_required), 0],
        recipientList=ListOf(Destination)(destinations),
    )


def _same(given: Any, utc_ns: int) -> bool:
    octets = wire.local_date_time(utc_ns)
    return (tuple(given.date), tuple(given.time)) == (tuple(octets[1:5]), tuple(octets[6:10]))
