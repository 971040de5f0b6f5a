"""
Guarded TCP for a library that owns its socket: accepted connections are relayed to it on loopback.

The library hears of a connection only when its first message has come. The slot is taken back when nothing follows
within `first_message_s`: libiec61850 is locked for good by five connections that say nothing.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from bridge.core.ports import Watch
from bridge.host.stream import StreamListener

# True: `data` starts with a whole first message. Raises: ValueError when it can never become one.
IsWhole = Callable[[bytes], bool]
# Bytes of a first message; a TLS record with a ClientHello is at most 16,389.
_FIRST_MOST = 32_768
_CONNECT_S = 3.0


class Unwatched:
    """Watch of `core.ports` that looks away."""

    def asked(self, data: bytes) -> None: ...

    def answered(self, data: bytes) -> None: ...


def unwatched(address: str) -> Watch:
    del address
    return Unwatched()


def any_byte(data: bytes) -> bool:
    """The first message judged by its first byte."""
    return bool(data)


class Relay:
    """What the connections of one relay share. `clients`: local port towards the library -> address of the client."""

    def __init__(
        self, host: str, port: int, first_message_s: float, is_whole: IsWhole, watch: Callable[[str], Watch]
    ) -> None:
        self.host, self.port, self.first_message_s, self.is_whole = host, port, first_message_s, is_whole
        self.watch = watch
        self.clients: dict[int, str] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.count: Callable[[str, str], None] = lambda key, address: None

    def spawn(self, client: "ClientSide") -> None:
        task = asyncio.get_running_loop().create_task(client.connect())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class RelayListener:
    """Relaying of `core.ports`."""

    def __init__(self, stream: StreamListener, relay: Relay) -> None:
        self._stream, self._relay = stream, relay
        relay.count = stream.count

    @property
    def port(self) -> int:
        return self._stream.port

    def close(self) -> None:
        for task in list(self._relay.tasks):
            task.cancel()
        self._stream.close()

    def client_of(self, port: int) -> str:
        return self._relay.clients.get(port, "")


class ClientSide(asyncio.Protocol):
    """Loop thread only."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._first = b""
        self._connecting = self._lost = False
        self._server: ServerSide | None = None
        self._second: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.alive = cast("Callable[[], bool]", transport.get_extra_info("alive"))
        self.address = str(transport.get_extra_info("peername")[0])
        self.watch = self._relay.watch(self.address)

    def data_received(self, data: bytes) -> None:
        if self._server is not None:
            self.alive()
            if self._second is not None:
                self._second.cancel()
                self._second = None
            self.watch.asked(data)
            self._server.transport.write(data)
            return
        self._first += data
        if self._connecting:
            return
        try:
            whole = self._relay.is_whole(self._first)
        except ValueError:
            self._give_up("closed_garbage")
            return
        if whole and self.alive():
            self._connecting = True
            self.transport.pause_reading()
            self._relay.spawn(self)
        elif not whole and len(self._first) > _FIRST_MOST:
            self._give_up("closed_garbage")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._second is not None:
            self._second.cancel()
        if self._server is not None:
            self._server.transport.close()

    def pause_writing(self) -> None:
        if self._server is not None:
            self._server.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._server is not None and not self._server.transport.is_closing():
            self._server.transport.resume_reading()

    async def connect(self) -> None:
        loop, relay = asyncio.get_running_loop(), self._relay
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, server = await loop.create_connection(lambda: ServerSide(self, relay), relay.host, relay.port)
        except (OSError, TimeoutError):
            self._give_up("relay_failed")
            return
        if self._lost:
            server.transport.abort()
            return
        self._server = server
        self.watch.asked(self._first)
        server.transport.write(self._first)
        self._first = b""
        self._second = loop.call_later(relay.first_message_s, self._nothing_followed)
        self.transport.resume_reading()

    def _nothing_followed(self) -> None:
        self._second = None
        self._give_up("closed_silent")

    def _give_up(self, key: str) -> None:
        self._relay.count(key, self.address)
        self.transport.abort()


class ServerSide(asyncio.Protocol):
    """The connection to the library."""

    def __init__(self, client: ClientSide, relay: Relay) -> None:
        self._client, self._relay = client, relay
        self._local_port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._local_port = int(transport.get_extra_info("sockname")[1])
        self._relay.clients[self._local_port] = self._client.address

    def data_received(self, data: bytes) -> None:
        self._client.alive()
        self._client.watch.answered(data)
        self._client.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.clients.pop(self._local_port, None)
        self._client.transport.close()

    def pause_writing(self) -> None:
        if not self._client.transport.is_closing():
            self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._client.transport.is_closing():
            self._client.transport.resume_reading()
