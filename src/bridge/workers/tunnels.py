"""The core's end of a worker's tunnels: raw bytes between the link and a line, bounded both ways."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine

from bridge.core.errors import RawFailure, RawRefused
from bridge.core.ports import Grant, Needs, Tunnels
from bridge.link import wire

# tunnels of one worker; a line has one at most
TUNNELS_MOST = 8


class _Open:
    """One tunnel. What the worker sends waits in `queue`, at most TUNNEL_WINDOW bytes: more is the worker's fault."""

    def __init__(self, id_: int) -> None:
        self.id = id_
        self.queue: deque[bytes] = deque()
        self.granted = 0
        # bytes of the line that the worker has not taken yet
        self.unread = 0
        self.over: RawFailure | None = None
        self.news = asyncio.Event()

    def end(self, why: RawFailure) -> None:
        if self.over is None:
            self.over = why
        self.news.set()


class TunnelDesk:
    """Loop thread only. `answer` sends a frame to the worker."""

    def __init__(
        self,
        lines: Tunnels,
        spawn: Callable[[Coroutine[None, None, None]], object],
        answer: Callable[[wire.Frame], None],
    ) -> None:
        self._lines, self._spawn, self._answer = lines, spawn, answer
        self._needs = Needs(frozenset())
        self._open: dict[int, _Open] = {}
        self._closed = False

    def grant(self, needs: Needs) -> None:
        self._needs = needs

    def take(self, frame: wire.TunnelFrame) -> None:
        """Frames for a tunnel that is over are late, not wrong."""
        if isinstance(frame, wire.TunnelOpen):
            self._begin(frame)
            return
        tunnel = self._open.get(frame.id)
        if tunnel is None:
            return
        if isinstance(frame, wire.TunnelEnd):
            tunnel.end(RawFailure.NONE)
        elif isinstance(frame, wire.TunnelRead):
            tunnel.unread = max(0, tunnel.unread - frame.count)
        elif 0 < len(frame.data) <= min(tunnel.granted, wire.TUNNEL_CHUNK):
            tunnel.granted -= len(frame.data)
            tunnel.queue.append(frame.data)
            tunnel.news.set()
        else:
            tunnel.end(RawFailure.REFUSED_BY_POLICY)

    def close(self) -> None:
        """The worker is gone: give the lines back."""
        self._closed = True
        for tunnel in self._open.values():
            tunnel.end(RawFailure.NONE)

    def _begin(self, asked: wire.TunnelOpen) -> None:
        if Grant.TUNNELS not in self._needs.grants or asked.channel not in self._needs.tunnels:
            self._answer(wire.TunnelOver(asked.id, RawFailure.NOT_GRANTED, asked.channel))
        elif len(self._open) >= TUNNELS_MOST or asked.id in self._open:
            self._answer(wire.TunnelOver(asked.id, RawFailure.BUSY, f"{len(self._open)} tunnels are open"))
        else:
            tunnel = self._open[asked.id] = _Open(asked.id)
            self._spawn(self._run(asked, tunnel))

    async def _run(self, asked: wire.TunnelOpen, tunnel: _Open) -> None:
        message = ""
        try:
            await self._carry(asked, tunnel)
        except RawRefused as exc:
            tunnel.end(exc.failure)
            message = str(exc)
        finally:
            del self._open[asked.id]
        if not self._closed:
            self._answer(wire.TunnelOver(asked.id, tunnel.over or RawFailure.NONE, message))

    async def _carry(self, asked: wire.TunnelOpen, tunnel: _Open) -> None:
        """Raises: RawRefused."""

        def received(data: bytes) -> None:
            if tunnel.over is not None:
                return
            tunnel.unread += len(data)
            if tunnel.unread > wire.TUNNEL_WINDOW:
                # a line cannot be told to wait
                tunnel.end(RawFailure.BUSY)
                return
            self._answer(wire.TunnelBytes(tunnel.id, data))

        async with self._lines.tunnel(asked.channel, asked.user, received, asked.idle_s) as line:
            watch = asyncio.ensure_future(line.ended())
            watch.add_done_callback(lambda done: None if done.cancelled() else tunnel.end(done.result()))
            tunnel.granted = wire.TUNNEL_WINDOW
            self._answer(wire.TunnelTaken(tunnel.id, wire.TUNNEL_WINDOW))
            try:
                while tunnel.over is None:
                    await tunnel.news.wait()
                    tunnel.news.clear()
                    while tunnel.queue and tunnel.over is None:
                        data = tunnel.queue.popleft()
                        await line.send(data)
                        tunnel.granted += len(data)
                        self._answer(wire.TunnelTaken(tunnel.id, len(data)))
            finally:
                watch.cancel()
