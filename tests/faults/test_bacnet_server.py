"""The real BACnet worker: killed, flooded, cut off from its core"""

import asyncio
import dataclasses
import os
import signal
import struct
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from bridge.core.alarm import Watched
from bridge.core.history import Recorded
from bridge.core.point import Sample
from bridge.core.quality import Quality
from tests.support.bacnet_client import Client, confirmed, read, subscribe, value_of
from tests.support.bacnet_site import DEVICE_ID, place_of, plan_of, site, spec_of
from tests.support.modbus_site import NOW_NS, store_of
from tests.support.modbus_site import spec_of as modbus_spec_of
from tests.support.workers import QUICK, running, spare_ports, status

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
FACTS = site(3)
PLAN = plan_of(FACTS)
VOLTAGE = place_of(PLAN, FACTS, "m1.voltage_l1")
# BARS R9
MOST_BACK_S = 3.0

FLOOD = textwrap.dedent(
    """
    import socket, sys
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.2", 0))
    sock.connect(("127.0.0.1", int(sys.argv[1])))
    request = bytes.fromhex("810a001101040275010c0c000000011955")
    print("on", flush=True)
    while True:
        sock.send(request)
    """
)


async def answered(client: Client, timeout_s: float) -> bytes:
    """Ask until there is an answer."""
    async with asyncio.timeout(timeout_s):
        while True:
            reply = await client.call(confirmed(1, 12, read(*VOLTAGE, 85)), 0.2)
            if reply:
                return value_of(reply)


# BARS R9
async def test_a_killed_worker_is_back_with_the_same_objects_and_values() -> None:
    store, port = store_of(FACTS), spare_ports(1)
    async with running(store, [spec_of(FACTS, port)], QUICK) as supervisor, Client.open(port) as client:
        before = await answered(client, 5)
        listed = await client.call(confirmed(1, 12, read(8, DEVICE_ID, 76, 0)))
        os.kill(status(supervisor, "bacnet").pid, signal.SIGKILL)
        begun = time.perf_counter()
        after = await answered(client, MOST_BACK_S)
        took_s = time.perf_counter() - begun
        again = await client.call(confirmed(1, 12, read(8, DEVICE_ID, 76, 0)))

    assert took_s <= MOST_BACK_S
    assert after == before
    assert again == listed


# BARS L3, R4
async def test_a_flood_of_one_peer_leaves_the_others_served() -> None:
    store, port = store_of(FACTS), spare_ports(1)
    spec = spec_of(FACTS, port, listener={"port": port, "peer_rate": 500})
    flood = None
    async with running(store, [spec], QUICK) as supervisor, Client.open(port) as client:
        try:
            command = [sys.executable, "-c", FLOOD, str(port)]
            flood = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            assert flood.stdout is not None
            await flood.stdout.readline()
            # a BACnet client asks three times before it gives up
            served = 0
            for _ in range(20):
                for _ in range(3):
                    if await client.call(confirmed(1, 12, read(*VOLTAGE, 85)), 0.5):
                        served += 1
                        break
            await asyncio.sleep(0.5)
            counters, starts = status(supervisor, "bacnet").counters, status(supervisor, "bacnet").starts
        finally:
            if flood is not None:
                flood.kill()
                await flood.wait()

    assert served == 20
    assert starts == 1
    assert counters["datagrams_dropped"] > 0


# BARS L3: somebody else's server beside a BACnet server that is flooded
@pytest.mark.slow
async def test_a_flood_of_bacnet_leaves_the_modbus_server_its_answers() -> None:
    store, port = store_of(FACTS), spare_ports(2)
    specs = [spec_of(FACTS, port, listener={"port": port, "peer_rate": 60_000}), modbus_spec_of(FACTS, port + 1)]
    async with running(store, specs, QUICK) as supervisor:
        reader, writer = await asyncio.open_connection("127.0.0.1", port + 1)
        flood = await asyncio.create_subprocess_exec(sys.executable, "-c", FLOOD, str(port), stdout=subprocess.PIPE)
        try:
            assert flood.stdout is not None
            await flood.stdout.readline()
            took = []
            for _ in range(200):
                began = time.perf_counter()
                writer.write(b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x02")
                async with asyncio.timeout(5):
                    await reader.readexactly(7)
                    await reader.read(100)
                took.append(time.perf_counter() - began)
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.6)
            requests = status(supervisor, "bacnet").counters["requests"]
        finally:
            flood.kill()
            await flood.wait()
            writer.close()

    took.sort()
    # the machine may be busy with other tests: the bound is for starvation, the figure for the reader
    print(f"beside {requests} flooding requests: p50 {took[100] * 1e3:.2f} ms, p99 {took[197] * 1e3:.2f} ms")  # noqa: T201
    assert requests > 2000
    assert took[197] < 0.2


# BARS L5
@pytest.mark.slow
@pytest.mark.parametrize(
    ("meters", "layout", "most_mb", "ready_s"),
    [(100, "one-device", 60, 5), (1000, "one-device", 130, 20), (100, "device-per-meter", 80, 5)],
)
async def test_a_large_site_is_served_soon_and_in_little_memory(
    meters: int, layout: str, most_mb: int, ready_s: int
) -> None:
    plain = site(meters, 60)
    energies = [point.index for point in plain.points if point.name.startswith("active_energy")]
    facts = dataclasses.replace(
        plain,
        recorded=dict.fromkeys(energies, Recorded(900.0, 3360)),
        watched={point.index: Watched(160, 250.0) for point in plain.points if point.name == "voltage_l1"},
        lossy={device.id: 160 for device in plain.devices},
    )
    port = spare_ports(1)
    spec = spec_of(facts, port, layout=layout, network={"number": 2000, "virtual_number": 2001})
    patient = dataclasses.replace(QUICK, ready_s=60, hung_s=60)
    async with running(store_of(facts), [spec], patient) as supervisor, Client.open(port) as client:
        worker = status(supervisor, "bacnet")
        rss_mb = psutil.Process(worker.pid).memory_info().rss >> 20
        reply = await client.call(confirmed(1, 12, read(8, DEVICE_ID, 76, 0)))

    print(f"{meters} meters, {layout}: ready after {worker.ready_after_s:.1f} s, {rss_mb} MB")  # noqa: T201
    assert reply[0] == 0x30
    assert worker.ready_after_s <= ready_s
    assert rss_mb <= most_mb


# BARS P9
@pytest.mark.slow
async def test_changes_reach_a_subscriber_soon() -> None:
    store, port, took = store_of(FACTS), spare_ports(1), list[float]()
    index = next(point.index for point in FACTS.points if point.id == "m1.voltage_l1")
    async with running(store, [spec_of(FACTS, port)], QUICK), Client.open(port) as client:
        await client.call(confirmed(1, 5, subscribe(1, *VOLTAGE)))
        await client.drain(0.3)

        async def publish() -> None:
            for step in range(1500):
                sent[step] = time.perf_counter()
                store.publish([(index, Sample(1000.0 + step, Quality.GOOD, NOW_NS, step))])
                await asyncio.sleep(0.001)

        sent: dict[int, float] = {}
        publishing = asyncio.ensure_future(publish())
        while len(took) < 600:
            note = await client.receive()
            at = note.index(b"\x2e\x44") + 2
            step = int(struct.unpack(">f", note[at : at + 4])[0]) - 1000
            took.append(time.perf_counter() - sent[step])
        publishing.cancel()

    took.sort()
    print(f"{len(took)} changes: p50 {took[300] * 1e3:.1f} ms, p99 {took[594] * 1e3:.1f} ms")  # noqa: T201
    # the figure is for the reader, the bound for starvation: the machine may be busy with other tests
    assert took[594] < 0.3
