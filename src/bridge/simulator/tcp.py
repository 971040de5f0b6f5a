"""The devices' end of a Modbus/TCP channel, or of RTU over TCP: one listener of 127.0.0.1 per channel."""

import asyncio
from collections.abc import Callable
from typing import cast

from bridge.simulator.dialogue import BadStream, Dialogue, Reply
from bridge.simulator.rtu import RtuEnd

# connections of one channel; the next one is closed at once
_MOST_CONNECTIONS = 64
# bytes a client may leave unread, replies that may wait to be late
_MOST_UNREAD, _MOST_LATE = 1 << 18, 64
HOST = "127.0.0.1"
MakeEnd = Callable[[Callable[[bytes], None]], RtuEnd]


class TcpListener:
    """A listening port. `make_end` None: Modbus/TCP; else RTU frames, with an end of the line per connection."""

    def __init__(self, dialogue: Dialogue, make_end: MakeEnd | None = None) -> None:
        self._dialogue, self._make_end = dialogue, make_end
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        """Listen on a port the system chooses."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()

    def _connection(self) -> asyncio.Protocol:
        return _Connection(self._dialogue, self._make_end, self._connections)


class _Connection(asyncio.Protocol):
    def __init__(self, dialogue: Dialogue, make_end: MakeEnd | None, others: "set[_Connection]") -> None:
        self._dialogue, self._make_end, self._others = dialogue, make_end, others
        self._transport: asyncio.Transport | None = None
        self._end: RtuEnd | None = None
        self._buffer = b""
        self._late: set[asyncio.TimerHandle] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport
        self._transport = cast("asyncio.Transport", transport)
        if len(self._others) >= _MOST_CONNECTIONS:
            self._transport.abort()
            return
        self._others.add(self)
        if self._make_end is not None:
            self._end = self._make_end(self._send)

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.discard(self)
        self._transport = None
        for timer in self._late:
            timer.cancel()
        self._late.clear()
        if self._end is not None:
            self._end.close()
            self._end = None

    def data_received(self, data: bytes) -> None:
        if self._end is not None:
            self._end.feed(data)
            return
        self._buffer += data
        try:
            while frame := self._dialogue.tcp_request(self._buffer):
                self._buffer = self._buffer[len(frame) :]
                self._answer(self._dialogue.tcp_reply(frame))
        except BadStream:
            self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, reply: Reply | None) -> None:
        if reply is None:
            return
        if not reply.is_late:
            self._send(reply.frame)
        elif len(self._late) < _MOST_LATE:
            loop = asyncio.get_running_loop()
            self._late = {timer for timer in self._late if timer.when() > loop.time()}
            self._late.add(loop.call_later(reply.after_s, self._send, reply.frame))

    def _send(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > _MOST_UNREAD:
            self._transport.abort()
            return
        self._transport.write(data)
