"""Points, commands and a router for tests of the write policy; nothing here does I/O but the audit's files."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from bridge.commands.audit import Audit
from bridge.commands.audit_files import AuditFiles
from bridge.commands.chain import Fact, Record
from bridge.commands.local import LocalCommands
from bridge.commands.policy import WritePolicy
from bridge.commands.resets import Resets, write_whole
from bridge.commands.router import CommandRouter
from bridge.config.access import AccessFile
from bridge.core.command import Command, CommandResult, Mode, Origin, Outcome
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Role, Sample, Value, Wiring
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from bridge.core.store import PointStore

DONE = CommandResult(Outcome.DONE)
TECHNICIAN = Origin("bacnet", "192.0.2.7", "")
STRANGER = Origin("bacnet", "198.51.100.1", "")
# name, kind, writable, locked
POINTS = (
    ("demand_interval", Kind.ANALOG, Role.SETTING, True, False),
    ("reset_demand_peak", Kind.BINARY, Role.COMMAND, True, False),
    ("modbus_address", Kind.ANALOG, Role.SETTING, True, False),
    ("active_power_total", Kind.ANALOG, Role.MEASUREMENT, False, False),
    ("active_energy_import", Kind.ACCUMULATOR, Role.MEASUREMENT, False, True),
    ("ct_primary_rating", Kind.ANALOG, Role.SETTING, True, True),
)
ACCESS: dict[str, Any] = {
    "identities": [{"protocol": "bacnet", "networks": ["192.0.2.0/24"], "role": "technician"}],
    "rules": [
        {"match": "m?.demand_interval", "range": [5, 60]},
        {"match": "*.reset_demand_peak"},
    ],
    "limits": {"peak_reset_lockout_days": 0},
}


def access(**more: Any) -> AccessFile:
    """Return ACCESS with some keys in the place of its own."""
    return msgspec.convert({**ACCESS, **more}, AccessFile)


def defs(meters: int = 2) -> list[PointDef]:
    """Points of m1, m2, ...: six each, in the order of POINTS."""
    made: list[PointDef] = []
    for number in range(1, meters + 1):
        for name, kind, role, writable, mid in POINTS:
            made.append(
                PointDef(
                    len(made),
                    f"m{number}.{name}",
                    kind,
                    writable=writable,
                    role=role,
                    meaning=meaning_of(name),
                    mid=mid,
                )
            )
    return made


def index_of(name: str, meter: int = 1) -> int:
    return (meter - 1) * len(POINTS) + [point[0] for point in POINTS].index(name)


class LoopClock:
    """The test loop's own time, so that virtual time moves everything."""

    def monotonic_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9)

    def utc_ns(self) -> int:
        return 1_800_000_000_000_000_000 + self.monotonic_ns()


class FakeCarrier:
    """A device: takes `takes_s` for a write, answers `result`, remembers what came."""

    def __init__(self, takes_s: float = 0.0, result: CommandResult = DONE) -> None:
        self.takes_s, self.result = takes_s, result
        self.seen: list[Value] = []
        self.at_once = self.most_at_once = 0

    async def write(self, command: Command) -> CommandResult:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.takes_s)
        self.seen.append(command.value)
        self.at_once -= 1
        return self.result


class Bench:
    """A router over two meters."""

    def __init__(self, state_dir: Path, rules: AccessFile | None = None, carrier: FakeCarrier | None = None) -> None:
        rules = rules or access()
        device = DeviceDef("m1", "t", "T", "T1", "c", 1, True, Wiring.FOUR_WIRE, Nominal(), {}, "s.yaml:1")
        self.store = PointStore(defs(), [device])
        self.store.publish([(d.index, Sample(1, Quality.GOOD, 1, 1)) for d in self.store.defs()])
        self.folder = state_dir / "audit"
        self.clock, self.carrier, self.local = LoopClock(), carrier or FakeCarrier(), LocalCommands()
        files = self.files = AuditFiles(self.folder, 1_000_000, 5)

        async def append(fact: Fact, time: str) -> Record:
            return files.append(fact, time)

        async def save(path: Path, data: bytes) -> None:
            write_whole(path, data)

        self.audit = Audit(append, self.clock)
        self.tasks: set[asyncio.Task[CommandResult]] = set()
        self.router = CommandRouter(
            self.store,
            self.audit,
            self.local,
            Resets(state_dir, save),
            self.clock,
            lambda device: self.carrier,
            self._spawn,
        )
        self.router.apply(WritePolicy(rules), rules.limits)

    def close(self) -> None:
        """Let another bench have the audit."""
        self.files.close()

    def _spawn(self, command: Coroutine[None, None, CommandResult]) -> asyncio.Task[CommandResult]:
        task = asyncio.get_running_loop().create_task(command)
        self.tasks.add(task)
        return task

    async def write(
        self,
        name: str,
        value: Value,
        origin: Origin = TECHNICIAN,
        within_s: float = 5.0,
        mode: Mode = Mode.DIRECT,
        meter: int = 1,
    ) -> Outcome:
        deadline_ns = self.clock.monotonic_ns() + round(within_s * 1e9)
        command = Command(index_of(name, meter), value, origin, deadline_ns, mode)
        return (await self.router.submit(command)).outcome
