"""Clients -> lines: the gateway's life in its worker. The lines themselves stay in the core."""

import asyncio
import os
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

import msgspec

from bridge.core.listener import Listener
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.core.traffic import TRAFFIC_FILE
from bridge.gateway.modbus import probe
from bridge.gateway.modbus.line import GatewayLine
from bridge.gateway.modbus.own import OwnUnit
from bridge.gateway.modbus.plan import Door, Plan
from bridge.gateway.modbus.policy import Policy
from bridge.gateway.modbus.router import Router
from bridge.gateway.modbus.session import RoleOf, Session
from bridge.gateway.modbus.traffic import Traffic

# who reads what, renewed while clients ask
_TRAFFIC_EVERY_S = 10.0


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._main: tuple[Listener, int] | None = None

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        traffic = Traffic(ctx.counters, ctx.clock, ctx.refusals)
        router = Router(
            plan,
            lambda channel: GatewayLine(channel, plan, ctx.lines, ctx.clock, traffic.count),
            Policy(plan.policy, plan.roles),
            OwnUnit(own_version(), plan.site, ctx.counters, ctx.clock),
            traffic,
            ctx.clock,
        )
        open_doors: list[Listening] = []
        try:
            for number, door in enumerate(plan.doors):
                make = partial(Session, router, number, door.framing, _role_reader(door))
                open_doors.append(await ctx.listeners.stream(make, door.listener))
            self._main = plan.doors[0].listener, open_doors[0].port
            ctx.ready()
            await _publish(traffic, ctx.state_dir)
        finally:
            for listening in open_doors:
                listening.close()

    async def probe(self) -> None:
        """Raises: as `probe.ask`."""
        assert self._main is not None, "probe before run"
        await probe.ask(*self._main)


def _role_reader(door: Door) -> RoleOf | None:
    if not door.needs_role:
        return None
    # cryptography takes 8 MB that a gateway without certificates saves
    from bridge.gateway.modbus.roles import role_of

    return role_of


async def _publish(traffic: Traffic, state_dir: str) -> None:
    """Write who reads what, now and then, until cancelled."""
    written = -1
    while True:
        await asyncio.sleep(_TRAFFIC_EVERY_S)
        requests = traffic.counters["requests"]
        if state_dir and requests != written:
            written = requests
            await asyncio.to_thread(_write, Path(state_dir) / TRAFFIC_FILE, msgspec.json.encode(traffic.rows()))


def _write(path: Path, data: bytes) -> None:
    """Write a file that no reader ever sees half. A full disk is no reason to stop serving."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


PROJECTION: type[Projection] = Server
