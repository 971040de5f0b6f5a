"""Point image -> DNP3: the projection's life in its worker."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import msgspec

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.core.point import Batch
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.dnp3 import frozen, probe
from bridge.projections.dnp3.attributes import attributes
from bridge.projections.dnp3.backend import Commands, MasterBackend, command_event, outputs_of
from bridge.projections.dnp3.connection import Connection
from bridge.projections.dnp3.controls import CommandStatus, Control
from bridge.projections.dnp3.export import own_version
from bridge.projections.dnp3.feed import Feed
from bridge.projections.dnp3.masters import TICK_S, Master, Masters
from bridge.projections.dnp3.plan import Plan
from bridge.projections.dnp3.serial_line import SerialLine
from bridge.projections.dnp3.time_base import TimeBase

_log = logging.getLogger("bridge.dnp3")
# Filled here; the guard has its own beside them.
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
    "clock_offset_ms",
)


@dataclass(frozen=True, slots=True)
class _Open:
    """What there is once the listener is open."""

    listener: Listener
    listening: Listening
    masters: Masters
    counters: dict[str, int]


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._open: _Open | None = None
        # the listener asks for a certificate that our own is not
        self._refuses_us = False

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        ctx.counters.update(dict.fromkeys(COUNTERS, 0))
        time_base = TimeBase(ctx.clock)
        feed = Feed(ctx.points, plan.points, time_base, plan.frozen)
        _restore_frozen(ctx.state_dir, feed)
        unsubscribe, freezes = _nothing, 0
        try:
            async with asyncio.TaskGroup() as tasks:
                masters = _masters(ctx, plan, feed, time_base, tasks.create_task)

                def changed(batch: Batch) -> None:
                    feed.update(batch)
                    masters.changed()

                unsubscribe = ctx.points.subscribe(feed.indexes(), changed)
                for master in masters.all:
                    if master.plan.serial is not None:
                        make = partial(SerialLine, master, ctx.counters)
                        tasks.create_task(ctx.listeners.serial(make, master.plan.serial))
                listening = await ctx.listeners.stream(lambda: Connection(masters, ctx.counters), plan.listener)
                self._open = _Open(plan.listener, listening, masters, ctx.counters)
                ctx.ready()
                while True:
                    await asyncio.sleep(TICK_S)
                    masters.tick()
                    masters.count(ctx.counters)
                    ctx.counters["events"] = feed.tables.number
                    if freezes != feed.tables.freezes and ctx.state_dir:
                        freezes = feed.tables.freezes
                        await _keep_frozen(ctx.state_dir, feed)
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
        """
        Raises: as `probe.ask`.

        A listener that asks for a certificate of another authority refuses our own: then it has answered, and a
        connection is asked directly.
        """
        now = self._open
        assert now is not None, "probe before run"
        refused = now.counters.get("refused_tls", 0)
        if not self._refuses_us:
            try:
                await probe.ask(now.listener, now.listening.port, now.masters.own_ports)
            except (OSError, ProjectionError):
                self._refuses_us = now.counters.get("refused_tls", 0) != refused
                if not self._refuses_us:
                    raise
        if self._refuses_us:
            await probe.ask_inside(lambda: Connection(now.masters, now.counters), now.masters.own_ports)


def _masters(
    ctx: ProjectionContext,
    plan: Plan,
    feed: Feed,
    time_base: TimeBase,
    spawn: Callable[[Coroutine[None, None, None]], object],
) -> Masters:
    def report(control: Control, status: CommandStatus) -> None:
        if plan.command_class:
            feed.tables.report_command(command_event(control, status, plan.command_class, time_base.now_ms()))

    outputs = outputs_of(plan.points, ctx.points.definition)
    commands = Commands(outputs, ctx.commands, ctx.clock, ctx.counters, spawn, report, ctx.refusals)
    made: list[Master] = []
    for master_plan in (*plan.masters, probe.PROBE):
        backend = MasterBackend(master_plan, commands, time_base)
        about = attributes(
            plan.identity, own_version(), feed.tables, master_plan.max_controls, master_plan.fragment_bytes
        )
        master = Master(master_plan, feed.tables, backend, about)
        backend.attach(master)
        made.append(master)
    *masters, asking = made
    return Masters(masters, asking, asyncio.get_running_loop().time)


def _restore_frozen(folder: str, feed: Feed) -> None:
    """A file that cannot be read costs the frozen values and nothing else: they say RESTART."""
    try:
        data = frozen.read(folder) if folder else None
        if data is not None:
            _log.info("frozen_restored count=%d", frozen.restore(feed.tables, data))
    except (OSError, ValueError) as exc:
        _log.error("frozen_lost error=%s", exc)


async def _keep_frozen(folder: str, feed: Feed) -> None:
    try:
        await asyncio.to_thread(frozen.write, folder, frozen.kept_of(feed.tables))
    except OSError as exc:
        _log.error("frozen_not_kept error=%s", exc)


def _nothing() -> None:
    """Not subscribed yet."""


PROJECTION: type[Projection] = Server
