"""bridge.projections.dnp3.backend: a master's controls as commands of the core"""

import asyncio
from collections.abc import Coroutine

import msgspec

from bridge.core.command import Command, CommandResult, Mode, Outcome
from bridge.core.point import Kind, PointDef, Role
from bridge.projections.dnp3.backend import Commands, MasterBackend, outputs_of
from bridge.projections.dnp3.controls import CommandStatus, Control
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import MasterPlan, Permit, Shown
from bridge.projections.dnp3.time_base import TimeBase
from tests.support.policy_site import LoopClock

SETTING = PointDef(7, "m.demand_interval", Kind.ANALOG, role=Role.SETTING, writable=True)
CONTROL = Control(PointType.ANALOG_OUTPUT, 3, 15.0)


class Core:
    """CommandPort; refuses what was not selected, and everything when it is `shut`."""

    def __init__(self) -> None:
        self.modes: list[Mode] = []
        self.shut = False

    async def submit(self, command: Command) -> CommandResult:
        self.modes.append(command.mode)
        selected = command.mode is not Mode.OPERATE or Mode.SELECT in self.modes[:-1]
        return CommandResult(Outcome.DONE if selected and not self.shut else Outcome.REFUSED_BY_POLICY)


class Asker:
    peer = "192.0.2.7:20000"

    def __init__(self) -> None:
        self.told: list[tuple[int, CommandStatus]] = []

    def command_done(self, ticket: int, status: CommandStatus) -> None:
        self.told.append((ticket, status))


async def controlled(core: Core, *modes: Mode) -> tuple[Asker, list[CommandStatus], dict[str, int]]:
    """Give CONTROL in each mode; return who was told, what was reported to all masters, and the counters."""
    asker, reported, clock = Asker(), list[CommandStatus](), LoopClock()
    counters, tasks = {"controls_done": 0, "controls_refused": 0}, list[asyncio.Task[None]]()

    def spawn(task: Coroutine[None, None, None]) -> None:
        tasks.append(asyncio.get_running_loop().create_task(task))

    place = Shown(SETTING.index, PointType.ANALOG_OUTPUT, 3, writable=True)
    outputs = outputs_of([place], lambda index: SETTING)
    commands = Commands(outputs, core, clock, counters, spawn, lambda control, status: reported.append(status))
    plan = msgspec.structs.replace(MasterPlan(), permits=frozenset({Permit.CONTROL}))
    backend = MasterBackend(plan, commands, TimeBase(clock))
    backend.attach(asker)
    for ticket, mode in enumerate(modes):
        assert backend.control(CONTROL, mode, ticket) is None
        await asyncio.gather(*tasks)
    return asker, reported, counters


async def test_a_select_is_judged_by_the_core_and_commands_nothing() -> None:
    # BARS S1
    core = Core()
    core.shut = True
    asker, reported, counters = await controlled(core, Mode.SELECT)

    assert core.modes == [Mode.SELECT]
    assert asker.told == [(0, CommandStatus.NOT_AUTHORIZED)]
    assert reported == []
    assert counters == {"controls_done": 0, "controls_refused": 1}


async def test_an_operate_reaches_the_core_as_the_second_half_of_its_select() -> None:
    core = Core()
    asker, reported, counters = await controlled(core, Mode.OPERATE, Mode.SELECT, Mode.OPERATE, Mode.DIRECT)

    assert [status for _, status in asker.told] == [CommandStatus.NOT_AUTHORIZED, *[CommandStatus.SUCCESS] * 3]
    assert reported == [CommandStatus.NOT_AUTHORIZED, CommandStatus.SUCCESS, CommandStatus.SUCCESS]
    assert counters == {"controls_done": 2, "controls_refused": 1}
