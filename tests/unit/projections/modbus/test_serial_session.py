"""bridge.projections.modbus.serial_session: RTU frames in, RTU frames out (Modbus over Serial Line V1.02)"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.errors import ProjectionError
from bridge.core.ports import ChannelFacts
from bridge.modbus.frame import rtu_frame
from bridge.projections.modbus.identification import objects_of, server_id
from bridge.projections.modbus.image import Image
from bridge.projections.modbus.plan import Identity, Plan
from bridge.projections.modbus.requests import Requests
from bridge.projections.modbus.serial_session import SerialSession
from bridge.projections.modbus.services import Services
from tests.support.fake_wire import LoopClock
from tests.support.modbus_site import projected, site, store_of

FACTS = site(2)
READ, READ_REPLY = "0300000004", "03080020000000000001"
COIL = "050000ff00"
# s; t3.5 at 9600 baud and what a held-back rest may take, both and more
SILENCE_S = 0.1


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))


class Line:
    """A session on a line of 9600 baud; `outcome` of writes comes when `go` is set."""

    def __init__(self, **keys: object) -> None:
        plan = projected(FACTS, access="read-write", serial=[{"port": "/dev/ttyS9", **keys}]).plan
        assert isinstance(plan, Plan)
        store = store_of(FACTS)
        image = Image(plan, store)
        self.counters: dict[str, int] = {}
        self.go, self.seen, self.told = asyncio.Event(), list[Command](), list[object]()
        self.tasks: list[asyncio.Task[None]] = []
        objects = objects_of(Identity(), "1.2")
        requests = Requests(image.units, store, objects)
        services = Services(image.units, requests, self, LoopClock(), self.counters, self._spawn, 10**9, self)
        self.wire = Wire()
        self.session = SerialSession(services, plan.serial[0], server_id(objects))
        self.session.connection_made(self.wire)

    async def submit(self, command: Command) -> CommandResult:
        self.seen.append(command)
        await self.go.wait()
        return CommandResult(Outcome.DONE)

    def refused(self, *what: object) -> None:
        self.told.append(what)

    def _spawn(self, write: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(write))

    async def say(self, unit_id: int, pdu: str) -> list[str]:
        """Say one frame, wait, and return the PDUs of what is answered by that unit."""
        self.wire.sent.clear()
        self.session.data_received(rtu_frame(unit_id, bytes.fromhex(pdu)))
        await asyncio.sleep(SILENCE_S)
        return self.answers(unit_id)

    def answers(self, unit_id: int) -> list[str]:
        frames = self.wire.sent
        assert all(frame == rtu_frame(unit_id, frame[1:-2]) for frame in frames)
        return [frame[1:-2].hex() for frame in frames]


# G-14
async def test_a_read_is_answered_by_the_unit_that_was_asked() -> None:
    line = Line()

    assert await line.say(1, READ) == [READ_REPLY]
    assert await line.say(2, READ) != [READ_REPLY]


async def test_an_answer_waits_for_the_silence_that_ends_the_question() -> None:
    line = Line()
    line.session.data_received(rtu_frame(1, bytes.fromhex(READ)))

    await asyncio.sleep(0.003)
    assert line.wire.sent == []
    await asyncio.sleep(0.004)
    assert line.answers(1) == [READ_REPLY]


async def test_a_frame_that_comes_byte_by_byte_or_with_a_pause_is_whole() -> None:
    line = Line()
    frame = rtu_frame(1, bytes.fromhex(READ))
    for byte in frame[:4]:
        line.session.data_received(bytes((byte,)))
        await asyncio.sleep(0.001)
    # an adapter that holds the rest back for its 16 ms
    await asyncio.sleep(0.016)
    line.session.data_received(frame[4:])
    await asyncio.sleep(SILENCE_S)

    assert line.answers(1) == [READ_REPLY]


@pytest.mark.parametrize("unit_id", [0, 3, 247, 248, 255])
async def test_frames_to_others_and_broadcasts_are_heard_in_silence(unit_id: int) -> None:
    line = Line()

    assert await line.say(unit_id, READ) == []
    assert await line.say(unit_id, COIL) == []
    assert line.seen == []
    assert line.counters["bad_frames"] == 0


@pytest.mark.parametrize("noise", [b"\x01", b"\xff" * 30, rtu_frame(1, b"\x03\0\0\0\4")[:-1], b"\x55" * 5000])
async def test_noise_gets_no_answer_and_costs_nobody_the_next_question(noise: bytes) -> None:
    line = Line()
    line.session.data_received(noise)
    await asyncio.sleep(SILENCE_S)

    assert line.wire.sent == []
    assert line.counters["bad_frames"] == 1
    assert await line.say(1, READ) == [READ_REPLY]


# G-09: 6.13
async def test_the_server_id_names_vendor_product_and_version() -> None:
    (reply,) = await Line().say(1, "11")

    text = b"meterbridge MB 1.2"
    assert bytes.fromhex(reply) == bytes((17, len(text) + 1)) + text + b"\xff"


async def test_what_is_refused_gets_its_exception_and_is_recorded() -> None:
    line = Line()

    assert await line.say(1, "0300000000") == ["8303"]
    assert await line.say(1, "06ffff0001") == ["8602"]
    assert len(line.told) == 1


async def test_a_write_is_answered_when_it_is_done() -> None:
    line = Line()

    assert await line.say(1, COIL) == []
    line.go.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert line.answers(1) == [COIL]
    assert line.seen[0].origin.peer == "/dev/ttyS9"


async def test_a_late_answer_is_not_given_to_the_next_question() -> None:
    line = Line()

    assert await line.say(1, COIL) == []
    assert await line.say(1, READ) == [READ_REPLY]
    line.go.set()
    await asyncio.gather(*line.tasks)

    assert line.answers(1) == [READ_REPLY]
    assert line.counters["late_replies"] == 1


async def test_an_adapter_that_hears_itself_is_not_a_master() -> None:
    line = Line(echo="local")
    for _ in range(3):
        assert await line.say(1, READ) == [READ_REPLY]
        requests = line.counters["requests"]
        line.session.data_received(line.wire.sent[0][:5])
        line.session.data_received(line.wire.sent[0][5:])
        await asyncio.sleep(SILENCE_S)
        assert line.counters["requests"] == requests

    # and without the setting it ends after one exchange
    line = Line()
    await line.say(1, READ)
    for _ in range(5):
        heard, line.wire.sent = line.wire.sent, []
        for frame in heard:
            line.session.data_received(frame)
        await asyncio.sleep(SILENCE_S)
    assert line.wire.sent == []


async def test_the_whole_site_stands_behind_a_unit_id_of_the_line() -> None:
    line = Line(units=[2], site_unit=100)

    assert await line.say(100, READ) == [READ_REPLY]
    assert await line.say(1, READ) == []
    assert len(await line.say(2, READ)) == 1


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ([{"port": "/dev/ttyUSB0"}], "that of channel riser"),
        ([{"port": "/dev/a"}, {"port": "/dev/a"}], "that of serial"),
        ([{"port": "/dev/a", "units": [9]}], "found 9"),
        ([{"port": "/dev/a", "site_unit": 1}], "1 is a meter's"),
    ],
)
def test_a_line_that_cannot_be_is_refused(keys: object, why: str) -> None:
    # F-04 G-06: a line of meters is never shared with a server
    facts = site(2)
    channels = {"riser": ChannelFacts("rtu", serial_port="/dev/ttyUSB0")}
    facts = type(facts)(facts.name, facts.points, facts.devices, channels)

    with pytest.raises(ProjectionError, match=why):
        projected(facts, serial=keys)


def test_a_plan_with_lines_survives_the_way_to_the_worker() -> None:
    plan = projected(FACTS, serial=[{"port": "/dev/a", "baud": 19200, "framing": "8E1"}]).plan

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan) == plan
