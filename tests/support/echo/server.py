"""
Lines in, lines out.

GET id           -> id value quality source_ns     SET id number   -> outcome
SUM              -> number of changes delivered so far   RAW hex          -> hex, or the error (unit id and PDU)
EVENTS           -> deliver every event as a line: EVENT number | LOST first last
"""

import asyncio
import time
from typing import ClassVar, cast

import msgspec

from bridge.core.command import Command, Origin
from bridge.core.errors import BridgeError
from bridge.core.event import Event
from bridge.core.point import Batch
from bridge.core.ports import Projection, ProjectionContext
from tests.support.echo.mapping import Habit, Plan

_DEADLINE_NS = 2_000_000_000


class Session(asyncio.Protocol):
    def __init__(self, server: "Server") -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            words = line.split()
            if words[0] == "GET":
                self.say(self._server.describe(words[1]))
            elif words[0] == "SUM":
                self.say(self._server.figures())
            elif words[0] == "EVENTS":
                self._server.ctx.events.subscribe(self._event, self._lost)
            else:
                task = asyncio.ensure_future(self._ask(words))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def say(self, line: str) -> None:
        assert self._transport is not None
        self._transport.write(line.encode() + b"\n")

    def _event(self, event: Event) -> None:
        self.say(f"EVENT {event.number}")

    def _lost(self, first: int, last: int) -> None:
        self.say(f"LOST {first} {last}")

    async def _ask(self, words: list[str]) -> None:
        ctx = self._server.ctx
        deadline_ns = ctx.clock.monotonic_ns() + _DEADLINE_NS
        if words[0] == "SET":
            origin = Origin("echo", "127.0.0.1", "")
            command = Command(self._server.index[words[1]], float(words[2]), origin, deadline_ns)
            result = await ctx.commands.submit(command)
            self.say(result.outcome.value)
            return
        try:
            raw = bytes.fromhex(words[1])
            reply = await ctx.lines.exchange("line-1", "127.0.0.1", raw[0], raw[1:], deadline_ns)
            self.say(reply.hex())
        except (BridgeError, TimeoutError) as exc:
            self.say(f"ERROR {exc}")


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan
    ctx: ProjectionContext

    def __init__(self) -> None:
        self.delivered = 0
        self.late_us: list[int] = []
        self.index: dict[str, int] = {}

    async def run(self, ctx: ProjectionContext) -> None:
        assert isinstance(ctx.plan, Plan)
        self.ctx = ctx
        self.index = {d.id: d.index for d in ctx.points.defs()}
        ctx.points.subscribe(list(self.index.values()), self._changed)
        if ctx.plan.habit is Habit.CRASHES:
            raise RuntimeError("as told")
        if ctx.plan.habit is Habit.NEVER_READY:
            await asyncio.Event().wait()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Session(self), "127.0.0.1", ctx.plan.port)
        ctx.ready()
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            if ctx.plan.habit is Habit.DEAF_TO_STOP:
                time.sleep(60)  # noqa: ASYNC251 - the point of the habit: a loop that is stuck

    async def probe(self) -> None:
        """Nothing to ask: the tests do."""

    def _changed(self, batch: Batch) -> None:
        self.delivered += len(batch)
        now_ns = self.ctx.clock.utc_ns()
        self.late_us.append((now_ns - batch[0][1].source_ns) // 1000)

    def describe(self, name: str) -> str:
        sample = self.ctx.points.get(self.index[name])
        return f"{name} {sample.value} {int(sample.quality)} {sample.source_ns}"

    def figures(self) -> str:
        """Delivered changes, our CPU (us), p50 and p99 of batch latency since last asked (us), batches."""
        late = sorted(self.late_us) or [0]
        self.late_us = []
        cpu_us = int(time.process_time() * 1e6)
        return f"{self.delivered} {cpu_us} {late[len(late) // 2]} {late[len(late) * 99 // 100]} {len(late)}"


PROJECTION: type[Projection] = Server
