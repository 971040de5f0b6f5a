"""What a session asks of the program around it: the clock, and controls as commands of the core."""

import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Protocol

from bridge.core.clock import Clock
from bridge.core.command import Command, Mode, Origin, Outcome
from bridge.core.point import Kind, PointDef, Value
from bridge.core.ports import CommandPort, Nobody, RefusalSink
from bridge.projections.dnp3.controls import CommandStatus, Control, Operation
from bridge.projections.dnp3.events import Event
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import MasterPlan, Permit, Shown
from bridge.projections.dnp3.time_base import TimeBase

_log = logging.getLogger("bridge.dnp3")
# Control codes, low nibble and trip/close (IEEE 1815-2012, Annex A, group 12): what sets and what clears.
_CLOSE, _TRIP = 1, 2
_STATUS = {
    Outcome.DONE: CommandStatus.SUCCESS,
    Outcome.REFUSED_BY_POLICY: CommandStatus.NOT_AUTHORIZED,
    Outcome.NOT_WRITABLE: CommandStatus.NOT_SUPPORTED,
    Outcome.OUT_OF_RANGE: CommandStatus.OUT_OF_RANGE,
    Outcome.BUSY: CommandStatus.ALREADY_ACTIVE,
    Outcome.TIMED_OUT: CommandStatus.DOWNSTREAM_FAIL,
    Outcome.DEVICE_REFUSED: CommandStatus.HARDWARE_ERROR,
}
Outputs = Mapping[tuple[PointType, int], tuple[Shown, PointDef]]


def outputs_of(shown: Iterable[Shown], definition: Callable[[int], PointDef]) -> Outputs:
    """Return what a control may name, by type and number."""
    return {
        (place.type, place.number): (place, definition(place.index))
        for place in shown
        if place.type in (PointType.BINARY_OUTPUT, PointType.ANALOG_OUTPUT)
    }


def _nobody(control: Control, status: CommandStatus) -> None:
    """Nobody is to hear of commands."""


class Commands:
    """What all masters share: the outputs, the core's command port and who carries a command out."""

    def __init__(
        self,
        outputs: Outputs,
        port: CommandPort,
        clock: Clock,
        counters: dict[str, int],
        spawn: Callable[[Coroutine[None, None, None]], object],
        report: Callable[[Control, CommandStatus], None] = _nobody,
        refusals: RefusalSink | None = None,
    ) -> None:
        """`report`: tells the masters what was commanded and what became of it."""
        self.outputs, self.port, self.clock, self.counters, self.spawn = outputs, port, clock, counters, spawn
        self.report = report
        self.refusals = refusals or Nobody()


class Asker(Protocol):
    """The master a command comes from: where it is now, and how to tell it a late status."""

    peer: str

    def command_done(self, ticket: int, status: CommandStatus) -> None: ...


class MasterBackend:
    """Backend of one session."""

    def __init__(self, plan: MasterPlan, commands: Commands, time_base: TimeBase) -> None:
        self._plan, self._commands, self._time = plan, commands, time_base
        self._asker: Asker | None = None
        self._sets_time = Permit.TIME in plan.permits

    def attach(self, asker: Asker) -> None:
        """Tell whose backend this is: the master is made with its backend."""
        self._asker = asker

    def now_ms(self) -> int:
        return self._time.now_ms()

    def needs_time(self) -> bool:
        return self._sets_time and not self._time.written

    def write_time(self, time_ms: int) -> bool:
        self._time.set(time_ms)
        self._commands.counters["clock_offset_ms"] = self._time.offset_ms
        _log.info("time_set master=%d offset_ms=%d", self._plan.address, self._time.offset_ms)
        return True

    def refused(self, target: str, reason: str) -> None:
        """Have the core record what never becomes a command."""
        self._commands.refusals.refused(self._origin(), target, reason)

    def control(self, control: Control, mode: Mode, ticket: int) -> CommandStatus | None:
        status, command = self._checked(control, mode)
        if command is None:
            self._tell(control, mode, status)
            return status
        self._commands.spawn(self._carry_out(control, command, ticket))
        return None

    def _origin(self) -> Origin:
        return Origin("dnp3", self._asker.peer if self._asker is not None else "", f"master {self._plan.address}")

    def _checked(self, control: Control, mode: Mode) -> tuple[CommandStatus, Command | None]:
        status, command = self._command(control, mode)
        if command is None:
            self.refused(f"{control.type.name.lower()} {control.index}", status.name.lower())
        return status, command

    def _command(self, control: Control, mode: Mode) -> tuple[CommandStatus, Command | None]:
        found = self._commands.outputs.get((control.type, control.index))
        if found is None:
            return CommandStatus.NOT_SUPPORTED, None
        place, definition = found
        if Permit.CONTROL not in self._plan.permits or not place.writable:
            return CommandStatus.NOT_AUTHORIZED, None
        value = _state(control) if control.type is PointType.BINARY_OUTPUT else control.value
        if value is None:
            return CommandStatus.NOT_SUPPORTED, None
        wanted = _wanted(value, definition)
        if wanted is None:
            return CommandStatus.OUT_OF_RANGE, None
        deadline_ns = self._commands.clock.monotonic_ns() + round(self._plan.command_timeout_s * 1e9)
        return CommandStatus.SUCCESS, Command(place.index, wanted, self._origin(), deadline_ns, mode)

    async def _carry_out(self, control: Control, command: Command, ticket: int) -> None:
        result = await self._commands.port.submit(command)
        status = _STATUS[result.outcome]
        self._tell(control, command.mode, status)
        if self._asker is not None:
            self._asker.command_done(ticket, status)

    def _tell(self, control: Control, mode: Mode, status: CommandStatus) -> None:
        if status is not CommandStatus.SUCCESS:
            self._refused(control, status)
        if mode is Mode.SELECT:
            # nothing was commanded
            return
        self._commands.counters["controls_done"] += status is CommandStatus.SUCCESS
        self._commands.report(control, status)

    def _refused(self, control: Control, status: CommandStatus) -> None:
        self._commands.counters["controls_refused"] += 1
        peer = self._asker.peer if self._asker is not None else ""
        where = (control.type.value, control.index, status.name.lower())
        _log.warning("control_refused master=%d peer=%s type=%s index=%d status=%s", self._plan.address, peer, *where)


def command_event(control: Control, status: CommandStatus, event_class: int, time_ms: int) -> Event:
    """Return the event that tells a command: the state in bit 7 of its status, or the value (g13v2, g43v8)."""
    if control.type is PointType.BINARY_OUTPUT:
        octet = status | (0x80 if _state(control) else 0)
        return Event(0, PointType.BINARY_COMMAND, control.index, event_class, 2, octet, 0, time_ms)
    return Event(0, PointType.ANALOG_COMMAND, control.index, event_class, 8, int(status), control.value, time_ms)


def _state(control: Control) -> bool | None:
    """Return what a CROB sets; None for a code that sets nothing."""
    if control.trip_close in (_CLOSE, _TRIP):
        return control.trip_close == _CLOSE
    if control.trip_close or control.operation is Operation.NUL:
        return None
    return control.operation in (Operation.PULSE_ON, Operation.LATCH_ON)


def _wanted(value: float, definition: PointDef) -> Value:
    """Return the core's value; None for one the point cannot take."""
    if definition.kind is Kind.BINARY:
        return bool(value) if value in (0, 1) else None
    if not math.isfinite(value):
        return None
    if definition.kind is Kind.MULTISTATE:
        return int(value) if value in dict(definition.states) else None
    if definition.low is not None and value < definition.low:
        return None
    if definition.high is not None and value > definition.high:
        return None
    return float(value)
