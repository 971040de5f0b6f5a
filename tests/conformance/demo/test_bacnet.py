"""The demo as a BMS sees it, with another maker's client: every point, its history, a meter that falls silent"""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyIdentifier, decode_log_records

from tests.conformance.bacnet import epics
from tests.support.bacnet_client import Client, confirmed, read, value_of
from tests.support.demo import Demo, running_demo

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(180)]
PORT_BASE = 22500
TREND_LOG, ANALOG_INPUT = 20, 0
PRESENT, FLAGS, LOG_BUFFER = (
    PropertyIdentifier.PRESENT_VALUE,
    PropertyIdentifier.STATUS_FLAGS,
    PropertyIdentifier.LOG_BUFFER,
)
FAULT = 0x40
# Log_Buffer, and the error of a ReadProperty of it: property, read-access-denied
OBJECTS, LOG, ONLY_BY_RANGE = 76, 131, b"\x91\x02\x91\x1b"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), PORT_BASE) as running:
        yield running


@pytest.fixture(scope="module")
def objects(demo: Demo) -> Mapping[str, ObjectIdentifier]:
    """Object by name, from the EDE."""
    out = demo.folder / "ede"
    done = demo.bridge("export", "ede", str(demo.site), "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows = csv.reader(io.StringIO((out / "bacnet-EDE.csv").read_text()), delimiter=";")
    return {
        row[2]: ObjectIdentifier(ObjectType.from_raw(int(row[3])), int(row[4]))
        for row in rows
        if len(row) == 16 and row[0][0] != "#"
    }


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - another process, no event of ours
            await asyncio.sleep(0.5)


@asynccontextmanager
async def client_of(demo: Demo) -> AsyncIterator[tuple[BACnetClient, str]]:
    client = BACnetClient(interface="127.0.0.1", port=0, broadcast_address="127.255.255.255")
    async with client:
        yield client, f"127.0.0.1:{demo.server('bacnet')['port']}"


def test_every_point_of_the_demo_equals_the_table_of_the_bridge(demo: Demo) -> None:
    done = demo.bridge("verify", str(demo.site), "--protocol", "bacnet", "--json")
    rows = [row for row in json.loads(done.stdout) if row["protocol"] == "bacnet"]

    assert {row["verdict"] for row in rows} == {"good"}, done.stdout + done.stderr
    assert len(rows) > 250


async def test_the_object_list_of_the_running_demo_is_the_ede(
    demo: Demo, objects: Mapping[str, ObjectIdentifier]
) -> None:
    device = ObjectIdentifier(ObjectType.DEVICE, int(demo.server("bacnet")["device_id"]))
    async with client_of(demo) as (client, at):
        listed = await client.read_property(at, device, PropertyIdentifier.OBJECT_LIST)
        types = await client.read_property(at, device, PropertyIdentifier.PROTOCOL_OBJECT_TYPES_SUPPORTED)

    assert set(map(str, listed.value)) == set(map(str, objects.values()))
    assert types.value["data"][TREND_LOG // 8] & 0x80 >> TREND_LOG % 8


# our EPICS checker over every object of the demo, not one of a kind
async def test_every_object_of_the_demo_has_what_it_must_and_lists_what_it_has(
    demo: Demo, objects: Mapping[str, ObjectIdentifier]
) -> None:
    faults: list[epics.Fault] = []
    async with Client.open(int(demo.server("bacnet")["port"])) as client:

        async def ask(kind: int, instance: int, prop: int) -> bytes:
            # of the list of all objects its size, for it comes in segments
            index = 0 if prop == OBJECTS else None
            reply = b""
            async with asyncio.timeout(20):
                # one peer may not ask more often than the listener's peer_rate; a client asks again
                while not reply:
                    reply = await client.call(confirmed(1, 12, read(kind, instance, prop, index)), 0.3)
            if prop == LOG and reply[3:] == ONLY_BY_RANGE:
                return b"\x00"
            return value_of(reply) or b"\x00" if reply[0] >> 4 == 3 else b""

        for oid in objects.values():
            faults += await epics.object_faults(oid.object_type.to_raw(), oid.instance, ask)

    assert faults == []
    assert len(objects) > 250


async def test_the_history_of_a_power_grows_in_its_trend_log(
    demo: Demo, objects: Mapping[str, ObjectIdentifier]
) -> None:
    log = objects["main.active_power_total.trend"]
    async with client_of(demo) as (client, at):

        async def records() -> list[dict[str, Any]]:
            found = await client.read_range(at, log, LOG_BUFFER)
            assert found["violations"] == []
            return decode_log_records(found)

        async def more_than(count: int) -> bool:
            return len(await records()) > count

        await until(lambda: more_than(2))
        before = await records()
        await until(lambda: more_than(len(before)))
        after = await records()

    assert after[: len(before)] == before
    assert {record["datum"]["kind"] for record in after} == {"real"}


async def test_a_meter_that_falls_silent_is_told_to_a_subscriber_at_once_and_listed(
    demo: Demo, objects: Mapping[str, ObjectIdentifier]
) -> None:
    power = objects["heat-pump.active_power_total"]
    async with client_of(demo) as (client, at):
        notifications = await client.cov_notifications()
        await client.subscribe_cov(at, 9, power, True, 120)

        async def in_fault() -> bool:
            return b"\x19\x01" in await client.get_event_information(at)

        async def sound() -> bool:
            return bool((await client.read_property(at, power, FLAGS)).value["data"] == b"\x00")

        try:
            demo.fault("heat-pump", "dead")
            async with asyncio.timeout(60):
                while True:
                    values = [entry["value"].value for entry in (await anext(notifications)).values]
                    if values[1]["data"][0] & FAULT:
                        break
            await until(in_fault)
        finally:
            demo.fault("heat-pump", None)
        await until(sound)

    assert values[0] is not None
