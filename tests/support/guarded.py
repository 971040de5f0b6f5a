"""A line protocol behind the guard, and attackers, for the tests of the guard."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import cast

from bridge.core.listener import Listener
from bridge.host.clients import Clients
from bridge.host.guard import Guard
from bridge.host.stream import StreamListener
from bridge.host.visits import OwnVisits


class Lines(asyncio.Protocol):
    """Answers every whole line with itself; `big N` with N bytes; `name` with the peer's certificate name."""

    def __init__(self) -> None:
        self._rest = b""
        self.lost = 0
        self.paused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.alive = cast("Callable[[], bool]", transport.get_extra_info("alive"))

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            if not self.alive():
                return
            words = line.split()
            if words[:1] == [b"big"]:
                self.transport.write(bytes(int(words[1])))
            else:
                self.transport.write(line + b"\n")

    def pause_writing(self) -> None:
        self.paused += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1


class Open:
    """An open listener, its counters and every protocol it made."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.made: list[Lines] = []
        self.visits, self.clients = OwnVisits(), Clients(asyncio.get_running_loop().time)
        self.listener: StreamListener

    def make(self) -> Lines:
        self.made.append(Lines())
        return self.made[-1]


@contextlib.asynccontextmanager
async def guarded(listener: Listener) -> AsyncIterator[Open]:
    opened = Open()
    opened.listener = await Guard(opened.counters, opened.visits, opened.clients).stream(opened.make, listener)
    try:
        yield opened
    finally:
        opened.listener.close()
        await asyncio.sleep(0.02)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, source: str = "127.0.0.1", **options: object) -> "Client":
        async with asyncio.timeout(5):
            return cls(
                *await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), **options)  # type: ignore[arg-type]
            )

    async def ask(self, line: str) -> str:
        """The answer, or "" when the connection ends."""
        try:
            self.writer.write(line.encode() + b"\n")
            async with asyncio.timeout(5):
                return (await self.reader.readline()).decode().strip()
        except OSError:
            return ""

    async def ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read() == b""
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.writer.close()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def refused(port: int) -> bool:
    """Connect; true if the other side ends it within a second."""
    try:
        client = await Client.connect(port)
    except ConnectionError:
        return True
    ended = await client.ends_within(1)
    await client.close()
    return ended


class Swarm:
    """300 attackers on one port: silent, half a message, one byte at a time, reset at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socks: list[socket.socket] = []

    def attack(self, count: int, half: bytes) -> None:
        for n in range(count):
            sock = socket.socket()
            sock.setblocking(False)
            self._socks.append(sock)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", self._port))
            if n % 4 == 1:
                with contextlib.suppress(OSError):
                    sock.send(half)
            if n % 4 == 3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()

    def drip(self) -> None:
        for n, sock in enumerate(self._socks):
            if n % 4 == 2:
                with contextlib.suppress(OSError):
                    sock.send(b"x")

    def close(self) -> None:
        for sock in self._socks:
            sock.close()
