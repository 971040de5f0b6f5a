"""bridge.projections.modbus.session: bytes of one connection in, bytes out (Messaging on TCP/IP V1.0b)"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.store import PointStore
from bridge.projections.modbus.identification import objects_of
from bridge.projections.modbus.image import Image
from bridge.projections.modbus.plan import Identity, Plan
from bridge.projections.modbus.requests import Requests
from bridge.projections.modbus.services import Services
from bridge.projections.modbus.session import REQUESTS_PER_TURN, Session
from tests.support.fake_wire import LoopClock
from tests.support.modbus_site import projected, site, store_of

FACTS = site(1)


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.reading, self.aborted, self.alive = True, False, 0
        self.full_after = 10**9
        self.protocol: Session | None = None

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"alive": self._alive, "peername": ("10.0.0.9", 4711)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data
        if len(self.sent) > self.full_after and self.protocol is not None:
            self.full_after = 10**9
            self.protocol.pause_writing()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def _alive(self) -> None:
        self.alive += 1


class SlowWriter:
    """CommandPort that answers when told."""

    def __init__(self, outcome: Outcome = Outcome.DONE) -> None:
        self.outcome, self.go, self.seen = outcome, asyncio.Event(), list[Command]()

    async def submit(self, command: Command) -> CommandResult:
        self.seen.append(command)
        await self.go.wait()
        return CommandResult(self.outcome)


class Client:
    """A session, its transport and what stands behind it."""

    def __init__(self, outcome: Outcome = Outcome.DONE) -> None:
        plan = projected(FACTS, access="read-write").plan
        assert isinstance(plan, Plan)
        self.store: PointStore = store_of(FACTS)
        image = Image(plan, self.store)
        self.store.subscribe(image.indexes(), image.update)
        self.counters: dict[str, int] = {}
        self.writer, self.transport = SlowWriter(outcome), FakeTransport()
        self.tasks: list[asyncio.Task[None]] = []
        requests = Requests(image.units, self.store, objects_of(Identity(), "1"))
        services = Services(image.units, requests, self.writer, LoopClock(), self.counters, self._spawn, 5_000_000_000)
        self.session = Session(services)
        self.transport.protocol = self.session
        self.session.connection_made(self.transport)

    def _spawn(self, write: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(write))

    def take(self) -> list[str]:
        """Return what was sent as (transaction, PDU) texts, and forget it."""
        data, frames = self.transport.sent, []
        while data:
            end = 6 + int.from_bytes(data[4:6], "big")
            frames.append(f"{int.from_bytes(data[:2], 'big')}:{data[7:end].hex()}")
            data = data[end:]
        self.transport.sent = b""
        return frames


def frame(transaction: int, pdu: str, unit_id: int = 1) -> bytes:
    body = bytes((unit_id,)) + bytes.fromhex(pdu)
    return transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


READ = "0300000001"
READ_REPLY = "03020020"
COIL = "050000ff00"


async def test_a_request_and_its_reply() -> None:
    client = Client()
    client.session.data_received(frame(7, READ))

    assert client.transport.sent.hex() == "0007000000050103020020"
    assert client.transport.alive == 1
    assert {k: v for k, v in client.counters.items() if v} == {
        "connections": 1,
        "requests": 1,
        "bytes_in": 12,
        "bytes_out": 11,
    }


async def test_the_short_way_and_the_long_way_say_the_same() -> None:
    for pdu in ("0300000001", "040000007d", "0300000000", "030000007e", "0301f30002", "0300fa0001", "0301600010"):
        short, long = Client(), Client()
        short.session.data_received(frame(1, pdu))
        for byte in frame(1, pdu):
            long.session.data_received(bytes((byte,)))
        assert short.take() == long.take()
        assert short.counters == long.counters


async def test_two_hundred_pipelined_requests_are_answered_in_order_a_share_per_turn() -> None:
    client = Client()
    client.session.data_received(b"".join(frame(n, READ) for n in range(200)))

    first = client.take()
    assert len(first) == REQUESTS_PER_TURN
    assert not client.transport.reading
    for _ in range(4):
        await asyncio.sleep(0)
    assert first + client.take() == [f"{n}:{READ_REPLY}" for n in range(200)]
    assert client.transport.reading


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_requests_split_anywhere_are_whole_again(cuts: list[int]) -> None:
    asyncio.run(split_and_ask(cuts))


async def split_and_ask(cuts: list[int]) -> None:
    client = Client()
    stream = frame(1, READ) + frame(2, "2b0e0100") + frame(3, "0200000006") + frame(4, "07") + frame(5, READ)
    at = 0
    for cut in cuts:
        client.session.data_received(stream[at : at + cut])
        at += cut
    if at < len(stream):
        client.session.data_received(stream[at:])

    assert [reply.partition(":")[0] for reply in client.take()] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("header", ["000100010006", "0001000000ff", "000100000001", "000100000000", "474554202f20"])
async def test_a_bad_header_ends_the_connection(header: str) -> None:
    client = Client()
    client.session.data_received(frame(1, READ) + bytes.fromhex(header) + bytes(8) + frame(2, READ))

    assert client.transport.aborted
    assert client.take() == []
    assert client.counters["bad_frames"] == 1


async def test_half_a_request_keeps_nobody_alive() -> None:
    client = Client()
    for byte in frame(1, READ)[:11]:
        client.session.data_received(bytes((byte,)))

    assert client.transport.alive == 0
    client.session.data_received(frame(1, READ)[11:])
    assert client.transport.alive == 1


async def test_a_write_holds_up_what_follows_it_on_its_connection() -> None:
    client = Client()
    client.session.data_received(frame(1, COIL) + frame(2, READ))
    await asyncio.sleep(0)

    assert client.take() == []
    assert not client.transport.reading
    client.writer.go.set()
    await asyncio.gather(*client.tasks)
    assert client.take() == [f"1:{COIL}", f"2:{READ_REPLY}"]
    assert client.transport.reading
    assert client.counters["writes_done"] == 1


async def test_a_command_says_who_asks_and_until_when() -> None:
    client = Client()
    client.session.data_received(frame(1, COIL))
    await asyncio.sleep(0)

    command = client.writer.seen[0]
    assert (command.value, command.origin.protocol, command.origin.peer) == (True, "modbus", "10.0.0.9")
    assert command.deadline_ns == LoopClock().monotonic_ns() + 5_000_000_000
    client.writer.go.set()
    await asyncio.gather(*client.tasks)


async def test_a_refused_write_is_counted_and_answered_by_its_exception() -> None:
    client = Client(Outcome.REFUSED_BY_POLICY)
    client.writer.go.set()
    client.session.data_received(frame(1, COIL))
    await asyncio.gather(*client.tasks)

    assert client.take() == ["1:8501"]
    assert (client.counters["writes_refused"], client.counters["exception_01"]) == (1, 1)
    assert client.counters["writes_done"] == 0


async def test_the_first_of_several_commands_that_fails_ends_the_request() -> None:
    client = Client(Outcome.OUT_OF_RANGE)
    client.writer.go.set()
    client.session.data_received(frame(1, f"10{threshold_address():04x}00030642be00000005"))
    await asyncio.gather(*client.tasks)

    assert client.take() == ["1:9003"]
    assert len(client.writer.seen) == 1


def threshold_address() -> int:
    plan = projected(FACTS).plan
    assert isinstance(plan, Plan)
    index = next(p.index for p in FACTS.points if p.name == "overload_threshold")
    return next(item.fields[0].address for item in plan.blocks[0].items if item.index == index)


async def test_a_client_that_leaves_during_its_write_does_not_stop_it() -> None:
    client = Client()
    client.session.data_received(frame(1, COIL))
    await asyncio.sleep(0)
    client.session.connection_lost(None)
    client.writer.go.set()
    await asyncio.gather(*client.tasks)

    assert client.counters["writes_done"] == 1
    assert client.transport.sent == b""
    assert client.counters["connections"] == 0


async def test_a_client_that_does_not_read_its_replies_is_not_read_either() -> None:
    client = Client()
    client.transport.full_after = 20
    client.session.data_received(frame(1, READ))
    client.session.data_received(frame(2, READ))
    client.session.data_received(frame(3, READ))

    assert not client.transport.reading
    assert len(client.take()) == 2
    client.session.resume_writing()
    assert client.take() == [f"3:{READ_REPLY}"]
    assert client.transport.reading


async def test_the_registers_follow_the_points() -> None:
    client = Client()
    count = 2**62 + 3
    energy = FACTS.points[0]
    client.session.data_received(frame(1, "0300000004"))
    before = client.take()
    sample = client.store.get(energy.index)
    client.store.publish([(energy.index, type(sample)(count, sample.quality, sample.source_ns, 2))])
    client.session.data_received(frame(2, "0300000004"))

    assert before == ["1:0308" + f"{2**53 + 1:016x}"]
    assert client.take() == ["2:0308" + f"{count:016x}"]
