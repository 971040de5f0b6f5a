"""bridge.workers.tunnels: the core's end, against workers that do not keep to what was agreed"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest

from bridge.core.errors import RawFailure, RawRefused
from bridge.core.ports import Grant, Needs
from bridge.link import wire
from bridge.workers.tunnels import TunnelDesk

NEEDS = Needs(frozenset(), Grant.TUNNELS, frozenset({"riser"}))
OPEN = wire.TunnelOpen(1, "riser", "10.0.0.9:1", 30.0)


class Line:
    """Tunnel: takes 1 ms a byte; `gone` ends it."""

    def __init__(self) -> None:
        self.sent = b""
        self.gone: asyncio.Future[RawFailure] = asyncio.get_running_loop().create_future()

    async def send(self, data: bytes) -> None:
        await asyncio.sleep(len(data) / 1000)
        self.sent += data

    async def ended(self) -> RawFailure:
        return await self.gone


class Lines:
    """Tunnels of one line."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.received: Callable[[bytes], None] = lambda data: None
        self.refuses: RawRefused | None = None

    @contextlib.asynccontextmanager
    async def tunnel(
        self, channel: str, user: str, received: Callable[[bytes], None], idle_s: float
    ) -> AsyncIterator[Line]:
        if self.refuses is not None:
            raise self.refuses
        self.line, self.received = Line(), received
        try:
            yield self.line
        finally:
            self.line = None


class Desk:
    """A TunnelDesk with what it said to the worker."""

    def __init__(self, needs: Needs = NEEDS) -> None:
        self.lines, self.said, self.tasks = Lines(), list[wire.Frame](), list[asyncio.Future[None]]()
        self.desk = TunnelDesk(self.lines, self._spawn, self.said.append)
        self.desk.grant(needs)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.ensure_future(coroutine))

    async def take(self, *frames: wire.TunnelFrame, wait_s: float = 0.001) -> list[wire.Frame]:
        """Return what it says to these frames."""
        self.said.clear()
        for frame in frames:
            self.desk.take(frame)
        await asyncio.sleep(wait_s)
        return list(self.said)


async def test_a_tunnel_opens_carries_and_ends() -> None:
    desk = Desk()
    assert await desk.take(OPEN) == [wire.TunnelTaken(1, wire.TUNNEL_WINDOW)]
    line = desk.lines.line
    assert line is not None

    assert await desk.take(wire.TunnelSend(1, b"ask"), wait_s=0.1) == [wire.TunnelTaken(1, 3)]
    assert line.sent == b"ask"
    desk.lines.received(b"answer")
    assert desk.said[-1] == wire.TunnelBytes(1, b"answer")
    assert await desk.take(wire.TunnelEnd(1)) == [wire.TunnelOver(1, RawFailure.NONE, "")]
    assert desk.lines.line is None
    assert all(task.done() for task in desk.tasks)


@pytest.mark.parametrize(
    "needs",
    [
        Needs(frozenset()),
        Needs(frozenset(), Grant.RAW_LINES, frozenset({"riser"})),
        Needs(frozenset(), Grant.TUNNELS, frozenset({"cellar"})),
    ],
    ids=["nothing", "no grant", "another line"],
)
async def test_a_worker_gets_no_line_that_was_not_granted(needs: Needs) -> None:
    desk = Desk(needs)

    assert await desk.take(OPEN) == [wire.TunnelOver(1, RawFailure.NOT_GRANTED, "riser")]
    assert desk.lines.line is None


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([wire.TunnelSend(1, b"")], id="nothing"),
        pytest.param([wire.TunnelSend(1, bytes(wire.TUNNEL_CHUNK + 1))], id="too long a piece"),
        pytest.param([wire.TunnelSend(1, bytes(wire.TUNNEL_CHUNK))] * 9, id="more than was granted"),
    ],
)
async def test_a_worker_that_sends_what_it_may_not_loses_the_line(frames: list[wire.TunnelFrame]) -> None:
    desk = Desk()
    await desk.take(OPEN)

    said = await desk.take(*frames, wait_s=10)
    assert said[-1] == wire.TunnelOver(1, RawFailure.REFUSED_BY_POLICY, "")
    assert desk.lines.line is None


async def test_a_worker_that_does_not_read_loses_the_line() -> None:
    desk = Desk()
    await desk.take(OPEN)
    for _ in range(wire.TUNNEL_WINDOW // 64):
        desk.lines.received(bytes(64))
    assert desk.lines.line is not None

    desk.lines.received(b"x")
    await asyncio.sleep(0.01)
    assert desk.said[-1] == wire.TunnelOver(1, RawFailure.BUSY, "")
    assert desk.lines.line is None


async def test_what_was_read_makes_room_again() -> None:
    desk = Desk()
    await desk.take(OPEN)
    for _ in range(10 * wire.TUNNEL_WINDOW // 64):
        desk.lines.received(bytes(64))
        desk.desk.take(wire.TunnelRead(1, 64))
    await asyncio.sleep(0.01)

    assert desk.lines.line is not None


async def test_a_line_that_is_gone_ends_the_tunnel() -> None:
    desk = Desk()
    await desk.take(OPEN)
    assert desk.lines.line is not None
    desk.lines.line.gone.set_result(RawFailure.NOT_CONNECTED)
    await asyncio.sleep(0.01)

    assert desk.said[-1] == wire.TunnelOver(1, RawFailure.NOT_CONNECTED, "")


async def test_a_line_that_is_taken_is_busy() -> None:
    desk = Desk()
    desk.lines.refuses = RawRefused(RawFailure.BUSY, "leased")

    assert await desk.take(OPEN) == [wire.TunnelOver(1, RawFailure.BUSY, "busy: leased")]


async def test_frames_for_no_tunnel_and_a_number_used_twice_harm_nothing() -> None:
    desk = Desk()
    assert await desk.take(wire.TunnelSend(7, b"x"), wire.TunnelRead(7, 1), wire.TunnelEnd(7)) == []

    await desk.take(OPEN)
    assert await desk.take(OPEN) == [wire.TunnelOver(1, RawFailure.BUSY, "1 tunnels are open")]
    assert desk.lines.line is not None


async def test_a_worker_that_is_gone_gives_the_line_back_and_is_told_nothing() -> None:
    desk = Desk()
    await desk.take(OPEN)
    desk.said.clear()
    desk.desk.close()
    await asyncio.sleep(0.01)

    assert desk.lines.line is None
    assert desk.said == []
