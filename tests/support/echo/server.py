"""
Lines in, lines out.

GET id           -> id value quality source_ns     SET id number   -> outcome
SUM              -> number of changes delivered so far   RAW hex          -> hex, or the error (unit id and PDU)
STATE            -> state_dir, number of devices
LOGIN user word  -> admission role                 REFUSE what n    -> have n refused writes recorded
EVENTS           -> deliver every event as a line: EVENT number | LOST first last
"""

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar, cast

import msgspec

from bridge.core.command import Command, Origin
from bridge.core.errors import BridgeError
from bridge.core.event import Event
from bridge.core.point import Batch
from bridge.core.ports import Projection, ProjectionContext
from bridge.core.secret import Secret
from tests.support.echo.mapping import Habit, Plan

_DEADLINE_NS = 2_000_000_000


class Session(asyncio.Protocol):
    def __init__(self, server: "Server") -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._alive = cast("Callable[[], bool]", transport.get_extra_info("alive"))

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._alive():
                return
            words = line.decode().split()
            if words[0] == "GET":
                self.say(self._server.describe(words[1]))
            elif words[0] == "SUM" and self._server.habit is Habit.STUMBLES:
                raise RuntimeError("as told")
            elif words[0] == "SUM":
                self.say(self._server.figures())
            elif words[0] == "STATE":
                ctx = self._server.ctx
                self.say(f"{ctx.state_dir} {' '.join(device.id for device in ctx.points.devices())}")
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
            origin = Origin(self._server.protocol, "127.0.0.1", "")
            command = Command(self._server.index[words[1]], float(words[2]), origin, deadline_ns)
            result = await ctx.commands.submit(command)
            self.say(result.outcome.value)
            return
        if words[0] == "LOGIN":
            answer = await ctx.logins.login("127.0.0.1", words[1], Secret(words[2]))
            self.say(f"{answer.admission.value} {answer.role}")
            return
        if words[0] == "REFUSE":
            for _ in range(int(words[2])):
                ctx.refusals.refused(Origin(self._server.protocol, "127.0.0.1", ""), words[1], "as told")
            self.say("refused")
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
        self.habit = Habit.WELL
        self.port = 0
        self.asked = 0
        self.protocol = ""

    async def run(self, ctx: ProjectionContext) -> None:
        assert isinstance(ctx.plan, Plan)
        self.protocol = ctx.plan.protocol
        self.ctx, self.habit = ctx, ctx.plan.habit
        self.index = {d.id: d.index for d in ctx.points.defs()}
        ctx.points.subscribe(list(self.index.values()), self._changed)
        if ctx.plan.habit is Habit.CRASHES:
            raise RuntimeError("as told")
        if ctx.plan.habit is Habit.NEVER_READY:
            await asyncio.Event().wait()
        listener = msgspec.structs.replace(ctx.plan.listener, port=ctx.plan.port)
        server = await ctx.listeners.stream(lambda: Session(self), listener)
        self.port = server.port
        ctx.ready()
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            if ctx.plan.habit is Habit.DEAF_TO_STOP:
                time.sleep(60)  # noqa: ASYNC251 - the point of the habit: a loop that is stuck

    async def probe(self) -> None:
        self.asked += 1
        if self.habit is Habit.ANSWERS_ONCE and self.asked > 1:
            raise ConnectionError("as told")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"STATE\n")
        answer = await reader.readline()
        writer.close()
        if not answer.endswith(b"\n"):
            raise ConnectionError("no answer")

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
