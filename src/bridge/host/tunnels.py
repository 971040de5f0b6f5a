"""The worker's end of its tunnels: raw bytes between a projection and a line of the core."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from bridge.core.errors import RawFailure, RawRefused
from bridge.link import wire

# s; the line is free after the exchange under way, and a lease that is refused is refused at once
OPEN_S = 20.0


class WorkerTunnel:
    """Tunnel of `core.ports`. Loop thread only."""

    def __init__(self, id_: int, send: Callable[[wire.Frame], None], received: Callable[[bytes], None]) -> None:
        self._id, self._send, self._received = id_, send, received
        self._room = 0
        self._news = asyncio.Event()
        self.over: RawRefused | None = None

    async def opened(self) -> None:
        """Raises: RawRefused."""
        try:
            async with asyncio.timeout(OPEN_S):
                await self._wait_for_room()
        except TimeoutError as exc:
            raise RawRefused(RawFailure.BUSY, f"the line was not free within {OPEN_S:g} s") from exc

    async def send(self, data: bytes) -> None:
        while data:
            await self._wait_for_room()
            size = min(self._room, wire.TUNNEL_CHUNK)
            chunk, data = data[:size], data[size:]
            self._room -= len(chunk)
            self._send(wire.TunnelSend(self._id, chunk))
        if self.over is not None:
            raise self.over

    async def ended(self) -> RawFailure:
        while self.over is None:
            self._news.clear()
            await self._news.wait()
        return self.over.failure

    def take(self, frame: wire.TunnelTaken | wire.TunnelBytes | wire.TunnelOver) -> None:
        """What the core says of this tunnel."""
        if isinstance(frame, wire.TunnelBytes):
            self._received(frame.data)
            self._send(wire.TunnelRead(self._id, len(frame.data)))
        elif isinstance(frame, wire.TunnelTaken):
            self._room += frame.count
            self._news.set()
        else:
            self.lost(RawRefused(frame.failure, frame.message))

    def lost(self, why: RawRefused) -> None:
        if self.over is None:
            self.over = why
        self._news.set()

    async def _wait_for_room(self) -> None:
        while self._room <= 0 and self.over is None:
            self._news.clear()
            await self._news.wait()
        if self.over is not None:
            raise self.over


class WorkerTunnels:
    """The tunnels of this worker, by the ids the link knows them by."""

    def __init__(self, send: Callable[[wire.Frame], None], new_id: Callable[[], int]) -> None:
        self._send, self._new_id = send, new_id
        self._open: dict[int, WorkerTunnel] = {}

    @contextlib.asynccontextmanager
    async def tunnel(
        self, channel: str, user: str, received: Callable[[bytes], None], idle_s: float
    ) -> AsyncIterator[WorkerTunnel]:
        """See `core.ports.Tunnels`."""
        number = self._new_id()
        opened = self._open[number] = WorkerTunnel(number, self._send, received)
        try:
            self._send(wire.TunnelOpen(number, channel, user, idle_s))
            await opened.opened()
            yield opened
        finally:
            del self._open[number]
            if opened.over is None:
                self._send(wire.TunnelEnd(number))

    def take(self, frame: wire.TunnelTaken | wire.TunnelBytes | wire.TunnelOver) -> None:
        opened = self._open.get(frame.id)
        if opened is not None:
            opened.take(frame)

    def lost(self, why: RawRefused) -> None:
        for opened in self._open.values():
            opened.lost(why)
