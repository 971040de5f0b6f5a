"""bridge.field.modbus.tcp_master, in virtual time"""

import asyncio
import itertools
from collections.abc import Iterable

import pytest

from bridge.core.errors import ConnectFailed, ConnectionLost, FieldError, FramingError, ReplyTimeout
from bridge.field.arbiter import LineArbiter, Use
from bridge.field.line import Line
from bridge.field.modbus.tcp_master import MAX_STRAY_FRAMES, TcpMaster, TcpSettings
from bridge.field.observe import FrameRing, Verdict
from bridge.modbus.frame import TcpRequest, tcp_frame
from tests.support.fake_peer import Answer, FakePeer, good
from tests.support.fake_wire import LoopClock, read, read_reply


def master_on(peer: FakePeer) -> TcpMaster:
    return TcpMaster(peer.connect, TcpSettings("lan"), LoopClock())


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_late_reply_is_never_paired_with_a_later_request() -> None:
    delays = iter([0.35] + [0.01] * 9)
    peer = FakePeer(lambda request: [(next(delays), good(request))])
    master = master_on(peer)
    # the pymodbus case: read 100, its reply comes late, the next read must not get it
    with pytest.raises(ReplyTimeout):
        await master.exchange(1, read(100, 2), 0.3)
    await asyncio.sleep(0.045)

    for address in range(200, 208):
        assert await master.exchange(1, read(address, 2), 0.3) == read_reply(address, 2)
    assert master.counters.late == 1
    assert peer.opened == 1


async def test_a_silent_unit_behind_a_gateway_closes_nothing_for_the_others() -> None:
    # F-11
    # measured with pymodbus 3.16.1: 1 alive + 8 dead units gave 0 of 12 good reads
    peer = FakePeer(lambda request: [(0.01, good(request))] if request.unit_id == 1 else [])
    line = Line(master_on(peer), LineArbiter())
    read_well = 0
    for turn in range(12):
        for unit_id in range(2, 10):
            with pytest.raises(ReplyTimeout):
                await line.ask(Use.POLL, "p", unit_id, read(0, 2), 0.3)
        read_well += await line.ask(Use.POLL, "p", 1, read(turn, 2), 0.3) == read_reply(turn, 2)

    assert (read_well, peer.opened) == (12, 1)


async def test_a_connection_that_says_nothing_for_a_minute_of_questions_is_opened_anew() -> None:
    peer = FakePeer(lambda request: [])
    master = master_on(peer)
    while now() < 100:
        with pytest.raises(FieldError):
            await master.exchange(1, read(0, 2), 1.0)
        await asyncio.sleep(0.01)

    assert peer.opened == 2


async def test_an_idle_hour_is_no_evidence_of_death() -> None:
    peer = FakePeer()
    master = master_on(peer)
    await master.exchange(1, read(0, 2), 1.0)
    await asyncio.sleep(3600)
    peer.respond = lambda request: []
    with pytest.raises(ReplyTimeout):
        await master.exchange(1, read(0, 2), 1.0)
    peer.respond = lambda request: [(0.01, good(request))]

    assert await master.exchange(1, read(5, 2), 1.0) == read_reply(5, 2)
    assert peer.opened == 1


async def test_requests_under_way_together_get_their_own_replies_in_any_order() -> None:
    peer = FakePeer(lambda request: [((20 - request.pdu[2]) * 0.01, good(request))])
    line = Line(master_on(peer), LineArbiter(slots=8))
    replies = await asyncio.gather(*(line.ask(Use.POLL, "p", 1, read(n, 3), 1.0) for n in range(16)))

    assert replies == [read_reply(n, 3) for n in range(16)]
    assert max(sum(abs(at - other) < 1e-6 for other, _ in peer.requests) for at, _ in peer.requests) == 8
    assert peer.opened == 1


async def test_a_transaction_id_is_not_used_again_while_its_reply_may_come() -> None:
    peer = FakePeer(lambda request: [(0.0, good(request))] if request.unit_id == 1 else [])
    master = master_on(peer)
    with pytest.raises(ReplyTimeout):
        await master.exchange(2, read(0, 1), 0.1)
    missing = peer.requests[0][1].transaction
    master._transaction = missing - 1  # 65535 requests later

    await master.exchange(1, read(0, 1), 0.1)
    assert peer.requests[1][1].transaction == missing + 1
    await asyncio.sleep(61)
    with pytest.raises(ReplyTimeout):
        await master.exchange(2, read(0, 1), 0.1)
    master._transaction = missing - 1
    await master.exchange(1, read(0, 1), 0.1)
    assert peer.requests[3][1].transaction == missing


async def test_a_dead_host_is_dialled_with_growing_pauses_and_costs_nothing_meanwhile() -> None:
    peer = FakePeer()
    peer.refuses = True
    master = master_on(peer)
    dialled = []
    while now() < 20:
        begun = now()
        with pytest.raises(ConnectFailed) as caught:
            await master.exchange(1, read(0, 1), 1.0)
        if "next attempt" not in str(caught.value):
            dialled.append(begun)
        await asyncio.sleep(0.01)
    pauses = [b - a for a, b in itertools.pairwise(dialled)]

    assert [round(pause, 1) for pause in pauses[:7]] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    peer.refuses = False
    await asyncio.sleep(5)
    assert await master.exchange(1, read(3, 1), 1.0) == read_reply(3, 1)


async def test_a_lost_connection_is_opened_again_and_the_question_repeated() -> None:
    peer = FakePeer()
    line = Line(master_on(peer), LineArbiter())
    await line.ask(Use.POLL, "p", 1, read(0, 1), 1.0)
    await asyncio.sleep(1)
    assert peer.link is not None
    asyncio.get_running_loop().call_later(0.005, peer.link.hang_up)

    assert await line.ask(Use.POLL, "p", 1, read(7, 1), 1.0) == read_reply(7, 1)
    assert peer.opened == 2


async def test_a_peer_that_hangs_up_after_every_request_is_backed_off_from() -> None:
    peer = FakePeer()

    def hang_up(_: TcpRequest) -> Answer:
        assert peer.link is not None
        asyncio.get_running_loop().call_soon(peer.link.hang_up)
        return []

    peer.respond = hang_up
    master = master_on(peer)
    while now() < 20:
        with pytest.raises((ConnectFailed, ConnectionLost)):
            await master.exchange(1, read(0, 1), 1.0)
        await asyncio.sleep(0.01)

    assert peer.opened <= 8


def corrupt(what: str, request: TcpRequest) -> Iterable[bytes]:
    frame = good(request)
    pdu, unit = frame[7:], request.unit_id
    match what:
        case "wrong unit":
            yield tcp_frame(request.transaction, unit + 1, pdu)
        case "wrong function":
            yield tcp_frame(request.transaction, unit, b"\x04" + pdu[1:])
        case "byte count too large":
            yield tcp_frame(request.transaction, unit, bytes((3, pdu[1] + 2)) + pdu[2:])
        case "byte count too small":
            yield tcp_frame(request.transaction, unit, bytes((3, pdu[1] - 2)) + pdu[2:])
        case "one register more":
            yield tcp_frame(request.transaction, unit, bytes((3, pdu[1] + 2)) + pdu[2:] + b"\0\0")
        case "one register fewer":
            yield tcp_frame(request.transaction, unit, bytes((3, pdu[1] - 2)) + pdu[2:-2])
        case "long exception":
            yield tcp_frame(request.transaction, unit, b"\x83\x02\x00")
        case "function only":
            yield tcp_frame(request.transaction, unit, b"\x03")
        case "wrong transaction":
            yield tcp_frame(request.transaction ^ 0x5555, unit, pdu)
        case "wrong protocol":
            yield frame[:2] + b"\0\1" + frame[4:]
        case "length 0":
            yield frame[:4] + b"\0\0" + frame[6:]
        case "length 65535":
            yield frame[:4] + b"\xff\xff" + frame[6:]
        case "half a frame":
            yield frame[: len(frame) // 2]
        case "header only":
            yield frame[:7]
        case "RTU":
            yield bytes((unit,)) + pdu + b"\xaa\x55"
        case "flood":
            yield b"".join(tcp_frame(n ^ 0x8000, unit, pdu) for n in range(2000))
        case "text":
            yield b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
        case _:
            raise ValueError(what)


@pytest.mark.parametrize(
    "what",
    [
        "wrong unit",
        "wrong function",
        "byte count too large",
        "byte count too small",
        "one register more",
        "one register fewer",
        "long exception",
        "function only",
        "wrong transaction",
        "wrong protocol",
        "length 0",
        "length 65535",
        "half a frame",
        "header only",
        "RTU",
        "flood",
        "text",
    ],
)
async def test_a_hostile_meter_never_gives_a_value_and_is_read_again_once_it_behaves(what: str) -> None:
    # BARS I3
    peer = FakePeer(lambda request: [(0.01, piece) for piece in corrupt(what, request)])
    line = Line(master_on(peer), LineArbiter())
    for address in range(60):
        begun = now()
        with pytest.raises((FramingError, ReplyTimeout, ConnectionLost, ConnectFailed)):
            await line.ask(Use.POLL, "p", 9, read(address, 4), 1.5)
        assert now() - begun <= 3.1
        await asyncio.sleep(0.05)
    peer.respond = lambda request: [(0.01, good(request))]
    await asyncio.sleep(5)

    assert await line.ask(Use.POLL, "p", 9, read(77, 4), 1.5) == read_reply(77, 4)


@pytest.mark.parametrize("at", range(1, 15))
async def test_a_reply_cut_anywhere_is_read(at: int) -> None:
    peer = FakePeer(lambda request: [(0.01, good(request)[:at]), (0.2, good(request)[at:])])

    assert await master_on(peer).exchange(1, read(5, 3), 0.3) == read_reply(5, 3)


async def test_a_cancelled_request_leaves_the_connection_to_the_next() -> None:
    peer = FakePeer(lambda request: [(0.2, good(request))])
    master = master_on(peer)
    doomed = asyncio.create_task(master.exchange(1, read(100, 1), 1.0))
    await asyncio.sleep(0.1)
    doomed.cancel()
    await asyncio.gather(doomed, return_exceptions=True)

    assert await master.exchange(1, read(200, 1), 1.0) == read_reply(200, 1)
    assert (master.counters.late, peer.opened) == (1, 1)


async def test_closing_ends_the_wait_and_stays_closed() -> None:
    peer = FakePeer(lambda request: [])
    master = master_on(peer)
    waiting = asyncio.create_task(master.exchange(1, read(0, 1), 10.0))
    await asyncio.sleep(0.1)
    master.close()
    with pytest.raises(ConnectionLost):
        await waiting
    with pytest.raises(ConnectionLost):
        await master.exchange(1, read(0, 1), 1.0)

    assert peer.opened == 1


async def test_the_trace_shows_every_frame_with_its_verdict() -> None:
    peer = FakePeer(lambda request: [(0.4 if request.unit_id == 2 else 0.01, good(request))])
    master = master_on(peer)
    ring = FrameRing()
    master.tap.add(ring.append)
    await master.exchange(1, read(0, 1), 0.3)
    with pytest.raises(ReplyTimeout):
        await master.exchange(2, read(0, 1), 0.3)
    await asyncio.sleep(0.2)

    verdicts = [frame.verdict for frame in ring.take()]
    assert verdicts == [Verdict.SENT, Verdict.OK, Verdict.SENT, Verdict.TIMEOUT, Verdict.STRAY]


def test_the_flood_limit_is_above_what_pipelining_can_leave_late() -> None:
    assert MAX_STRAY_FRAMES > 16
