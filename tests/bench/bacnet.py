"""
P5: CPU per BACnet request and per reported change, objects against memory and start, beside the stock server.

Both servers stand on one core and are asked in turn, so that what the machine does meanwhile falls on both; the client
has the other core. CPU is what the scheduler counted for the server's threads.
"""

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import uvloop

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.ports import SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.bacnet.cov import CovEngine, CovLimits
from bridge.projections.bacnet.cov import Peer as CovPeer
from bridge.projections.bacnet.model import Catalogue, DeviceModel
from bridge.workers.worker import Timing
from tests.bench.table import Table
from tests.support.bacnet_client import confirmed, read, read_many, subscribe
from tests.support.bacnet_site import plan_of, spec_of
from tests.support.modbus_site import device
from tests.support.workers import running, status

OUR_PORT, STOCK_PORT = 24060, 24061
STOCK = Path(__file__).with_name("bacnet_stock.py")
# What a datagram in and one out cost by themselves.
ECHO = Path(__file__).with_name("udp_echo.c")
ROUNDS = 9
REQUESTS, STOCK_REQUESTS = 3000, 150
POLLED = 20
CHANGES = 2000
T = TypeVar("T")
PATIENT = Timing(ready_s=60, ping_s=1, hung_s=20, good_run_s=1, stop_s=3, term_s=3)
READ = confirmed(1, 12, read(0, 1, 85))
POLL = confirmed(1, 14, b"".join(read_many(0, n + 1, 85, 111) for n in range(POLLED)))
# Under way at once in the rows that say so: the cost of waking up falls on all of them.
AT_ONCE = 16
ASKED = (("read", READ, 1), ("poll", POLL, 1), ("reads", READ, AT_ONCE), ("polls", POLL, AT_ONCE))


@dataclass(frozen=True)
class Peer:
    """A server that is measured. `process`: where the benchmark itself started it."""

    pid: int
    port: int
    process: subprocess.Popen[bytes] | None = None


def site(meters: int, points: int) -> SiteFacts:
    made = [
        PointDef(m * points + p, f"m{m}.p{p}", Kind.ANALOG, "V", stale_after_ns=10**15)
        for m in range(meters)
        for p in range(points)
    ]
    return SiteFacts("bench", made, [device(m) for m in range(meters)])


def store_of(facts: SiteFacts) -> PointStore:
    store = PointStore(facts.points, facts.devices)
    store.publish([(p.index, Sample(230.0, Quality.GOOD, 1, 1)) for p in facts.points])
    return store


def cpu_ns(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def talk(sock: socket.socket, request: bytes, count: int, at_once: int = 1) -> None:
    for _ in range(count // at_once):
        for _ in range(at_once):
            sock.send(request)
        for _ in range(at_once):
            sock.recv(2000)


def socket_to(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sock.settimeout(5)
    return sock


def reads(peers: dict[str, Peer]) -> dict[tuple[str, str], list[float]]:
    """CPU us per request, by server and request, one figure per round."""
    counts = {"ours": REQUESTS, "stock": STOCK_REQUESTS, "echo": REQUESTS}
    socks = {name: socket_to(peer.port) for name, peer in peers.items()}
    found: dict[tuple[str, str], list[float]] = {}
    for sock in socks.values():
        talk(sock, READ, 48)
        talk(sock, POLL, 5)
    for _ in range(ROUNDS):
        for what, request, at_once in ASKED:
            for name, peer in peers.items():
                wanted = counts[name] // (10 if name == "stock" and request is POLL else 1)
                count = max(wanted // at_once, 1) * at_once
                before = cpu_ns(peer.pid)
                talk(socks[name], request, count, at_once)
                found.setdefault((name, what), []).append((cpu_ns(peer.pid) - before) / count / 1000)
    for sock in socks.values():
        sock.close()
    return found


async def stock_changes(peer: Peer) -> float:
    """CPU us of the library's server per changed point with a notification for it."""
    sock, count, rounds = socket_to(peer.port), 16, 20
    for n in range(count):
        sock.send(confirmed(1, 5, subscribe(n, 0, n + 1)))
        for _ in range(2):
            await asyncio.to_thread(sock.recv, 2000)
    before = cpu_ns(peer.pid)
    for _ in range(rounds):
        assert peer.process is not None
        assert peer.process.stdin is not None
        peer.process.stdin.write(b"%d\n" % count)
        peer.process.stdin.flush()
        for _ in range(count):
            await asyncio.to_thread(sock.recv, 2000)
    sock.close()
    return (cpu_ns(peer.pid) - before) / (rounds * count) / 1000


async def changes(store: PointStore, pid: int, subscribed: bool) -> list[float]:
    """CPU us of the worker per changed point, with or without a notification for it, one figure per round."""
    sock = socket_to(OUR_PORT)
    count = 16
    for n in range(count if subscribed else 0):
        sock.send(confirmed(1, 5, subscribe(n, 0, n + 1)))
        for _ in range(2):
            await asyncio.to_thread(sock.recv, 2000)
    sock.setblocking(False)
    figures = []
    value = 0.0
    for _ in range(ROUNDS):
        before = cpu_ns(pid)
        for _ in range(CHANGES // count):
            value += 10.0
            store.publish([(n, Sample(value, Quality.GOOD, 1, 1)) for n in range(count)])
            await asyncio.sleep(0.006)
            while subscribed:
                try:
                    sock.recv(2000)
                except BlockingIOError:
                    break
        figures.append((cpu_ns(pid) - before) / (CHANGES // count * count) / 1000)
    sock.close()
    return figures


def reported() -> list[float]:
    """CPU us of a stored sample and the datagram that tells of it, in this process: what the link costs is left out."""
    facts = site(10, 80)
    catalogue = Catalogue(plan_of(facts), store_of(facts))
    catalogue.load()
    now, count, rounds = [0.0], 16, 200
    engine = CovEngine(catalogue, lambda: now[0], CovLimits(), lambda: True, lambda _, call: call())
    device = DeviceModel(catalogue, 1001, range(len(facts.points)))
    figures: list[float] = []
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sink, socket_to(9) as out:
        sink.bind(("127.0.0.1", 0))
        out.connect(sink.getsockname())
        peer = CovPeer("bench", lambda apdu, _: _sent(out, apdu))
        for n in range(count):
            wanted = engine.subscribe(peer, device, n, n, None, confirmed=False, lifetime_s=0, increment=None)
            engine.report(wanted)
        for _ in range(ROUNDS):
            before = time.thread_time()
            for _ in range(rounds):
                now[0] += 1.0
                catalogue.update([(n, Sample(10.0 * now[0], Quality.GOOD, 1, 1)) for n in range(count)])
            figures.append((time.thread_time() - before) / (rounds * count) * 1e6)
    return figures


def _sent(out: socket.socket, apdu: bytes) -> None:
    out.send(apdu)


async def with_worker(facts: SiteFacts, use: Callable[[PointStore, int, float], Awaitable[T]]) -> T:
    """Run the worker; `use` gets its store, its pid and the seconds until it was ready."""
    store, spec = store_of(facts), spec_of(facts, OUR_PORT)
    begun = time.perf_counter()
    async with running(store, [spec], PATIENT, wait_ready=False) as supervisor:
        while not any(s.state.value == "ready" for s in supervisor.statuses()):  # noqa: ASYNC110 - another process, no event of ours
            await asyncio.sleep(0.01)
        return await use(store, status(supervisor, "bacnet").pid, time.perf_counter() - begun)


async def latency(store: PointStore) -> float:
    """p99 in ms from the store to the subscriber's socket, at 1,000 changes a second."""
    loop, sock = asyncio.get_running_loop(), socket_to(OUR_PORT)
    for n in range(16):
        sock.send(confirmed(1, 5, subscribe(100 + n, 0, n + 1)))
        for _ in range(2):
            await asyncio.to_thread(sock.recv, 2000)
    sock.setblocking(False)
    took: list[float] = []
    value = 1e6
    for _ in range(200):
        value += 10.0
        begun = loop.time()
        store.publish([(n, Sample(value, Quality.GOOD, 1, 1)) for n in range(16)])
        for _ in range(16):
            await loop.sock_recv(sock, 2000)
            took.append(loop.time() - begun)
        await asyncio.sleep(max(0.0, 0.016 - (loop.time() - begun)))
    sock.close()
    return sorted(took)[len(took) * 99 // 100] * 1000


async def asking(stock: Peer, echo: Peer) -> list[tuple[str, ...]]:
    cores = sorted(os.sched_getaffinity(0))

    async def use(store: PointStore, pid: int, _: float) -> list[tuple[str, ...]]:
        for each in (pid, stock.pid, echo.pid):
            os.sched_setaffinity(each, {cores[-1]})
        os.sched_setaffinity(0, {cores[0]})
        found = await asyncio.to_thread(reads, {"ours": Peer(pid, OUR_PORT), "stock": stock, "echo": echo})
        quiet, told = await changes(store, pid, False), await changes(store, pid, True)
        stock_told = await stock_changes(stock)
        for each in (0, pid):
            os.sched_setaffinity(each, set(cores))
        late_ms = await latency(store)

        def shown(rounds: list[float]) -> str:
            return f"{statistics.median(rounds):.1f} (min {min(rounds):.1f})"

        def row(what: str, name: str, target: str) -> tuple[str, ...]:
            figures = (shown(found[server, name]) for server in ("ours", "echo", "stock"))
            return (f"{what}, CPU us", *figures, target)

        poll = f"ReadPropertyMultiple {POLLED} x 2"
        return [
            row("ReadProperty", "read", "12"),
            row(f"ReadProperty, {AT_ONCE} under way", "reads", "12"),
            row(poll, "poll", "20"),
            row(f"{poll}, {AT_ONCE} under way", "polls", "20"),
            ("change nobody watches, CPU us", shown(quiet), "", "", ""),
            ("update + COV unconfirmed with its datagram, CPU us", shown(reported()), "", "", "10"),
            (
                "the same with the link from the core, 16 changes a frame, CPU us",
                shown(told),
                "",
                f"{stock_told:.0f}",
                "",
            ),
            ("store to notification at 1,000/s, p99 ms", f"{late_ms:.1f}", "", "", "20"),
        ]

    return await with_worker(site(10, 80), use)


async def sizes() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for meters, target in ((100, "0.5 s, 45 MB"), (1000, "1 s, 60 MB")):

        async def use(_: PointStore, pid: int, ready_s: float) -> tuple[float, float]:
            return ready_s, psutil.Process(pid).memory_info().rss / 1e6

        ready_s, rss = await with_worker(site(meters, 80), use)
        rows.append((f"{meters * 80:,} objects: ready, RSS", f"{ready_s:.2f} s, {rss:.0f} MB", "", "", target))
    return rows


def stock_size() -> str:
    begun = time.perf_counter()
    command = [sys.executable, str(STOCK), str(STOCK_PORT), "8000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            return f"{time.perf_counter() - begun:.2f} s, {psutil.Process(process.pid).memory_info().rss / 1e6:.0f} MB"
        finally:
            process.kill()


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/udp_echo"
        subprocess.run(["cc", "-O2", str(ECHO), "-o", program], check=True)
        commands = [[sys.executable, str(STOCK), str(STOCK_PORT), "100"], [program]]
        peers = [subprocess.Popen(c, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for c in commands]
        try:
            said = []
            for peer in peers:
                assert peer.stdout is not None
                said.append(peer.stdout.readline())
            stock, echo = Peer(peers[0].pid, STOCK_PORT, peers[0]), Peer(peers[1].pid, int(said[1]))
            rows = uvloop.run(asking(stock, echo))
        finally:
            for peer in peers:
                peer.kill()
                peer.communicate()
    rows += uvloop.run(sizes())
    rows[-2] = (*rows[-2][:3], stock_size(), rows[-2][4])
    return Table(
        "BACnet/IP",
        ("what", "ours", "empty UDP echo in C", "bacpypes3's own server", "target"),
        rows,
        "Worker process on uvloop; all servers pinned to one core and asked in turn, median of "
        f"{ROUNDS} rounds. With one request under way every server sleeps and wakes for each: the echo in C shows what "
        "that costs on this machine, and no server can have less. Ready and RSS contain the whole worker: interpreter, "
        "libraries, point list over the link, probe; the mapping is projected before. A change contains what the link "
        "and the point image cost.",
    )


if __name__ == "__main__":
    sys.stdout.write(run().markdown() + "\n")
