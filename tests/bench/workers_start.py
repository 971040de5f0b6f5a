"""Time, CPU and memory of starting one worker with its snapshot."""

import asyncio
import os
import time

import psutil
import uvloop

from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.workers.supervisor import Supervisor
from tests.bench.table import Table
from tests.support.workers import ROOT, all_ready, definition, echo, services, until

PORT = 20230


async def snapshot(points: int) -> list[str]:
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
    row = [
        str(points),
        f"{took:.3f}",
        f"{used * 1000:.0f}",
        f"{(times.user + times.system) * 1000:.0f}",
        f"{memory.rss / 2**20:.1f}",
        f"{memory.uss / 2**20:.1f}",
        f"{me.memory_info().rss / 2**20:.1f}",
        f"{(me.memory_info().rss - rss) / 2**20:.1f}",
    ]
    supervisor.stop()
    await task
    return row


async def main() -> list[list[str]]:
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
    return [await snapshot(points) for points in (10, 8000, 80_000)]


def run() -> Table:
    return Table(
        "Start of one worker with the snapshot of its points",
        (
            "points",
            "ready, s",
            "core CPU, ms",
            "worker CPU, ms",
            "worker RSS, MB",
            "worker USS, MB",
            "core RSS, MB",
            "core RSS grown, MB",
        ),
        uvloop.run(main()),
        "An echo projection: no protocol library is loaded.",
    )


if __name__ == "__main__":
    print(run().markdown())
