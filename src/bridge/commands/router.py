"""
The way of every command: policy, rate, selection, one at a time per device, audit, the device, its true answer.

The rule one must not break: a command that is late, unaudited or not allowed is never sent.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Protocol

from bridge.commands.audit import Audit
from bridge.commands.billing_lock import BillingLocks
from bridge.commands.chain import Fact
from bridge.commands.limits import SECOND_NS, Rates, Selections, locked_out
from bridge.commands.local import LocalCommands
from bridge.commands.policy import Decision, WritePolicy, host_of
from bridge.commands.resets import Resets
from bridge.config.access import AccessFile, CommandLimits
from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Mode, Outcome
from bridge.core.point import DeviceDef, PointDef, Role
from bridge.core.ports import PointReader
from bridge.core.quantity import Quantity

log = logging.getLogger("bridge.commands")
_TIMED_OUT = CommandResult(Outcome.TIMED_OUT)
# s that a command may be under way at most, whatever its deadline says
_MOST_S = 60.0
REVERIFY = "setting of a MID meter: have its conformity verified again"


class Carrier(Protocol):
    """`field.modbus.writer.Writer`."""

    async def write(self, command: Command) -> CommandResult: ...


CarrierOf = Callable[[str], Carrier | None]
Spawn = Callable[[Coroutine[None, None, CommandResult]], "asyncio.Task[CommandResult]"]


class _Lane:
    """The commands of one device: one under way, some waiting."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting = 0


class CommandRouter:
    """CommandPort; loop thread only. A command under way outlives whoever asked for it: half a write is never cut."""

    def __init__(
        self,
        points: PointReader,
        audit: Audit,
        local: LocalCommands,
        resets: Resets,
        clock: Clock,
        carrier_of: CarrierOf,
        spawn: Spawn,
    ) -> None:
        self._points, self._audit, self._local, self._resets = points, audit, local, resets
        self._clock, self._carrier_of, self._spawn = clock, carrier_of, spawn
        self._lanes: dict[str, _Lane] = {}
        self._devices: Mapping[str, DeviceDef] = {}
        self._locks = BillingLocks(points)
        self.apply(WritePolicy(AccessFile()), CommandLimits())

    def apply(self, policy: WritePolicy, limits: CommandLimits) -> None:
        """Take over a configuration; commands that wait are judged again by it."""
        self.policy, self._limits = policy, limits
        self._rates = Rates(limits.per_minute)
        self._selections = Selections(round(limits.select_s * SECOND_NS))
        self._devices = {device.id: device for device in self._points.devices()}
        self._locks.redefine(self._points.defs())

    async def submit(self, command: Command) -> CommandResult:
        """See `core.ports.CommandPort`."""
        try:
            definition = self._points.definition(command.index)
        except KeyError:
            return CommandResult(Outcome.NOT_WRITABLE)
        decision = self._judge(definition, command)
        if decision.refused is not None:
            return await self._refuse(definition, command, decision)
        if command.mode is Mode.SELECT:
            if not self._selections.select(command, self._clock.monotonic_ns()):
                return await self._refuse(definition, command, _busy(decision, "selected by somebody else"))
            return CommandResult(Outcome.DONE)
        lane = self._lanes.setdefault(definition.device, _Lane())
        if lane.waiting > self._limits.waiting:
            return await self._refuse(definition, command, _busy(decision, "too many commands wait"))
        lane.waiting += 1
        return await asyncio.shield(self._spawn(self._in_turn(lane, definition, command)))

    def _judge(self, definition: PointDef, command: Command) -> Decision:
        decision = self.policy.judge(definition, command.value, command.origin)
        if decision.refused is not None:
            return decision
        now_ns, origin = self._clock.monotonic_ns(), command.origin
        if not self._rates.take((origin.protocol, host_of(origin.peer), origin.user), now_ns):
            return _busy(decision, "more commands a minute than allowed")
        if command.mode is Mode.OPERATE and not self._selections.operate(command, now_ns):
            return Decision(Outcome.REFUSED_BY_POLICY, "not selected, or not in time", decision.role)
        if command.mode is Mode.DIRECT and decision.select:
            return Decision(Outcome.REFUSED_BY_POLICY, "must be selected first", decision.role)
        if self._locks.holds(definition):
            return Decision(Outcome.REFUSED_BY_POLICY, "the billing lock of the meter is on", decision.role)
        if _resets_peak(definition) and command.value:
            last_ns = self._resets.last_ns(definition.id)
            if locked_out(last_ns, self._clock.utc_ns(), self._limits.peak_reset_lockout_days):
                return Decision(Outcome.REFUSED_BY_POLICY, "the peak was reset a short time ago", decision.role)
        return decision

    async def _in_turn(self, lane: _Lane, definition: PointDef, command: Command) -> CommandResult:
        decision = Decision(Outcome.TIMED_OUT, "its time was over before its turn: never sent")
        try:
            async with asyncio.timeout(self._left_s(command)):
                await lane.turn.acquire()
        except TimeoutError:
            return await self._refuse(definition, command, decision)
        finally:
            lane.waiting -= 1
        try:
            if self._left_s(command) <= 0:
                return await self._refuse(definition, command, decision)
            decision = self._again(definition, command)
            if decision.refused is not None:
                return await self._refuse(definition, command, decision)
            return await self._audited(definition, command, decision.role)
        finally:
            lane.turn.release()

    def _again(self, definition: PointDef, command: Command) -> Decision:
        """While the command waited, a reload may have taken the point or the permission away."""
        try:
            now = self._points.definition(command.index)
        except KeyError:
            return Decision(Outcome.NOT_WRITABLE, "the point is gone")
        if now.id != definition.id:
            return Decision(Outcome.NOT_WRITABLE, "the point is gone")
        return self.policy.judge(now, command.value, command.origin)

    async def _audited(self, definition: PointDef, command: Command, role: str) -> CommandResult:
        """Record that it starts, carry it out, record what came of it."""
        old = self._points.get(command.index).value
        try:
            started = await self._audit.note(_fact(definition, command, "started", role=role, old=old))
        except OSError as exc:
            log.error("command_unaudited point=%s error=%s", definition.id, exc.strerror)
            return CommandResult(Outcome.REFUSED_BY_POLICY)
        result = await self._carry_out(definition, command)
        done = result.outcome is Outcome.DONE
        if done and _resets_peak(definition) and command.value:
            await self._resets.happened(definition.id, self._clock.utc_ns())
        reason = f"code {result.device_code}" if result.device_code else ""
        device = self._devices.get(definition.device)
        if done and device is not None and device.mid and definition.role is Role.SETTING:
            reason = REVERIFY
        fact = _fact(definition, command, result.outcome.value, role=role, old=old, reason=reason, of=started.n)
        try:
            await self._audit.note(fact)
        except OSError as exc:
            # the device has it: the client must hear that, whatever our disk says
            log.error("command_result_unaudited point=%s error=%s", definition.id, exc.strerror)
        return result

    async def _carry_out(self, definition: PointDef, command: Command) -> CommandResult:
        obey = self._local.find(command.index)
        if obey is not None:
            try:
                async with asyncio.timeout(self._left_s(command)):
                    return await obey(definition, command.value)
            except TimeoutError:
                return _TIMED_OUT
        carrier = self._carrier_of(definition.device)
        if carrier is None:
            return CommandResult(Outcome.NOT_WRITABLE)
        return await carrier.write(command)

    async def _refuse(self, definition: PointDef, command: Command, decision: Decision) -> CommandResult:
        assert decision.refused is not None
        fact = _fact(
            definition,
            command,
            decision.refused.value,
            role=decision.role,
            old=self._points.get(command.index).value if self._is_there(command.index) else None,
            reason=decision.reason,
        )
        await self._audit.refused(fact)
        return CommandResult(decision.refused)

    def _is_there(self, index: int) -> bool:
        try:
            self._points.get(index)
        except KeyError:
            return False
        return True

    def _left_s(self, command: Command) -> float:
        return min((command.deadline_ns - self._clock.monotonic_ns()) / 1e9, _MOST_S)


def _fact(
    definition: PointDef,
    command: Command,
    result: str,
    *,
    role: str,
    old: float | int | bool | str | None,
    reason: str = "",
    of: int = 0,
) -> Fact:
    origin = command.origin
    return Fact(
        kind="command" if command.mode is not Mode.SELECT else "select",
        result=result,
        target=definition.id,
        protocol=origin.protocol,
        peer=host_of(origin.peer),
        user=origin.user,
        role=role,
        old=old,
        new=command.value,
        reason=reason,
        of=of,
    )


def _busy(decision: Decision, reason: str) -> Decision:
    return Decision(Outcome.BUSY, reason, decision.role)


def _resets_peak(definition: PointDef) -> bool:
    return definition.meaning.quantity is Quantity.RESET_DEMAND_PEAK
