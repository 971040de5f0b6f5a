"""Image -> Modbus TCP."""

import asyncio
from typing import ClassVar

import msgspec

from bridge.core.ports import Projection, ProjectionContext
from bridge.projections.modbus.mapping import Plan


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    async def run(self, ctx: ProjectionContext) -> None:
        assert isinstance(ctx.plan, Plan)
        ctx.ready()
        await asyncio.Event().wait()

    async def probe(self) -> None:
        """Ask nothing yet."""


PROJECTION: type[Projection] = Server
