"""
Sends every event to one syslog server. The event log is the queue: what the server has not got yet is still in there.

The rule one must not break: a server that is away, slow or hostile costs a connection attempt now and then, no more.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from bridge.config.syslog_keys import Carrier
from bridge.core.event import Event
from bridge.services.syslog import framed, message_of

# Seconds: to connect, to get a message off, between two attempts at first and at most
_CONNECT_S = 5.0
_SEND_S = 5.0
_RETRY_FIRST_S = 1.0
_RETRY_MOST_S = 60.0
# Messages between two looks at the loop
_BURST = 50
_PORTS = {Carrier.UDP: 514, Carrier.TCP: 514, Carrier.TLS: 6514}


@dataclass(frozen=True, slots=True)
class SyslogServer:
    """Where to send. `trust`: with TLS, what the server's certificate is checked against."""

    host: str
    carrier: Carrier
    port: int
    facility: int
    hostname: str
    trust: ssl.SSLContext | None = None
    server_name: str = ""


class Log(Protocol):
    """Where events come from."""

    def safe_events(self, after: int) -> Sequence[Event]: ...


class _Line(Protocol):
    async def send(self, message: bytes) -> None:
        """Raises: OSError, TimeoutError."""
        ...

    def close(self) -> None: ...


class SyslogSender:
    """
    Loop thread only. `sent`: number of the last event the server was given. `wake` when there is a new event.
    `changed(why)`: the server cannot be reached, "" when it can again; told once each.
    """

    def __init__(self, server: SyslogServer, log: Log, sent: int, changed: Callable[[str], None]) -> None:
        self._server, self._log, self.sent, self._changed = server, log, sent, changed
        self._new = asyncio.Event()
        self._why = ""
        # events that left the log before they could be sent
        self.lost = 0

    def wake(self, _: Event | None = None) -> None:
        """There is something to send."""
        self._new.set()

    async def run(self) -> None:
        """Send until cancelled."""
        wait_s = _RETRY_FIRST_S
        while True:
            before = self.sent
            try:
                await self._serve()
            except (OSError, TimeoutError) as exc:
                self._tell(str(exc) or type(exc).__name__)
            wait_s = _RETRY_FIRST_S if self.sent > before else min(2 * wait_s, _RETRY_MOST_S)
            await asyncio.sleep(wait_s)

    async def _serve(self) -> None:
        line = await _connected(self._server)
        # what the connection before did not get off
        self._new.set()
        try:
            while True:
                await self._new.wait()
                self._new.clear()
                await self._send_all(line)
        finally:
            line.close()

    async def _send_all(self, line: _Line) -> None:
        while events := self._log.safe_events(self.sent)[:_BURST]:
            self.lost += events[0].number - self.sent - 1
            for event in events:
                await line.send(message_of(event, self._server.facility, self._server.hostname))
                self.sent = event.number
            self._tell("")
            await asyncio.sleep(0)

    def _tell(self, why: str) -> None:
        if bool(why) is not bool(self._why):
            self._why = why
            self._changed(why)


async def _connected(server: SyslogServer) -> _Line:
    async with asyncio.timeout(_CONNECT_S):
        if server.carrier is Carrier.UDP:
            loop = asyncio.get_running_loop()
            _, protocol = await loop.create_datagram_endpoint(_Datagrams, remote_addr=(server.host, server.port))
            return protocol
        name = server.server_name or server.host if server.trust is not None else None
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=server.trust, server_hostname=name)
        return _Stream(reader, writer)


class _Datagrams(asyncio.DatagramProtocol):
    """UDP (RFC 5426). That a server is not there is known only when its host says so."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._error: OSError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # neither asyncio's nor uvloop's class says that it is one
        self._transport = cast("asyncio.DatagramTransport", transport)

    def error_received(self, exc: Exception) -> None:
        self._error = exc if isinstance(exc, OSError) else OSError(str(exc))

    async def send(self, message: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(message)
        await asyncio.sleep(0)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Stream:
    """TCP or TLS. The server says nothing; when it closes, what was sent last may be lost (RFC 6587, 3.1)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._closed = asyncio.ensure_future(_until_end(reader))

    async def send(self, message: bytes) -> None:
        if self._closed.done():
            raise ConnectionResetError("the server closed the connection")
        self._writer.write(framed(message))
        async with asyncio.timeout(_SEND_S):
            await self._writer.drain()

    def close(self) -> None:
        self._closed.cancel()
        self._writer.close()


async def _until_end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(4096):
            pass


def port_of(carrier: Carrier, port: int | None) -> int:
    """Return the port given, or the carrier's own."""
    return port or _PORTS[carrier]
