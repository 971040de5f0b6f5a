"""bridge.host.guard in front of a library's own socket"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from bridge.core.listener import Listener
from bridge.host.guard import Guard
from bridge.host.relay import RelayListener
from tests.support.guarded import Client, Swarm
from tests.support.workers import until

pytestmark = [pytest.mark.both_loops, pytest.mark.timeout(30)]


def whole_line(data: bytes) -> bool:
    if data.startswith(b"#"):
        raise ValueError("no line of ours")
    return b"\n" in data


class Library:
    """Answers a line with itself; `big` with 4 MB; counts the connections it has ever heard of."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.open = 0
        self.counters: dict[str, int] = {}
        self.relay: RelayListener

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ports.append(writer.get_extra_info("peername")[1])
        self.open += 1
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                writer.write(bytes(4_000_000) + b"\n" if line == b"big\n" else line)
                await writer.drain()
        self.open -= 1
        writer.close()


@contextlib.asynccontextmanager
async def relayed(listener: Listener) -> AsyncIterator[Library]:
    library = Library()
    server = await asyncio.start_server(library.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    library.relay = await Guard(library.counters).relay(listener, "127.0.0.1", port, whole_line)
    try:
        yield library
    finally:
        library.relay.close()
        server.close()
        await until(lambda: library.open == 0)
        await asyncio.sleep(0.02)


async def test_the_library_hears_only_of_those_who_spoke() -> None:  # BARS R4
    async with relayed(Listener(port=0, max_clients=5, first_message_s=0.5)) as library:
        swarm = Swarm(library.relay.port)
        swarm.attack(300, b"half a mess")
        client = await Client.connect(library.relay.port)
        assert await client.ask("hello") == "hello"
        assert await client.ask("again") == "again"
        assert len(library.ports) == 1
        await asyncio.sleep(0.8)
        assert await client.ask("still here") == "still here"
        swarm.close()
        await client.close()

    assert library.counters["closed_silent"] > 100


async def test_the_sixth_client_is_refused_and_the_five_stay() -> None:  # BARS L2
    async with relayed(Listener(port=0, max_clients=5)) as library:
        clients = [await Client.connect(library.relay.port) for _ in range(6)]
        answers = [await client.ask("hello") for client in clients]
        later = [await client.ask("again") for client in clients[:5]]
        for client in clients:
            await client.close()

    assert answers == ["hello"] * 5 + [""]
    assert later == ["again"] * 5
    assert library.counters["refused_full"] == 1


async def test_who_says_nothing_after_the_first_message_loses_the_slot() -> None:
    async with relayed(Listener(port=0, first_message_s=0.3)) as library:
        client = await Client.connect(library.relay.port)
        assert await client.ask("hello") == "hello"
        assert await client.ends_within(1)
        await until(lambda: library.open == 0)

    assert library.counters["closed_silent"] == 1


async def test_what_is_no_message_ends_the_connection() -> None:
    async with relayed(Listener(port=0)) as library:
        client = await Client.connect(library.relay.port)
        assert await client.ask("# GET / HTTP/1.1") == ""
        await client.close()

    assert library.ports == []
    assert library.counters["closed_garbage"] == 1


async def test_the_library_can_ask_who_its_client_is() -> None:
    async with relayed(Listener(port=0)) as library:
        client = await Client.connect(library.relay.port, "127.0.0.3")
        await client.ask("hello")
        address = library.relay.client_of(library.ports[0])
        await client.close()
        await until(lambda: not library.relay.client_of(library.ports[0]))

    assert address == "127.0.0.3"


async def test_a_slow_reader_gets_everything_in_order() -> None:
    async with relayed(Listener(port=0)) as library:
        client = await Client.connect(library.relay.port, limit=4096)
        client.writer.write(b"big\nnext\n")
        await asyncio.sleep(0.3)
        async with asyncio.timeout(10):
            assert await client.reader.readexactly(4_000_001) == bytes(4_000_000) + b"\n"
        assert await client.reader.readline() == b"next\n"
        await client.close()


async def test_a_library_that_does_not_listen_costs_the_client_its_connection() -> None:
    counters: dict[str, int] = {}
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        relay = await Guard(counters).relay(Listener(port=0), "127.0.0.1", nobody.getsockname()[1])
        client = await Client.connect(relay.port)
        assert await client.ask("hello") == ""
        await client.close()
        relay.close()

    assert counters["relay_failed"] == 1
