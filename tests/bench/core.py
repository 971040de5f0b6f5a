"""CPU of the core per changed point, from the reply to the workers (BARS P10)."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence

import uvloop

from bridge.config.meter import PollClass, RegisterType
from bridge.config.model import FieldPoint
from bridge.core.clock import SystemClock
from bridge.core.point import Batch, Kind
from bridge.core.store import PointStore
from bridge.field.modbus.planner import ReadCost
from bridge.field.modbus.readings import Readings
from bridge.field.modbus.schedule import DevicePlan, ReadBlock
from bridge.link import codec, wire
from bridge.modbus.timing import LineTiming
from bridge.services.staleness import Staleness
from bridge.workers.supervisor import Supervisor
from tests.bench.table import Table
from tests.support.meters import device, point
from tests.support.workers import ROOT, all_ready, echo, services, until

PORT = 20260
METERS, POINTS = 100, 80
ROUNDS = 12
WORKERS = 6
# changed points per second while workers are fed
RATES = (10_000, 40_000)
SECONDS = 3.0
CLOCK = SystemClock()
Replies = Sequence[tuple[Readings, ReadBlock, tuple[bytes, bytes]]]


def meter(first: int) -> list[FieldPoint]:
    """A meter as they are: 60 float32, 12 scaled int32, 8 energies of 64 bits."""
    points = [point(first + n, 2 * n, RegisterType.FLOAT32, low=-1e9, high=1e9) for n in range(60)]
    points += [point(first + n, 2 * n, RegisterType.INT32) for n in range(60, 72)]
    energies = range(72, POINTS)
    kind, poll = Kind.ACCUMULATOR, PollClass.FAST
    return points + [
        point(first + n, 200 + 4 * (n - 72), RegisterType.UINT64, poll, kind=kind, resolution=-2) for n in energies
    ]


def tower() -> tuple[list[FieldPoint], Replies]:
    """Two different replies for each block, so that every point changes every time."""
    everything: list[FieldPoint] = []
    replies: list[tuple[Readings, ReadBlock, tuple[bytes, bytes]]] = []
    for n in range(METERS):
        points = meter(n * POINTS)
        everything += points
        built = device(points, n % 240 + 1)
        plan = DevicePlan(built, ReadCost(LineTiming(9600, 10)))
        readings = Readings(built.definition.id, points, lambda notice: None)
        for block in plan.blocks(frozenset(plan.groups)):
            both = [bytes((0x43, k)) * (block.count // 2) + bytes((0, k)) * (block.count % 2) for k in (0x66, 0x67)]
            high = [bytes((0, k)) * block.count for k in (1, 2)] if block.address >= 200 else both
            replies.append((readings, block, (high[0].ljust(2 * block.count), high[1].ljust(2 * block.count))))
    return everything, replies


def take(replies: Replies, publish: Callable[[Batch], None]) -> tuple[float, int]:
    """Return CPU seconds and points of all replies, several times over."""
    cpu, count = time.process_time(), 0
    for turn in range(ROUNDS):
        for readings, block, data in replies:
            batch, _ = readings.take(block, data[turn & 1], CLOCK.utc_ns())
            publish(batch)
            count += len(batch)
    return time.process_time() - cpu, count


def best(replies: Replies, publish: Callable[[Batch], None]) -> float:
    """Return the least us per point of three runs: what the machine's other work does not blur."""
    runs = [take(replies, publish) for _ in range(3)]
    return min(seconds / count * 1e6 for seconds, count in runs)


async def feed_workers(everything: list[FieldPoint], replies: Replies, rate: int) -> float:
    """Return us of CPU per changed point with six workers that have them all."""
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
    store = PointStore([p.definition for p in everything])
    staleness = Staleness(store, CLOCK)
    supervisor = Supervisor(store, services(store))
    indexes = [p.definition.index for p in everything]
    task = asyncio.ensure_future(supervisor.run([echo(f"e{n}", PORT + n, indexes) for n in range(WORKERS)]))
    await until(lambda: all_ready(supervisor, WORKERS))
    loop, sent, turn = asyncio.get_running_loop(), 0, 0
    begun, cpu = loop.time(), time.process_time()
    while loop.time() - begun < SECONDS:
        for readings, block, data in replies:
            batch, _ = readings.take(block, data[turn & 1], CLOCK.utc_ns())
            store.publish(batch)
            sent += len(batch)
            ahead_s = sent / rate - (loop.time() - begun)
            if ahead_s > 0.001:
                await asyncio.sleep(ahead_s)
        turn += 1
    await asyncio.sleep(0.1)
    used = time.process_time() - cpu
    staleness.close()
    supervisor.stop()
    await task
    return used / sent * 1e6


def run() -> Table:
    everything, replies = tower()
    definitions = [p.definition for p in everything]
    bare = PointStore(definitions)
    decode = best(replies, lambda batch: None)
    publish = best(replies, bare.publish)
    watched = PointStore(definitions)
    Staleness(watched, CLOCK)
    stale = best(replies, watched.publish)

    def encoded(batch: Batch) -> None:
        watched.publish(batch)
        codec.encode(wire.Changes(batch))

    once = best(replies, encoded)
    steps = (
        ("decode", 0.0, decode),
        ("publish", decode, publish),
        ("staleness", publish, stale),
        ("encode once", stale, once),
    )
    rows = [[name, f"{total - before:.2f}", f"{total:.2f}"] for name, before, total in steps]
    for rate in RATES:
        fed = uvloop.run(feed_workers(everything, replies, rate))
        rows.append([f"{WORKERS} workers at {rate}/s", "", f"{fed:.2f}"])
    note = f"{METERS} meters of {POINTS} points, {len(replies)} blocks, all changing; the bar is 3 with six workers."
    return Table("Core, step by step (P10)", ("until", "this step, CPU us per changed point", "all so far"), rows, note)
