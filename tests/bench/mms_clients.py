"""
`python -m tests.bench.mms_clients PORT ...`: clients of the benchmark in a process of their own (the Rust client).

    hold COUNT       COUNT clients, each with its own instance of every URCB, the first with every BRCB; "ready" when
                     they have them; then they take what comes until standard input ends, and tell how many reports came
    read NAME TIMES  read a data set; prints ms per read, and members
"""

import asyncio
import os
import sys
import time
from typing import Any

from tests.support.mms_client import Reports, connect


async def hold(port: int, count: int) -> None:
    clients = [await connect(port) for _ in range(count)]
    devices = await clients[0].get_server_directory()
    blocks: list[list[Reports]] = []
    for number, connection in enumerate(clients, 1):
        mine = [Reports(connection, f"{device}/LLN0.RP.urcbAll{number:02}") for device in devices]
        if number == 1:
            mine += [Reports(connection, f"{device}/LLN0.BR.brcbEvent01") for device in devices]
        for block in mine:
            await block.subscribe()
        blocks.append(mine)
    print("ready", flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    while not ended.done():
        await asyncio.gather(*(connection.poll_reports(20) for connection in clients))
    print(sum(len(block.got) for mine in blocks for block in mine), flush=True)


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
    asyncio.run(hold(port, int(rest[0])) if what == "hold" else read(port, rest[0], int(rest[1])))
    # the client crashes now and then when the interpreter exits
    os._exit(0)


if __name__ == "__main__":
    main()
