"""
`python -m tests.bench.dnp3`: P6, CPU per integrity poll of our outstation beside opendnp3's (yadnp3).

Both outstations have the same points and stand on one core; one opendnp3 master on the other core asks them in turn,
so that what the machine does meanwhile falls on both. CPU is what the scheduler counted for the server's threads
during the polls; writing the values in between is not in it.
"""

import asyncio
import os
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.table import Table
from tests.support.dnp3_site import Opendnp3, opendnp3
from tests.support.workers import ROOT

PORTS = {"ours": 23070, "opendnp3": 23071}
ROUNDS = 9
# classes 1, 2, 3, then every point in the variation both have: binary with flags, counter, float
HEADERS = [[60, 2], [60, 3], [60, 4], [1, 2], [20, 1], [30, 5]]
TYPES = 3


@dataclass(frozen=True, slots=True)
class Pattern:
    """`changed`: share of the points written before each poll. `target`: ours by opendnp3's."""

    name: str
    idle_s: float
    changed: float
    target: float = 1.0


PATTERNS = (
    Pattern("back to back", 0.0, 0.0),
    Pattern("single polls after 10 ms idle", 0.01, 0.0),
    Pattern("1 % of the values written before each", 0.0, 0.01),
    Pattern("every value written before each", 0.0, 1.0, 1.3),
)


@dataclass(frozen=True, slots=True)
class Side:
    server: asyncio.subprocess.Process
    master: Opendnp3
    points: int

    async def change(self, share: float, turn: int) -> None:
        count = max(1, round(self.points * share))
        first = turn * count % max(1, self.points - count + 1)
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(f"change {first} {count} {turn + 1}\n".encode())
        await self.server.stdout.readline()

    async def poll(self, pattern: Pattern, count: int) -> float:
        """Return CPU ms per poll."""
        if not pattern.changed:
            return await self._timed(pattern, count)
        found = []
        for turn in range(count):
            await self.change(pattern.changed, turn)
            found.append(await self._timed(pattern, 1))
        return statistics.mean(found)

    async def _timed(self, pattern: Pattern, count: int) -> float:
        before = cpu_ns(self.server.pid)
        answer = await self.master.ask("poll", count=count, idle_s=pattern.idle_s, headers=HEADERS)
        spent = cpu_ns(self.server.pid) - before
        assert answer["result"] == ["SUCCESS"]
        assert answer["objects"] == count * TYPES * self.points
        return spent / count / 1e6


def cpu_ns(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def pin(pid: int, core: int) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


@asynccontextmanager
async def side(name: str, points: int, cores: list[int]) -> AsyncIterator[Side]:
    command = [sys.executable, "-m", "tests.bench._dnp3_servers", name, str(PORTS[name]), str(points)]
    pipe = asyncio.subprocess.PIPE
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=env)
    try:
        assert server.stdout is not None
        await server.stdout.readline()
        pin(server.pid, cores[-1])
        async with opendnp3(PORTS[name]) as master:
            await master.started()
            await master.ask("poll", count=20, idle_s=0, headers=HEADERS)
            yield Side(server, master, points)
    finally:
        server.kill()
        await server.wait()


async def measured(points: int, polls: int) -> dict[str, dict[str, float]]:
    """Return the median CPU of both by pattern, and the median of the ratio inside each round."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    found: dict[str, dict[str, float]] = {}
    async with AsyncExitStack() as stack:
        sides = {name: await stack.enter_async_context(side(name, points, cores)) for name in PORTS}
        for pattern in PATTERNS:
            count = polls if not pattern.changed else max(5, polls // 8)
            rounds: dict[str, list[float]] = {name: [] for name in sides}
            for _ in range(ROUNDS):
                for name, one in sides.items():
                    rounds[name].append(await one.poll(pattern, count))
            ratios = [a / b for a, b in zip(rounds["ours"], rounds["opendnp3"], strict=True)]
            found[pattern.name] = {name: statistics.median(values) for name, values in rounds.items()}
            found[pattern.name]["ratio"] = statistics.median(ratios)
    os.sched_setaffinity(0, set(cores))
    return found


def run() -> Table:
    rows = []
    for points, polls in ((334, 80), (3334, 24)):
        found = asyncio.run(measured(points, polls))
        for pattern in PATTERNS:
            one = found[pattern.name]
            figures = [f"{one['ours']:.3f}", f"{one['opendnp3']:.3f}", f"{one['ratio']:.2f}", f"{pattern.target:.1f}"]
            rows.append([pattern.name, f"{TYPES * points:,}", *figures])
    return Table(
        "DNP3: CPU of an integrity poll",
        ["pattern", "points", "ours, ms", "opendnp3, ms", "ours by opendnp3", "at most"],
        rows,
        "A third each binaries with flags, counters and floats, no events. Peer: the outstation of `yadnp3` (opendnp3, "
        "C++), the same master asking both in turn, servers pinned to one core; CPU of all threads of the server while "
        f"it is polled, median of {ROUNDS} rounds; the ratio is the median of the ratios inside a round.",
    )


def main() -> int:
    table = run()
    print(table.markdown())
    return sum(float(row[4]) > float(row[5]) for row in table.rows)


if __name__ == "__main__":
    sys.exit(main())
