"""
The two outstations of the DNP3 benchmark, each a process: `python -m tests.bench._dnp3_servers NAME PORT POINTS`.

NAME is ours or opendnp3; POINTS of each type (binary input, counter, analog input). A line `change FROM COUNT VALUE`
on stdin writes that many points of each type; the answer is one line.
"""

import asyncio
import sys
import threading
import time
from typing import Any

import uvloop

from bridge.core.clock import SystemClock
from bridge.core.listener import Listener
from bridge.host.guard import Guard
from bridge.projections.dnp3.backend import Commands, MasterBackend
from bridge.projections.dnp3.connection import Connection
from bridge.projections.dnp3.masters import TICK_S, Master, Masters
from bridge.projections.dnp3.objects import Flag, PointType
from bridge.projections.dnp3.plan import MasterPlan
from bridge.projections.dnp3.probe import PROBE
from bridge.projections.dnp3.server import COUNTERS
from bridge.projections.dnp3.table import PointConfig
from bridge.projections.dnp3.tables import PointTables
from bridge.projections.dnp3.time_base import TimeBase
from tests.support.workers import StoreWriter

TYPES = (PointType.BINARY_INPUT, PointType.COUNTER, PointType.ANALOG_INPUT)


def change_ours(tables: PointTables, first: int, count: int, value: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    for index in range(first, first + count):
        tables.update(PointType.BINARY_INPUT, index, (index + value) & 1, Flag.ONLINE, now_ms)
        tables.update(PointType.COUNTER, index, index + value, Flag.ONLINE, now_ms)
        tables.update(PointType.ANALOG_INPUT, index, 1000.5 + index + value, Flag.ONLINE, now_ms)


async def ours(port: int, points: int) -> None:
    tables = PointTables({kind: [PointConfig(index) for index in range(points)] for kind in TYPES})
    change_ours(tables, 0, points, 0)
    counters, loop, clock = dict.fromkeys(COUNTERS, 0), asyncio.get_running_loop(), SystemClock()
    commands = Commands({}, StoreWriter.__new__(StoreWriter), clock, counters, lambda task: task.close())
    made = [Master(plan, tables, MasterBackend(plan, commands, TimeBase(clock))) for plan in (MasterPlan(), PROBE)]
    masters = Masters(made[:1], made[1], loop.time)
    await Guard(counters).stream(lambda: Connection(masters, counters), Listener(port=port, idle_s=600))
    ended = asyncio.Event()

    def said() -> None:
        words = sys.stdin.readline().split()
        if not words:
            ended.set()
            return
        change_ours(tables, *map(int, words[1:]))
        print("done", flush=True)

    loop.add_reader(sys.stdin, said)
    print("ready", flush=True)
    # as the server does
    while not ended.is_set():
        await asyncio.sleep(TICK_S)
        masters.tick()


def opendnp3(port: int, points: int) -> None:
    import opendnp3 as o  # type: ignore[import-untyped]

    class Application(o.IOutstationApplication):  # type: ignore[misc]
        pass

    class Controls(o.ICommandHandler):  # type: ignore[misc]
        pass

    manager = o.DNP3Manager(1)
    channel = manager.AddTCPServer(
        "s", o.levels.NOTHING, o.ServerAcceptMode.CloseExisting, o.IPEndpoint("127.0.0.1", port), None
    )
    config = o.OutstationStackConfig(o.DatabaseConfig(points))
    config.outstation.eventBufferConfig = o.EventBufferConfig.AllTypes(0)
    config.link.LocalAddr, config.link.RemoteAddr = 10, 1
    kept = Controls(), Application()
    outstation = channel.AddOutstation("o", *kept, config)
    outstation.Enable()

    def change(first: int, count: int, value: int) -> None:
        builder: Any = o.UpdateBuilder()
        for index in range(first, first + count):
            builder.Update(o.Binary(bool((index + value) & 1)), index, o.EventMode.Suppress)
            builder.Update(o.Counter(index + value), index, o.EventMode.Suppress)
            builder.Update(o.Analog(1000.5 + index + value), index, o.EventMode.Suppress)
        outstation.Apply(builder.Build())

    change(0, points, 0)
    print("ready", flush=True)
    for line in sys.stdin:
        change(*map(int, line.split()[1:]))
        # Apply hands over to the library's thread
        time.sleep(0.002)
        print("done", flush=True)
    threading.Event().wait(0.1)
    manager.Shutdown()


if __name__ == "__main__":
    name, port, points = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if name == "ours":
        uvloop.run(ours(port, points))
    else:
        opendnp3(port, points)
