"""bridge.gateway.modbus.router and own"""

import asyncio

import pytest

from bridge.core.command import Origin
from bridge.core.errors import RawFailure, RawRefused
from bridge.core.ports import ChannelFacts, SiteFacts
from bridge.core.traffic import ROWS_MOST
from bridge.gateway.modbus.line import GatewayLine
from bridge.gateway.modbus.own import OwnUnit
from bridge.gateway.modbus.policy import Policy
from bridge.gateway.modbus.router import Client, Router
from bridge.gateway.modbus.traffic import Traffic
from tests.support.fake_wire import LoopClock
from tests.support.gateway_site import device, facts, planned
from tests.unit.gateway.test_line import Core

READ = b"\x03\x00\x00\x00\x02"
WRITE = b"\x06\x00\x00\x00\x02"
CLIENT = Client("10.0.0.9:5000", "10.0.0.9", 0)
SITE = facts(device("a", "riser", 1), device("dead", "riser", 9))
ONE = facts(device("a", "riser", 1))
ALLOW_ALL = [{"access": "allow", "units": ["0-248"]}]


class Sink:
    """RefusalSink that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []

    def refused(self, origin: Origin, target: str, reason: str) -> None:
        self.heard.append((origin.protocol, origin.peer, target))


def routed(site: SiteFacts = SITE, core: Core | None = None, sink: Sink | None = None, **mapping: object) -> Router:
    plan, clock = planned(site, cache_ms=0, **mapping), LoopClock()
    counters: dict[str, int] = {}
    traffic = Traffic(counters, clock, sink or Sink())
    port = core or Core()
    return Router(
        plan,
        lambda channel: GatewayLine(channel, plan, port, clock, traffic.count),
        Policy(plan.policy, plan.roles),
        OwnUnit("1.2.3", "tower", counters, clock),
        traffic,
        clock,
    )


@pytest.mark.parametrize(
    ("unit_id", "pdu", "reply"),
    [
        pytest.param(1, READ, b"\x031", id="a device"),
        pytest.param(9, READ, b"\x83\x0b", id="silent"),
        pytest.param(3, READ, b"\x83\x0a", id="no such unit"),
        pytest.param(248, READ, b"\x83\x0a", id="the only device of two"),
        pytest.param(249, READ, b"\x83\x0a", id="reserved"),
        pytest.param(0, READ, b"\x83\x01", id="a broadcast read"),
        pytest.param(0, WRITE, b"\x86\x01", id="a broadcast write without a policy"),
        pytest.param(1, WRITE, b"\x86\x01", id="a write without a policy"),
        pytest.param(255, WRITE, b"\x86\x01", id="a write to the bridge itself"),
        pytest.param(1, b"\x83\x00", b"\x83\x01", id="an exception for a request"),
    ],
)
async def test_unit_rules_of_a_gateway_nobody_configured(unit_id: int, pdu: bytes, reply: bytes) -> None:
    # G-02 F-08
    assert await routed().reply(CLIENT, unit_id, pdu) == reply


async def test_248_is_the_only_device_of_a_one_device_line() -> None:
    core = Core()

    assert await routed(ONE, core).reply(CLIENT, 248, READ) == b"\x031"
    assert core.asked == [("10.0.0.9:5000", 1, READ)]


async def test_a_broadcast_goes_out_once_on_each_serial_line_and_has_no_reply() -> None:
    # F-08
    core = Core()
    lines = {"riser": ChannelFacts("rtu"), "cellar": ChannelFacts("rtu"), "lan": ChannelFacts("tcp")}
    router = routed(facts(device("a", "riser", 1), **lines), core, policy=ALLOW_ALL)

    assert await router.reply(CLIENT, 0, WRITE) is None
    assert [unit for _, unit, _ in core.asked] == [0, 0]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (RawFailure.NOT_CONNECTED, 0x0A),
        (RawFailure.NO_SUCH_CHANNEL, 0x0A),
        (RawFailure.CORE_LOST, 0x0A),
        (RawFailure.TIMED_OUT, 0x0B),
        (RawFailure.BAD_REPLY, 0x0B),
        (RawFailure.BUSY, 0x06),
        (RawFailure.REFUSED_BY_POLICY, 0x01),
        (RawFailure.NOT_GRANTED, 0x01),
    ],
)
async def test_what_the_core_says_becomes_an_exception(failure: RawFailure, code: int) -> None:
    class Refuses(Core):
        async def exchange(
            self,
            channel: str,
            user: str,
            unit_id: int,
            pdu: bytes,
            deadline_ns: int,
            timeout_s: float = 0.0,
            identity: str = "",
        ) -> bytes:
            raise RawRefused(failure)

    assert await routed(core=Refuses()).reply(CLIENT, 1, READ) == bytes((0x83, code))


async def test_who_insists_on_what_the_core_refuses_is_told_no_here_and_reads_on() -> None:
    class Refuses(Core):
        async def exchange(
            self,
            channel: str,
            user: str,
            unit_id: int,
            pdu: bytes,
            deadline_ns: int,
            timeout_s: float = 0.0,
            identity: str = "",
        ) -> bytes:
            self.asked.append((user, unit_id, pdu))
            if pdu[0] == 6:
                raise RawRefused(RawFailure.REFUSED_BY_POLICY)
            return pdu

    core = Refuses()
    router, other = routed(core=core, policy=ALLOW_ALL), Client("10.0.0.7:1", "10.0.0.7", 0)
    for _ in range(500):
        assert await router.reply(CLIENT, 1, WRITE) == b"\x86\x01"
    assert len(core.asked) == 20
    assert await router.reply(CLIENT, 1, READ) == READ
    assert await router.reply(other, 1, WRITE) == b"\x86\x01"
    assert core.asked[-1][0] == "10.0.0.7:1"

    await asyncio.sleep(1)
    await router.reply(CLIENT, 1, WRITE)
    assert len(core.asked) == 23


async def test_every_write_refused_here_is_handed_to_the_audit_and_no_read() -> None:
    # BARS S1
    sink = Sink()
    router = routed(sink=sink)
    for unit_id in (1, 3, 248, 255, 0):
        await router.reply(CLIENT, unit_id, WRITE)
        await router.reply(CLIENT, unit_id, READ)
    await router.reply(CLIENT, 1, b"\x64")

    assert sink.heard == [
        *(("gateway", "10.0.0.9", f"unit {unit_id} function 6 address 0") for unit_id in (1, 3, 248, 255, 0)),
        ("gateway", "10.0.0.9", "unit 1 function 100"),
    ]


async def test_a_role_narrows_what_the_policy_allows() -> None:
    tls = {"certificate": "c", "key": "k", "client_ca": "ca"}
    router = routed(secure={"port": 802, "tls": tls}, roles={"reader": [3], "engineer": [3, 6]}, policy=ALLOW_ALL)
    reader, engineer, nobody = (Client("c:1", "c", 1, role) for role in ("reader", "engineer", ""))

    assert await router.reply(reader, 1, READ) == b"\x031"
    assert await router.reply(reader, 1, WRITE) == b"\x86\x01"
    assert await router.reply(engineer, 1, WRITE) == b"\x062"
    assert await router.reply(nobody, 1, READ) == b"\x83\x01"
    assert await router.reply(nobody, 255, b"\x2b\x0e\x01\x00") == b"\xab\x01"


async def test_who_asks_what_is_known_and_bounded() -> None:
    router = routed()
    await router.reply(CLIENT, 1, READ)
    await router.reply(CLIENT, 9, READ)
    first, second = router.traffic.rows()

    assert (first.client, first.unit, first.function, first.address, first.count) == ("10.0.0.9", 1, 3, 0, 2)
    assert (first.requests, first.failed, second.failed) == (1, 0, 1)
    for number in range(2 * ROWS_MOST):
        router.traffic.asked(f"c{number}", 0, "riser", 1, 1, READ)
    assert len(router.traffic.rows()) == ROWS_MOST


async def test_the_bridge_names_itself_and_shows_its_state() -> None:
    # G-09
    router = routed()
    await router.reply(CLIENT, 1, READ)
    await router.reply(CLIENT, 3, READ)
    named = await router.reply(CLIENT, 255, b"\x2b\x0e\x01\x00")
    state = await router.reply(CLIENT, 255, b"\x03\x00\x00\x00\x18")

    assert named == b"\x2b\x0e\x01\x82\x00\x00\x03\x00\x0bmeterbridge\x01\x05MB-GW\x02\x051.2.3"
    assert state is not None
    assert len(state) == 2 + 48
    assert state[2:4] == b"\0\1"
    # replies, and unit ids that lead nowhere
    assert state[2 + 12 : 2 + 16] == b"\0\0\0\1"
    assert state[2 + 28 : 2 + 32] == b"\0\0\0\1"


@pytest.mark.parametrize(
    ("pdu", "reply"),
    [
        ("2b0e0401", "2b0e048200000101054d422d4757"),
        ("2b0e0407", "ab02"),
        ("2b0e0500", "ab03"),
        ("2b0e01", "ab03"),
        ("2b0d0100", "ab01"),
        ("0300180001", "8302"),
        ("0300000000", "8303"),
        ("0600000001", "8601"),
        ("11", "9101"),
    ],
)
async def test_questions_to_the_bridge_itself(pdu: str, reply: str) -> None:
    found = await routed().reply(CLIENT, 255, bytes.fromhex(pdu))

    assert found is not None
    assert found.hex() == reply
