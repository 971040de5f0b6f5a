"""Which connection is whose: three masters on one port, a fourth refused, a cut that loses nothing."""

import asyncio
import time

import pytest

from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.point import PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Plan
from tests.support.dnp3_master import link
from tests.support.dnp3_site import CLASS_0, POLL, Peer, opendnp3, projected, spec_of
from tests.support.modbus_site import NOW_NS, site, store_of
from tests.support.workers import running, status, until

pytestmark = [pytest.mark.real_time, pytest.mark.slow]
PORT = 23040
FACTS = site(2)
VOLTAGE = next(d for d in FACTS.points if d.name == "voltage_l1")


def change(store: PointStore, definition: PointDef, value: float) -> None:
    store.publish([(definition.index, Sample(value, Quality.GOOD, NOW_NS, 2))])


# D-01
async def test_three_masters_have_their_own_events() -> None:
    store = store_of(FACTS)
    async with (
        running(store, [spec_of(FACTS, PORT)]),
        opendnp3(PORT, 1) as one,
        opendnp3(PORT, 2) as two,
        opendnp3(PORT, 3) as three,
    ):
        for master in (one, two, three):
            await master.started()
        change(store, VOLTAGE, 77.0)
        await asyncio.sleep(0.3)
        told = [await master.ask("events") for master in (one, two, three, one)]

    assert [[row[2] for row in answer["rows"]] for answer in told] == [[77.0], [77.0], [77.0], []]


# BARS L2
async def test_a_fourth_connection_is_refused_within_a_second_and_the_three_stay() -> None:
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 1)]) as supervisor:
        masters = [await Peer.connect(PORT + 1) for _ in range(3)]
        for address, master in enumerate(masters, start=1):
            assert await master.ask(CLASS_0, source=address)
        silent, stranger = await Peer.connect(PORT + 1), await Peer.connect(PORT + 1)
        begun = time.monotonic()
        stranger.writer.write(link(CLASS_0, source=4))
        ended = [await peer.ends_within(2) for peer in (silent, stranger)]
        took = time.monotonic() - begun
        for address, master in enumerate(masters, start=1):
            assert await master.ask(CLASS_0, source=address)
        await until(lambda: status(supervisor, "dnp3").counters["refused_full"] == 2)
        for peer in (*masters, silent, stranger):
            peer.close()

    assert ended == [True, True]
    assert took <= 1.0


async def test_a_master_that_comes_again_takes_the_place_of_its_old_connection() -> None:
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 2)]):
        masters = [await Peer.connect(PORT + 2) for _ in range(3)]
        for address, master in enumerate(masters, start=1):
            assert await master.ask(CLASS_0, source=address)
        again = await Peer.connect(PORT + 2)
        answered = await again.ask(CLASS_0, source=2)
        old_ended = await masters[1].ends_within(1)
        others = [await masters[at].ask(CLASS_0, source=at + 1) for at in (0, 2)]
        for peer in (*masters, again):
            peer.close()

    assert answered
    assert old_ended
    assert all(others)


# P: nothing is lost or doubled
async def test_a_cut_before_the_confirm_loses_and_doubles_no_event() -> None:
    store = store_of(FACTS)
    async with running(store, [spec_of(FACTS, PORT + 3)]):
        first = await Peer.connect(PORT + 3)
        await first.ask(CLASS_0)
        for step in range(20):
            change(store, VOLTAGE, 1000.0 + step)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        cut = await first.ask(POLL)
        assert cut
        first.writer.transport.abort()
        second = await Peer.connect(PORT + 3)
        again = await second.ask(POLL)
        assert again
        second.writer.write(link(b"\xc0" + bytes((0xC0 | (again[0][0] & 15), 0))))
        after = await second.ask(POLL)
        assert after
        second.close()

    assert cut[0][4:] == again[0][4:] != b""
    assert again[0][7:9] == (20).to_bytes(2, "little")
    assert after[0][4:] == b""


async def test_masters_are_told_apart_by_network() -> None:
    masters = [{"address": 1, "networks": ["127.0.0.2/32"]}, {"address": 1, "networks": ["127.0.0.3/32"]}]
    store = store_of(FACTS)
    async with running(store, [spec_of(FACTS, PORT + 4, masters=masters)]) as supervisor:
        two = Peer(*await asyncio.open_connection("127.0.0.1", PORT + 4, local_addr=("127.0.0.2", 0)))
        three = Peer(*await asyncio.open_connection("127.0.0.1", PORT + 4, local_addr=("127.0.0.3", 0)))
        await two.ask(CLASS_0)
        await three.ask(CLASS_0)
        change(store, VOLTAGE, 77.0)
        await asyncio.sleep(0.2)
        told = [await peer.ask(POLL) for peer in (two, three)]
        stranger = await Peer.connect(PORT + 4)
        refused = await stranger.ask(CLASS_0)
        await until(lambda: status(supervisor, "dnp3").counters["refused_peer"] == 1)
        for peer in (two, three, stranger):
            peer.close()

    assert all(answer and answer[0][4:6].hex() == "2007" for answer in told)
    assert refused is None


# seed 004: what MID locks
async def test_controls_reach_the_core_with_select_and_operate_and_mid_points_never() -> None:
    store = store_of(FACTS)
    setting = next(d for d in FACTS.points if d.name == "overload_threshold")
    reset = next(d for d in FACTS.points if d.name == "reset_demand_peak")
    options = {"access": "read-write", "masters": [{"allow": ["control"]}], "command_class": 1}
    plan = projected(FACTS, **options).plan
    assert isinstance(plan, Plan)
    places = {p.index: p.number for p in plan.points}
    mid = {d.index for d in FACTS.points if d.mid}
    async with running(store, [spec_of(FACTS, PORT + 5, **options)]), opendnp3(PORT + 5) as master:
        await master.started()
        analog = {"type": "AnalogOutputDouble64", "index": places[setting.index]}
        done = await master.ask("control", **analog, value=95.5, sbo=True)
        beyond = await master.ask("control", **analog, value=500.0)
        nowhere = await master.ask("control", **{**analog, "index": 99}, value=95.5)
        crob = {"type": "ControlRelayOutputBlock", "index": places[reset.index]}
        on = await master.ask("control", **crob, value="PULSE_ON")
        await asyncio.sleep(0.3)
        told = await master.ask("events")
        now = await master.ask("scan", headers=[[40, 4], [10, 2]])

    assert done["result"] == ["SUCCESS", "SUCCESS"]
    assert beyond["result"] == ["SUCCESS", "OUT_OF_RANGE"]
    assert nowhere["result"] == ["SUCCESS", "NOT_SUPPORTED"]
    assert on["result"] == ["SUCCESS", "SUCCESS"]
    assert store.get(setting.index).value == 95.5
    assert store.get(reset.index).value is True
    commands = [(row[0], row[2], row[3]) for row in told["rows"] if row[0] in ("Group13Var2", "Group43Var8")]
    assert commands == [
        ("Group43Var8", 95.5, "SUCCESS"),
        ("Group43Var8", 500.0, "OUT_OF_RANGE"),
        ("Group43Var8", 95.5, "NOT_SUPPORTED"),
        ("Group13Var2", True, "SUCCESS"),
    ]
    assert ["Group40Var4", places[setting.index], 95.5] in [row[:3] for row in now["rows"]]
    assert not [p for p in plan.points if p.index in mid and (p.writable or p.type is PointType.ANALOG_OUTPUT)]


class SlowMeter:
    """CommandPort of a meter that takes its time."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def submit(self, command: Command) -> CommandResult:
        del command
        self.asked.set()
        await self.answer.wait()
        return CommandResult(Outcome.DONE)


# P: an OPERATE never blocks the others while a meter is written
async def test_the_other_masters_are_answered_while_a_meter_is_written() -> None:
    store, meter = store_of(FACTS), SlowMeter()
    options = {"access": "read-write", "masters": [{"allow": ["control"]}, {"address": 2}]}
    latch_on = b"\xc0" + bytes.fromhex("c1050c01280100 0000 0301 64000000 64000000 00")
    async with running(store, [spec_of(FACTS, PORT + 6, **options)], commands=meter):
        one, two = await Peer.connect(PORT + 6), await Peer.connect(PORT + 6)
        operating = asyncio.ensure_future(one.ask(latch_on, wait_s=10))
        async with asyncio.timeout(5):
            await meter.asked.wait()
        meanwhile = [await two.ask(CLASS_0, source=2) for _ in range(20)]
        unanswered = not operating.done()
        meter.answer.set()
        answered = await operating
        for peer in (one, two):
            peer.close()

    assert all(meanwhile)
    assert unanswered
    assert answered
    assert answered[0][-1] == 0
