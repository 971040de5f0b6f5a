"""Channels on real terminals and sockets: late replies, unplugging, hosts that vanish, hostile meters."""

import asyncio
import contextlib
import os
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from bridge.config.site import Channel, RtuChannel, RtuOverTcpChannel, TcpChannel
from bridge.core.errors import ConnectFailed, ConnectionLost, FieldError, FramingError, ReplyTimeout
from bridge.field.arbiter import Use
from bridge.field.channel import FieldChannel
from tests.support.fake_wire import read, read_reply
from tests.support.real_meter import metered_channel, prompt, pty_meter, real_channel, socket_meter

pytestmark = pytest.mark.real_time

KINDS = ["rtu", "rtu-over-tcp", "tcp"]


async def ask(channel: FieldChannel, pdu: bytes, timeout_s: float = 0.1, attempts: int = 1, unit_id: int = 1) -> bytes:
    return await channel.ask(Use.POLL, "p", unit_id, pdu, timeout_s, attempts)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late_s", [0.15, 0.2, 0.3])
async def test_a_late_reply_is_never_given_to_the_next_question(tmp_path: Path, kind: str, late_s: float) -> None:
    # the pymodbus case: read 100, its reply comes late, the next read must not get it (nor the one after)
    delays = iter([late_s] + [0.0] * 20)

    def late(unit_id: int, pdu: bytes) -> tuple[float, bytes]:
        return next(delays), prompt(unit_id, pdu)[1]

    async with metered_channel(kind, tmp_path, late) as channel:
        with pytest.raises(ReplyTimeout):
            await ask(channel, read(7777, 2))
        for address in (100, 200, 300):
            assert await ask(channel, read(address, 2), attempts=3) == read_reply(address, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("request_pdu", "reply"),
    [("64000102", "640badcafe"), ("4100", "41"), ("6500", "65" + "ab" * 200), ("6600", "e601"), ("11", "11030155ff")],
)
async def test_a_function_we_know_nothing_of_is_passed_both_ways(
    tmp_path: Path, kind: str, request_pdu: str, reply: str
) -> None:
    # F-07: 100 and whatever a device invents
    def answer(_unit_id: int, _pdu: bytes) -> tuple[float, bytes]:
        return 0.0, bytes.fromhex(reply)

    async with metered_channel(kind, tmp_path, answer) as channel:
        assert (await ask(channel, bytes.fromhex(request_pdu))).hex() == reply


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_replies_late_at_random_are_never_given_to_another_question(tmp_path: Path, kind: str) -> None:
    rng = random.Random(3)

    def late(unit_id: int, pdu: bytes) -> tuple[float, bytes]:
        return rng.choice([0.0, 0.0, 0.0, 0.03, 0.06]), prompt(unit_id, pdu)[1]

    right = 0
    async with metered_channel(kind, tmp_path, late) as channel:
        for turn in range(24):
            address, count = 10 * turn, rng.choice((2, 9, 9))
            with contextlib.suppress(ReplyTimeout, FramingError):
                reply = await ask(channel, read(address, count), 0.02)
                assert reply == read_reply(address, count)
                right += 1

    assert right > 8


@pytest.mark.slow
async def test_a_serial_port_unplugged_fifty_times_comes_back_within_seconds_and_leaks_nothing(tmp_path: Path) -> None:
    # BARS R3
    channel = real_channel(RtuChannel(port=str(tmp_path / "line"), baud=115200))
    loop = asyncio.get_running_loop()
    longest_s, held, seen = 0.0, 0, set()
    for turn in range(50):
        with pty_meter(tmp_path / "line"):
            plugged = loop.time()
            while True:
                try:
                    assert await ask(channel, read(turn, 3)) == read_reply(turn, 3)
                    break
                except (ConnectFailed, ConnectionLost) as exc:
                    seen.add(type(exc))
                    await asyncio.sleep(0.02)
            longest_s = max(longest_s, loop.time() - plugged)
            held = held or descriptors()
            assert descriptors() == held
        # sometimes a question is asked into the gap, sometimes the port is back before anybody noticed
        for _ in range(turn % 3):
            with pytest.raises((ConnectFailed, ConnectionLost)):
                await ask(channel, read(turn, 3))
            await asyncio.sleep(0.01)
    channel.close()

    assert longest_s < 1.0
    assert seen <= {ConnectFailed, ConnectionLost}
    assert channel.counters.opened == 50


@pytest.mark.parametrize("kind", ["tcp", "rtu-over-tcp"])
async def test_a_host_that_restarts_is_found_again_and_leaks_nothing(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    config: Channel = TcpChannel(host="127.0.0.1", port=port)
    if kind == "rtu-over-tcp":
        config = RtuOverTcpChannel(host="127.0.0.1", port=port, baud=115200)
    channel = real_channel(config)
    held = 0
    for turn in range(6):
        async with socket_meter(rtu=kind == "rtu-over-tcp", port=port):
            while True:
                try:
                    assert await ask(channel, read(turn, 3)) == read_reply(turn, 3)
                    break
                except (ConnectFailed, ConnectionLost):
                    await asyncio.sleep(0.02)
            held = held or descriptors()
            assert descriptors() == held
        with pytest.raises((ConnectFailed, ConnectionLost)):
            await ask(channel, read(turn, 3), attempts=2)
    channel.close()

    assert channel.counters.opened == 6


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def accept_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(12)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def half_then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.read(300)
    writer.write(request[:4] + b"\x00\x0b\x01\x03\x08\x00\x01")


async def half_then_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await half_then_close(reader, writer)
    await reader.read()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not writer.transport.is_closing():
        writer.write(bytes.fromhex("7fff0000000b0103080001000200030004") * 1000)
        await writer.drain()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    rng = random.Random(1)
    while await reader.read(300):
        writer.write(rng.randbytes(400))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(300):
        writer.write(data)


@pytest.mark.parametrize("kind", ["tcp", pytest.param("rtu-over-tcp", marks=pytest.mark.slow)])
@pytest.mark.parametrize("serve", [accept_only, reset, half_then_close, half_then_nothing, flood, garbage, echo])
async def test_a_hostile_host_gives_no_value_and_no_hang(serve: Serve, kind: str) -> None:
    # BARS I3
    writers: set[asyncio.StreamWriter] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config: Channel = TcpChannel(host="127.0.0.1", port=port)
    if kind == "rtu-over-tcp":
        config = RtuOverTcpChannel(host="127.0.0.1", port=port, baud=115200)
    channel = real_channel(config)
    await asyncio.sleep(0.02)
    held = descriptors()
    begun = loop.time()
    while loop.time() < begun + 0.8:
        asked = loop.time()
        with pytest.raises((ConnectFailed, ConnectionLost, ReplyTimeout, FramingError)):
            await ask(channel, read(0, 4), 0.1)
        assert loop.time() - asked < 3.0
        await asyncio.sleep(0.01)
    channel.close()
    server.close()
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.05)

    assert descriptors() <= held


async def test_one_byte_at_a_time_is_still_a_reply() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readexactly(12)
        for byte in request[:4] + b"\x00\x05\x01\x03\x02\x00\x07":
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.005)
        writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        channel = real_channel(TcpChannel(host="127.0.0.1", port=server.sockets[0].getsockname()[1]))

        assert await ask(channel, read(7, 1), 1.0) == read_reply(7, 1)
        channel.close()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "::1"])
async def test_every_notation_of_a_host_reaches_it(host: str) -> None:
    # F-13
    family = "::1" if ":" in host else "127.0.0.1"
    try:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), family, 0)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    async with server:
        port = server.sockets[0].getsockname()[1]
        for config in (TcpChannel(host=host, port=port), TcpChannel(host=f"[{family}]:{port}")):
            channel = real_channel(config)
            with pytest.raises(ConnectionLost):
                await ask(channel, read(0, 1))
            channel.close()


async def test_a_host_that_does_not_answer_fails_within_its_time(stack: contextlib.ExitStack) -> None:
    # a full backlog: the kernel drops our SYN, as a firewall would
    full = stack.enter_context(socket.socket())
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [stack.enter_context(socket.socket()) for _ in range(3)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    channel = real_channel(TcpChannel(host="127.0.0.1", port=full.getsockname()[1], connect_timeout_s=0.2))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(ConnectFailed, match="no answer"):
        await ask(channel, read(0, 1))
    took_s = loop.time() - begun
    with pytest.raises(ConnectFailed, match="next attempt"):
        await ask(channel, read(0, 1))
    channel.close()

    assert took_s < 0.4


async def test_a_name_that_does_not_exist_is_a_plain_error() -> None:
    channel = real_channel(TcpChannel(host="no-such-meter.invalid"))
    with pytest.raises(FieldError, match="test unit 1"):
        await ask(channel, read(0, 1))
    channel.close()
