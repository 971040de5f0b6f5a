"""One client of a line: its first bytes take the line, its leaving or silence gives it back."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from bridge.core.errors import RawFailure, RawRefused
from bridge.core.ports import Tunnels

_log = logging.getLogger("bridge.ethergate")
# bytes from the client that wait for the line before its socket is read no further
MOST_WAITING = 4096
COUNTERS = ("connections", "tunnels", "tunnels_refused", "tunnels_idle", "bytes_in", "bytes_out")


class Session(asyncio.Protocol):
    """Loop thread only. A client that says nothing takes nothing: a port scanner does not stop the poller."""

    def __init__(self, lines: Tunnels, channel: str, idle_s: float, counters: dict[str, int]) -> None:
        self._lines, self._channel, self._idle_s, self._counters = lines, channel, idle_s, counters
        self._waiting = bytearray()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._alive: Callable[[], bool] = _always
        self._reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport
        self._transport = cast("asyncio.Transport", transport)
        self._alive = transport.get_extra_info("alive") or _always
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
        self._counters["connections"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._counters["connections"] -= 1
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if not self._alive():
            return
        self._counters["bytes_in"] += len(data)
        self._waiting += data
        self._news.set()
        self._read(len(self._waiting) < MOST_WAITING)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._carry()
        except RawRefused as exc:
            if exc.failure is RawFailure.IDLE:
                self._counters["tunnels_idle"] += 1
            else:
                self._counters["tunnels_refused"] += 1
            _log.warning("tunnel_over peer=%s channel=%s why=%s", self._peer, self._channel, exc)
            if self._transport is not None:
                self._transport.close()

    async def _carry(self) -> None:
        """Raises: RawRefused."""
        async with self._lines.tunnel(self._channel, self._peer, self._heard, self._idle_s) as tunnel:
            self._counters["tunnels"] += 1
            _log.info("tunnel_begins peer=%s channel=%s", self._peer, self._channel)
            ended = asyncio.ensure_future(tunnel.ended())
            ended.add_done_callback(lambda _: self._news.set())
            try:
                while not ended.done():
                    self._news.clear()
                    while self._waiting:
                        piece, self._waiting = bytes(self._waiting), bytearray()
                        self._read(True)
                        await tunnel.send(piece)
                    await self._news.wait()
            finally:
                ended.cancel()
            raise RawRefused(ended.result())

    def _heard(self, data: bytes) -> None:
        if self._transport is not None:
            self._counters["bytes_out"] += len(data)
            self._transport.write(data)

    def _read(self, on: bool) -> None:
        if self._transport is not None and on is not self._reading:
            self._reading = on
            (self._transport.resume_reading if on else self._transport.pause_reading)()


def _always() -> bool:
    """A listener without a guard."""
    return True
