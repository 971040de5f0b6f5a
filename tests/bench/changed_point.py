"""CPU of the core per changed point: from a reply's data to the sockets of six workers (BARS P10)."""

import asyncio
import os
import random
import struct
import time

import uvloop

from bridge.config.meter import RegisterType, Table
from bridge.core.clock import SystemClock
from bridge.core.store import PointStore
from bridge.field.modbus.readings import Readings
from bridge.field.modbus.schedule import ReadBlock
from bridge.workers.supervisor import Supervisor
from bridge.workers.worker import Timing
from tests.bench.table import Table as Figures
from tests.support.meters import point
from tests.support.workers import ROOT, all_ready, echo, services, until

PORT = 20240
DEVICES, POINTS, WORKERS = 100, 50, 6
SECONDS = 3.0
# replies a second: 10,000 changed points a second
REPLIES = 200
CLOCK = SystemClock()
BLOCK = ReadBlock(Table.HOLDING, 0, 2 * POINTS, tuple(range(POINTS)))


def site() -> tuple[list[Readings], PointStore]:
    """DEVICES meters of POINTS float32 values each, in one block."""
    devices = [
        [point(device * POINTS + n, 2 * n, RegisterType.FLOAT32, unit="V") for n in range(POINTS)]
        for device in range(DEVICES)
    ]
    readings = [Readings(f"m{n}", points, lambda notice: None) for n, points in enumerate(devices)]
    return readings, PointStore([p.definition for points in devices for p in points])


def replies() -> list[bytes]:
    """Data of replies in which every value differs from the one before."""
    chance = random.Random(7)
    return [struct.pack(f">{POINTS}f", *(chance.uniform(200, 250) for _ in range(POINTS))) for _ in range(97)]


async def poll(readings: list[Readings], store: PointStore | None, data: list[bytes], seconds: float) -> float:
    """Take REPLIES a second, or with no store only wait as long. Return our CPU in us per changed point."""
    count, begun, cpu = int(seconds * REPLIES), time.perf_counter(), time.process_time()
    for n in range(count):
        if store is not None:
            batch, _ = readings[n % DEVICES].take(BLOCK, data[n % len(data)], CLOCK.utc_ns())
            store.publish(batch)
        await asyncio.sleep(max(begun + n / REPLIES - time.perf_counter(), 0))
    return (time.process_time() - cpu) / (count * POINTS) * 1e6


async def main() -> list[list[str]]:
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
    readings, store = site()
    data = replies()
    waiting = await poll(readings, None, data, SECONDS)
    alone = await poll(readings, store, data, SECONDS) - waiting
    supervisor = Supervisor(store, services(store), Timing())
    specs = [echo(f"e{n}", PORT + n, range(DEVICES * POINTS)) for n in range(WORKERS)]
    task = asyncio.ensure_future(supervisor.run(specs))
    await until(lambda: all_ready(supervisor, WORKERS))
    fed = await poll(readings, store, data, SECONDS) - waiting
    supervisor.stop()
    await task
    return [[f"{alone:.2f}", f"{fed - alone:.2f}", f"{fed:.2f}"]]


def run() -> Figures:
    return Figures(
        "Core: cost of one changed point",
        ("decode and publish, us", f"feed of {WORKERS} workers, us", "together, us (bar: 3)"),
        uvloop.run(main()),
        f"{DEVICES} meters of {POINTS} float32 values in one block, {REPLIES} replies a second, all values changed,"
        f" {SECONDS:g} s; CPU of the core process without its waiting.",
    )


if __name__ == "__main__":
    print(run().markdown())
