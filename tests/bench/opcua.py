"""
`python -m tests.bench opcua`: P8, the OPC UA worker at tower and campus size, the library as it comes beside it.

CPU is what the scheduler counted for the server's threads, the link to the core included; the client is on the other
core. Both servers answer the same requests in turn.
"""

import asyncio
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import uvloop
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Sample, Wiring
from bridge.core.ports import SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.opcua.pki import Pki, make_own, thumbprint
from tests.bench.table import Table
from tests.support.opcua_raw import RawClient, browse_request, read_request
from tests.support.opcua_site import spec_of
from tests.support.workers import running, status

OUR_PORT, STOCK_PORT = 26_040, 26_041
METERS, POINTS, CAMPUS = 100, 80, 1000
ROUNDS, NOW_NS = 7, 1_700_000_000_000_000_000
ITEMS, CHANGES = 1000, 20
# the library takes all of the publishing interval for as many
PUBLISHING_MS = 250.0
# shortest publishing interval of the measured server, for P9; the default is 100
FAST_MS = 5


def facts(meters: int) -> SiteFacts:
    devices = [
        DeviceDef(f"m{n}", "toy", "Toy", "T1", "lan", 1, False, Wiring.FOUR_WIRE, Nominal(), {}, "s.yaml:1")
        for n in range(1, meters + 1)
    ]
    points = [
        PointDef((n - 1) * POINTS + p, f"m{n}.p{p}", Kind.ANALOG, "V", low=0.0, high=1000.0, stale_after_ns=10**15)
        for n in range(1, meters + 1)
        for p in range(POINTS)
    ]
    return SiteFacts("tower", points, devices)


def store_of(site: SiteFacts) -> PointStore:
    store = PointStore(site.points, site.devices)
    store.publish([(d.index, Sample(230.0 + d.index, Quality.GOOD, NOW_NS, 1)) for d in site.points])
    return store


def cpu_ns(pid: int) -> int:
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


def per_request(pid: int, ask: Callable[[], object], count: int) -> float:
    """CPU us of one request, median of the rounds; the first answers are not counted."""
    found = []
    for _ in range(max(3, count // 10)):
        ask()
    for _ in range(ROUNDS):
        before = cpu_ns(pid)
        for _ in range(count):
            ask()
        found.append((cpu_ns(pid) - before) / count / 1000)
    return statistics.median(found)


def plain(port: int, pid: int, count: int) -> dict[str, float]:
    found = {}
    with RawClient(port) as client:
        client.session()
        for size in (1, 100, 1000):
            body = client.encoded(read_request([f"m{i // POINTS + 1}.p{i % POINTS}" for i in range(size)], 0))
            found[f"Read x{size}"] = per_request(pid, lambda body=body: client.request(body), count)  # type: ignore[misc]
        body = client.encoded(browse_request(["m7"], direction=0, reference=33))
        found["Browse 80"] = per_request(pid, lambda: client.request(body), count)
    return found


class Counter:
    """Data changes that have come."""

    def __init__(self) -> None:
        self.count = 0

    def datachange_notification(self, node: Any, val: Any, data: Any) -> None:
        self.count += 1


async def per_notification(port: int, pid: int, change: Callable[[int], None]) -> float:
    """CPU us of the server for one changed value that one client has subscribed to."""
    handler = Counter()
    async with Client(f"opc.tcp://127.0.0.1:{port}") as client:
        subscription = await client.create_subscription(PUBLISHING_MS, handler)
        nodes = [client.get_node(ua.NodeId(f"m{i // POINTS + 1}.p{i % POINTS}", 2)) for i in range(ITEMS)]
        await subscription.subscribe_data_change(nodes)
        await until(lambda: handler.count >= ITEMS)
        before, had = cpu_ns(pid), handler.count
        for number in range(CHANGES):
            change(number)
            wanted = had + ITEMS * (number + 1)
            await until(lambda wanted=wanted: handler.count >= wanted)  # type: ignore[misc]
        return (cpu_ns(pid) - before) / (ITEMS * CHANGES) / 1000


async def delays(store: PointStore) -> float:
    """P9: p99 in ms of the way from the core to a client in another process, 1,000 changes a second for 5 s."""
    words = [str(number) for number in (OUR_PORT, ITEMS, POINTS, FAST_MS, 6)]
    command = [sys.executable, "-m", "tests.bench.opcua_delays", *words]
    client = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert client.stdout is not None
    await client.stdout.readline()
    for number in range(500):
        first = number * 10 % ITEMS
        stamp = time.time_ns()
        store.publish([(first + i, Sample(float(number), Quality.GOOD, stamp, number)) for i in range(10)])
        await asyncio.sleep(0.01)
    count, p99_ms = (await client.stdout.readline()).split()
    await client.wait()
    assert int(count) > 3000, f"{int(count)} values came"
    return float(p99_ms)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the client counts
            await asyncio.sleep(0.01)


async def secured(folder: Path, pid: int, count: int) -> float:
    """CPU us of a Read of 100 in a signed and encrypted channel."""
    own = Pki(folder / "client")
    client = Client(f"opc.tcp://127.0.0.1:{OUR_PORT}")
    client.application_uri = "urn:bench"
    await client.set_security(
        SecurityPolicyBasic256Sha256, str(own.certificate), str(own.key), mode=ua.MessageSecurityMode.SignAndEncrypt
    )
    found = []
    async with client:
        params = read_request([f"m{i // POINTS + 1}.p{i % POINTS}" for i in range(100)]).Parameters
        for _ in range(ROUNDS):
            before = cpu_ns(pid)
            for _ in range(count):
                await client.uaclient.read(params)
            found.append((cpu_ns(pid) - before) / count / 1000)
    return statistics.median(found)


def client_papers(folder: Path, state: Path) -> None:
    own = Pki(folder / "client")
    own.prepare()
    make_own(own, "urn:bench", "bench", ("localhost",), datetime.datetime.now(datetime.UTC))
    der = own.certificate.read_bytes()
    trusted = state / "pki" / "trusted"
    trusted.mkdir(parents=True)
    (trusted / f"{thumbprint(der)}.der").write_bytes(der)


async def started(site: SiteFacts, state: Path) -> tuple[float, float]:
    """Seconds until ready and MB, with the file of namespace 0 in place as after any first start."""
    await asyncio.sleep(0)
    begun = time.perf_counter()
    async with running(store_of(site), [spec_of(site, OUR_PORT, state)]) as supervisor:
        ready = time.perf_counter() - begun
        rss = psutil.Process(status(supervisor, "opcua").pid).memory_info().rss / 1e6
    return ready, rss


async def ours(folder: Path) -> dict[str, float]:
    site, state = facts(METERS), folder / "state"
    client_papers(folder, state)
    await started(facts(1), state)
    found: dict[str, float] = {}
    found["ready, s"], found["RSS, MB"] = await started(site, state)
    store = store_of(site)
    async with running(store, [spec_of(site, OUR_PORT, state, limits={"publishing_ms": FAST_MS})]) as supervisor:
        pid = pin(status(supervisor, "opcua").pid)
        found |= await asyncio.to_thread(plain, OUR_PORT, pid, 300)
        found["Read x100, SignAndEncrypt"] = await secured(folder, pid, 100)

        def change(number: int) -> None:
            values = [(i, Sample(float(number + i), Quality.GOOD, NOW_NS + number, number)) for i in range(ITEMS)]
            store.publish(values)

        found["notification"] = await per_notification(OUR_PORT, pid, change)
        found["core to the client's socket, p99, ms (P9)"] = await delays(store)
    found["80,000 points: ready, s"], found["80,000 points: RSS, MB"] = await started(facts(CAMPUS), state)
    return found


def pin(pid: int) -> int:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(pid, {cores[-1]})
    return pid


async def stock() -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.opcua_stock", str(STOCK_PORT), str(METERS), str(POINTS)]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220 - a benchmark
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        await asyncio.to_thread(process.stdout.readline)
        found = {"ready, s": time.perf_counter() - begun}
        found["RSS, MB"] = psutil.Process(process.pid).memory_info().rss / 1e6
        pin(process.pid)
        found |= await asyncio.to_thread(plain, STOCK_PORT, process.pid, 15)
        pipe = process.stdin

        def change(_: int) -> None:
            pipe.write(f"{ITEMS}\n".encode())
            pipe.flush()

        found["notification"] = await per_notification(STOCK_PORT, process.pid, change)
        return found
    finally:
        process.kill()
        process.communicate()


TARGETS = {
    "Read x100": 130.0,
    "Read x100, SignAndEncrypt": 200.0,
    "notification": 10.0,
    "core to the client's socket, p99, ms (P9)": 20.0,
    "ready, s": 1.0,
    "RSS, MB": 80.0,
    "80,000 points: ready, s": 2.0,
    "80,000 points: RSS, MB": 120.0,
}


def run() -> Table:
    with tempfile.TemporaryDirectory() as name:
        mine = uvloop.run(ours(Path(name)))
    peer = uvloop.run(stock())
    rows = []
    for key, value in mine.items():
        unit = "" if any(word in key for word in ("ready", "RSS", " ms")) else " us"
        beside = f"{peer[key]:.2f}{unit}" if key in peer else "-"
        target = f"<= {TARGETS[key]:g}" if key in TARGETS else "-"
        rows.append((key, f"{value:.2f}{unit}", beside, target))
    note = (
        f"{METERS} meters x {POINTS} points, one client. CPU of the worker process per request or notification, its "
        "link to the core included; asyncua 2.1.0 as it comes beside it in the same run. Ready: from the start of the "
        "supervisor to the first answer of the listener to the worker's own question."
    )
    return Table("OPC UA server (P8)", ("what", "ours", "asyncua as it comes", "target"), rows, note)


if __name__ == "__main__":
    sys.stdout.write(run().markdown() + "\n")
