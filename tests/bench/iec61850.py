"""
`python -m tests.bench iec61850`: P7, the tower (100 meters x 80 points) in the real worker.

CPU is what the scheduler counted for all threads of the worker: link, image, checks, library and guard. The read of a
data set stands beside the same read from libiec61850 alone: the same model in a process without link and guard.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
import psutil

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.ports import SiteFacts
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from bridge.core.store import PointStore
from bridge.projections.iec61850.plan import Reports
from bridge.workers.worker import Timing
from tests.bench.table import Table
from tests.support.mms_site import device, points_of, spec_of, store_of
from tests.support.workers import running, spare_ports, status, until

METERS, POINTS = 100, 80
ROUNDS = 3
READS = 2000
# rounds of reads, ours and the library's in turn
READ_ROUNDS = 3
# s in which nothing happens
IDLE_S = 3.0
# changes a second, and for how many seconds, P9
RATE, DELAY_S = 1_000, 8
# s between two batches of a round: the rate of 1,000 changes a second is 0.08 s a meter
_PAUSE_S = 0.002
_MEASURANDS, _EVENTS = frozenset({Kind.ANALOG}), frozenset({Kind.ACCUMULATOR, Kind.BINARY})
_EXTRA = [
    *(f"voltage_l{p}_n_{s}" for p in (1, 2, 3) for s in ("min", "max")),
    *(f"current_l{p}_{s}" for p in (1, 2, 3) for s in ("min", "max", "mean")),
    *(f"active_power_l{p}_{s}" for p in (1, 2, 3) for s in ("min", "max", "mean")),
    *(f"{q}_l{p}" for q in ("reactive_power", "apparent_power", "power_factor") for p in (1, 2, 3)),
    *(f"thd_voltage_l{p}" for p in (1, 2, 3)),
]
_EXTRA_COUNTERS = [f"active_energy_{d}_l{p}" for d in ("import", "export") for p in (1, 2, 3)]


def tower() -> SiteFacts:
    points: list[PointDef] = []
    for number in range(1, METERS + 1):
        mine = points_of(number, len(points))
        for name in (*_EXTRA, *_EXTRA_COUNTERS):
            counter = name in _EXTRA_COUNTERS
            kind, unit = (Kind.ACCUMULATOR, "kWh") if counter else (Kind.ANALOG, "V" if name[0] == "v" else "A")
            made = PointDef(len(points) + len(mine), f"m{number}.{name}", kind, unit, meaning=meaning_of(name))
            mine.append(msgspec.structs.replace(made, stale_after_ns=10**15, resolution=-2 if counter else 0))
        while len(mine) < POINTS:
            at = len(points) + len(mine)
            mine.append(PointDef(at, f"m{number}.spare_{len(mine)}", Kind.ANALOG, "", stale_after_ns=10**15))
        points += mine[:POINTS]
    return SiteFacts("tower", points, [device(number) for number in range(1, METERS + 1)])


def cpu_s(pid: int) -> float:
    """Of every thread of the process, from the scheduler (ns)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total / 1e9


@contextmanager
def spawned(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a module of ours with what it is told."""
    process = subprocess.Popen([sys.executable, "-m", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def clients(port: int, *words: str) -> AbstractContextManager["subprocess.Popen[str]"]:
    return spawned("tests.bench.mms_clients", str(port), *words)


async def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).strip()


async def changes_us(facts: SiteFacts, store: PointStore, pid: int, kinds: frozenset[Kind], shift: int) -> float:
    """Change every point of the kinds, meter by meter; return CPU us of the worker per changed value."""
    wanted: dict[str, list[PointDef]] = {}
    for definition in facts.points:
        if definition.kind in kinds:
            wanted.setdefault(definition.device, []).append(definition)
    count, begin = 0, cpu_s(pid)
    for round_ in range(ROUNDS):
        for points in wanted.values():
            now, step = time.time_ns(), shift + round_
            batch = [(d.index, Sample(changed(d, step), Quality.GOOD, now, 1)) for d in points]
            store.publish(batch)
            count += len(batch)
            await asyncio.sleep(_PAUSE_S)
    await asyncio.sleep(1.0)
    return (cpu_s(pid) - begin) / count * 1e6


def changed(definition: PointDef, step: int) -> float | int | bool:
    match definition.kind:
        case Kind.ANALOG:
            return 100.0 + step + definition.index % 7
        case Kind.ACCUMULATOR:
            return 1000 + step
        case _:
            return step % 2 == 0


async def read_cost(pid: int, port: int, name: str) -> tuple[float, float, str]:
    """Return (CPU us of the worker, ms as the client sees it) of one read, and how many members it has."""
    with clients(port, "read", name, str(READS)) as process:
        begin = cpu_s(pid)
        took_ms, members = (await line_of(process)).split()
        return (cpu_s(pid) - begin) / READS * 1e6, float(took_ms), members


async def reads(pid: int, port: int) -> list[list[str]]:
    """Ours through the guard and the library alone, in turn; medians."""
    plain = spare_ports(1)
    costs: dict[str, list[tuple[float, float]]] = {"through the guard": [], "libiec61850 alone": []}
    members = ""
    with spawned("tests.bench._mms_alone", str(plain)) as other:
        assert await line_of(other) == "ready"
        for _ in range(READ_ROUNDS):
            for (_, found), where in zip(costs.items(), ((pid, port), (other.pid, plain)), strict=True):
                cpu_us, took_ms, members = await read_cost(*where, "GW1m1/LLN0.dsAll")
                found.append((cpu_us, took_ms))
    middle = {what: sorted(found)[len(found) // 2] for what, found in costs.items()}
    ratio = middle["through the guard"][0] / middle["libiec61850 alone"][0]
    rows = [
        [f"read of {members} objects, {what}", f"{cpu_us:.0f} us, {took_ms:.3f} ms", ""]
        for what, (cpu_us, took_ms) in middle.items()
    ]
    return [*rows, ["ratio", f"{ratio:.2f}", "1"]]


async def delay(buffer_time_ms: int) -> list[str]:
    """Return how old a counter is at the client at 1,000 changes a second (P9)."""
    facts, port = tower(), spare_ports(1)
    store = store_of(facts)
    counters = [d for d in facts.points if d.kind is Kind.ACCUMULATOR]
    spec = spec_of(facts, port, reports={"buffer_time_ms": buffer_time_ms})
    async with running(store, [spec], Timing()):
        with clients(port, "delay", str(DELAY_S)) as process:
            assert await line_of(process) == "ready"
            result = asyncio.ensure_future(line_of(process))
            at, begin = 0, time.monotonic()
            while not result.done():
                wanted = int((time.monotonic() - begin) * RATE)
                now = time.time_ns()
                batch = [counters[number % len(counters)] for number in range(at, wanted)]
                count = 1_000 + wanted // len(counters) * 7
                store.publish([(d.index, Sample(count + d.index, Quality.GOOD, now, 1)) for d in batch])
                at = wanted
                await asyncio.sleep(0.005)
            came, median, late, most = (await result).split()
    figure = f"{float(median):.1f}, {float(late):.1f}, {float(most):.1f} ms of {came}"
    return [f"age of a change at the client, bufTm {buffer_time_ms} ms: median, p99, maximum", figure, "20 ms (P9)"]


async def measure() -> list[list[str]]:
    facts, port = tower(), spare_ports(1)
    store = store_of(facts)
    rows: list[list[str]] = []
    async with running(store, [spec_of(facts, port)], Timing()) as supervisor:
        now = status(supervisor, "iec61850")
        worker = psutil.Process(now.pid)

        async def changes(what: str, step: int, target: str) -> None:
            for kinds, name in ((_MEASURANDS, "measurand"), (_EVENTS, "counter or state")):
                cost = await changes_us(facts, store, now.pid, kinds, step)
                rows.append([f"changed {name}, {what}", f"{cost:.1f} us", target])

        rows.append(["ready after the start", f"{now.ready_after_s:.2f} s", "5 s (L5)"])
        rows.append(["memory (PSS)", f"{worker.memory_full_info().pss / 1e6:.0f} MB", ""])
        begin = cpu_s(now.pid)
        await asyncio.sleep(IDLE_S)
        rows.append(["CPU while nothing happens", f"{(cpu_s(now.pid) - begin) / IDLE_S:.1%}", ""])
        await changes("no client", 0, "45 us")
        for step, (what, *words) in enumerate((("5 clients",), ("5 clients, dchg in every block", "dchg")), 1):
            with clients(port, "hold", "5", *words) as held:
                assert await line_of(held) == "ready"
                await changes(what, 10 * step, "100 us")
                assert held.stdin is not None
                held.stdin.close()
                rows.append([f"reports they got: {what}", await line_of(held), ""])
            await until(lambda: status(supervisor, "iec61850").counters.get("clients") == 0)
        rows.append(["memory (PSS) afterwards", f"{worker.memory_full_info().pss / 1e6:.0f} MB", ""])
        rows += await reads(now.pid, port)
    return rows


def run() -> Table:
    rows = [*asyncio.run(measure()), *(asyncio.run(delay(time_ms)) for time_ms in (Reports().buffer_time_ms, 0))]
    note = (
        "The worker's whole CPU (link, image, checks, libiec61850, guard). 100 meters x 80 points, default layout; five"
        " clients hold a URCB each of every meter and one of them every BRCB. A read is CPU of the server's process,"
        " and time as the client sees it; the guard relays it, two more passes through the loopback."
    )
    return Table("IEC 61850 at tower size (P7, P9, L5)", ("what", "figure", "target"), rows, note)
