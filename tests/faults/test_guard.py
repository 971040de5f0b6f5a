"""bridge.host.guard: what strangers may do to a listener, on real sockets and on both event loops"""

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest

from bridge.core.listener import Listener, Tls
from bridge.host.connection import UNREAD_MOST
from bridge.host.guard import Guard
from bridge.host.visits import OwnVisits
from tests.support.certificates import Authority
from tests.support.guarded import Client, Lines, Swarm, guarded, refused
from tests.support.workers import until

_TRY = """
try:
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.sendall(b"hello\\n")
    print("served" if s.recv(10) else "refused")
except ConnectionError:
    print("refused")
"""
pytestmark = [pytest.mark.both_loops, pytest.mark.timeout(30)]


async def test_a_client_is_served_at_once_among_300_attackers() -> None:  # BARS R4
    worst_s = 0.0
    async with guarded(Listener(port=0, max_clients=3, first_message_s=1)) as opened:
        swarm = Swarm(opened.listener.port)
        old = await Client.connect(opened.listener.port)
        await old.ask("hello")
        for turn in range(6):
            swarm.attack(300, b"half a mess")
            swarm.drip()
            begun = time.perf_counter()
            new = await Client.connect(opened.listener.port)
            assert await new.ask(f"new {turn}") == f"new {turn}"
            assert await old.ask(f"old {turn}") == f"old {turn}"
            worst_s = max(worst_s, time.perf_counter() - begun)
            await new.close()
            await asyncio.sleep(0.3)
        swarm.close()
        await old.close()
        await until(lambda: all(protocol.lost for protocol in opened.made))
        await until(lambda: not opened.listener._seats.everybody() and not opened.listener._opening)

    print(f"served within {worst_s * 1000:.1f} ms; {opened.counters}")  # noqa: T201
    assert worst_s < 1
    assert opened.counters["closed_silent"] > 300
    assert [protocol.lost for protocol in opened.made] == [1] * len(opened.made)


async def test_the_33rd_client_is_refused_at_once_and_the_others_stay(
    caplog: pytest.LogCaptureFixture,
) -> None:  # BARS L2
    caplog.set_level(logging.WARNING, "bridge.guard")
    async with guarded(Listener(port=0, max_clients=32)) as opened:
        clients = [await Client.connect(opened.listener.port) for _ in range(32)]
        assert [await client.ask("a") for client in clients] == ["a"] * 32
        begun = time.perf_counter()
        assert await refused(opened.listener.port)
        refused_s = time.perf_counter() - begun
        assert [await client.ask("b") for client in clients] == ["b"] * 32
        await clients[0].close()
        await asyncio.sleep(0.05)
        again = await Client.connect(opened.listener.port)
        assert await again.ask("c") == "c"
        for client in [again, *clients]:
            await client.close()

    assert refused_s < 1
    assert opened.counters["refused_full"] == 1
    assert [record.getMessage().split()[0] for record in caplog.records] == ["refused_full"]


async def test_who_speaks_when_the_last_seat_is_gone_gets_no_answer() -> None:
    async with guarded(Listener(port=0, max_clients=1)) as opened:
        first, second = [await Client.connect(opened.listener.port) for _ in range(2)]
        answers = [await second.ask("second"), await first.ask("first"), await second.ask("still")]
        for client in (first, second):
            await client.close()

    assert answers == ["second", "", "still"]


async def test_strangers_are_refused_by_network() -> None:  # X-09, BARS S4
    listener = Listener(port=0, networks=("127.0.0.2/32", "::1/128"))
    async with guarded(listener) as opened:
        stranger_refused = await refused(opened.listener.port)
        friend = await Client.connect(opened.listener.port, "127.0.0.2")
        answer = await friend.ask("hello")
        await friend.close()

    assert (stranger_refused, answer) == (True, "hello")
    assert opened.counters == {"refused_network": 1, "accepted": 1}


async def test_one_address_cannot_take_all_seats() -> None:
    async with guarded(Listener(port=0, max_clients=9, max_per_address=2)) as opened:
        greedy = [await Client.connect(opened.listener.port) for _ in range(2)]
        assert [await client.ask("a") for client in greedy] == ["a", "a"]
        assert await refused(opened.listener.port)
        modest = await Client.connect(opened.listener.port, "127.0.0.2")
        assert await modest.ask("b") == "b"
        for client in [modest, *greedy]:
            await client.close()


async def test_our_own_question_is_never_refused_and_takes_no_seat() -> None:  # BARS S10
    listener = Listener(port=0, max_clients=1, max_per_address=1)
    async with guarded(listener) as opened:
        client = await Client.connect(opened.listener.port)
        assert await client.ask("client") == "client"
        with opened.visits.visiting():
            probe = await Client.connect(opened.listener.port)
            assert await probe.ask("probe") == "probe"
        assert await refused(opened.listener.port)
        assert await client.ask("client again") == "client again"
        assert await probe.ask("probe again") == "probe again"
        await client.close()
        await asyncio.sleep(0.05)
        second = await Client.connect(opened.listener.port)
        assert await second.ask("second") == "second"
        for each in (probe, second):
            await each.close()

    assert opened.counters == {"accepted": 2, "refused_full": 1}


async def test_a_stranger_is_refused_while_we_ask_ourselves() -> None:
    code = f"import socket, sys\n{_TRY}"
    async with guarded(Listener(port=0, networks=("10.0.0.0/8",))) as opened:
        with opened.visits.visiting():
            stranger = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, str(opened.listener.port), stdout=asyncio.subprocess.PIPE
            )
            said, _ = await stranger.communicate()
            probe = await Client.connect(opened.listener.port)
            assert await probe.ask("probe") == "probe"
            await probe.close()

    assert said == b"refused\n"
    assert opened.counters == {"refused_network": 1}


async def test_the_loop_calls_the_protocol_itself() -> None:
    async with guarded(Listener(port=0)) as opened:
        client = await Client.connect(opened.listener.port)
        await client.ask("hello")
        (protocol,) = opened.made
        connection = protocol.alive.__self__  # type: ignore[attr-defined]
        same = (
            connection.data_received == protocol.data_received,
            protocol.transport.write == connection.transport.write,
        )
        await client.close()

    assert same == (True, True)


async def test_half_messages_keep_nobody_in() -> None:
    async with guarded(Listener(port=0, first_message_s=0.3)) as opened:
        client = await Client.connect(opened.listener.port)
        begun = time.perf_counter()
        with contextlib.suppress(OSError):
            while time.perf_counter() - begun < 2 and not client.reader.at_eof() and client.reader.exception() is None:
                client.writer.write(b"x")
                await asyncio.sleep(0.05)
        took_s = time.perf_counter() - begun
        client.writer.close()

    assert 0.25 < took_s < 1
    assert opened.counters["closed_silent"] == 1


# G-07: keep-alive is a setting
async def test_the_system_asks_silent_peers_after_the_time_of_the_listener() -> None:
    async with guarded(Listener(port=0, keepalive_s=7)) as opened:
        client = await Client.connect(opened.listener.port)
        await client.ask("hello")
        sock = opened.made[0].transport.get_extra_info("socket")
        asks = [sock.getsockopt(socket.IPPROTO_TCP, o) for o in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)]
        on = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await client.close()

    assert (on, asks) == (1, [7, 2])


async def test_a_client_that_falls_silent_is_closed_and_one_that_speaks_is_not() -> None:
    async with guarded(Listener(port=0, idle_s=0.4)) as opened:
        silent, busy = [await Client.connect(opened.listener.port) for _ in range(2)]
        await silent.ask("once")
        for _ in range(10):
            assert await busy.ask("again") == "again"
            await asyncio.sleep(0.1)
        assert await silent.ends_within(0.1)
        await busy.close()

    assert opened.counters["closed_idle"] == 1


async def test_a_peer_that_never_reads_is_dropped() -> None:
    async with guarded(Listener(port=0, idle_s=0.5)) as opened:
        sock = socket.create_connection(("127.0.0.1", opened.listener.port))
        sock.sendall(b"big 8000000\n")
        other = await Client.connect(opened.listener.port)
        for _ in range(15):
            assert await other.ask("hello") == "hello"
            await asyncio.sleep(0.1)
        await other.close()
        sock.close()

    assert opened.counters["closed_slow"] == 1
    assert opened.made[0].lost == 1


async def test_what_waits_for_a_peer_that_never_reads_is_bounded() -> None:
    async with guarded(Listener(port=0, idle_s=20)) as opened:
        sock = socket.create_connection(("127.0.0.1", opened.listener.port))
        sock.sendall(b"hello\n")
        await until(lambda: bool(opened.made) and opened.made[0].alive.__self__.seated)  # type: ignore[attr-defined]
        transport, most = opened.made[0].transport, 0
        for _ in range(2000):
            transport.write(bytes(10_000))
            if opened.counters.get("closed_slow"):
                break
            most = max(most, transport.get_write_buffer_size())
            await asyncio.sleep(0)
        await until(lambda: opened.made[0].lost == 1)
        sock.close()

    assert opened.counters["closed_slow"] == 1
    assert UNREAD_MOST <= most < UNREAD_MOST + 200_000


async def test_a_peer_that_reads_late_gets_everything_and_then_goes_on() -> None:
    async with guarded(Listener(port=0, idle_s=5)) as opened:
        client = await Client.connect(opened.listener.port, limit=4096)
        client.writer.write(b"big 8000000\nnext\n")
        await asyncio.sleep(0.5)
        assert opened.made[0].paused == 1
        async with asyncio.timeout(10):
            assert await client.reader.readexactly(8_000_000) == bytes(8_000_000)
        assert await client.reader.readline() == b"next\n"
        assert await client.ask("more") == "more"
        await client.close()


async def test_closing_the_listener_ends_its_connections_and_frees_the_port() -> None:
    async with guarded(Listener(port=0)) as opened:
        port = opened.listener.port
        client = await Client.connect(port)
        await client.ask("hello")
        opened.listener.close()
        assert await client.ends_within(1)
        async with guarded(Listener(port=port)) as again:
            assert again.listener.port == port
        opened.listener = await Guard({}).stream(opened.make, Listener(port=0))


async def test_tls_without_and_with_a_client_certificate(tmp_path: Path) -> None:  # BARS S5
    authority, strange = Authority(tmp_path), Authority(tmp_path, "strange ca")
    certificate, key = (str(path) for path in authority.issue("server"))
    open_to_all = Tls(certificate=certificate, key=key)
    mutual = Tls(certificate=certificate, key=key, client_ca=str(authority.file))
    known, unknown = authority.issue("client"), strange.issue("stranger")
    answers = []
    async with guarded(Listener(port=0, tls=open_to_all)) as plain, guarded(Listener(port=0, tls=mutual)) as strict:
        for opened, own in ((plain, None), (strict, known), (strict, None), (strict, unknown)):
            client = await Client.connect(opened.listener.port, ssl=authority.client_context(own))
            answers.append(await client.ask("hello"))
            await client.close()
        cipher = (await Client.connect(plain.listener.port, ssl=authority.client_context())).writer
        version = cipher.get_extra_info("ssl_object").version()
        cipher.close()
        await asyncio.sleep(0.05)

    assert answers == ["hello", "hello", "", ""]
    assert version == "TLSv1.3"
    assert strict.counters["refused_tls"] == 2


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"])
async def test_old_suites_and_plain_text_are_refused(tmp_path: Path, suite: str) -> None:  # BARS S5
    authority = Authority(tmp_path)
    certificate, key = (str(path) for path in authority.issue("server"))
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    async with guarded(Listener(port=0, tls=Tls(certificate=certificate, key=key))) as opened:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await Client.connect(opened.listener.port, ssl=context)
        plain = await Client.connect(opened.listener.port)
        assert await plain.ask("hello") == "" or await plain.ends_within(1)
        plain.writer.close()
        await asyncio.sleep(0.05)

    assert opened.counters["refused_tls"] == 2
    assert opened.made == []


async def test_a_silent_tls_client_is_closed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = (str(path) for path in authority.issue("server"))
    tls = Tls(certificate=certificate, key=key)
    async with guarded(Listener(port=0, tls=tls, first_message_s=0.3)) as opened:
        silent = await Client.connect(opened.listener.port)
        assert await silent.ends_within(1)
        silent.writer.close()
        client = await Client.connect(opened.listener.port, ssl=authority.client_context())
        assert await client.ask("hello") == "hello"
        await client.close()


async def test_a_missing_certificate_says_which_file() -> None:
    tls = Tls(certificate="/nowhere/a.crt", key="/nowhere/a.key")

    with pytest.raises(OSError, match=r"/nowhere/a\.crt"):
        await Guard({}).stream(asyncio.Protocol, Listener(port=0, tls=tls))


async def test_a_port_in_use_says_which() -> None:
    async with guarded(Listener(port=0)) as opened:
        port = opened.listener.port
        with pytest.raises(OSError, match=rf"127\.0\.0\.1 port {port}: Address already in use"):
            await Guard({}).stream(asyncio.Protocol, Listener(port=port))


async def test_the_any_address_of_ipv6_serves_ipv4_too() -> None:
    async with guarded(Listener(port=0, bind="::", networks=("127.0.0.0/8", "::1/128"))) as opened:
        four = await Client.connect(opened.listener.port)
        reader, writer = await asyncio.open_connection("::1", opened.listener.port)
        six = Client(reader, writer)
        answers = [await client.ask("hello") for client in (four, six)]
        await four.close()
        await six.close()

    assert answers == ["hello", "hello"]


async def test_a_probe_of_our_own_needs_no_certificate_and_everybody_else_does(tmp_path: Path) -> None:  # BARS S5, S10
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    tls = Tls(certificate=str(certificate), key=str(key), client_ca=str(authority.file))
    context = authority.client_context()
    visits = OwnVisits()
    counters: dict[str, int] = {}
    listener = await Guard(counters, visits).stream(Lines, Listener(port=0, tls=tls))
    with contextlib.closing(listener):

        async def ask() -> bytes:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context)
                with contextlib.closing(writer):
                    writer.write(b"hello\n")
                    return await reader.readline()

        with visits.visiting():
            assert await ask() == b"hello\n"
        with pytest.raises((OSError, AssertionError)):
            assert await ask() == b"hello\n"

    assert counters["refused_tls"] == 1


async def test_who_sends_too_fast_is_read_at_the_rate_of_the_listener_and_nobody_else() -> None:
    async with guarded(Listener(port=0, byte_rate=200_000, first_message_s=0.4)) as opened:
        fast, slow = await Client.connect(opened.listener.port), await Client.connect(opened.listener.port)
        assert await slow.ask("hello") == "hello"
        for _ in range(40):
            assert await fast.ask("x" * 10_000) == "x" * 10_000
        # the next look sees what was too much, and waits until the average is right
        await asyncio.sleep(0.2)
        begun, worst_s = time.perf_counter(), 0.0
        asking = asyncio.ensure_future(fast.ask("again"))
        while not asking.done():
            at = time.perf_counter()
            assert await slow.ask("still") == "still"
            worst_s = max(worst_s, time.perf_counter() - at)
            await asyncio.sleep(0.05)
        took_s, answer = time.perf_counter() - begun, asking.result()
        await fast.close()
        await slow.close()

    assert answer == "again"
    assert 0.5 < took_s < 5
    assert worst_s < 1


async def test_clients_are_told_with_their_connections_and_whole_messages_and_stay_when_they_have_left() -> None:
    async with guarded(Listener(port=0)) as opened:
        port = opened.listener.port
        first, second = await Client.connect(port), await Client.connect(port)
        other, silent = await Client.connect(port, "127.0.0.2"), await Client.connect(port, "127.0.0.3")
        for client, lines in ((first, 3), (second, 1), (other, 2)):
            for number in range(lines):
                assert await client.ask(f"line {number}") == f"line {number}"
        during = {row.address: (row.port, row.connections, row.messages) for row in opened.clients.rows()}
        for client in (first, second, other, silent):
            await client.close()
        await asyncio.sleep(0.1)
        after = {row.address: (row.connections, row.messages) for row in opened.clients.rows()}

    assert during == {"127.0.0.1": (port, 2, 4), "127.0.0.2": (port, 1, 2)}
    assert after == {"127.0.0.1": (0, 4), "127.0.0.2": (0, 2)}
