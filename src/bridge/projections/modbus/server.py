"""Point image -> Modbus TCP: the projection's life in its worker."""

import asyncio
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import msgspec

from bridge.core.listener import Listener
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.modbus import probe
from bridge.projections.modbus.identification import objects_of, server_id
from bridge.projections.modbus.image import Image
from bridge.projections.modbus.plan import SITE_UNIT, Plan
from bridge.projections.modbus.requests import Requests
from bridge.projections.modbus.serial_session import SerialSession
from bridge.projections.modbus.services import Services
from bridge.projections.modbus.session import Session

# s; from a refusal until the guard has counted it
_COUNTED_S = 0.05
# What the guard counts when it turns a connection away.
_REFUSALS = ("refused_full", "refused_network")


@dataclass(frozen=True, slots=True)
class _Open:
    """What there is once the listener is open."""

    listener: Listener
    services: Services
    listening: Listening

    def refusals(self) -> int:
        return sum(self.services.counters.get(name, 0) for name in _REFUSALS)


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._open: _Open | None = None

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        image, objects = Image(plan, ctx.points), objects_of(plan.identity, own_version())
        unsubscribe = ctx.points.subscribe(image.indexes(), image.update)
        try:
            async with asyncio.TaskGroup() as tasks:
                services = Services(
                    image.units,
                    Requests(image.units, ctx.points, objects),
                    ctx.commands,
                    ctx.clock,
                    ctx.counters,
                    tasks.create_task,
                    round(plan.write_timeout_s * 1e9),
                    ctx.refusals,
                )
                for line in plan.serial:
                    make = partial(SerialSession, services, line, server_id(objects))
                    tasks.create_task(ctx.listeners.serial(make, line.port))
                listening = await ctx.listeners.stream(lambda: Session(services), plan.listener)
                self._open = _Open(plan.listener, services, listening)
                ctx.ready()
                await asyncio.Event().wait()
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

        When the guard refuses us, because every seat is taken or our own address is not on the list, it has answered,
        and a session is asked directly: a server that serves as many as it may is well.
        """
        now = self._open
        assert now is not None, "probe before run"
        refusals = now.refusals()
        try:
            await probe.ask(now.listener, now.listening.port, SITE_UNIT)
        except (ConnectionError, EOFError):
            # the guard counts in its own turn of the loop
            await asyncio.sleep(_COUNTED_S)
            if now.refusals() == refusals:
                raise
            await probe.ask_inside(lambda: Session(now.services), SITE_UNIT)


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


PROJECTION: type[Projection] = Server
