"""Point image -> Modbus TCP: the projection's life in its worker."""

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import msgspec

from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.modbus import probe
from bridge.projections.modbus.identification import objects_of
from bridge.projections.modbus.image import Image
from bridge.projections.modbus.plan import SITE_UNIT, Plan
from bridge.projections.modbus.requests import Requests
from bridge.projections.modbus.session import Services, Session


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._listening: Listening | None = None
        self._plan: Plan | None = None

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        image = Image(plan, ctx.points)
        unsubscribe = ctx.points.subscribe(image.indexes(), image.update)
        try:
            async with asyncio.TaskGroup() as writes:
                services = Services(
                    image.units,
                    Requests(image.units, ctx.points, objects_of(plan.identity, own_version())),
                    ctx.commands,
                    ctx.clock,
                    ctx.counters,
                    lambda session, request, write: writes.create_task(session.carry_out(request, write)),
                    round(plan.write_timeout_s * 1e9),
                )
                self._listening = await ctx.listeners.stream(lambda: Session(services), plan.listener)
                self._plan = plan
                ctx.ready()
                await asyncio.Event().wait()
        finally:
            unsubscribe()
            if self._listening is not None:
                self._listening.close()

    async def probe(self) -> None:
        """Raises: as `probe.ask`."""
        assert self._plan is not None, "probe before run"
        assert self._listening is not None, "probe before run"
        await probe.ask(self._plan.listener, self._listening.port, SITE_UNIT)


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


PROJECTION: type[Projection] = Server
