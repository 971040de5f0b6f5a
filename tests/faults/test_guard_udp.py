"""bridge.host.guard for UDP: floods and strangers"""

import asyncio
import socket
from typing import cast

import pytest

from bridge.core.listener import Listener
from bridge.host.clients import Clients
from bridge.host.guard import Guard
from bridge.host.visits import OwnVisits

pytestmark = [pytest.mark.both_loops, pytest.mark.timeout(30)]


class Echo(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(addr[0])
        self.transport.sendto(data, addr)


def peer(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.setblocking(False)
    return sock


async def answer(sock: socket.socket, port: int, data: bytes) -> bytes:
    sock.sendto(data, ("127.0.0.1", port))
    async with asyncio.timeout(2):
        return await asyncio.get_running_loop().sock_recv(sock, 2048)


async def test_a_flood_from_one_peer_leaves_the_others_their_answers() -> None:  # BARS L3
    #
    counters: dict[str, int] = {}
    echo = Echo()
    listener = await Guard(counters).datagram(lambda: echo, Listener(port=0, peer_rate=20))
    with peer("127.0.0.1") as flooder, peer("127.0.0.2") as other:
        for turn in range(5):
            for _ in range(100):
                flooder.sendto(b"x", ("127.0.0.1", listener.port))
            assert await answer(other, listener.port, b"%d" % turn) == b"%d" % turn
        taken = echo.heard.count("127.0.0.1")
        dropped = counters["datagrams_dropped"]
        await asyncio.sleep(0.5)
        echo.heard.clear()
        for _ in range(100):
            flooder.sendto(b"x", ("127.0.0.1", listener.port))
        assert await answer(other, listener.port, b"end") == b"end"
        again = echo.heard.count("127.0.0.1")
    listener.close()
    await asyncio.sleep(0.01)

    assert 20 <= taken < 30
    assert taken + dropped == 500
    assert 5 <= again <= 20


async def test_datagrams_of_strangers_reach_nobody() -> None:  # BARS S4
    #
    counters: dict[str, int] = {}
    echo = Echo()
    listener = await Guard(counters).datagram(lambda: echo, Listener(port=0, networks=("127.0.0.2",)))
    with peer("127.0.0.1") as stranger, peer("127.0.0.2") as friend:
        for _ in range(3):
            stranger.sendto(b"x", ("127.0.0.1", listener.port))
        assert await answer(friend, listener.port, b"hello") == b"hello"
    listener.close()
    await asyncio.sleep(0.01)

    assert echo.heard == ["127.0.0.2"]
    assert counters == {"refused_network": 3}


async def test_a_large_datagram_arrives_whole() -> None:
    echo = Echo()
    listener = await Guard({}).datagram(lambda: echo, Listener(port=0))
    with peer("127.0.0.1") as friend:
        friend.sendto(bytes(60_000), ("127.0.0.1", listener.port))
        got = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(friend, 65_535), 2)
    listener.close()
    await asyncio.sleep(0.01)

    assert got == bytes(60_000)


async def test_our_own_question_is_answered_through_a_far_allow_list_and_a_flood() -> None:  # BARS S10
    visits = OwnVisits()
    echo = Echo()
    far = await Guard({}, visits).datagram(lambda: echo, Listener(port=0, networks=("10.0.0.0/8",)))
    flooded = await Guard({}, visits).datagram(lambda: echo, Listener(port=0, peer_rate=5))
    with peer("127.0.0.1") as own:
        for _ in range(50):
            own.sendto(b"x", ("127.0.0.1", flooded.port))
        await asyncio.sleep(0.02)
        with visits.visiting(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            answers = [await answer(probe, port, b"probe") for port in (far.port, flooded.port)]
    far.close()
    flooded.close()
    await asyncio.sleep(0.01)

    assert answers == [b"probe", b"probe"]


async def test_peers_are_told_with_their_datagrams_and_our_own_questions_are_not() -> None:
    visits, clients = OwnVisits(), Clients(asyncio.get_running_loop().time)
    echo = Echo()
    listener = await Guard({}, visits, clients).datagram(lambda: echo, Listener(port=0))
    with peer("127.0.0.2") as other, peer("127.0.0.1") as ourselves:
        for turn in range(3):
            assert await answer(other, listener.port, b"%d" % turn) == b"%d" % turn
        # until the row of this tenth of a second is closed
        await asyncio.sleep(0.25)
        with visits.visiting():
            assert await answer(ourselves, listener.port, b"probe") == b"probe"
        await asyncio.sleep(0.25)
        assert await answer(other, listener.port, b"last") == b"last"
    told = [(row.address, row.port, row.connections, row.messages) for row in clients.rows()]
    port = listener.port
    listener.close()
    await asyncio.sleep(0.01)

    assert told == [("127.0.0.2", port, 0, 4)]
