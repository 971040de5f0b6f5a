"""
`python -m tests.bench.mms_clients PORT ...`: clients of the benchmark in a process of their own (the Rust client).

    hold COUNT [dchg]  COUNT clients, each with its own instance of every URCB (`dchg`: armed for changes of value), the
                     first with every BRCB; "ready" when they have them; then they take what comes until standard input
                     ends, and tell how many reports came
    delay SECONDS    one client with every BRCB; prints how many changes came in that time, and the median, the 99th
                     percentile and the maximum of their age, in ms
    read NAME TIMES  read a data set; prints ms per read, and members
"""

import asyncio
import os
import sys
import time
from functools import partial
from typing import Any

from tests.support.mms_client import Reports, connect


async def hold(port: int, count: int, data_change: bool | None = None) -> None:
    clients = [await connect(port) for _ in range(count)]
    devices = await clients[0].get_server_directory()
    blocks: list[list[Reports]] = []
    for number, connection in enumerate(clients, 1):
        mine = [Reports(connection, f"{device}/LLN0.RP.urcbAll{number:02}") for device in devices]
        if number == 1:
            mine += [Reports(connection, f"{device}/LLN0.BR.brcbEvent01") for device in devices]
        for block in mine:
            await block.subscribe(data_change=data_change)
        blocks.append(mine)
    print("ready", flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    while not ended.done():
        await asyncio.gather(*(connection.poll_reports(20) for connection in clients))
    print(sum(len(block.got) for mine in blocks for block in mine), flush=True)


async def delay(port: int, seconds: float) -> None:
    connection: Any = await connect(port)
    ages_ms: list[float] = []
    begin = time.time()
    # the client keeps members of earlier reports of a block, with their reasons: only a new time is news
    seen: dict[tuple[str, int], bytes] = {}

    def arrived(block: str, report: Any) -> None:
        now = time.time()
        for place, entry in enumerate(report.entries):
            if not entry.reason.data_change:
                continue
            stamp = bytes(entry.value[2])
            at = int.from_bytes(stamp[:4], "big") + int.from_bytes(stamp[4:7], "big") / (1 << 24)
            if at > begin and seen.get((block, place)) != stamp:
                seen[block, place] = stamp
                ages_ms.append((now - at) * 1e3)

    for device in await connection.get_server_directory():
        block = Reports(connection, f"{device}/LLN0.BR.brcbEvent01")
        await block.subscribe(call=partial(arrived, device))
    print("ready", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await connection.poll_reports(20)
    ages_ms.sort()
    count = len(ages_ms)
    print(count, ages_ms[count // 2], ages_ms[count * 99 // 100], ages_ms[-1], flush=True)


async def read(port: int, name: str, times: int) -> None:
    connection: Any = await connect(port)
    members = await connection.get_data_set_values(name)
    begin = time.perf_counter()
    for _ in range(times):
        await connection.get_data_set_values(name)
    print((time.perf_counter() - begin) / times * 1e3, len(members), flush=True)
    await connection.disconnect()


def main() -> None:
    port, what, *rest = int(sys.argv[1]), *sys.argv[2:]
    match what:
        case "hold":
            asyncio.run(hold(port, int(rest[0]), True if rest[1:] else None))
        case "delay":
            asyncio.run(delay(port, float(rest[0])))
        case _:
            asyncio.run(read(port, rest[0], int(rest[1])))
    # the client crashes now and then when the interpreter exits
    os._exit(0)


if __name__ == "__main__":
    main()
