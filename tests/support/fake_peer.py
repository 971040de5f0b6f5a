"""A Modbus TCP server in virtual time: what it sends, and when, is a function of the request."""

import asyncio
from collections.abc import Callable, Iterable

from bridge.modbus.frame import MbapReader, TcpRequest, tcp_frame
from tests.support.fake_wire import read_reply

# (seconds after the request, bytes)
Answer = Iterable[tuple[float, bytes]]


def good(request: TcpRequest) -> bytes:
    """Answer a read of holding registers with register value = address."""
    address, count = int.from_bytes(request.pdu[1:3], "big"), int.from_bytes(request.pdu[3:5], "big")
    return tcp_frame(request.transaction, request.unit_id, read_reply(address, count, request.pdu[0]))


def at_once(request: TcpRequest) -> Answer:
    return [(0.01, good(request))]


class FakePeer:
    def __init__(self, respond: Callable[[TcpRequest], Answer] = at_once) -> None:
        self.respond = respond
        self.refuses = False
        self.opened = 0
        self.requests: list[tuple[float, TcpRequest]] = []
        self.link: FakeTransport | None = None

    async def connect(self, make: Callable[[], asyncio.Protocol]) -> object:
        await asyncio.sleep(0.001)
        if self.refuses:
            raise OSError(111, "refused")
        self.opened += 1
        self.link = FakeTransport(self, make())
        return self.link


class FakeTransport(asyncio.Transport):
    def __init__(self, peer: FakePeer, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._peer, self._protocol = peer, protocol
        self._reader = MbapReader()
        self.gone = False
        protocol.connection_made(self)

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        loop = asyncio.get_running_loop()
        self._reader.feed(data)
        for request in self._reader.requests():
            self._peer.requests.append((loop.time(), request))
            for delay_s, piece in self._peer.respond(request):
                loop.call_later(delay_s, self.arrive, piece)

    def arrive(self, data: bytes) -> None:
        if not self.gone:
            self._protocol.data_received(data)

    def hang_up(self) -> None:
        if not self.gone:
            self.gone = True
            self._protocol.connection_lost(None)

    def abort(self) -> None:
        if not self.gone:
            self.gone = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass
