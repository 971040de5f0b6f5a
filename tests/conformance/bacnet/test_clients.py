"""Every point of a site, read from the real worker by clients that share no code with it, equals the store"""

import asyncio
import json
import math
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rusty_bacnet
from rusty_bacnet import BACnetClient, EnableDisable, ObjectIdentifier, PropertyIdentifier, PropertyValue

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.ports import SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.bacnet.plan import Plan, unpack
from tests.support.bacnet_client import Narrow
from tests.support.bacnet_site import DEVICE_ID, plan_of, served, site, spec_of
from tests.support.modbus_site import NOW_NS, store_of
from tests.support.workers import running, spare_ports

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
FACTS = site(5)
BAC0_SCRIPT = Path(__file__).with_name("read_with_bac0.py")
OBJECT_LIST, PRESENT, FLAGS = (
    PropertyIdentifier.OBJECT_LIST,
    PropertyIdentifier.PRESENT_VALUE,
    PropertyIdentifier.STATUS_FLAGS,
)


@dataclass
class Worker:
    """The real worker, its store, and a foreign client."""

    store: PointStore
    plan: Plan
    address: str
    port: int
    client: BACnetClient

    def oid(self, index: int) -> ObjectIdentifier:
        number = unpack(self.plan.object_ids)[list(unpack(self.plan.indexes)).index(index)]
        return ObjectIdentifier(rusty_bacnet.ObjectType.from_raw(number >> 22), number & 0x3FFFFF)


@asynccontextmanager
async def worker(facts: SiteFacts, /, **more: object) -> AsyncIterator[Worker]:
    port, store = spare_ports(2), store_of(facts)
    async with running(store, [spec_of(facts, port, **more)]):
        client = BACnetClient(interface="127.0.0.1", port=port + 1, broadcast_address="127.255.255.255")
        async with client:
            yield Worker(store, plan_of(facts, **more), f"127.0.0.1:{port}", port, client)


def expected(definition: PointDef, value: object) -> object:
    """What the protocol page promises, said without the server's own code."""
    if definition.kind is Kind.ANALOG:
        return struct.unpack(">f", struct.pack(">f", value))[0]
    if definition.kind is Kind.ACCUMULATOR:
        assert isinstance(value, int)
        return value % 2**32
    if definition.kind is Kind.MULTISTATE:
        return 1 + [code for code, _ in definition.states].index(int(str(value)))
    if definition.kind is Kind.TIME:
        assert isinstance(value, int)
        at = datetime.fromtimestamp(value // 10**9, UTC)
        hundredths = value % 10**9 // 10**7
        return [(at.year, at.month, at.day, at.isoweekday()), (at.hour, at.minute, at.second, hundredths)]
    return int(value) if isinstance(value, bool) else value


# B-01, B-02, B-03
async def test_rusty_bacnet_reads_every_point_and_gets_the_stores_values() -> None:
    wrong: list[str] = []
    async with worker(FACTS) as it:
        for point in FACTS.points:
            found = await it.client.read_property(it.address, it.oid(point.index), PRESENT)
            name = await it.client.read_property(it.address, it.oid(point.index), PropertyIdentifier.OBJECT_NAME)
            value = it.store.get(point.index).value
            if found.value != expected(point, value) or name.value != point.id:
                wrong.append(f"{point.id}: {found.value} {name.value}, expected {expected(point, value)}")

    assert wrong == []


async def test_rusty_bacnet_polls_a_meter_with_one_multiple_read() -> None:
    async with worker(FACTS) as it:
        points = [p for p in FACTS.points if p.device == "m3"]
        specs: list[tuple[ObjectIdentifier, list[tuple[PropertyIdentifier, int | None]]]] = [
            (it.oid(p.index), [(PRESENT, None), (FLAGS, None)]) for p in points
        ]
        answers = await it.client.read_property_multiple(it.address, specs)
        found = [getattr(answer["results"][0]["value"], "value", None) for answer in answers]

    assert found == [expected(p, it.store.get(p.index).value) for p in points]


async def test_rusty_bacnet_sees_a_dead_meter_and_hears_of_it() -> None:
    async with worker(FACTS) as it:
        index = next(p.index for p in FACTS.points if p.id == "m1.voltage_l1")
        notifications = await it.client.cov_notifications()
        await it.client.subscribe_cov(it.address, 7, it.oid(index), True, 60)
        async with asyncio.timeout(5):
            first = await anext(notifications)
            was = it.store.get(index)
            it.store.publish([(index, Sample(was.value, Quality.COMM_LOST | Quality.STALE, NOW_NS, 2))])
            second = await anext(notifications)
            it.store.publish([(index, Sample(400.0, Quality.GOOD, NOW_NS, 3))])
            third = await anext(notifications)
            it.store.publish([(index, Sample(410.0, Quality.GOOD, NOW_NS, 4))])
            fourth = await anext(notifications)
            it.store.publish([(index, Sample(400.0, Quality.COMM_LOST, NOW_NS, 5))])
            last = await anext(notifications)
        reliability = await it.client.read_property(it.address, it.oid(index), PropertyIdentifier.RELIABILITY)

    def shown(note: rusty_bacnet.CovNotification) -> tuple[object, object]:
        present, flags = (entry["value"].value for entry in note.values)
        return present, flags

    held = expected(FACTS.points[index], was.value)
    assert shown(first) == (held, {"unused_bits": 4, "data": b"\x00"})
    assert shown(second) == (held, {"unused_bits": 4, "data": b"\x40"})
    assert shown(third) == (400.0, {"unused_bits": 4, "data": b"\x00"})
    assert shown(fourth) == (410.0, {"unused_bits": 4, "data": b"\x00"})
    assert shown(last) == (400.0, {"unused_bits": 4, "data": b"\x40"})
    assert reliability.value == 12


async def test_rusty_bacnet_commands_a_meter_by_priority_and_relinquishes() -> None:
    port = spare_ports(1)
    async with served(FACTS, writable=True) as it:
        client = BACnetClient(interface="127.0.0.1", port=port, broadcast_address="127.255.255.255")
        async with client:
            at = f"127.0.0.1:{it.server.port}"

            def oid(point: str) -> ObjectIdentifier:
                kind, instance = it.place(point)
                return ObjectIdentifier(rusty_bacnet.ObjectType.from_raw(kind), instance)

            limit = oid("m1.overload_threshold")
            await client.write_property(at, limit, PRESENT, PropertyValue.real(95.0), 8)
            await client.write_property(at, limit, PRESENT, PropertyValue.real(90.0), 12)
            high = (await client.read_property(at, limit, PRESENT)).value
            await client.write_property(at, limit, PRESENT, PropertyValue.null(), 8)
            low = (await client.read_property(at, limit, PRESENT)).value
            reset: list[
                tuple[ObjectIdentifier, list[tuple[PropertyIdentifier, PropertyValue, int | None, int | None]]]
            ] = [(oid("m1.reset_demand_peak"), [(PRESENT, PropertyValue.enumerated(1), None, None)])]
            await client.write_property_multiple(at, reset)
            with pytest.raises(rusty_bacnet.BacnetProtocolError):
                await client.write_property(at, limit, PRESENT, PropertyValue.real(900.0), 8)

    assert (high, low) == (95.0, 90.0)
    done = [(it.facts.points[command.index].id, command.value) for command in it.meters.seen]
    assert done == [
        ("m1.overload_threshold", 95.0),
        ("m1.overload_threshold", 90.0),
        ("m1.reset_demand_peak", True),
    ]


# BARS S1
async def test_rusty_bacnet_is_refused_every_write_and_every_management_request() -> None:
    async with worker(FACTS) as it:
        refused = 0
        for point in FACTS.points:
            with pytest.raises(rusty_bacnet.BacnetProtocolError):
                await it.client.write_property(it.address, it.oid(point.index), PRESENT, PropertyValue.real(1.0))
            refused += 1
        with pytest.raises(rusty_bacnet.BacnetProtocolError):
            await it.client.device_communication_control(it.address, EnableDisable.DISABLE)
        with pytest.raises(rusty_bacnet.BacnetProtocolError):
            await it.client.reinitialize_device(it.address, rusty_bacnet.ReinitializedState.COLDSTART)
        unchanged = [it.store.get(p.index).seq for p in FACTS.points]

    assert refused == len(FACTS.points)
    assert set(unchanged) == {1}


@pytest.mark.slow
# Defect 3: segments longer than the client takes
async def test_rusty_bacnet_reads_an_object_list_of_8000_in_segments_of_every_size() -> None:
    facts, sizes = site(80, analogs=80), (206, 480, 1024, 1476)
    device = ObjectIdentifier(rusty_bacnet.ObjectType.DEVICE, DEVICE_ID)
    found: dict[int, int] = {}
    largest: dict[int, int] = {}
    async with worker(facts) as it:
        for size in sizes:
            async with Narrow.open(("127.0.0.1", it.port), size) as (relay, address):
                listed = await it.client.read_property(address, device, OBJECT_LIST)
                found[size], largest[size] = len(set(map(str, listed.value))), relay.largest

    assert found == dict.fromkeys(sizes, len(facts.points) + len(facts.devices) + 5)
    assert all(size - 5 <= largest[size] <= size for size in sizes)


# BARS R9, the worker's own time to come back is proven in tests/faults
async def test_bac0_reads_every_point_and_gets_the_stores_values() -> None:
    async with worker(FACTS) as it:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(BAC0_SCRIPT),
            str(it.port + 1000),
            it.address,
            str(DEVICE_ID),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(50):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()[-2000:]
        found = json.loads(out.splitlines()[-1])
        wrong = []
        for point in FACTS.points:
            value, wanted = found.get(point.id), expected(point, it.store.get(point.index).value)
            if point.kind in (Kind.TIME, Kind.BINARY, Kind.MULTISTATE):
                # BAC0 turns these into words of its own
                same = value is not None
            else:
                same = value == wanted or (
                    isinstance(wanted, float) and math.isclose(float(value), wanted, rel_tol=1e-6)
                )
            if not same:
                wrong.append(f"{point.id}: {value}, expected {wanted}")

    assert wrong == []
