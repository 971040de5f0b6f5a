"""Point image -> SNMP: the projection's life in its worker."""

import asyncio
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

import msgspec

from bridge.core.point import Batch
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.snmp import probe
from bridge.projections.snmp.access import communities_of, users_of
from bridge.projections.snmp.agent import Agent
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.devices import Devices
from bridge.projections.snmp.door import Door
from bridge.projections.snmp.gateway import gateway_tables
from bridge.projections.snmp.identity import engine_id_of
from bridge.projections.snmp.mib2 import SystemGroup, mib2_tables
from bridge.projections.snmp.objects import Rows
from bridge.projections.snmp.oidtree import Tree
from bridge.projections.snmp.plan import Plan
from bridge.projections.snmp.responder import Responder
from bridge.projections.snmp.usm import EngineClock
from bridge.projections.snmp.v3 import V3
from bridge.projections.snmp.values import text_bytes

# Seconds between two looks at what is copied into the worker's counters.
_COUNT_S = 1.0
_SHOWN = (
    "in_packets", "out_packets", "in_bad_communities", "in_parse_errors", "unknown_users", "wrong_digests",
    "not_in_time_windows", "silent_drops", "limited", "faults", "in_gets", "in_nexts", "in_sets",
    "writes_done", "writes_refused", "out_traps", "traps_dropped", "informs_lost",
)  # fmt: skip


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
        clock = EngineClock(folder / "engine_boots", ctx.clock.monotonic_ns)
        counters = Counters()
        rows = Rows(plan, ctx.points, clock.uptime_cs)
        devices = Devices(plan, ctx.points, clock.uptime_cs)
        system = SystemGroup(
            text_bytes(plan.description),
            plan.enterprise,
            text_bytes(plan.contact),
            text_bytes(plan.name),
            text_bytes(plan.location),
        )
        tree = Tree(
            [
                *mib2_tables(system, self._engine_id, clock, counters),
                *gateway_tables(plan, own_version(), devices, counters),
                devices.table,
                *rows.tables,
            ]
        )
        rows.shown_by(tree.changed)
        devices.shown_by(tree.changed)
        responder = Responder(counters)
        v3 = V3(self._engine_id, clock, users_of(plan), counters, responder, plan.max_message)
        agent = Agent(counters, responder, communities_of(plan), v3, plan.max_message)
        agent.show(tree)

        def update(batch: Batch) -> None:
            rows.update(batch)
            devices.update(batch, lambda device, before, now: None)

        unsubscribe = ctx.points.subscribe(rows.indexes(), update)
        update([(index, ctx.points.get(index)) for index in rows.indexes()])
        try:
            async with asyncio.TaskGroup() as tasks:
                door = Door(agent, ctx.commands, ctx.clock, plan.write_timeout_s, tasks.create_task, lambda peer: None)
                self._listening = await ctx.listeners.datagram(lambda: door, plan.listener)
                self._plan = plan
                ctx.ready()
                while True:
                    for name in _SHOWN:
                        ctx.counters[name] = getattr(counters, name)
                    await asyncio.sleep(_COUNT_S)
        finally:
            unsubscribe()
            if self._listening is not None:
                self._listening.close()

    async def probe(self) -> None:
        """Raises: as `probe.ask`."""
        assert self._plan is not None, "probe before run"
        assert self._listening is not None, "probe before run"
        await probe.ask(self._plan.listener, self._listening.port, self._engine_id)


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


PROJECTION: type[Projection] = Server
