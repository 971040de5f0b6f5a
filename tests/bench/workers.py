"""`python -m tests.bench.workers`: CPU, latency and memory of the link between core and workers."""

import asyncio
import os
import time
from collections.abc import Sequence

import psutil
import uvloop

from bridge.core.clock import SystemClock
from bridge.core.point import Batch, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.workers.feed import FEED_INTERVAL_S
from bridge.workers.supervisor import Supervisor
from bridge.workers.worker import Timing
from tests.support.workers import ROOT, EchoClient, all_ready, definition, echo, services, until

PORT = 20220
POINTS = 8000
SECONDS = 3.0
CLOCK = SystemClock()


async def publish(store: PointStore, rate: int, batch: int, count: int) -> float:
    """Publish `count` changes at `rate` per second in batches. Return our CPU, seconds."""
    loop, sent = asyncio.get_running_loop(), 0
    begun, cpu = loop.time(), time.process_time()
    while sent < count:
        await asyncio.sleep(0)
        due = min(int((loop.time() - begun) * rate), count)
        if due - sent < batch:
            await asyncio.sleep(max(batch / rate, 0.001))
            continue
        while due - sent >= batch:
            now_ns = CLOCK.utc_ns()
            at = sent % POINTS
            made: Batch = [
                ((at + i) % POINTS, Sample(sent + i + 0.5, Quality.GOOD, now_ns, sent)) for i in range(batch)
            ]
            store.publish(made)
            sent += batch
    return time.process_time() - cpu


async def figures(clients: Sequence[EchoClient]) -> list[list[int]]:
    return [[int(word) for word in (await client.ask("SUM")).split()] for client in clients]


async def measure(workers: int, rate: int, batch: int, interval_s: float) -> str:
    count = int(rate * SECONDS) // batch * batch
    bare = PointStore([definition(i) for i in range(POINTS)])
    base = await publish(bare, rate, batch, count)
    store = PointStore([definition(i) for i in range(POINTS)])
    supervisor = Supervisor(store, services(store), Timing(), interval_s)
    task = asyncio.ensure_future(supervisor.run([echo(f"e{n}", PORT + n, range(POINTS)) for n in range(workers)]))
    await until(lambda: all_ready(supervisor, workers))
    clients = [await EchoClient.connect(PORT + n) for n in range(workers)]
    await figures(clients)
    before = await figures(clients)
    cpu = await publish(store, rate, batch, count)
    await asyncio.sleep(0.2)
    after = await figures(clients)
    child = [(a[1] - b[1]) / max(a[0] - b[0], 1) for a, b in zip(after, before, strict=True)]
    got = min(a[0] - b[0] for a, b in zip(after, before, strict=True))
    behind = sum(s.points_behind for s in supervisor.statuses())
    for client in clients:
        await client.close()
    supervisor.stop()
    await task
    return (
        f"{workers:7} {rate:6} {batch:5} {interval_s * 1000:4.0f} | {base / count * 1e6:7.2f}"
        f" {cpu / count * 1e6:7.2f} {(cpu - base) / count * 1e6:7.2f} | {sum(child) / len(child):6.2f}"
        f" | {max(a[2] for a in after):6} {max(a[3] for a in after):6} | {got}/{count} {behind}"
    )


async def snapshot(points: int) -> str:
    store = PointStore([definition(i) for i in range(points)])
    store.publish([(i, Sample(i + 0.5, Quality.GOOD, 1_700_000_000_000_000_000 + i, i)) for i in range(points)])
    me = psutil.Process()
    rss, cpu, begun = me.memory_info().rss, time.process_time(), time.perf_counter()
    supervisor = Supervisor(store, services(store))
    task = asyncio.ensure_future(supervisor.run([echo("s", PORT, range(points))]))
    await until(lambda: all_ready(supervisor, 1))
    took, used = time.perf_counter() - begun, time.process_time() - cpu
    child = psutil.Process(supervisor.statuses()[0].pid)
    times = child.cpu_times()
    memory = child.memory_full_info()
    line = (
        f"{points:6} points: ready {took:.3f} s, core CPU {used * 1000:.0f} ms, child CPU "
        f"{(times.user + times.system) * 1000:.0f} ms, child RSS {memory.rss / 2**20:.1f} MB"
        f" (USS {memory.uss / 2**20:.1f}), core RSS {me.memory_info().rss / 2**20:.1f} MB"
        f" (+{(me.memory_info().rss - rss) / 2**20:.1f})"
    )
    supervisor.stop()
    await task
    return line


def say(line: str) -> None:
    print(line, flush=True)


async def main() -> None:
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
    say(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores")
    for points in (10, 8000, 80_000):
        say(await snapshot(points))
    say("workers rate batch ms | core us/sample: bare all link | child us | p50 p99 us | delivered behind")
    for interval_s in (0.0, FEED_INTERVAL_S):
        for workers in (1, 6, 8):
            for rate, batch in (
                (1000, 1),
                (1000, 40),
                (10_000, 1),
                (10_000, 10),
                (10_000, 40),
                (10_000, 100),
            ):
                say(await measure(workers, rate, batch, interval_s))


if __name__ == "__main__":
    uvloop.run(main())
