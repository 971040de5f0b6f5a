"""CPU and latency of the link between core and workers."""

import asyncio
import os
import time
from collections.abc import Sequence

import uvloop

from bridge.core.clock import SystemClock
from bridge.core.point import Batch, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.workers.feed import FEED_INTERVAL_S
from bridge.workers.supervisor import Supervisor
from bridge.workers.worker import Timing
from tests.bench.table import Table
from tests.support.workers import ROOT, EchoClient, all_ready, definition, echo, services, until

PORT = 20220
POINTS = 8000
SECONDS = 3.0
CLOCK = SystemClock()
# (samples per second, samples per publish)
LOADS = ((1000, 1), (1000, 40), (10_000, 10), (10_000, 100))


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


async def measure(workers: int, rate: int, batch: int, interval_s: float) -> list[str]:
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
    return [
        str(workers),
        str(rate),
        str(batch),
        f"{base / count * 1e6:.2f}",
        f"{cpu / count * 1e6:.2f}",
        f"{(cpu - base) / count * 1e6:.2f}",
        f"{sum(child) / len(child):.2f}",
        str(max(a[2] for a in after)),
        str(max(a[3] for a in after)),
        f"{got} of {count}",
        str(behind),
    ]


async def main() -> list[list[str]]:
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
    return [await measure(workers, rate, batch, FEED_INTERVAL_S) for workers in (1, 6) for rate, batch in LOADS]


def run() -> Table:
    return Table(
        "Link between the core and its workers: cost per sample",
        (
            "workers",
            "samples/s",
            "batch",
            "core CPU bare, us",
            "with the workers, us",
            "the link alone, us",
            "one worker, us",
            "age p50, us",
            "age p99, us",
            "delivered",
            "points behind",
        ),
        uvloop.run(main()),
        f"{POINTS} points, {SECONDS:g} s each, feed every {FEED_INTERVAL_S * 1000:g} ms."
        " Bare: the store without workers. Age: publish in the core to sample in the worker.",
    )


if __name__ == "__main__":
    print(run().markdown())
