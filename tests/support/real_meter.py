"""Meters on real pseudo-terminals and sockets; what they answer, and when, is a function of the request."""

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

from bridge.config.site import Channel, RtuChannel, RtuOverTcpChannel, TcpChannel
from bridge.core.clock import SystemClock
from bridge.field.channel import FieldChannel, open_channel
from bridge.modbus.frame import MbapReader, rtu_frame, tcp_frame
from tests.support.fake_wire import meter

# (unit id, PDU) -> seconds to wait, reply PDU; on a line b"" is no reply
Answer = Callable[[int, bytes], tuple[float, bytes]]


def prompt(unit_id: int, pdu: bytes) -> tuple[float, bytes]:
    """Answer at once, register value = address."""
    return 0.0, meter(rtu_frame(unit_id, pdu))[1:-2]


class InOrder:
    """Call later, but never overtake: a device on a line answers one request after the other."""

    def __init__(self) -> None:
        self._until = 0.0

    def call_later(self, delay_s: float, send: Callable[[bytes], None], frame: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._until = max(loop.time() + delay_s, self._until)
        loop.call_at(self._until, send, frame)


@contextmanager
def pty(link: Path) -> Iterator[int]:
    """Yield the device's end of a new terminal; `link` leads to ours."""
    device, ours = os.openpty()
    tty.setraw(ours)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(ours))
    os.set_blocking(device, False)
    try:
        yield device
    finally:
        os.close(device)
        os.close(ours)


@contextmanager
def pty_meter(link: Path, answer: Answer = prompt) -> Iterator[int]:
    """A meter on a terminal that takes each read of the descriptor for one request."""
    loop = asyncio.get_running_loop()
    in_order = InOrder()
    gone = False

    with pty(link) as device:

        def write(frame: bytes) -> None:
            if not gone:
                os.write(device, frame)

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                request = os.read(device, 300)
                delay_s, reply = answer(request[0], request[1:-2])
                if reply:
                    in_order.call_later(delay_s, write, rtu_frame(request[0], reply))

        loop.add_reader(device, readable)
        try:
            yield device
        finally:
            gone = True
            loop.remove_reader(device)


class SocketMeter(asyncio.Protocol):
    """One connection to a meter that speaks MBAP, or RTU frames, each received piece being one."""

    def __init__(self, answer: Answer, rtu: bool, connections: set[asyncio.Transport]) -> None:
        self._answer, self._rtu, self._connections = answer, rtu, connections
        self._reader = MbapReader()
        self._in_order = InOrder()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        later = asyncio.get_running_loop().call_later
        if self._rtu:
            delay_s, reply = self._answer(data[0], data[1:-2])
            self._in_order.call_later(delay_s, self._transport.write, rtu_frame(data[0], reply))
            return
        self._reader.feed(data)
        for request in self._reader.requests():
            delay_s, reply = self._answer(request.unit_id, request.pdu)
            frame = tcp_frame(request.transaction, request.unit_id, reply)
            later(delay_s, self._transport.write, frame)


@asynccontextmanager
async def socket_meter(answer: Answer = prompt, rtu: bool = False, port: int = 0) -> AsyncIterator[int]:
    """Yield the port of a listening meter; its connections are reset at the end."""
    connections: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SocketMeter(answer, rtu, connections), "127.0.0.1", port, reuse_address=True
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for transport in list(connections):
            transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def metered_channel(kind: str, folder: Path, answer: Answer = prompt) -> AsyncIterator[FieldChannel]:
    """A channel of `kind` with a meter at its end."""
    async with contextlib.AsyncExitStack() as stack:
        config: Channel
        if kind == "rtu":
            stack.enter_context(pty_meter(folder / "line", answer))
            config = RtuChannel(port=str(folder / "line"), baud=115200)
        elif kind == "tcp":
            config = TcpChannel(host="127.0.0.1", port=await stack.enter_async_context(socket_meter(answer)))
        else:
            port = await stack.enter_async_context(socket_meter(answer, rtu=True))
            config = RtuOverTcpChannel(host="127.0.0.1", port=port, baud=115200)
        channel = real_channel(config)
        stack.callback(channel.close)
        yield channel


def real_channel(config: Channel) -> FieldChannel:
    return open_channel("test", config, SystemClock(), asyncio.get_running_loop())
