"""
One guarded TCP connection: stands between the loop's transport and the projection's protocol.

Bytes do not pass through here: the loop calls the protocol's own `data_received`, and `write` is the loop's own, except
while the peer does not read.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Protocol as Shape

from bridge.host.clients import Seen

# Bytes that may come on top for a peer that does not read, before it is dropped. The write that makes it wait may be of
# any size. 32 clients: 32 MiB.
UNREAD_MOST = 1 << 20
# Where tcpi_bytes_received stands in struct tcp_info (linux/tcp.h, since 4.1).
_RECEIVED_AT = 128
# Handed to the protocol as they are; the rest of asyncio.Transport is below.
_DIRECT = (
    "write",
    "writelines",
    "write_eof",
    "can_write_eof",
    "close",
    "abort",
    "is_closing",
    "set_write_buffer_limits",
    "get_write_buffer_size",
    "get_write_buffer_limits",
)


class Host(Shape):
    """The listener, as a connection sees it."""

    def spoke_first(self, connection: "Connection") -> bool:
        """False: no seat for it; it has been dropped."""
        ...

    def left(self, connection: "Connection") -> None: ...
    def too_slow(self, connection: "Connection") -> None: ...
    def now(self) -> float: ...


class GuardedTransport(asyncio.Transport):
    """What the protocol gets for a transport."""

    def __init__(self, inner: asyncio.Transport, connection: "Connection") -> None:
        super().__init__()
        self._inner, self._connection = inner, connection
        self._wants_pause = False
        self._held = self._throttled = False
        self._most = UNREAD_MOST
        for name in _DIRECT:
            setattr(self, name, getattr(inner, name))

    def get_extra_info(self, name: str, default: object = None) -> object:
        if name == "alive":
            return self._connection.alive
        return self._inner.get_extra_info(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._connection.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._connection.adopt(protocol)
        # uvloop keeps the bound method of the protocol it was given last
        self._inner.set_protocol(self._connection)

    def is_reading(self) -> bool:
        return not self._wants_pause

    def pause_reading(self) -> None:
        self._wants_pause = True
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._wants_pause = False
        self._read_on()

    def hold(self) -> None:
        """The peer does not read: hear no more of it, and watch every write."""
        self._held = True
        self._inner.pause_reading()
        self._most = self._inner.get_write_buffer_size() + UNREAD_MOST
        setattr(self, "write", self._bounded_write)  # noqa: B010 - a method of the class for the type checker

    def release(self) -> None:
        self._held = False
        setattr(self, "write", self._inner.write)  # noqa: B010 - a method of the class for the type checker
        self._read_on()

    def throttle(self, on: bool) -> None:
        """The peer sends too fast: leave what it sends in its socket for a while."""
        if on is self._throttled:
            return
        self._throttled = on
        if on:
            self._inner.pause_reading()
        else:
            self._read_on()

    def _read_on(self) -> None:
        if not (self._wants_pause or self._held or self._throttled or self._inner.is_closing()):
            self._inner.resume_reading()

    def mute(self) -> None:
        """Dropped: what the protocol still writes goes nowhere."""
        for name in ("write", "writelines"):
            setattr(self, name, _nowhere)

    def _bounded_write(self, data: bytes | bytearray | memoryview) -> None:
        if self._inner.get_write_buffer_size() + len(data) > self._most:
            self._connection.overflow()
        else:
            self._inner.write(data)


class Connection(asyncio.Protocol):
    """Loop thread only. `deadline`, `held_since`: loop time; the listener's sweep acts on them."""

    def __init__(
        self,
        host: Host,
        make: Callable[[], asyncio.BaseProtocol],
        address: str,
        deadline: float,
        seen: Seen | None = None,
    ) -> None:
        """`seen`: counts the whole messages of its address."""
        self._host, self._make, self.seen = host, make, seen
        self.address, self.deadline = address, deadline
        self.heard = self.seated = self.gone = self.opening = False
        self.held_since: float | None = None
        self.transport: asyncio.Transport | None = None
        # until `make` has made one, and for good if it raises
        self.protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self._front: GuardedTransport | None = None
        # bytes received at the last look, and how many more than its rate it has sent
        self._received = self._debt = 0

    def alive(self) -> bool:
        """The protocol has got a whole valid message. False: refused, answer nothing."""
        self.heard = True
        if self.seen is not None:
            self.seen.messages += 1
        return self.seated or (not self.gone and self._host.spoke_first(self))

    def adopt(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol
        # instance attributes hide the class's methods: the loop calls the protocol itself
        for name in ("data_received", "eof_received"):
            setattr(self, name, getattr(protocol, name))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's are no subclass of asyncio.Transport
        assert self.transport is not None
        if self.gone:
            # dropped while it was being opened
            self.transport.abort()
            return
        self._front = GuardedTransport(self.transport, self)
        self.adopt(self._make())
        self.transport.set_protocol(self)
        self.protocol.connection_made(self._front)

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.left(self)
        self.protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self.held_since = self._host.now()
        if self._front is not None:
            self._front.hold()
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.held_since = None
        self.heard = True
        if self._front is not None and not self.gone:
            self._front.release()
        self.protocol.resume_writing()

    def measure(self, allowed: int) -> None:
        """`allowed`: bytes since the last call. Who has sent more waits until the average is right."""
        if self._front is None or self.gone:
            return
        received = received_bytes(self.transport)
        self._debt = max(0, self._debt + received - self._received - allowed)
        self._received = received
        self._front.throttle(self._debt > 0)

    def overflow(self) -> None:
        if not self.gone:
            self._host.too_slow(self)

    def drop(self) -> None:
        """End it now; what was not sent is lost."""
        self.gone = True
        if self._front is not None:
            self._front.mute()
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


def received_bytes(transport: asyncio.Transport | None) -> int:
    """Return what the kernel has taken in for a connection so far; 0 where it does not tell."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        return 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED_AT + 8)
    except OSError:
        return 0
    return int.from_bytes(info[_RECEIVED_AT:], sys.byteorder) if len(info) == _RECEIVED_AT + 8 else 0


def _nowhere(_: object) -> None:
    """Where writes to a dropped connection go."""
