"""
A serial port that one master has for itself.

A master on a shared pair may have other outstations there: what is not addressed to this one is ignored, and nothing
is sent unasked unless unsolicited responses are on.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from bridge.projections.dnp3.link import LinkDecoder
from bridge.projections.dnp3.masters import Master


class SerialLine(asyncio.Protocol):
    """Carrier of one master, one for each time its port is opened. Loop thread only."""

    def __init__(self, master: Master, counters: dict[str, int], now_s: Callable[[], float] | None = None) -> None:
        self._master, self._counters = master, counters
        self._now_s = now_s or asyncio.get_running_loop().time
        self._decoder = LinkDecoder()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._counters["masters"] += 1
        self._master.bind(self, str(transport.get_extra_info("peername")[0]))
        self.send(self._master.session.connected(self._now_s()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._counters["crc_errors"] += self._decoder.crc_errors
        self._counters["masters"] -= 1
        self._master.left(self)

    def data_received(self, data: bytes) -> None:
        self._counters["bytes_in"] += len(data)
        frames = self._decoder.feed(data)
        if frames:
            self.send(self._master.session.receive(frames, self._now_s()))

    def send(self, chunks: Sequence[bytes]) -> None:
        if self._transport is None:
            return
        data = b"".join(chunks)
        self._counters["bytes_out"] += len(data)
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
