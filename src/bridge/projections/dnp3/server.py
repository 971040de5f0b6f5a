"""Point image -> DNP3: the projection's life in its worker."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from bridge.core.listener import Listener
from bridge.core.point import Batch
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.dnp3 import probe
from bridge.projections.dnp3.backend import Commands, MasterBackend, outputs_of
from bridge.projections.dnp3.connection import Connection
from bridge.projections.dnp3.feed import Feed
from bridge.projections.dnp3.masters import TICK_S, Master, Masters
from bridge.projections.dnp3.plan import Plan

COUNTERS = (
    "masters",
    "requests",
    "bytes_in",
    "bytes_out",
    "crc_errors",
    "strange_frames",
    "events",
    "events_lost",
    "confirm_timeouts",
    "controls_done",
    "controls_refused",
    "refused_functions",
    "refused_full",
    "refused_peer",
)


@dataclass(frozen=True, slots=True)
class _Open:
    """What there is once the listener is open."""

    listener: Listener
    listening: Listening
    masters: Masters


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._open: _Open | None = None

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        ctx.counters.update(dict.fromkeys(COUNTERS, 0))
        feed = Feed(ctx.points, plan.points)
        unsubscribe = _nothing
        try:
            async with asyncio.TaskGroup() as tasks:
                commands = Commands(
                    outputs_of(plan.points, ctx.points.definition),
                    ctx.commands,
                    ctx.clock,
                    ctx.counters,
                    tasks.create_task,
                )
                masters = _masters(plan, feed, commands)

                def changed(batch: Batch) -> None:
                    feed.update(batch)
                    masters.changed()

                unsubscribe = ctx.points.subscribe(feed.indexes(), changed)
                listening = await ctx.listeners.stream(lambda: Connection(masters, ctx.counters), plan.listener)
                self._open = _Open(plan.listener, listening, masters)
                ctx.ready()
                while True:
                    await asyncio.sleep(TICK_S)
                    masters.tick()
        finally:
            unsubscribe()
            if self._open is not None:
                self._open.listening.close()

    @property
    def port(self) -> int:
        """The port of the listener. Raises: AssertionError before `run` listens."""
        assert self._open is not None
        return self._open.listening.port

    async def probe(self) -> None:
        """Raises: as `probe.ask`."""
        now = self._open
        assert now is not None, "probe before run"
        await probe.ask(now.listener, now.listening.port, now.masters.own_ports)


def _masters(plan: Plan, feed: Feed, commands: Commands) -> Masters:
    made: list[Master] = []
    for master_plan in plan.masters:
        backend = MasterBackend(master_plan, commands)
        master = Master(master_plan, feed.tables, backend)
        backend.attach(master)
        made.append(master)
    asking = Master(probe.PROBE, feed.tables, MasterBackend(probe.PROBE, commands))
    return Masters(made, asking, asyncio.get_running_loop().time)


def _nothing() -> None:
    """Not subscribed yet."""


PROJECTION: type[Projection] = Server
