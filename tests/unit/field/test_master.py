"""bridge.field.modbus.master and bridge.field.line, in virtual time"""

import asyncio
import errno
import itertools

import pytest

from bridge.core.errors import ConnectFailed, ConnectionLost, FramingError, Quarantined, ReplyTimeout
from bridge.field.line import Line, LineArbiter, Use
from bridge.field.modbus.master_settings import Echo, Nap
from bridge.modbus.frame import rtu_frame
from tests.support.fake_wire import TIMING, TURNAROUND_S, FakeWire, master_on, meter, read, read_reply


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("chunk", [1, 14, 300])
@pytest.mark.parametrize("nap", list(Nap))
async def test_exchanges_run_at_the_physical_limit(chunk: int, nap: Nap) -> None:
    master = master_on(FakeWire(meter, chunk), nap=nap)
    start = now()
    for address in range(20):
        assert await master.exchange(1, read(address, 125), 1.0) == read_reply(address, 125)

    limit_s = 20 * TIMING.read_s(125, TURNAROUND_S)
    assert limit_s <= now() - start + TIMING.quiet_s < limit_s * 1.04


async def test_t35_passes_between_the_last_byte_and_the_next_request() -> None:
    wire = FakeWire(meter)
    master = master_on(wire)
    for count in (1, 2, 54):
        await master.exchange(1, read(0, count), 1.0)
        last_byte_at = wire.last_byte_at
        await master.exchange(1, read(0, 1), 1.0)

        assert wire.requests[-1][0] - last_byte_at >= TIMING.quiet_s


async def test_stray_bytes_restart_the_silence() -> None:
    wire = FakeWire(meter)
    master = master_on(wire)
    await master.exchange(1, read(0, 1), 1.0)
    wire.send(b"\xff\xff\xff")
    await master.exchange(1, read(0, 1), 1.0)

    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(wire.requests)]
    assert gaps[0] >= TIMING.read_s(1, TURNAROUND_S) + 3 * TIMING.char_s - 1e-6


async def test_an_exception_comes_back_at_once() -> None:
    master = master_on(FakeWire(meter))
    start = now()

    assert await master.exchange(1, read(9999, 100), 1.0) == b"\x83\x02"
    assert now() - start < 0.03


async def test_a_function_of_unknown_length_ends_at_silence() -> None:
    master = master_on(FakeWire(meter))

    assert (await master.exchange(1, b"\x2b\x0e\x01\x00", 1.0)).endswith(b"TEST")


@pytest.mark.parametrize("late_s", [0.31, 0.35, 0.6, 0.79, 1.2])
async def test_a_late_reply_is_never_paired_with_a_later_request(late_s: float) -> None:
    wire = FakeWire(meter)
    line = Line(master_on(wire, late_s=5.0), LineArbiter())
    wrong = answered = 0
    for n in range(30):
        address = 100 * n
        wire.late_s = [late_s] if n % 3 == 0 else []
        try:
            pdu = await line.ask(Use.POLL, "p", 1, read(address, 3), 0.3, attempts=2)
        except (ReplyTimeout, FramingError):
            continue
        answered += 1
        wrong += pdu != read_reply(address, 3)

    assert wrong == 0
    assert answered >= 20


async def test_the_same_question_is_refused_while_its_late_reply_may_come() -> None:
    wire = FakeWire(meter)
    master = master_on(wire)
    wire.late_s = [0.4]
    with pytest.raises(ReplyTimeout):
        await master.exchange(1, read(100, 2), 0.3)

    with pytest.raises(Quarantined):
        await master.exchange(1, read(200, 2), 0.3)
    await asyncio.sleep(0.5)
    assert await master.exchange(1, read(200, 2), 0.3) == read_reply(200, 2)


async def test_another_unit_is_not_held_up_by_a_dead_one() -> None:
    def only_unit_2(request: bytes) -> bytes:
        return meter(request) if request[0] == 2 else b""

    master = master_on(FakeWire(only_unit_2))
    with pytest.raises(ReplyTimeout):
        await master.exchange(1, read(0, 2), 0.1)
    start = now()

    assert await master.exchange(2, read(0, 2), 0.1) == read_reply(0, 2)
    assert now() - start < 0.05


async def test_half_a_frame_fails_when_its_end_is_due() -> None:
    master = master_on(FakeWire(lambda request: meter(request)[:40]))
    start = now()
    with pytest.raises(FramingError):
        await master.exchange(1, read(0, 54), 2.0)

    assert now() - start < TIMING.read_s(54, TURNAROUND_S) + 0.02


async def test_a_spoilt_reply_is_refused_and_asked_again() -> None:
    spoilt = iter([True, False])

    def noisy(request: bytes) -> bytes:
        reply = bytearray(meter(request))
        reply[6] ^= next(spoilt)
        return bytes(reply)

    line = Line(master_on(FakeWire(noisy)), LineArbiter())

    assert await line.ask(Use.POLL, "p", 1, read(0, 9), 0.3) == read_reply(0, 9)


async def test_the_local_echo_is_ignored() -> None:
    wire = FakeWire(lambda request: request + meter(request))
    master = master_on(wire, echo=Echo.LOCAL)

    assert await master.exchange(1, read(3, 4), 0.3) == read_reply(3, 4)
    assert await master.exchange(1, b"\x06\x00\x01\x00\x02", 0.3) == b"\x06\x00\x01\x00\x02"


@pytest.mark.parametrize("pdu", [read(0, 2), b"\x2b\x0e\x01\x00"])
@pytest.mark.parametrize("noise", [b"\xff", b"\x01", b"\x01\x03\x04\x00", b"\x01\x2b"])
@pytest.mark.parametrize("begin_s", [0.0, 0.015])
async def test_a_line_that_is_never_quiet_ends_the_wait(pdu: bytes, noise: bytes, begin_s: float) -> None:
    wire = FakeWire(lambda request: b"", chunk=len(noise))
    master = master_on(wire)
    wire.send(noise * 3000, begin_s)
    start = now()
    with pytest.raises((FramingError, ReplyTimeout)):
        await master.exchange(1, pdu, 0.3)

    assert now() - start < 1.5


async def test_a_broadcast_expects_no_reply_and_leaves_time_to_act() -> None:
    wire = FakeWire(lambda request: b"" if request[0] == 0 else meter(request))
    master = master_on(wire)

    assert await master.exchange(0, b"\x06\x00\x01\x00\x02", 0.3) == b"\x00"
    await master.exchange(1, read(0, 1), 0.3)
    assert wire.requests[1][0] - wire.requests[0][0] >= 0.1


async def test_an_unplugged_port_is_opened_again() -> None:
    wire = FakeWire(meter)
    master = master_on(wire)
    await master.exchange(1, read(0, 1), 0.3)
    wire.lost = OSError(errno.EIO, "gone")
    with pytest.raises(ConnectionLost):
        await master.exchange(1, read(0, 1), 0.3)
    await asyncio.sleep(0.3)
    with pytest.raises(ConnectFailed):
        await master.exchange(1, read(0, 1), 0.3)
    wire.lost = None
    await asyncio.sleep(0.3)

    assert await master.exchange(1, read(7, 1), 0.3) == read_reply(7, 1)
    assert master.counters.opened == 2


async def test_a_cancelled_exchange_leaves_the_line_usable() -> None:
    master = master_on(FakeWire(meter))
    doomed = asyncio.create_task(master.exchange(1, read(0, 100), 0.3))
    await asyncio.sleep(0.05)
    doomed.cancel()
    await asyncio.gather(doomed, return_exceptions=True)
    await asyncio.sleep(0.6)

    assert await master.exchange(1, read(50, 100), 0.3) == read_reply(50, 100)


async def test_poller_and_32_gateway_clients_share_the_line_by_halves() -> None:
    # F-04
    line = Line(master_on(FakeWire(meter)), LineArbiter())
    counts = dict.fromkeys([f"g{n}" for n in range(32)] + ["poll"], 0)

    async def client(use: Use, user: str) -> None:
        while now() < 20:
            await line.ask(use, user, 1, read(0, 10), 0.3)
            counts[user] += now() < 20

    await asyncio.gather(*(client(Use.POLL if user == "poll" else Use.GATEWAY, user) for user in counts))

    gateway = [count for user, count in counts.items() if user != "poll"]
    assert 0.48 < counts["poll"] / sum(counts.values()) < 0.52
    assert max(gateway) - min(gateway) <= 1


def test_the_frame_of_the_fake_is_a_frame() -> None:
    assert meter(rtu_frame(1, read(1, 1))) == rtu_frame(1, read_reply(1, 1))
