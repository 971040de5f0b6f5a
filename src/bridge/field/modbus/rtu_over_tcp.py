"""RTU frames through a serial device server: the master of a serial line on a socket.

Nothing tells the replies apart here either, and the network adds its own delay: the quarantine is longer than on
a wire, and outlives the connection, for the server may deliver an old reply into the new one.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable

from bridge.core.clock import Clock
from bridge.core.errors import ConnectFailed, ConnectionLost
from bridge.field.dial import BackOff
from bridge.field.modbus.master import RtuMaster
from bridge.field.observe import FrameTap, LineCounters

# bytes: more than the longest RTU frame, so that one read empties the socket
_READ_SIZE = 1024
# bytes after one request: a host that sends more is cut off
_MAX_UNASKED = 16 * _READ_SIZE


class SocketPort:
    """A `Port` on a connected socket."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None
        self._readable: Callable[[], None] | None = None
        self._expected = 1
        self._unasked = 0

    def adopt(self, sock: socket.socket) -> None:
        """Take a connected, non-blocking socket."""
        self.close()
        self._sock, self._expected, self._unasked = sock, 1, 0

    def open(self, readable: Callable[[], None]) -> None:
        if self._sock is None:
            raise OSError(errno.ENOTCONN, "not connected")
        self._readable = readable
        self.listen()

    def connected(self) -> bool:
        return self._sock is not None

    def is_open(self) -> bool:
        return self._sock is not None and self._readable is not None

    def read(self) -> bytes:
        try:
            data = self._socket().recv(_READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError:
            self.close()
            raise
        if not data:
            self.close()
            raise OSError(errno.ECONNRESET, "closed by the peer")
        self._unasked += len(data)
        if self._unasked > _MAX_UNASKED:
            self.close()
            raise OSError(errno.EMSGSIZE, f"{self._unasked} bytes after one request")
        return data

    def write(self, data: bytes) -> None:
        try:
            self._unasked = 0
            written = self._socket().send(data)
        except OSError:
            self.close()
            raise
        if written != len(data):
            self.close()
            raise OSError(errno.EAGAIN, f"only {written} of {len(data)} bytes fit into the socket's buffer")

    def expect(self, count: int) -> None:
        if self._sock is not None and count != self._expected:
            self._expected = count
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, max(count, 1))

    def mute(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket())

    def listen(self) -> None:
        assert self._readable is not None
        asyncio.get_running_loop().add_reader(self._socket(), self._readable)

    def close(self) -> None:
        sock, self._sock = self._sock, None
        readable, self._readable = self._readable, None
        if sock is None:
            return
        if readable is not None:
            asyncio.get_running_loop().remove_reader(sock)
        sock.close()

    def _socket(self) -> socket.socket:
        if self._sock is None:
            raise OSError(errno.ENOTCONN, "not connected")
        return self._sock


class RtuOverTcpMaster:
    """`connect` returns a connected socket. Raises: OSError."""

    def __init__(
        self,
        channel: str,
        connect: Callable[[], Awaitable[socket.socket]],
        port: SocketPort,
        master: RtuMaster,
        clock: Clock,
    ) -> None:
        self._channel, self._connect, self._port, self._master = channel, connect, port, master
        self._back_off = BackOff(clock)
        self._closed = False

    @property
    def counters(self) -> LineCounters:
        return self._master.counters

    @property
    def tap(self) -> FrameTap:
        return self._master.tap

    def quarantine_s(self, unit_id: int, pdu: bytes) -> float:
        return self._master.quarantine_s(unit_id, pdu)

    async def exchange(self, unit_id: int, pdu: bytes, timeout_s: float) -> bytes:
        """Send one request; return the reply PDU. Raises: FieldError. One at a time, as on a serial line."""
        if not self._port.connected():
            await self._open(unit_id)
        answer = await self._master.exchange(unit_id, pdu, timeout_s)
        self._back_off.worked()
        return answer

    def hush(self) -> None:
        self._master.hush()

    def close(self) -> None:
        self._closed = True
        self._master.close()

    async def _open(self, unit_id: int) -> None:
        if self._closed:
            raise ConnectionLost(self._channel, unit_id, "closed")
        if (wait_s := self._back_off.wait_s()) > 0:
            raise ConnectFailed(self._channel, unit_id, f"next attempt to connect in {wait_s:.1f} s")
        self._back_off.begins()
        try:
            sock = await self._connect()
        except OSError as exc:
            self._back_off.failed()
            raise ConnectFailed(self._channel, unit_id, str(exc)) from exc
        if self._closed:
            sock.close()
            raise ConnectionLost(self._channel, unit_id, "closed")
        self._port.adopt(sock)
