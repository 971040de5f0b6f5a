"""An AlarmPort that a test fills."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from bridge.core.alarm import Alarm
from bridge.core.command import CommandResult, Origin, Outcome
from tests.support.modbus_site import NOW_NS


@dataclass
class Alarms:
    """AlarmPort: what the core would hold. `outcome`: of what is noted."""

    outcome: Outcome = Outcome.DONE
    kept: dict[int, Alarm] = field(default_factory=dict)
    listeners: list[Callable[[Alarm], None]] = field(default_factory=list)
    asked: list[tuple[int, Origin]] = field(default_factory=list)
    confirmed: list[tuple[int, Origin]] = field(default_factory=list)

    def alarms(self) -> Sequence[Alarm]:
        return [self.kept[id_] for id_ in sorted(self.kept)]

    def subscribe(self, deliver: Callable[[Alarm], None]) -> Callable[[], None]:
        self.listeners.append(deliver)
        return lambda: self.listeners.remove(deliver)

    async def acknowledge(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        del deadline_ns
        self.asked.append((alarm, origin))
        if self.outcome is Outcome.DONE:
            self.put(msgspec.structs.replace(self.kept[alarm], acknowledged_ns=NOW_NS + 5 * 10**9))
        return CommandResult(self.outcome)

    async def confirm(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        del deadline_ns
        self.confirmed.append((alarm, origin))
        if self.outcome is Outcome.DONE:
            self.put(msgspec.structs.replace(self.kept[alarm], confirmed_ns=NOW_NS + 6 * 10**9))
        return CommandResult(self.outcome)

    def put(self, alarm: Alarm) -> None:
        self.kept[alarm.id] = alarm
        for deliver in list(self.listeners):
            deliver(alarm)
