"""
`python -m tests.bench.snmp_agent PORT kept|changing`: our agent behind the guard, 1000 points, for the benchmark.

changing: every value is encoded anew at every request (as text, as number, as counter), as if all had changed since the
one before; what does not move with a value is kept: quality, flags, names, units.
"""

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import uvloop

from bridge.core.clock import SystemClock
from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.listener import Listener
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Sample, Wiring
from bridge.core.ports import SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.host.guard import Guard
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.door import Door
from bridge.projections.snmp.mapping import project
from bridge.projections.snmp.objects import Rows
from bridge.projections.snmp.oidtree import Freshness, Table, Tree
from bridge.projections.snmp.plan import Plan
from bridge.projections.snmp.server import agent_of
from bridge.projections.snmp.usm import EngineClock
from tests.support.snmp_site import mapping

DEVICES, POINTS = 20, 50
ENGINE_ID = "8000000001020304"
# columns of the point table that move with a value (mbPointTime does too, and is live anyway)
MOVING = frozenset((4, 5, 11))
# columns the peer has too
COLUMNS = frozenset((2, 4, 5, 7, 8, 9, 11, 12))


class Numbers:
    """Numbers in the order of asking."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def take(self, space: str, key: str, first: int = 1, size: int = 1, pin: int | None = None) -> int:
        self._last[space] = self._last.get(space, 0) + 1
        return self._last[space]

    def revision(self, space: str) -> int:
        del space
        return 1


class Refusing:
    async def submit(self, command: Command) -> CommandResult:
        return CommandResult(Outcome.NOT_WRITABLE)


def facts() -> SiteFacts:
    devices = [
        DeviceDef(f"m{n}", "toy", "Toy", "T1", "lan", 1, False, Wiring.FOUR_WIRE, Nominal(), {}, "s.yaml:1")
        for n in range(DEVICES)
    ]
    points = [
        PointDef(n * POINTS + p, f"m{n}.active_power_l{p}", Kind.ACCUMULATOR, "kWh", resolution=-2)
        for n in range(DEVICES)
        for p in range(POINTS)
    ]
    return SiteFacts("bench", points, devices)


def tables(rows: Rows, changing: bool) -> list[Table]:
    made = []
    for table in rows.tables:
        columns = [c for c in table.columns if c.oid[-1] in COLUMNS]
        if changing and table is rows.tables[1]:
            columns = [replace(c, freshness=Freshness.LIVE) if c.oid[-1] in MOVING else c for c in columns]
        made.append(Table(columns, table.instances))
    return made


async def main(port: int, changing: bool) -> None:
    site, clock = facts(), SystemClock()
    users = {"ops": {"auth_password": "authpass123", "privacy_password": "privpass123"}}
    plan = project(mapping(port, users=users), site, Numbers()).plan
    assert isinstance(plan, Plan)
    store = PointStore(site.points, site.devices)
    store.publish([(p.index, Sample(100_000 + p.index, Quality.GOOD, clock.utc_ns(), 1)) for p in site.points])
    engine, counters = EngineClock(Path(tempfile.mkdtemp()) / "boots", clock.monotonic_ns), Counters()
    tree = Tree(tables(Rows(plan, store, engine.uptime_cs), changing))
    agent = agent_of(plan, bytes.fromhex(ENGINE_ID), engine, counters)
    agent.show(tree)
    watch = cast("Any", SimpleNamespace(wrong_community=lambda peer: None))
    door = Door(agent, Refusing(), clock, 5.0, asyncio.ensure_future, watch)
    await Guard({}).datagram(lambda: door, Listener(port=port, peer_rate=65535))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2] == "changing"))
