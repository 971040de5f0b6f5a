"""
Commands and settings that the bridge itself obeys, because the meter has no register for them.

The rule one must not break: nothing comes here but through the write policy.
"""

from collections.abc import Awaitable, Callable, Sequence

from bridge.config.model import SiteConfig
from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.event import EventKind
from bridge.core.point import Kind, PointDef, Sample, Value
from bridge.core.quality import Quality
from bridge.core.quantity import Quantity
from bridge.core.store import PointStore
from bridge.services.demand_service import DemandService
from bridge.services.events import EventLog
from bridge.services.min_max import MinMax
from bridge.services.partial import Partials
from bridge.services.settings import Settings

Q = Quantity


def own_commands(config: SiteConfig) -> list[PointDef]:
    """Return the command points that the bridge obeys itself."""
    points = [point for device in config.field for point in device.points]
    return [
        p.definition
        for p in points
        if p.read is None and p.write is None and p.definition.meaning.quantity in _COMMANDS
    ]


_COMMANDS = frozenset({Q.RESET_DEMAND_PEAK, Q.RESET_MIN_MAX, Q.RESET_PARTIAL_ENERGY, Q.SYNC_CLOCK})
# device id -> what setting its clock came to
SetClock = Callable[[str], Awaitable[CommandResult]]


async def _no_clock(device: str) -> CommandResult:
    return CommandResult(Outcome.NOT_WRITABLE)


class OwnCommands:
    """CommandPort for the points it `owns`. Loop thread only."""

    def __init__(
        self,
        store: PointStore,
        clock: Clock,
        events: EventLog,
        settings: Settings,
        demand: DemandService,
        min_max: MinMax,
        partials: Partials,
    ) -> None:
        self._store, self._clock, self._events = store, clock, events
        self._settings, self._demand, self._min_max, self._partials = settings, demand, min_max, partials
        self._commands: dict[int, PointDef] = {}
        # writes the clock of a meter that has a register for it and none for the command
        self.set_clock: SetClock = _no_clock
        self._seq = 0

    def redefine(self, commands: Sequence[PointDef]) -> None:
        """Take the command points of a configuration; they stand idle."""
        self._commands = {definition.index: definition for definition in commands}
        for index in self._commands:
            self._idle(index)

    def points(self) -> list[int]:
        """Return the indexes of all points the bridge itself obeys."""
        return [*self._commands, *self._settings.points()]

    def owns(self, index: int) -> bool:
        """Tell whether the bridge itself obeys a point."""
        return index in self._commands or self._settings.owns(index)

    async def submit(self, command: Command) -> CommandResult:
        """Carry out what the policy has let through."""
        if self._settings.owns(command.index):
            taken = self._settings.write(command.index, command.value)
            if taken:
                self._tell(self._store.definition(command.index), f"set to {command.value}", command)
            return CommandResult(Outcome.DONE if taken else Outcome.OUT_OF_RANGE)
        definition = self._commands.get(command.index)
        if definition is None:
            return CommandResult(Outcome.NOT_WRITABLE)
        if not _is_switch(command.value):
            return CommandResult(Outcome.OUT_OF_RANGE)
        if definition.meaning.quantity is Q.SYNC_CLOCK:
            result = await self.set_clock(definition.device) if command.value else CommandResult(Outcome.DONE)
            self._idle(command.index)
            return result
        # 0 is what it is at rest (P-05)
        done = not command.value or self._reset(definition)
        self._idle(command.index)
        if command.value:
            self._tell(definition, "carried out" if done else "refused: the lock-out after the last one runs", command)
        return CommandResult(Outcome.DONE if done else Outcome.REFUSED_BY_POLICY)

    def _reset(self, definition: PointDef) -> bool:
        if definition.meaning.quantity is Q.RESET_MIN_MAX:
            return self._min_max.reset(definition.device)
        if definition.meaning.quantity is Q.RESET_PARTIAL_ENERGY:
            return self._partials.reset(definition.device)
        return self._demand.reset_peaks(definition.device)

    def _tell(self, definition: PointDef, what: str, command: Command) -> None:
        """A-13: settings and resets are events."""
        text = f"{definition.id} {what}"
        self._events.record(
            EventKind.COMMAND, 64, text, device=definition.device, index=definition.index, user=command.origin.user
        )

    def _idle(self, index: int) -> None:
        self._seq += 1
        idle = 0 if self._commands[index].kind is Kind.MULTISTATE else False
        self._store.publish([(index, Sample(idle, Quality.GOOD, self._clock.utc_ns(), self._seq))])


def _is_switch(value: Value) -> bool:
    return isinstance(value, bool | int | float) and value in (0, 1)
