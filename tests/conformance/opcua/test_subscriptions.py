"""Subscriptions as node-opcua sees them: deadbands against the value reported last, sampling, queues, keep-alive."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from tests.support.modbus_site import NOW_NS, site, store_of
from tests.support.opcua_site import NodeClient, needs_node, node_client, node_id, spec_of
from tests.support.workers import running

pytestmark = [pytest.mark.real_time, pytest.mark.slow, needs_node, pytest.mark.timeout(120)]
PORT = 26_060
FACTS = site(1)
VOLTAGE = next(d for d in FACTS.points if d.id == "m1.voltage_l1")
# EURange 80 to 120
THRESHOLD = next(d for d in FACTS.points if d.id == "m1.overload_threshold")
ENERGY = next(d for d in FACTS.points if d.id == "m1.active_energy_import")
PAUSE_S = 0.2


async def seen(client: NodeClient, store: PointStore, index: int, values: list[Any]) -> list[Any]:
    """Publish values one publishing interval apart; return what the client was told after the first."""
    await client.ask("changes", count=1)
    for number, value in enumerate(values):
        store.publish([(index, Sample(value, Quality.GOOD, NOW_NS + number, number + 2))])
        await asyncio.sleep(PAUSE_S)
    return [change["value"] for change in await client.ask("changes", count=len(values), wait=500)]


# page, defect 1: a value that creeps is reported when it is far from what was REPORTED last
async def test_an_absolute_deadband_is_taken_from_the_value_reported_last(tmp_path: Path) -> None:
    store = store_of(FACTS)
    store.publish([(VOLTAGE.index, Sample(230.0, Quality.GOOD, NOW_NS, 1))])
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        wanted = {"deadband": "Absolute", "width": 1.0}
        await client.ask("subscribe", items=[node_id(VOLTAGE.id)], filter=wanted)
        found = await seen(client, store, VOLTAGE.index, [230.4, 230.8, 231.0, 231.2, 231.6, 230.3, 230.1])

    assert found == [231.2, 230.1]


async def test_a_percent_deadband_is_a_part_of_the_range(tmp_path: Path) -> None:
    store = store_of(FACTS)
    store.publish([(THRESHOLD.index, Sample(100.0, Quality.GOOD, NOW_NS, 1))])
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        # 10 % of 40
        wanted = {"deadband": "Percent", "width": 10.0}
        await client.ask("subscribe", items=[node_id(THRESHOLD.id)], filter=wanted)
        found = await seen(client, store, THRESHOLD.index, [103.0, 104.0, 104.5, 101.0, 100.4])

    assert found == [104.5, 100.4]


async def test_a_deadband_of_an_energy_is_in_counts_and_of_its_double_in_the_unit(tmp_path: Path) -> None:
    store = store_of(FACTS)
    store.publish([(ENERGY.index, Sample(1000, Quality.GOOD, NOW_NS, 1))])
    found = {}
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        for name, width in ((ENERGY.id, 100.0), (f"{ENERGY.id}.value", 1.0)):
            store.publish([(ENERGY.index, Sample(1000, Quality.GOOD, NOW_NS, 1))])
            await asyncio.sleep(PAUSE_S)
            await client.connect(PORT)
            wanted = {"deadband": "Absolute", "width": width}
            await client.ask("subscribe", items=[node_id(name)], filter=wanted)
            found[name] = await seen(client, store, ENERGY.index, [1050, 1100, 1101, 1150, 1250])
            await client.ask("disconnect")

    # 0.01 kWh per count
    assert found[ENERGY.id] == ["1101", "1250"]
    assert found[f"{ENERGY.id}.value"] == [11.01, 12.5]


SENSELESS: list[tuple[str, dict[str, Any], str]] = [
    # no EURange: nothing to take a percentage of
    ("m1.voltage_l1", {"deadband": "Percent", "width": 10.0}, "BadDeadbandFilterInvalid"),
    ("m1.overload_threshold", {"deadband": "Percent", "width": 101.0}, "BadDeadbandFilterInvalid"),
    ("m1.overload_threshold", {"deadband": "Absolute", "width": -1.0}, "BadDeadbandFilterInvalid"),
    ("m1.serial_number", {"deadband": "Absolute", "width": 1.0}, "BadFilterNotAllowed"),
    ("m1.phase_loss_l1", {"deadband": "Absolute", "width": 1.0}, "BadFilterNotAllowed"),
]


async def test_a_filter_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    found = []
    async with running(store_of(FACTS), [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        for name, wanted, _ in SENSELESS:
            answer = await client.ask("subscribe", items=[node_id(name)], filter=wanted)
            found += answer["statuses"]

    assert found == [code for _, _, code in SENSELESS]


# page, defect 1: SamplingInterval is kept
async def test_an_item_is_not_sampled_more_often_than_asked(tmp_path: Path) -> None:
    store = store_of(FACTS)
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        answer = await client.ask("subscribe", items=[node_id(VOLTAGE.id)], samplingInterval=1000)
        await client.ask("changes", count=1)
        for number in range(25):
            store.publish([(VOLTAGE.index, Sample(200.0 + number, Quality.GOOD, NOW_NS + number, number + 2))])
            await asyncio.sleep(0.1)
        found = await client.ask("changes", count=4, wait=1500)

    assert answer["samplings"] == [1000]
    assert 2 <= len(found) <= 4
    assert found[-1]["value"] == 224.0


async def test_a_full_queue_loses_the_oldest_and_says_so(tmp_path: Path) -> None:
    store = store_of(FACTS)
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        await client.ask("subscribe", items=[node_id(VOLTAGE.id)], interval=1000, queueSize=3)
        await client.ask("changes", count=1)
        await asyncio.sleep(0.1)
        for number in range(6):
            store.publish([(VOLTAGE.index, Sample(200.0 + number, Quality.GOOD, NOW_NS + number, number + 2))])
            await asyncio.sleep(0.05)
        found = await client.ask("changes", count=3, wait=2000)

    # sampling interval 0: every change is one
    assert [change["value"] for change in found] == [203.0, 204.0, 205.0]
    # InfoType DataValue, Overflow
    assert [change["status"] for change in found] == [0x480, 0, 0]


async def test_what_a_client_asks_for_is_bounded(tmp_path: Path) -> None:
    settings = {"listener": {"idle_s": 60}, "limits": {"publishing_ms": 100, "lifetime_count": 120}}
    async with running(store_of(FACTS), [spec_of(FACTS, PORT, tmp_path, **settings)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        answer = await client.ask(
            "subscribe", items=[node_id(VOLTAGE.id)], interval=1, keepAlive=10_000, lifetime=40_000
        )

    assert answer["interval"] == 100
    # a client that has a subscription speaks twice within the idle time of the listener
    assert answer["keepAlive"] == 270
    assert answer["lifetime"] == 3 * 270


async def test_all_points_of_the_site_arrive_and_follow_their_changes(tmp_path: Path) -> None:
    store = store_of(FACTS)
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        await client.ask("subscribe", items=[node_id(d.id) for d in FACTS.points])
        first = await client.ask("changes", count=len(FACTS.points))
        lost = Quality.STALE | Quality.COMM_LOST
        for definition in FACTS.points:
            held = store.get(definition.index)
            store.publish([(definition.index, Sample(held.value, lost, held.source_ns, 2))])
        then = await client.ask("changes", count=len(FACTS.points))

    by_name = {change["nodeId"]: change for change in first}
    assert len(by_name) == len(FACTS.points)
    for change in then:
        assert change["statusName"] == "UncertainNoCommunicationLastUsableValue"
        assert change["value"] == by_name[change["nodeId"]]["value"]
    assert len(then) == len(FACTS.points)
