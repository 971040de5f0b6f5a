"""Alarms of the bridge as conditions: who is told of them, what is told again, who has acknowledged (OPC 10000-9)."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.crypto.permission_rules import User

from bridge.core.alarm import Alarm, AlarmPort
from bridge.core.clock import Clock
from bridge.core.command import CommandResult, Origin
from bridge.core.point import Kind
from bridge.core.ports import RefusalSink
from bridge.projections.opcua.commands import MAY_CALL, code_of
from bridge.projections.opcua.doors import Users
from bridge.projections.opcua.event_items import EventItem
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import ROOT, Model
from bridge.projections.opcua.nodes import SERVER
from bridge.projections.opcua.occurrences import (
    REFRESH_END,
    REFRESH_START,
    ConditionEvent,
    NodeName,
    Notice,
    Source,
    alarm_of,
    condition_of,
    is_open,
)
from bridge.projections.opcua.plan import NAMESPACE_INDEX, Acknowledging
from bridge.projections.opcua.status import GOOD, status_of

_log = logging.getLogger("bridge.opcua")
_codes, _kinds = ua.StatusCodes, ua.VariantType
# Methods of the types (OPC 10000-9, annex): conditions are no nodes here, and are named as objects of these (5.5.2).
REFRESH, REFRESH_2, ACKNOWLEDGE, CONFIRM = 3875, 12912, 9111, 9113
# Characters of a comment, and comments remembered; the bridge itself keeps who and when.
_COMMENT_LENGTH, _COMMENTS_MOST = 500, 1000
_ID_BYTES = 8
# (active, acknowledged, confirmed)
State = tuple[bool, bool, bool]


@dataclass(frozen=True, slots=True)
class Powers:
    """What is needed to carry out what a client asks."""

    users: Users
    refusals: RefusalSink
    counters: dict[str, int]
    acknowledging: Acknowledging
    timeout_s: float


class Conditions:
    """Loop thread only."""

    def __init__(self, port: AlarmPort, model: Model, image: Image, clock: Clock, powers: Powers) -> None:
        self._port, self._model, self._image, self._clock, self._powers = port, model, image, clock, powers
        self._confirming = powers.acknowledging is Acknowledging.CONFIRMED
        self._items: dict[EventItem, None] = {}
        self._comments: dict[int, str] = {}
        self._told = {alarm.id: _state(alarm) for alarm in port.alarms()}
        self._cancel = port.subscribe(self._hear)

    def close(self) -> None:
        self._cancel()

    def notifier(self, node_id: ua.NodeId) -> str | None:
        """Return the device an item for this node hears of, as EventItem wants it. Raises: LookupError for others."""
        if node_id == ua.NodeId(SERVER):
            return None
        name = node_id.Identifier
        if node_id.NamespaceIndex == NAMESPACE_INDEX and name == ROOT:
            return ""
        if node_id.NamespaceIndex == NAMESPACE_INDEX and self._model.has_meter(str(name)):
            return str(name)
        raise LookupError("no notifier")

    def item(self, device: str | None) -> EventItem:
        made = EventItem(self._clock, device, lambda item: void(self._items.pop(item, None)))
        self._items[made] = None
        return made

    def refresh(self, items: Sequence[EventItem]) -> int:
        """Tell items of every condition that somebody still has to care about (5.5.7). Return the StatusCode."""
        if any(item.is_refreshing() for item in items):
            return _codes.BadRefreshInProgress
        alarms = self._port.alarms()
        newest = self._newest(alarms)
        retained = [
            self._event(alarm, branch=newest[self._name(alarm)] != alarm.id)
            for alarm in alarms
            if is_open(alarm, confirming=self._confirming)
        ]
        begin = self._notice(REFRESH_START, "Refresh of conditions begins")
        end = self._notice(REFRESH_END, "Refresh of conditions ends")
        for item in items:
            item.refresh(begin, retained, end)
        return GOOD

    async def call(self, method: ua.CallMethodRequest, user: User, peer: str) -> ua.CallMethodResult:
        """Answer Acknowledge or Confirm."""
        result, arguments = ua.CallMethodResult(), method.InputArguments or []
        code = await self._note(method, arguments, user, peer)
        counters = self._powers.counters
        counters["writes_refused" if code else "writes_done"] += 1
        result.StatusCode = ua.StatusCode(code)
        result.InputArgumentResults = [ua.StatusCode() for _ in arguments]
        return result

    async def _note(self, method: ua.CallMethodRequest, arguments: Sequence[ua.Variant], user: User, peer: str) -> int:
        powers, confirm = self._powers, method.MethodId.Identifier == CONFIRM
        origin = Origin("opcua", peer, user.name or "")
        if powers.acknowledging is Acknowledging.REFUSED or powers.users.role_of(user) not in MAY_CALL:
            code = int(_codes.BadUserAccessDenied)
            target = f"{'Confirm' if confirm else 'Acknowledge'} {method.ObjectId.Identifier}"
            _log.warning("write_refused user=%s target=%s code=%#x", user.name, target, code)
            powers.refusals.refused(origin, target, f"status {code:#x}")
            return code
        if confirm and not self._confirming:
            return _codes.BadMethodInvalid
        if len(arguments) != 2:
            return _codes.BadTooManyArguments if len(arguments) > 2 else _codes.BadArgumentsMissing
        event, comment = arguments
        if event.VariantType is not _kinds.ByteString or comment.VariantType is not _kinds.LocalizedText:
            return _codes.BadInvalidArgument
        alarm = self._named(method.ObjectId, event.Value or b"")
        if isinstance(alarm, int):
            return alarm
        if alarm.confirmed if confirm else alarm.acknowledged:
            return _codes.BadConditionBranchAlreadyConfirmed if confirm else _codes.BadConditionBranchAlreadyAcked
        if confirm and not alarm.acknowledged:
            return _codes.BadInvalidState
        self._remember(alarm.id, comment.Value.Text if comment.Value is not None else None)
        note = self._port.confirm if confirm else self._port.acknowledge
        deadline_ns = self._clock.monotonic_ns() + round(powers.timeout_s * 1e9)
        return _code(await note(alarm.id, origin, deadline_ns))

    def _named(self, condition: ua.NodeId, event: bytes) -> Alarm | int:
        """Return the alarm that a client means, or the StatusCode that says why there is none."""
        number = alarm_of(event)
        alarm = next((one for one in self._port.alarms() if one.id == number), None)
        names = {self._name(one) for one in self._port.alarms()}
        if condition.NamespaceIndex != NAMESPACE_INDEX or condition.Identifier not in names:
            return _codes.BadNodeIdUnknown
        if alarm is None or self._name(alarm) != condition.Identifier:
            return _codes.BadEventIdUnknown
        return alarm

    def _remember(self, alarm: int, comment: str | None) -> None:
        """A null comment leaves the one before; an empty one clears it (5.7.3)."""
        if comment is None:
            return
        while len(self._comments) >= _COMMENTS_MOST:
            self._comments.pop(next(iter(self._comments)))
        self._comments[alarm] = comment[:_COMMENT_LENGTH]

    def _hear(self, alarm: Alarm) -> None:
        """Tell of a condition that has come to another state; a new extreme alone is none."""
        known, now = self._told.get(alarm.id), _state(alarm)
        self._told[alarm.id] = now
        if known == now:
            return
        alarms = self._port.alarms()
        if len(self._told) > 2 * len(alarms) + 16:
            kept = {one.id for one in alarms}
            self._told = {id_: told for id_, told in self._told.items() if id_ in kept}
        name = self._name(alarm)
        others = [one for one in alarms if one.id != alarm.id and self._name(one) == name]
        events = [self._event(alarm, branch=any(one.id > alarm.id for one in others))]
        if known is None:
            # what the condition was until now becomes a branch of it, as long as somebody has to care (4.4)
            before = max(others, key=lambda one: one.id, default=None)
            if before is not None and before.id < alarm.id and is_open(before, confirming=self._confirming):
                events.insert(0, self._event(before, branch=True))
        for item in self._items:
            for event in events:
                item.offer(event)

    def _newest(self, alarms: Sequence[Alarm]) -> dict[str, int]:
        """Return the last alarm of each condition: the others are its branches."""
        return {self._name(alarm): alarm.id for alarm in sorted(alarms, key=lambda one: one.id)}

    def _event(self, alarm: Alarm, *, branch: bool) -> ConditionEvent:
        source = self._source(alarm)
        quality = GOOD
        if source.point:
            sample = self._image.sample(2 * alarm.index)
            quality = status_of(sample.quality, has_value=sample.value is not None)
        comment = self._comments.get(alarm.id, "")
        now, confirming = self._clock.utc_ns(), self._confirming
        return ConditionEvent(alarm, source, now, quality, branch=branch, confirming=confirming, comment=comment)

    def _source(self, alarm: Alarm) -> Source:
        if self._model.shows(alarm.index):
            definition = self._model.definition(alarm.index)
            discrete = definition.kind in (Kind.BINARY, Kind.MULTISTATE)
            return Source(NodeName(definition.id), definition.id, definition.device, True, discrete)
        if self._model.has_meter(alarm.device):
            return Source(NodeName(alarm.device), alarm.device, alarm.device)
        # of the bridge itself, or of a meter that is not shown
        return Source(NodeName(SERVER), alarm.device or "Server", "")

    def _name(self, alarm: Alarm) -> str:
        return condition_of(alarm, self._source(alarm))

    def _notice(self, event_type: int, text: str) -> Notice:
        return Notice(event_type, text, secrets.token_bytes(_ID_BYTES), self._clock.utc_ns())


def void(_: object) -> None:
    """Forget a result."""


def _state(alarm: Alarm) -> State:
    return alarm.active, alarm.acknowledged, alarm.confirmed


def _code(result: CommandResult) -> int:
    """An alarm that the core does not keep has no event (any more)."""
    code = code_of(result)
    return _codes.BadEventIdUnknown if code == _codes.BadOutOfRange else code
