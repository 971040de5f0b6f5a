"""The real BACnet worker: killed, flooded, cut off from its core"""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests.support.bacnet_client import Client, confirmed, read, value_of
from tests.support.bacnet_site import DEVICE_ID, place_of, plan_of, site, spec_of
from tests.support.modbus_site import store_of
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
