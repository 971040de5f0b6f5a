"""A core with a store, a simulated serial line and real child processes, for tests and benchmarks."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from bridge.core.clock import SystemClock
from bridge.core.command import Command, CommandResult, Mode, Outcome
from bridge.core.errors import RawFailure, RawRefused
from bridge.core.listener import Listener
from bridge.core.point import Kind, PointDef, Sample
from bridge.core.ports import CommandPort, Grant, Needs, RawLinePort, Tunnel
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.field.line import LineArbiter, Use
from bridge.workers.core_end import Services
from bridge.workers.supervisor import Supervisor
from bridge.workers.worker import State, Status, Timing, WorkerSpec
from tests.support.echo.mapping import Habit, Plan

ROOT = Path(__file__).parents[2]
EVERYTHING = Grant.EVENTS | Grant.COMMANDS | Grant.RAW_LINES | Grant.LOGINS


def spare_ports(count: int) -> int:
    """
    First of `count` ports nobody uses now. Below the range of outgoing connections, so that a worker gets its port
    again after a restart, and elsewhere for every test process.
    """
    for step in range(100):
        first = 20_200 + (os.getpid() * 4 + step) % (200 - count)
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                sock = held.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("127.0.0.1", port))
            return first
    raise OSError("no port is free")


def definition(index: int, name: str | None = None, unit: str = "V") -> PointDef:
    return PointDef(index, name or f"m{index // 80}.p{index % 80}", Kind.ANALOG, unit, True, 10**10, "site.yaml:1")


def sample(value: float, at_ns: int = 1_700_000_000_000_000_000, seq: int = 0) -> Sample:
    return Sample(value, Quality.GOOD, at_ns, seq)


class StoreWriter:
    """CommandPort: writes the value to the store, or takes for ever for values below zero."""

    def __init__(self, store: PointStore) -> None:
        self.store = store
        self.seen: list[Command] = []

    async def submit(self, command: Command) -> CommandResult:
        self.seen.append(command)
        if isinstance(command.value, float) and command.value < 0:
            await asyncio.Event().wait()
        if command.mode is Mode.SELECT:
            return CommandResult(Outcome.DONE)
        self.store.publish([(command.index, Sample(command.value, Quality.GOOD, 1, 1))])
        return CommandResult(Outcome.DONE)


class FakeLines:
    """RawLinePort: one line through the arbiter; answers the PDU reversed; `ff` is never answered."""

    def __init__(self, turnaround_s: float = 0.005) -> None:
        self.line = LineArbiter()
        self.turnaround_s = turnaround_s
        self.order: list[str] = []

    async def exchange(
        self,
        channel: str,
        user: str,
        unit_id: int,
        pdu: bytes,
        deadline_ns: int,
        timeout_s: float = 0.0,
        identity: str = "",
    ) -> bytes:
        async def transact() -> bytes:
            self.order.append(user)
            await asyncio.sleep(self.turnaround_s)
            if pdu == b"\xff":
                raise RawRefused(RawFailure.TIMED_OUT, f"{channel}: no reply in 5 ms")
            return pdu[::-1]

        return await self.line.exchange(Use.GATEWAY, user, transact)

    @contextlib.asynccontextmanager
    async def tunnel(
        self, channel: str, user: str, received: Callable[[bytes], None], idle_s: float
    ) -> AsyncIterator[Tunnel]:
        raise RawRefused(RawFailure.NO_SUCH_CHANNEL, channel)
        yield  # an asynchronous generator


def services(store: PointStore, commands: CommandPort | None = None) -> Services:
    return Services(store, commands or StoreWriter(store), FakeLines(), SystemClock())


def echo(
    name: str,
    port: int,
    points: Sequence[int],
    habit: Habit = Habit.WELL,
    grants: Grant = EVERYTHING,
    listener: Listener = Listener(port=0),  # noqa: B008 - frozen
    state_dir: str = "",
) -> WorkerSpec:
    plan = msgspec.msgpack.encode(Plan(port, habit, listener, name))
    return WorkerSpec(name, "tests.support.echo.server", plan, Needs(frozenset(points), grants), state_dir)


# Seconds a test waits for its workers on a machine that is busy with other tests
READY_S = 40.0
QUICK = Timing(ready_s=30, ping_s=0.2, hung_s=3, good_run_s=0.2, stop_s=1, term_s=1)


@asynccontextmanager
async def running(
    store: PointStore,
    specs: Sequence[WorkerSpec],
    timing: Timing = QUICK,
    wait_ready: bool = True,
    on_status: Callable[[Status], None] = lambda status: None,
    commands: CommandPort | None = None,
    lines: RawLinePort | None = None,
    core: Services | None = None,
) -> AsyncIterator[Supervisor]:
    """`commands`: what carries out commands, by default a writer to the store."""
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
    offered = core or services(store, commands)
    if lines is not None:
        offered = replace(offered, lines=lines)
    supervisor = Supervisor(store, offered, timing, on_status=on_status)
    task = asyncio.ensure_future(supervisor.run(specs))
    try:
        await until(lambda: bool(supervisor.statuses()))
        if wait_ready:
            await until(lambda: all_ready(supervisor, len(specs)), READY_S)
        yield supervisor
    finally:
        supervisor.stop()
        await task


def all_ready(supervisor: Supervisor, count: int) -> bool:
    statuses = supervisor.statuses()
    return len(statuses) == count and all(s.state is State.READY for s in statuses)


def status(supervisor: Supervisor, name: str) -> Status:
    return next(s for s in supervisor.statuses() if s.name == name)


async def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what a test waits for has no event
            await asyncio.sleep(0.01)


class EchoClient:
    """One TCP connection to an echo projection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, patience_s: float = 5) -> "EchoClient":
        async with asyncio.timeout(patience_s):
            while True:
                try:
                    return cls(*await asyncio.open_connection("127.0.0.1", port))
                except OSError:
                    await asyncio.sleep(0.01)

    async def ask(self, line: str, timeout_s: float = 5) -> str:
        self.writer.write(line.encode() + b"\n")
        return await self.line(timeout_s)

    async def line(self, timeout_s: float = 5) -> str:
        async with asyncio.timeout(timeout_s):
            return (await self.reader.readline()).decode().strip()

    async def value(self, name: str) -> float:
        return float((await self.ask(f"GET {name}")).split()[1])

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return
