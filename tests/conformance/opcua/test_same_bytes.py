"""
What the short way answers is byte for byte what the library answers.

A request that asks for diagnostics goes the library's way, so each request is sent twice, to one worker, and everything
behind the response header must be the same.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.workers.supervisor import Supervisor
from tests.support.modbus_site import site, store_of
from tests.support.opcua_raw import RawClient, browse_request, read_request
from tests.support.opcua_site import spec_of
from tests.support.workers import running, status

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
PORT = 26_030
FACTS = site(5)
# ResponseHeader: NodeId 4, time 8, handle 4, result 4, diagnostics, strings and extension 8
RESPONSE_HEAD = 28
NEITHER, SOURCE = 3, 0


def bodies(client: RawClient, request: Any) -> tuple[bytes, bytes]:
    """The answer of the short way, and of the library."""
    fast, stock = (client.request(client.encoded(request, diagnostics)) for diagnostics in (0, 1))
    return fast[RESPONSE_HEAD:], stock[RESPONSE_HEAD:]


async def counted(supervisor: Supervisor) -> int:
    """How many answers took the short way, once the counters of all of them have come."""
    last = -1
    while (now := status(supervisor, "opcua").counters["short_way"]) != last or not now:
        last = now
        await asyncio.sleep(1.2)
    return now


def read_both_ways(port: int) -> list[tuple[str, bytes, bytes]]:
    names = [d.id for d in FACTS.points]
    beside = [f"{d.id}.value" for d in FACTS.points if "energy" in d.id and "direction" not in d.id]
    beside += [f"{d.id}.ValueAsText" for d in FACTS.points if d.id.endswith("demand_interval")]
    found = []
    with RawClient(port) as client:
        client.session()
        for timestamps in (SOURCE, NEITHER):
            for asked in (names, beside, [*reversed(names)], ["m1.SerialNumber"], *([name] for name in names)):
                request = read_request(asked, timestamps)
                found.append((f"{asked[0]} {timestamps}", *bodies(client, request)))
    return found


def browse_both_ways(port: int, names: list[str]) -> list[tuple[str, bytes, bytes]]:
    found = []
    with RawClient(port) as client:
        client.session()
        # every reference, hierarchical ones, properties only; both ways, forward, inverse; classes
        for reference in (0, 33, 44, 46):
            for direction in (0, 1, 2):
                for classes in (0, 2):
                    request = browse_request(names, direction, reference, classes)
                    found.append((f"{reference} {direction} {classes}", *bodies(client, request)))
    return found


# page: "every fast reply byte-compared with the stock path"
async def test_values_are_the_same_bytes_either_way(tmp_path: Path) -> None:
    store = store_of(FACTS)
    flags = [Quality.GOOD, *Quality]
    old = 1_600_000_000_123_456_789
    for at, definition in enumerate(FACTS.points):
        held = None if at % 7 == 3 else store.get(definition.index).value
        stamp = 0 if at % 5 == 2 else old + at * 999
        store.publish([(definition.index, Sample(held, flags[at % len(flags)], stamp, 2))])
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]) as supervisor:
        found = await asyncio.to_thread(read_both_ways, PORT)
        short = await counted(supervisor)

    assert [name for name, fast, stock in found if fast != stock] == []
    assert short == len(found) > 2 * len(FACTS.points)


async def test_references_are_the_same_bytes_either_way(tmp_path: Path) -> None:
    names = ["/Meters", "m1", *(d.id for d in FACTS.points if d.device == "m1"), "m1.active_energy_import.value"]
    names += ["m1.Manufacturer", "m1.reset_demand_peak.Execute", "m1.voltage_l1.EngineeringUnits"]
    async with running(store_of(FACTS), [spec_of(FACTS, PORT, tmp_path)]) as supervisor:
        found = await asyncio.to_thread(browse_both_ways, PORT, names)
        short = await counted(supervisor)

    assert [name for name, fast, stock in found if fast != stock] == []
    assert short == len(found) == 24


async def test_what_is_asked_twice_is_answered_the_same_after_a_change(tmp_path: Path) -> None:
    store, definition = store_of(FACTS), FACTS.points[3]

    def ask(client: RawClient) -> bytes:
        return client.request(client.encoded(read_request([definition.id], SOURCE)))[RESPONSE_HEAD:]

    async with running(store, [spec_of(FACTS, PORT, tmp_path)]):
        with RawClient(PORT) as client:
            await asyncio.to_thread(client.session)
            before = await asyncio.to_thread(ask, client)
            again = await asyncio.to_thread(ask, client)
            # the same value with a newer time: nobody is told of it, and a read shows it
            value = store.get(definition.index).value
            store.publish([(definition.index, Sample(value, Quality.GOOD, 1_800_000_000_000_000_000, 2))])
            await asyncio.sleep(0.2)
            newer = await asyncio.to_thread(ask, client)

    assert before == again
    assert newer != before
    assert newer[:14] == before[:14]


# OPC 10000-4, 5.9.3
async def test_references_come_in_parts_when_the_client_wants_few_at_a_time(tmp_path: Path) -> None:
    def browse(port: int) -> tuple[list[str], list[str], str]:
        with RawClient(port) as client:
            client.session()
            [whole] = client.ask(browse_request(["m1"]), ua.BrowseResponse).Results
            first = browse_request(["m1"])
            first.Parameters.RequestedMaxReferencesPerNode = 4
            [part] = client.ask(first, ua.BrowseResponse).Results
            names = [str(one.NodeId) for one in part.References]
            point = part.ContinuationPoint
            while part.ContinuationPoint:
                following = ua.BrowseNextRequest()
                following.Parameters.ReleaseContinuationPoints = False
                following.Parameters.ContinuationPoints = [part.ContinuationPoint]
                [part] = client.ask(following, ua.BrowseNextResponse).Parameters.Results
                assert len(part.References) <= 4
                names += [str(one.NodeId) for one in part.References]
            again = ua.BrowseNextRequest()
            again.Parameters.ContinuationPoints = [point]
            [used] = client.ask(again, ua.BrowseNextResponse).Parameters.Results
            return [str(one.NodeId) for one in whole.References], names, used.StatusCode.name

    async with running(store_of(FACTS), [spec_of(FACTS, PORT, tmp_path)]):
        whole, parts, used = await asyncio.to_thread(browse, PORT)

    assert parts == whole
    assert used == "BadContinuationPointInvalid"
