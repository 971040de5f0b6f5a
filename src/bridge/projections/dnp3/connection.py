"""
One TCP connection of a master.

Requests of a peer that does not read wait until it does; those that come faster than they are answered wait until the
other masters have had their turn. A frame of a stranger is ignored.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import cast

from bridge.projections.dnp3.link import LinkDecoder, LinkFrame
from bridge.projections.dnp3.masters import Master, Masters
from bridge.projections.dnp3.probe import NO_PORT

_log = logging.getLogger("bridge.dnp3")
# Bytes a peer may leave unread before we stop reading from it: one integrity poll of 10,000 points.
UNREAD_BYTES = 64 * 1024
# Frames of one master in one turn of the loop: READs of 2 kB each are 4 ms.
FRAMES_PER_TURN = 64


class Connection(asyncio.Protocol):
    """Bound to a session by its first frame."""

    def __init__(self, masters: Masters, counters: dict[str, int]) -> None:
        self._masters, self._counters = masters, counters
        self._transport: asyncio.Transport | None = None
        self._alive: Callable[[], bool] = _always
        self._master: Master | None = None
        self._candidates: list[Master] = []
        self._decoder = LinkDecoder()
        self._frames: list[LinkFrame] = []
        # waits for its turn; waits for the peer to read; has told the transport to read no more
        self._queued = self._unread = self._held = False
        self._peer = ""
        self.opened_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport
        self._transport = cast("asyncio.Transport", transport)
        self._alive = cast("Callable[[], bool]", transport.get_extra_info("alive") or _always)
        self.opened_s = self._masters.now_s()
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        self._candidates = self._masters.candidates(self._peer, int(peer[1]) if peer else NO_PORT)
        if not self._candidates:
            self._counters["refused_peer"] += 1
            _log.warning("refused_peer peer=%s", self._peer)
            self._transport.abort()
            return
        self._masters.waiting.add(self)
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)

    def data_received(self, data: bytes) -> None:
        self._counters["bytes_in"] += len(data)
        frames = self._decoder.feed(data)
        if frames:
            self._frames += frames
            if not self._queued and not self._unread:
                self._take_turn()

    def _take_turn(self) -> None:
        self._queued = False
        if self._transport is None or self._unread:
            return
        frames, self._frames = self._frames[:FRAMES_PER_TURN], self._frames[FRAMES_PER_TURN:]
        if frames:
            self._dispatch(frames)
        more = bool(self._frames)
        if more is not self._held:
            self._held = more
            if more:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        if more:
            self._queued = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _dispatch(self, frames: Sequence[LinkFrame]) -> None:
        now_s = self._masters.now_s()
        if self._master is None:
            self._identify(frames, now_s)
            return
        if any(map(self._master.is_asked_by, frames)):
            self._alive()
        self.send(self._master.session.receive(frames, now_s))

    def _identify(self, frames: Sequence[LinkFrame], now_s: float) -> None:
        for at, frame in enumerate(frames):
            for master in self._candidates:
                if master.is_asked_by(frame):
                    self._bind(master, frames[at:], now_s)
                    return
        self._counters["strange_frames"] += len(frames)

    def _bind(self, master: Master, frames: Sequence[LinkFrame], now_s: float) -> None:
        self._masters.waiting.discard(self)
        self._master = master
        self._counters["masters"] += 1
        master.bind(self, self._peer)
        if not self._alive():
            return
        self.send(master.session.connected(now_s))
        self.send(master.session.receive(frames, now_s))

    def send(self, chunks: Sequence[bytes]) -> None:
        if chunks and self._transport is not None:
            data = b"".join(chunks)
            self._counters["bytes_out"] += len(data)
            self._transport.write(data)

    def turn_away(self) -> None:
        """Every master is here already."""
        self._masters.waiting.discard(self)
        self._counters["refused_full"] += 1
        _log.warning("refused_full peer=%s", self._peer)
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        self._unread = True

    def resume_writing(self) -> None:
        self._unread = False
        if not self._queued:
            self._take_turn()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._frames = []
        self._counters["crc_errors"] += self._decoder.crc_errors
        self._masters.waiting.discard(self)
        if self._master is not None:
            self._master.left(self)
            self._counters["masters"] -= 1


def _always() -> bool:
    return True
