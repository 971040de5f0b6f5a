"""Writes and method calls of clients -> commands of the bridge, and their outcomes in the words of OPC UA."""

import logging
import math
from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.crypto.permission_rules import User

from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Origin, Outcome
from bridge.core.point import Kind, PointDef, Value
from bridge.core.ports import CommandPort, RefusalSink
from bridge.projections.opcua.binary import VariantType
from bridge.projections.opcua.doors import Users
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.plan import NAMESPACE_INDEX, Role
from bridge.projections.opcua.shape import shape_of

_log = logging.getLogger("bridge.opcua")
_codes = ua.StatusCodes
_OUTCOMES = {
    Outcome.DONE: 0,
    Outcome.REFUSED_BY_POLICY: _codes.BadUserAccessDenied,
    Outcome.NOT_WRITABLE: _codes.BadNotWritable,
    Outcome.OUT_OF_RANGE: _codes.BadOutOfRange,
    Outcome.BUSY: _codes.BadResourceUnavailable,
    Outcome.TIMED_OUT: _codes.BadTimeout,
    Outcome.DEVICE_REFUSED: _codes.BadDeviceFailure,
}
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
MAY_CALL = frozenset({Role.OPERATOR, Role.ENGINEER})
_MAY_WRITE = frozenset({Role.ENGINEER})


class Commands:
    """Everything a client asks to be changed comes here, and nearly all of it is refused."""

    def __init__(
        self,
        model: Model,
        port: CommandPort,
        users: Users,
        clock: Clock,
        counters: dict[str, int],
        timeout_s: float,
        refusals: RefusalSink,
    ) -> None:
        self._model, self._port, self._users, self._clock, self._counters = model, port, users, clock, counters
        self._refusals = refusals
        self._timeout_ns = round(timeout_s * 1e9)

    async def write(self, wanted: ua.WriteValue, user: User, peer: str) -> ua.StatusCode:
        """Answer one item of a Write request."""
        target = str(wanted.NodeId.Identifier)
        return ua.StatusCode(self._counted(await self._write(wanted, user, peer), user, peer, target))

    async def call(self, method: ua.CallMethodRequest, user: User, peer: str) -> ua.CallMethodResult:
        """Answer one item of a Call request for a method of ours."""
        result = ua.CallMethodResult()
        answer = await self._call(method, user, peer)
        result.StatusCode = ua.StatusCode(self._counted(answer, user, peer, str(method.MethodId.Identifier)))
        result.InputArgumentResults = [ua.StatusCode() for _ in method.InputArguments or ()]
        return result

    def refuse(self, user: User | None, peer: str, target: str) -> None:
        """Have it recorded that a service was asked for that nobody has."""
        self._counted(_codes.BadUserAccessDenied, user or User(), peer, target)

    async def _write(self, wanted: ua.WriteValue, user: User, peer: str) -> int | CommandResult:
        """Return our own refusal, or what the bridge says."""
        identifier = wanted.NodeId.Identifier
        ours = wanted.NodeId.NamespaceIndex == NAMESPACE_INDEX and isinstance(identifier, str)
        node = self._model.node(identifier) if ours else None
        if node is None:
            return _codes.BadNodeIdUnknown if ours else _codes.BadUserAccessDenied
        index = self._model.index_of.get(identifier)
        if wanted.AttributeId != ua.AttributeIds.Value or index is None or not node.writable:
            return _codes.BadNotWritable
        if self._users.role_of(user) not in _MAY_WRITE:
            return _codes.BadUserAccessDenied
        value = wanted.Value
        if wanted.IndexRange or value.SourceTimestamp is not None or value.ServerTimestamp is not None:
            return _codes.BadWriteNotSupported
        if value.StatusCode is not None and value.StatusCode.value:
            return _codes.BadWriteNotSupported
        definition = self._model.definition(index)
        return await self._submit(definition, value.Value, user, peer)

    async def _call(self, method: ua.CallMethodRequest, user: User, peer: str) -> int | CommandResult:
        definition = self._model.command_of(str(method.MethodId.Identifier))
        if definition is None:
            return _codes.BadMethodInvalid
        if method.ObjectId != ua.NodeId(definition.device, NAMESPACE_INDEX):
            return _codes.BadNodeIdUnknown
        if not self._model.writable(definition.index):
            return _codes.BadNotExecutable
        if self._users.role_of(user) not in MAY_CALL:
            return _codes.BadUserAccessDenied
        arguments = method.InputArguments or []
        wanted = 0 if definition.kind is Kind.BINARY else 1
        if len(arguments) != wanted:
            return _codes.BadTooManyArguments if len(arguments) > wanted else _codes.BadArgumentsMissing
        variant = arguments[0] if arguments else ua.Variant(True, ua.VariantType.Boolean)
        return await self._submit(definition, variant, user, peer)

    async def _submit(
        self, definition: PointDef, variant: ua.Variant | None, user: User, peer: str
    ) -> int | CommandResult:
        value = value_of(definition, variant)
        if value is None:
            return _codes.BadTypeMismatch
        if isinstance(value, float) and not math.isfinite(value):
            return _codes.BadOutOfRange
        origin = Origin("opcua", peer, user.name or "")
        deadline_ns = self._clock.monotonic_ns() + self._timeout_ns
        return await self._port.submit(Command(definition.index, value, origin, deadline_ns))

    def _counted(self, answer: int | CommandResult, user: User, peer: str, target: str) -> int:
        """Return the StatusCode; what the bridge itself refused is in its audit already."""
        code = code_of(answer) if isinstance(answer, CommandResult) else answer
        if not code:
            self._counters["writes_done"] += 1
            return code
        self._counters["writes_refused"] += 1
        _log.warning("write_refused user=%s target=%s code=%#x", user.name, target, code)
        if not isinstance(answer, CommandResult):
            self._refusals.refused(Origin("opcua", peer, user.name or ""), target, f"status {code:#x}")
        return code


def value_of(definition: PointDef, variant: ua.Variant | None) -> Value:
    """Return the value of a Variant of exactly the point's type; None for any other."""
    if variant is None or variant.is_array or int(variant.VariantType) != shape_of(definition).variant:
        return None
    value = variant.Value
    match shape_of(definition).variant:
        case VariantType.BOOLEAN:
            return bool(value)
        case VariantType.DOUBLE:
            return float(value)
        case VariantType.STRING:
            return str(value)
        case VariantType.INT32 | VariantType.UINT32 | VariantType.INT64:
            return int(value)
        case VariantType.DATE_TIME:
            moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return int((moment - _EPOCH) // _MICROSECOND) * 1000
        case VariantType.LOCALIZED_TEXT:
            return None


def code_of(result: CommandResult) -> int:
    return _OUTCOMES[result.outcome]
