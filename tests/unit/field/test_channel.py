"""bridge.field.channel and line, in virtual time"""

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Literal

import pytest

from bridge.config.site import RtuChannel, RtuOverTcpChannel, TcpChannel
from bridge.core.clock import SystemClock
from bridge.core.errors import (
    ConnectFailed,
    ConnectionLost,
    FieldError,
    LineBusy,
    Quarantined,
    ReplyTimeout,
    RequestRefused,
)
from bridge.field.arbiter import LineArbiter, Use
from bridge.field.channel import FieldChannel, open_channel, serial_settings
from bridge.field.line import MAX_WAITS, Pacer
from bridge.field.modbus.master_settings import Echo
from bridge.field.observe import Verdict
from bridge.field.serial_port import Parity, Wake
from bridge.modbus.frame import rtu_frame
from tests.support.fake_wire import TIMING, TURNAROUND_S, FakeWire, LoopClock, master_on, meter, read, read_reply

WRITE_2 = b"\x10\x00\x01\x00\x02\x04abcd"


def now() -> float:
    return asyncio.get_running_loop().time()


def channel_on(wire: FakeWire, delays_s: dict[int, float] | None = None, **settings: object) -> FieldChannel:
    pacer = Pacer(LoopClock(), delays_s) if delays_s else None
    return FieldChannel("riser-1", master_on(wire, **settings), LineArbiter("riser-1"), pacer, frozenset({16}))


def poll(channel: FieldChannel, unit_id: int, pdu: bytes, user: str = "p", attempts: int = 1) -> asyncio.Task[bytes]:
    return asyncio.create_task(channel.ask(Use.POLL, user, unit_id, pdu, 0.3, attempts))


@pytest.mark.parametrize(
    ("framing", "parity", "stop_bits", "bits"),
    [("8N1", Parity.NONE, 1, 10), ("8E1", Parity.EVEN, 1, 11), ("8O2", Parity.ODD, 2, 12)],
)
def test_the_framing_of_the_file_is_that_of_the_port(
    framing: Literal["8N1", "8E1", "8O2"], parity: Parity, stop_bits: int, bits: int
) -> None:
    # F-01
    settings = serial_settings(RtuChannel(port="/dev/ttyUSB0", framing=framing, wake="chunk"))

    assert (settings.parity, settings.stop_bits, settings.bits_per_char) == (parity, stop_bits, bits)
    assert settings.wake is Wake.EACH_CHUNK


async def test_only_listed_functions_may_be_broadcast() -> None:
    # F-08
    wire = FakeWire(lambda request: b"")
    channel = channel_on(wire)

    assert await poll(channel, 0, WRITE_2) == b""
    for pdu in (b"\x06\x00\x01\x00\x02", read(0, 1)):
        with pytest.raises(RequestRefused, match="may not be broadcast"):
            await poll(channel, 0, pdu)
    assert len(wire.requests) == 1


async def test_the_echo_of_a_broadcast_does_not_shorten_the_pause_after_it() -> None:
    wire = FakeWire(lambda request: request + (meter(request) if request[0] else b""))
    channel = channel_on(wire, echo=Echo.LOCAL)
    await poll(channel, 0, WRITE_2)
    await poll(channel, 1, read(0, 1))

    assert wire.requests[1][0] - wire.requests[0][0] >= 0.1 + 13 * TIMING.char_s


@pytest.mark.parametrize("pdu", [b"", b"\x00", b"\x83\x01", b"\x03" + bytes(253)])
async def test_what_is_no_request_is_never_sent(pdu: bytes) -> None:
    wire = FakeWire(meter)
    with pytest.raises(RequestRefused):
        await poll(channel_on(wire), 1, pdu)

    assert wire.requests == []


async def test_the_transmit_delay_is_added_to_the_silence() -> None:
    # F-02
    wire = FakeWire(meter)
    channel = channel_on(wire, transmit_delay_s=0.2)
    await poll(channel, 1, read(0, 1))
    last_byte_at = wire.last_byte_at
    await poll(channel, 1, read(0, 1))

    assert 0.2 + TIMING.quiet_s <= wire.requests[1][0] - last_byte_at < 0.21 + TIMING.quiet_s


async def test_a_device_that_needs_a_pause_gets_it_and_holds_up_nobody() -> None:
    wire = FakeWire(meter)
    channel = channel_on(wire, {1: 0.5})
    await asyncio.gather(*(poll(channel, 1, read(n, 1), f"p{n}") for n in range(4)))
    slow = [at for at, _ in wire.requests]
    begun = now()
    await asyncio.gather(poll(channel, 1, read(0, 1)), poll(channel, 2, read(0, 1)), poll(channel, 2, read(5, 1)))
    others = [at - begun for at, request in wire.requests[4:] if request[0] == 2]

    assert all(later - earlier >= 0.5 for earlier, later in itertools.pairwise(slow))
    assert max(others) < 0.1


async def test_a_device_that_others_keep_timing_out_on_does_not_hold_a_question_for_ever() -> None:
    wire = FakeWire(lambda request: b"")
    channel = channel_on(wire)

    async def hammer(user: str) -> None:
        while now() < 60:
            with pytest.raises(FieldError):
                await channel.ask(Use.GATEWAY, user, 1, read(0, 1), 0.1, attempts=1)

    hammers = [asyncio.create_task(hammer(f"g{n}")) for n in range(8)]
    await asyncio.sleep(1)
    begun = now()
    with pytest.raises((ReplyTimeout, Quarantined)):
        await channel.ask(Use.POLL, "p", 1, read(0, 1), 0.1, attempts=2)

    assert now() - begun < 2 * (MAX_WAITS + 2)
    for task in hammers:
        task.cancel()
    await asyncio.gather(*hammers, return_exceptions=True)


async def test_after_a_lease_the_line_rests_until_foreign_replies_have_passed() -> None:
    wire = FakeWire(meter)
    channel = channel_on(wire)
    await poll(channel, 1, read(0, 1))
    async with channel.lease():
        assert channel.leased
        with pytest.raises(LineBusy):
            await poll(channel, 1, read(0, 1))
    ended = now()
    # the answer to a request of the lease's holder, of the same shape as ours
    wire.send(rtu_frame(1, read_reply(7777, 1)), 0.2)

    assert await poll(channel, 1, read(3, 1)) == read_reply(3, 1)
    assert wire.requests[-1][0] - ended >= 0.499


async def test_the_trace_shows_frames_with_verdicts_and_ends_with_its_block() -> None:
    noise = iter([0, 0xFF, 0])

    def respond(request: bytes) -> bytes:
        if request[0] != 1:
            return b""
        reply = bytearray(meter(request))
        reply[4] ^= next(noise)
        return bytes(reply)

    wire = FakeWire(respond)
    channel = channel_on(wire)
    with channel.trace() as ring:
        await poll(channel, 1, read(0, 1))
        await poll(channel, 1, read(0, 2), attempts=2)
        with pytest.raises(ReplyTimeout):
            await poll(channel, 2, read(0, 1))
        wire.send(b"\xff\xfe")
        await asyncio.sleep(0.1)
        frames = ring.take()
    await asyncio.gather(poll(channel, 3, read(0, 1)), return_exceptions=True)

    verdicts = [frame.verdict.value for frame in frames if frame.verdict is not Verdict.SENT]
    assert verdicts == ["ok", "crc", "ok", "timeout", "stray", "stray"]
    assert frames[0].data == rtu_frame(1, read(0, 1))
    assert frames[1].data == rtu_frame(1, read_reply(0, 1))
    assert [frame.at_ns for frame in frames] == sorted(frame.at_ns for frame in frames)
    assert ring.take() == []


async def test_a_trace_nobody_reads_keeps_the_newest_and_says_what_it_lost() -> None:
    channel = channel_on(FakeWire(meter))
    with channel.trace(limit=6) as ring:
        for address in range(10):
            await poll(channel, 1, read(address, 1))

    assert ring.lost == 14
    assert ring.take()[-1].data == rtu_frame(1, read_reply(9, 1))


@pytest.mark.parametrize(
    "config",
    [
        RtuChannel(port="/dev/null", off=True),
        TcpChannel(host="127.0.0.1", off=True),
        RtuOverTcpChannel(host="127.0.0.1", port=1, off=True),
    ],
)
async def test_a_channel_that_is_off_asks_nobody(config: RtuChannel | TcpChannel | RtuOverTcpChannel) -> None:
    # G-06: none is a mode of a line too
    channel = open_channel("spare", config, SystemClock(), asyncio.get_running_loop())
    with pytest.raises(RequestRefused, match="spare unit 1: the channel is off"):
        await channel.ask(Use.POLL, "p", 1, read(0, 1), 0.3)
    channel.close()


async def test_closing_ends_every_wait_and_stays_closed() -> None:
    wire = FakeWire(lambda request: b"")
    channel = channel_on(wire)
    tasks = [poll(channel, 1, read(n, 1), f"p{n}") for n in range(5)]
    await asyncio.sleep(0.1)
    channel.close()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    channel.close()

    assert {type(one) for one in done} == {ConnectionLost}
    assert not wire.is_open()
    with pytest.raises(ConnectionLost):
        await poll(channel, 1, read(0, 1))


async def test_a_port_that_does_not_exist_is_said_plainly() -> None:
    config = RtuChannel(port="/dev/does-not-exist")
    channel = open_channel("riser-1", config, SystemClock(), asyncio.get_running_loop())
    with pytest.raises(ConnectFailed, match=r"riser-1 unit 1: .*No such file"):
        await channel.ask(Use.POLL, "p", 1, read(0, 1), 0.3)
    channel.close()


class Faults:
    """A line's faults, by chance but the same each time: each byte spoilt, frames cut, replies late."""

    def __init__(self, wire_seed: int, noise: float = 0.0, half: float = 0.0, late: float = 0.0) -> None:
        self._rng = random.Random(wire_seed)
        self._noise, self._half, self._late = noise, half, late
        self.wire = FakeWire(self._respond, chunk=300)

    def _respond(self, request: bytes) -> bytes:
        rng = self._rng
        if rng.random() < self._late:
            self.wire.late_s = [rng.uniform(0.25, 0.9)]
        reply = bytearray(meter(request))
        if rng.random() < self._half:
            del reply[rng.randrange(len(reply)) :]
        for at in range(len(reply)):
            if rng.random() < self._noise:
                reply[at] ^= rng.randrange(1, 256)
        return bytes(reply)


async def traffic(channel: FieldChannel, seconds: float, counts: tuple[int, ...], seed: int) -> tuple[int, int, int]:
    """Read blocks at random addresses until the time is over. Return how many were right, wrong, without a value."""
    rng = random.Random(seed)
    right = wrong = failed = 0
    while now() < seconds:
        address, count = rng.randrange(9000), rng.choice(counts)
        try:
            reply = await channel.ask(Use.POLL, "p", rng.choice((1, 2, 3)), read(address, count), 0.2, attempts=3)
        except FieldError:
            failed += 1
            continue
        right += reply == read_reply(address, count)
        wrong += reply != read_reply(address, count)
    return right, wrong, failed


@pytest.mark.parametrize(
    ("faults", "least"),
    [
        (lambda seed: Faults(seed, noise=0.01), 0.9),
        (lambda seed: Faults(seed, noise=0.1), 0.3),
        (lambda seed: Faults(seed, half=0.3), 0.9),
        (lambda seed: Faults(seed, late=0.2), 0.8),
        (lambda seed: Faults(seed, noise=0.01, half=0.05, late=0.05), 0.8),
    ],
    ids=["noise 1 %", "noise 10 %", "half frames", "late replies", "everything"],
)
@pytest.mark.parametrize("seed", [1, 2])
async def test_no_fault_of_the_line_makes_a_wrong_value(
    faults: Callable[[int], Faults], least: float, seed: int
) -> None:
    # BARS R2; a CRC lets 1 in 65,536 spoilt replies through, these runs have a thousand
    channel = channel_on(faults(seed).wire, late_s=1.0)
    right, wrong, failed = await traffic(channel, 120.0, (1, 2, 10), seed)

    assert wrong == 0
    assert right / (right + failed) >= least


@pytest.mark.slow
async def test_an_hour_of_a_bad_line_with_all_its_users_gives_no_wrong_value_and_no_one_starves() -> None:
    faults = Faults(7, noise=0.0005, half=0.002, late=0.005)
    channel = channel_on(faults.wire, late_s=1.0)
    results = await asyncio.gather(*(traffic(channel, 3600.0, (2, 20, 60), seed) for seed in range(4)))

    assert sum(wrong for _, wrong, _ in results) == 0
    assert sum(right for right, _, _ in results) > 20_000
    assert sum(failed for _, _, failed in results) < 50
    assert max(right for right, _, _ in results) < 1.1 * min(right for right, _, _ in results)


async def test_what_nobody_waits_for_any_more_is_not_sent_when_its_turn_comes() -> None:
    wire = FakeWire(meter)
    channel = channel_on(wire)
    first = poll(channel, 1, read(0, 100))
    await asyncio.sleep(0)
    with pytest.raises(LineBusy, match="not free in time"):
        await channel.ask(Use.GATEWAY, "g", 1, read(1, 1), 0.3, 1, lambda: True)
    await first

    assert await channel.ask(Use.GATEWAY, "g", 1, read(1, 1), 0.3, 1, lambda: False)
    assert [request for _, request in wire.requests] == [rtu_frame(1, read(0, 100)), rtu_frame(1, read(1, 1))]


async def test_a_trace_that_begins_in_the_middle_of_an_exchange_shows_no_half_of_it() -> None:
    channel = channel_on(FakeWire(meter, chunk=14))
    with channel.trace():
        await poll(channel, 1, read(0, 60))
    under_way = asyncio.ensure_future(poll(channel, 1, read(100, 60)))
    await asyncio.sleep(TIMING.read_s(60, TURNAROUND_S) * 0.7)
    with channel.trace() as ring:
        await under_way
        await poll(channel, 1, read(200, 60))
        frames = ring.take()

    assert [frame.data for frame in frames] == [rtu_frame(1, read(200, 60)), rtu_frame(1, read_reply(200, 60))]
