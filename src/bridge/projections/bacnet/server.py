"""Point image -> BACnet/IP: the projection's life in its worker."""

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import msgspec

from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.bacnet import probe
from bridge.projections.bacnet.commands import Commands
from bridge.projections.bacnet.cov import CovEngine, CovLimits
from bridge.projections.bacnet.front import Front, Peer
from bridge.projections.bacnet.model import Catalogue
from bridge.projections.bacnet.plan import Plan
from bridge.projections.bacnet.stack.device import Stack
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
        limits = CovLimits(
            total=plan.cov.total,
            per_peer=plan.cov.per_peer,
            lifetime_s=plan.cov.lifetime_s,
            timeout_s=plan.cov.timeout_s,
            retries=plan.cov.retries,
        )
        speaking = _Speaking()
        loop = asyncio.get_running_loop()
        engine = CovEngine(catalogue, loop.time, limits, speaking.may, loop.call_later)
        commands = Commands(catalogue, ctx.commands, ctx.clock, plan.write_timeout_s)
        receiver = _Receiver()
        datagrams = Datagrams(receiver.received)
        self._plan = plan
        self._listening = await ctx.listeners.datagram(lambda: datagrams, plan.listener)
        opened = [self._listening]
        stack: Stack | None = None
        unsubscribe = ctx.points.subscribe(catalogue.indexes, catalogue.update)
        try:
            self.stack = stack = Stack(
                plan, self._listening.port, own_version(), catalogue, engine, commands, ctx.counters
            )
            speaking.stack, receiver.front = stack, stack.front
            stack.connect(datagrams.send)
            if plan.network.broadcast and plan.listener.bind != _EVERYWHERE:
                heard = msgspec.structs.replace(plan.listener, bind=plan.network.broadcast, port=self._listening.port)
                heard_by = Datagrams(stack.server.pass_on_broadcast)
                opened.append(await ctx.listeners.datagram(lambda: heard_by, heard))
            catalogue.load()
            ctx.ready()
            stack.announce()
            await self._serve(stack, engine, ctx.counters)
        finally:
            unsubscribe()
            if stack is not None:
                stack.close()
                # a foreign device takes leave of its BBMD in the next turn of the loop
                await asyncio.sleep(0)
                await stack.server.close()
            for listening in opened:
                listening.close()

    async def _serve(self, stack: Stack, engine: CovEngine, counters: dict[str, int]) -> None:
        """Return when a client with the password wants a new start; the supervisor starts the worker again."""
        restart = asyncio.Event()
        for app in (stack.app, *stack.devices):
            app.restart = restart
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
