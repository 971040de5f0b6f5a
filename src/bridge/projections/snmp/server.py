"""Point image -> SNMP: the projection's life in its worker."""

import asyncio
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

import msgspec

from bridge.core.point import Batch
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.snmp import probe
from bridge.projections.snmp.access import communities_of, users_of
from bridge.projections.snmp.agent import Agent
from bridge.projections.snmp.alarms import Alarms
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.devices import Devices
from bridge.projections.snmp.door import Door
from bridge.projections.snmp.gateway import gateway_tables
from bridge.projections.snmp.identity import engine_id_of
from bridge.projections.snmp.interfaces import Interfaces, find_interfaces, reached_through
from bridge.projections.snmp.mib2 import SystemGroup, mib2_tables
from bridge.projections.snmp.notifier import Notifier, Sending
from bridge.projections.snmp.objects import Rows
from bridge.projections.snmp.oidtree import Tree
from bridge.projections.snmp.plan import Plan, Target
from bridge.projections.snmp.responder import Responder
from bridge.projections.snmp.usm import EngineClock
from bridge.projections.snmp.v3 import V3
from bridge.projections.snmp.values import text_bytes

# Seconds between two looks at what is copied into the worker's counters.
_COUNT_S = 1.0
_SHOWN = (
    "in_packets", "out_packets", "in_bad_communities", "in_parse_errors", "unknown_users", "wrong_digests",
    "not_in_time_windows", "silent_drops", "limited", "faults", "in_gets", "in_nexts", "in_sets",
    "writes_done", "writes_refused", "out_traps", "traps_dropped",
)  # fmt: skip


MakeSender = Callable[[Sequence[Target], bytes, int, Callable[[], None]], Sending]


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._listening: Listening | None = None
        self._plan: Plan | None = None
        self._engine_id = b""

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        folder = Path(ctx.state_dir)
        self._engine_id = engine_id_of(folder, plan.enterprise, plan.engine_id)
        clock, counters = EngineClock(folder / "engine_boots", ctx.clock.monotonic_ns), Counters()
        rows = Rows(plan, ctx.points, clock.uptime_cs)
        devices = Devices(plan, ctx.points, clock.uptime_cs, rows.places())
        alarms, interfaces = Alarms(plan, ctx.points), find_interfaces()
        tree = Tree(
            [
                *mib2_tables(system_of(plan), self._engine_id, clock, counters, _tells_failures(plan)),
                *Interfaces(interfaces, ctx.clock.monotonic_ns).tables(),
                *gateway_tables(plan, own_version(), devices, counters),
                devices.table,
                *alarms.tables(),
                *rows.tables,
            ]
        )
        rows.shown_by(tree.changed)
        devices.shown_by(tree.changed)
        alarms.shown_by(tree.changed)
        agent = agent_of(plan, self._engine_id, clock, counters)
        agent.show(tree)
        notifier = Notifier(plan, ctx.points, ctx.clock, clock.uptime_cs, counters)

        def update(batch: Batch) -> None:
            rows.update(batch)
            devices.update(batch, notifier.device_changed)

        make_sender = sender_for(plan)
        ends = [ctx.points.subscribe(rows.indexes(), update), ctx.alarms.subscribe(alarms.take)]
        for alarm in ctx.alarms.alarms():
            alarms.take(alarm)
        rows.update([(index, ctx.points.get(index)) for index in rows.indexes()])
        devices.update([(index, ctx.points.get(index)) for index in rows.indexes()], lambda *_: None)
        try:
            async with asyncio.TaskGroup() as tasks:
                door = Door(
                    agent, ctx.commands, ctx.clock, plan.write_timeout_s, tasks.create_task, notifier, ctx.refusals
                )
                self._listening = await ctx.listeners.datagram(lambda: door, plan.listener)
                self._plan = plan
                if make_sender is not None:
                    ends.append(ctx.events.subscribe(notifier.happened, notifier.events_lost))
                    notifier.started(reached_through(interfaces, plan.listener.bind))
                    tasks.create_task(notify(make_sender, plan, self._engine_id, clock.boots, notifier))
                ctx.ready()
                while True:
                    for name in _SHOWN:
                        ctx.counters[name] = getattr(counters, name)
                    await asyncio.sleep(_COUNT_S)
        finally:
            _end(ends, self._listening)

    async def probe(self) -> None:
        """Raises: as `probe.ask`."""
        assert self._plan is not None, "probe before run"
        assert self._listening is not None, "probe before run"
        await probe.ask(self._plan.listener, self._listening.port, self._engine_id)


def sender_for(plan: Plan) -> MakeSender | None:
    """Import pysnmp (0.4 s) before anybody is answered, and only where there are receivers."""
    if not plan.traps.targets:
        return None
    from bridge.projections.snmp.sender import Sender

    return Sender


async def notify(make: MakeSender, plan: Plan, engine_id: bytes, boots: int, notifier: Notifier) -> None:
    """Send notifications until cancelled."""
    sender = make(plan.traps.targets, engine_id, boots, notifier.inform_lost)
    try:
        await notifier.run(sender)
    finally:
        sender.close()


def agent_of(plan: Plan, engine_id: bytes, clock: EngineClock, counters: Counters) -> Agent:
    """Return the agent without rows."""
    responder = Responder(counters)
    v3 = V3(engine_id, clock, users_of(plan), counters, responder, plan.max_message)
    return Agent(counters, responder, communities_of(plan), v3, plan.max_message)


def system_of(plan: Plan) -> SystemGroup:
    return SystemGroup(
        text_bytes(plan.description),
        plan.enterprise,
        text_bytes(plan.contact),
        text_bytes(plan.name),
        text_bytes(plan.location),
    )


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


def _tells_failures(plan: Plan) -> bool:
    return bool(plan.traps.targets) and plan.traps.authentication


def _end(ends: list[Callable[[], None]], listening: Listening | None) -> None:
    for end in ends:
        end()
    if listening is not None:
        listening.close()


PROJECTION: type[Projection] = Server
