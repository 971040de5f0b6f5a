"""
Alarms as BACnet means them: the event state of an object, what is not acknowledged yet, and which class tells whom.

Pure: the bridge's own service finds the alarms (core.alarm); here they are given to objects. An alarm of a whole meter
is shown by its communication status, or else by its first measurement: its silence as a fault.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.core.alarm import Alarm, AlarmPort, Band, band_of
from bridge.projections.bacnet.model import NEVER, Catalogue
from bridge.projections.bacnet.plan import REALS, ObjectType
from bridge.projections.bacnet.values import RELIABILITY_OF


class EventState(enum.IntEnum):
    """Clause 21, BACnetEventState, as far as used."""

    NORMAL = 0
    FAULT = 1
    OFFNORMAL = 2
    HIGH_LIMIT = 3
    LOW_LIMIT = 4


class Transition(enum.Enum):
    """What became of an alarm."""

    TO_OFFNORMAL = "to-offnormal"
    TO_NORMAL = "to-normal"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class NotificationClass:
    """
    One Notification Class object. `off`, `normal`: priority of a transition to alarm and back, 0 most urgent, 255 least
    (clause 13.2.5.3); the bridge's own priorities count the other way.
    """

    instance: int
    name: str
    off: int
    normal: int
    ack_required: bool


HIGH = NotificationClass(1, "high", 96, 160, True)
MEDIUM = NotificationClass(2, "medium", 128, 200, True)
LOW = NotificationClass(3, "low", 192, 224, False)
CLASSES = (HIGH, MEDIUM, LOW)
# Name of the alarm that a meter does not answer, in the bridge's preset.
SILENCE = "communication_loss"
# Types whose alarms have a side.
LIMITED = REALS | {ObjectType.LARGE_ANALOG_VALUE}
_CLASS_OF = {Band.HIGH: HIGH, Band.MEDIUM: MEDIUM}


def class_of(alarm: Alarm) -> NotificationClass:
    """Return the class that tells of an alarm."""
    return class_of_priority(alarm.priority)


def class_of_priority(priority: int) -> NotificationClass:
    """Return the class of alarms of a priority."""
    return _CLASS_OF.get(band_of(priority), LOW)


@dataclass(frozen=True, slots=True)
class Change:
    """A transition to tell of. `before`, `after`: event states of the object."""

    position: int
    alarm: Alarm
    transition: Transition
    before: EventState
    after: EventState


class Board:
    """
    The alarms by the object that shows them, and the event states that follow. Loop thread only. `utc_ns`: the time
    now, for what no alarm tells: that the value of a reporting object became unreliable, or reliable again.
    """

    def __init__(self, catalogue: Catalogue, port: AlarmPort, utc_ns: Callable[[], int]) -> None:
        self._catalogue, self._port, self._utc_ns = catalogue, port, utc_ns
        self._bearers = {view.device: view.bearer for view in catalogue.views}
        # id -> (active, acknowledged) as last told
        self._told: dict[int, tuple[bool, bool]] = {}
        # by object those that are active or wait for an acknowledgement, by id
        self._open: dict[int, dict[int, Alarm]] = {}
        # objects in another state than normal
        self._in_event: set[int] = set()
        catalogue.on_fault = self._fault_changed
        for position, reports in enumerate(catalogue.intrinsic):
            if reports:
                self._show(position)

    def load(self) -> None:
        """Take what is there at the start; nobody is told of it again."""
        for alarm in self._port.alarms():
            self._told[alarm.id] = (alarm.active, alarm.acknowledged)
            position = self.position_of(alarm)
            if position is not None:
                self._note(position, alarm)
        for position in list(self._open):
            self._show(position)

    def take(self, alarm: Alarm) -> Change | None:
        """Return what changed of an alarm; None for what no object shows, and for a new extreme."""
        position = self.position_of(alarm)
        known = self._told.get(alarm.id)
        now = (alarm.active, alarm.acknowledged)
        self._told[alarm.id] = now
        self._forget()
        if position is None or known == now:
            return None
        before = EventState(self._catalogue.event_state[position])
        self._note(position, alarm)
        after = self._show(position)
        if known is None:
            transition = Transition.TO_OFFNORMAL
        elif known[0] and not now[0]:
            transition = Transition.TO_NORMAL
        elif now[1] and not known[1]:
            transition = Transition.ACKNOWLEDGED
        else:
            return None
        return Change(position, alarm, transition, before, after)

    def at(self, position: int) -> list[Alarm]:
        """Return the alarms of an object that are active or wait for an acknowledgement, the most urgent last."""
        return sorted(self._open.get(position, {}).values(), key=lambda alarm: (alarm.active, alarm.priority, alarm.id))

    def positions(self) -> Sequence[int]:
        """Return the objects that GetEventInformation tells of, in the order of the plan."""
        return sorted(self._in_event | self._open.keys())

    def class_at(self, position: int) -> NotificationClass:
        """Return the class that tells of an object."""
        event = self._catalogue.points[position].shape.event
        open_ = self.at(position)
        if open_:
            return class_of(open_[-1])
        return next((each for each in CLASSES if event is not None and each.instance == event.told_by), LOW)

    def state_of(self, alarm: Alarm) -> EventState:
        """Return the state an active alarm puts its object in."""
        if is_silence(alarm):
            return EventState.FAULT
        position = self.position_of(alarm)
        if position is None or alarm.limit is None:
            return EventState.OFFNORMAL
        if self._catalogue.points[position].shape.object_type not in LIMITED:
            return EventState.OFFNORMAL
        value = alarm.extreme if alarm.extreme is not None else alarm.before
        shown = self._catalogue.value[position] if value is None else value
        return EventState.HIGH_LIMIT if float(shown) >= alarm.limit else EventState.LOW_LIMIT

    def position_of(self, alarm: Alarm) -> int | None:
        """Return the object that shows an alarm, None if none does."""
        catalogue = self._catalogue
        if alarm.index < 0:
            return self._bearers.get(alarm.device)
        known = alarm.index < len(catalogue.position_of)
        position = catalogue.position_of[alarm.index] if known else -1
        return position if position >= 0 else None

    def _note(self, position: int, alarm: Alarm) -> None:
        """Keep an alarm while it is open, and its times as those of the object's transitions."""
        open_ = self._open.setdefault(position, {})
        open_.pop(alarm.id, None)
        if is_open(alarm):
            open_[alarm.id] = alarm
        if not open_:
            del self._open[position]
        off, fault, normal = self._catalogue.event_times.get(position, NEVER)
        if is_silence(alarm):
            fault = max(fault, alarm.start_ns)
        else:
            off = max(off, alarm.start_ns)
        self._catalogue.event_times[position] = off, fault, max(normal, alarm.end_ns)

    def _forget(self) -> None:
        """Let go of alarms that the bridge itself keeps no longer."""
        alarms = self._port.alarms()
        if len(self._told) <= len(alarms):
            return
        kept = {each.id for each in alarms}
        gone = self._told.keys() - kept
        self._told = {id_: told for id_, told in self._told.items() if id_ in kept}
        for position, open_ in list(self._open.items()):
            if gone & open_.keys():
                self._open[position] = {id_: alarm for id_, alarm in open_.items() if id_ in kept}
                self._show(position)
        self._open = {position: open_ for position, open_ in self._open.items() if open_}

    def _fault_changed(self, position: int) -> None:
        """Clause 13.2.2: an object that reports events is in fault while its value is unreliable."""
        if self._is_faulty(position) == (self._catalogue.event_state[position] == EventState.FAULT):
            return
        off, fault, normal = self._catalogue.event_times.get(position, NEVER)
        now = self._utc_ns()
        state = self._show(position)
        if state is EventState.FAULT:
            fault = now
        elif state is EventState.NORMAL and fault:
            # the first reading ends no fault that anybody was told of
            normal = now
        self._catalogue.event_times[position] = off, fault, normal

    def _is_faulty(self, position: int) -> bool:
        catalogue = self._catalogue
        return bool(catalogue.intrinsic[position] and RELIABILITY_OF[catalogue.condition[position]])

    def _show(self, position: int) -> EventState:
        open_ = self.at(position)
        active = [alarm for alarm in open_ if alarm.active]
        state = self.state_of(active[-1]) if active else EventState.NORMAL
        if self._is_faulty(position) or any(map(is_silence, active)):
            state = EventState.FAULT
        unacknowledged = [is_silence(alarm) for alarm in open_ if is_unacknowledged(alarm)]
        self._catalogue.unacknowledged[position] = False in unacknowledged, True in unacknowledged
        (self._in_event.add if state else self._in_event.discard)(position)
        self._catalogue.set_state(position, state, self._catalogue.out_of_service[position])
        return state


def is_silence(alarm: Alarm) -> bool:
    """Whether a meter does not answer; its other alarms, of no point, are off-normal."""
    return alarm.index < 0 and alarm.name == SILENCE


def is_open(alarm: Alarm) -> bool:
    """Whether somebody still has to know of it."""
    return alarm.active or is_unacknowledged(alarm)


def is_unacknowledged(alarm: Alarm) -> bool:
    """Whether its class wants an acknowledgement and nobody gave one."""
    return class_of(alarm).ack_required and not alarm.acknowledged
