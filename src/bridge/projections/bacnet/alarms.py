"""
Alarms as BACnet means them: the event state of an object, what is not acknowledged yet, and which class tells whom.

Pure: the bridge's own service finds the alarms (core.alarm); here they are given to objects. An alarm of a whole device
is shown by its communication status, or else by its first point.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.alarm import Alarm, AlarmPort, Band, band_of
from bridge.projections.bacnet.model import Catalogue
from bridge.projections.bacnet.plan import REALS


class EventState(enum.IntEnum):
    """Clause 21, BACnetEventState, as far as used."""

    NORMAL = 0
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
_CLASS_OF = {Band.HIGH: HIGH, Band.MEDIUM: MEDIUM}


def class_of(alarm: Alarm) -> NotificationClass:
    """Return the class that tells of an alarm."""
    return _CLASS_OF.get(band_of(alarm.priority), LOW)


@dataclass(frozen=True, slots=True)
class Change:
    """A transition to tell of. `before`, `after`: event states of the object."""

    position: int
    alarm: Alarm
    transition: Transition
    before: EventState
    after: EventState


class Board:
    """The alarms by the object that shows them. Loop thread only."""

    def __init__(self, catalogue: Catalogue, port: AlarmPort) -> None:
        self._catalogue, self._port = catalogue, port
        # id -> (active, acknowledged) as last told
        self._told: dict[int, tuple[bool, bool]] = {}

    def load(self) -> None:
        """Take what is there at the start; nobody is told of it again."""
        for alarm in self._port.alarms():
            self._told[alarm.id] = (alarm.active, alarm.acknowledged)
            position = self.position_of(alarm)
            if position is not None:
                self._show(position)

    def take(self, alarm: Alarm) -> Change | None:
        """Return what changed of an alarm; None for what no object shows, and for a new extreme."""
        position = self.position_of(alarm)
        known = self._told.get(alarm.id)
        now = (alarm.active, alarm.acknowledged)
        self._told[alarm.id] = now
        if len(self._told) > 2 * len(self._port.alarms()) + 16:
            kept = {each.id for each in self._port.alarms()}
            self._told = {id_: told for id_, told in self._told.items() if id_ in kept}
        if position is None or known == now:
            return None
        before = EventState(self._catalogue.event_state[position])
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
        mine = [alarm for alarm in self._port.alarms() if self.position_of(alarm) == position and is_open(alarm)]
        return sorted(mine, key=lambda alarm: (alarm.active, alarm.priority, alarm.id))

    def positions(self) -> Sequence[int]:
        """Return the objects that GetEventInformation tells of, in the order of the plan."""
        found = {self.position_of(alarm) for alarm in self._port.alarms() if is_open(alarm)}
        return sorted(position for position in found if position is not None)

    def state_of(self, alarm: Alarm) -> EventState:
        """Return the state an active alarm puts its object in."""
        position = self.position_of(alarm)
        if position is None or alarm.limit is None:
            return EventState.OFFNORMAL
        if self._catalogue.points[position].shape.object_type not in REALS:
            return EventState.OFFNORMAL
        value = alarm.extreme if alarm.extreme is not None else alarm.before
        shown = self._catalogue.value[position] if value is None else value
        return EventState.HIGH_LIMIT if float(shown) >= alarm.limit else EventState.LOW_LIMIT

    def position_of(self, alarm: Alarm) -> int | None:
        """Return the object that shows an alarm, None if none does."""
        catalogue = self._catalogue
        if alarm.index >= 0:
            known = alarm.index < len(catalogue.position_of)
            position = catalogue.position_of[alarm.index] if known else -1
            return position if position >= 0 else None
        found = catalogue.position_of_name(f"{alarm.device}.communication_status")
        if found is not None:
            return found
        return next((view.first for view in catalogue.views if view.device == alarm.device), None)

    def _show(self, position: int) -> EventState:
        active = [alarm for alarm in self.at(position) if alarm.active]
        state = self.state_of(active[-1]) if active else EventState.NORMAL
        self._catalogue.set_state(position, state, self._catalogue.out_of_service[position])
        return state


def is_open(alarm: Alarm) -> bool:
    """Whether somebody still has to know of it."""
    return alarm.active or is_unacknowledged(alarm)


def is_unacknowledged(alarm: Alarm) -> bool:
    """Whether its class wants an acknowledgement and nobody gave one."""
    return class_of(alarm).ack_required and not alarm.acknowledged
