"""Point image -> BACnet/IP: the projection's life in its worker."""

import asyncio
import contextlib
import gc
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import msgspec

from bridge.core.ports import Listeners, Listening, Projection, ProjectionContext
from bridge.projections.bacnet import probe
from bridge.projections.bacnet.alarms import Board, Change
from bridge.projections.bacnet.commands import Commands
from bridge.projections.bacnet.cov import CovEngine, CovLimits
from bridge.projections.bacnet.front import Front, Peer
from bridge.projections.bacnet.model import Catalogue
from bridge.projections.bacnet.plan import CovSettings, Plan
from bridge.projections.bacnet.stack.device import CoreSide, Stack
from bridge.projections.bacnet.stack.link import Datagrams

_COUNTERS = (
    "requests",
    "bad_frames",
    "overload_dropped",
    "writes",
    "writes_refused",
    "management_refused",
    "device_id_conflicts",
    "time_messages",
    "subscriptions",
    "subscriptions_refused",
    "notifications",
    "notifications_repeated",
    "notifications_failed",
    "events_sent",
    "events_lost",
    "events_unanswered",
    "acks_refused",
)
# Seconds between looks at expired subscriptions and late acknowledgements.
_SWEEP_S = 0.5
_EVERYWHERE = "0.0.0.0"


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._listening: Listening | None = None
        self.stack: Stack | None = None

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        ctx.counters.update(dict.fromkeys(_COUNTERS, 0))
        catalogue = Catalogue(plan, ctx.points)
        limits = CovLimits(**{name: getattr(plan.cov, name) for name in CovSettings.__struct_fields__})
        speaking, receiver, loop = _Speaking(), _Receiver(), asyncio.get_running_loop()
        engine = CovEngine(catalogue, loop.time, limits, speaking.may, loop.call_later)
        commands = Commands(catalogue, ctx.commands, ctx.clock, plan.write_timeout_s, refusals=ctx.refusals)
        board = Board(catalogue, ctx.alarms, ctx.clock.utc_ns)
        datagrams = Datagrams(receiver.received)
        self._plan = plan
        with contextlib.ExitStack() as opened:
            self._listening = await ctx.listeners.datagram(lambda: datagrams, plan.listener)
            opened.callback(self._listening.close)
            core = CoreSide(board, ctx.alarms, ctx.history, ctx.refusals, ctx.clock)
            port, version_ = self._listening.port, own_version()
            stack = Stack(plan, port, version_, catalogue, engine, commands, ctx.counters, core)
            self.stack = speaking.stack = stack
            try:
                opened.callback(ctx.points.subscribe(catalogue.indexes, catalogue.update))
                opened.callback(ctx.alarms.subscribe(lambda alarm: _tell(stack, board.take(alarm))))
                stack.connect(datagrams.send)
                await _hear_broadcasts(ctx.listeners, plan, port, stack, opened)
                catalogue.load()
                board.load()
                receiver.front = stack.front
                # what is there now stays: the collector need not look at it again and again
                gc.collect()
                gc.freeze()
                ctx.ready()
                stack.announce()
                await self._serve(stack, engine, ctx.counters)
            finally:
                gc.unfreeze()
                stack.close()
                # a foreign device takes leave of its BBMD in the next turn of the loop
                await asyncio.sleep(0)
                await stack.server.close()

    async def _serve(self, stack: Stack, engine: CovEngine, counters: dict[str, int]) -> None:
        """Return when a client with the password wants a new start; the supervisor starts the worker again."""
        restart = stack.restart
        while not restart.is_set():
            engine.sweep()
            counters["subscriptions"] = len(engine.by_key)
            counters["notifications"] = engine.sent
            counters["notifications_repeated"] = engine.retried
            counters["notifications_failed"] = engine.failed
            try:
                async with asyncio.timeout(_SWEEP_S):
                    await restart.wait()
            except TimeoutError:
                continue

    @property
    def port(self) -> int:
        """The port of the listener. Raises: AssertionError before `run` listens."""
        assert self._listening is not None
        return self._listening.port

    async def probe(self) -> None:
        """Raises: as `probe.ask`."""
        assert self._plan is not None, "probe before run"
        await probe.ask(self._plan.listener.bind, self.port, self._plan.identity.instance)


async def _hear_broadcasts(
    listeners: Listeners, plan: Plan, port: int, stack: Stack, opened: contextlib.ExitStack
) -> None:
    """Linux delivers broadcasts of a subnet to sockets bound to its broadcast address, or to every address."""
    if not plan.network.broadcast or plan.listener.bind == _EVERYWHERE:
        return
    heard = msgspec.structs.replace(plan.listener, bind=plan.network.broadcast, port=port)
    protocol = Datagrams(stack.server.pass_on_broadcast)
    opened.callback((await listeners.datagram(lambda: protocol, heard)).close)


def _tell(stack: Stack, change: Change | None) -> None:
    if change is not None:
        stack.tell(change)


class _Speaking:
    """Before the stack is there nobody has subscribed."""

    stack: Stack | None = None

    def may(self) -> bool:
        return self.stack is not None and self.stack.may_initiate()


class _Receiver:
    """Datagrams that come before the stack is there are lost, as datagrams are."""

    def __init__(self) -> None:
        self.front: Front | None = None

    def received(self, data: bytes, addr: Peer) -> None:
        if self.front is not None:
            self.front.received(data, addr)


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


PROJECTION: type[Projection] = Server
