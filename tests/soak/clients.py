"""
`python -m tests.soak.clients KIND PORT COUNT SECONDS [JSON]`: COUNT clients of one protocol in a process of their own.

Each asks the same thing once a second and must get the same answer every time, for the meters stand still. Prints one
JSON object at the end: answers, errors (no answer, refused, cut off), wrong (another answer than the first), p99_ms.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

PERIOD_S = 1.0


@dataclass
class Told:
    """What the clients of one process saw. Shared by threads: appending is atomic."""

    first: dict[object, object] = field(default_factory=dict)
    took_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    # of a walk
    rows: int = 0

    def answer(self, what: object, value: object, took_s: float) -> None:
        self.took_ms.append(took_s * 1e3)
        if self.first.setdefault(what, value) != value:
            self.wrong.append(f"{what}: {self.first[what]!r:.80} {value!r:.80}")

    def summary(self) -> dict[str, Any]:
        return {
            "answers": len(self.took_ms),
            "errors": len(self.errors),
            "wrong": len(self.wrong),
            "rows": self.rows,
            "p99_ms": statistics.quantiles(self.took_ms, n=100)[98] if len(self.took_ms) > 1 else None,
            "examples": [*self.errors[:3], *self.wrong[:3]],
        }


async def every_second(end: float, ask: Callable[[], Awaitable[tuple[object, object]]], told: Told) -> None:
    while time.monotonic() < end:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(10):
                what, value = await ask()
        except Exception as exc:  # noqa: BLE001 - whatever the library raises, it is an answer that did not come
            told.errors.append(repr(exc)[:200])
        else:
            told.answer(what, value, time.perf_counter() - begun)
        await asyncio.sleep(max(0.0, begun + PERIOD_S - time.perf_counter()))


def gateway(port: int, count: int, seconds: float, more: dict[str, Any], told: Told) -> None:
    """pyModbusTCP; `unit`, `address`, `registers` of something that stands still."""
    from pyModbusTCP.client import ModbusClient  # type: ignore[import-untyped]

    end = time.monotonic() + seconds

    def one() -> None:
        client = ModbusClient("127.0.0.1", port, unit_id=more["unit"], timeout=10, auto_open=False)
        if not client.open():
            told.errors.append("not let in")
            return
        while time.monotonic() < end:
            begun = time.perf_counter()
            words = client.read_holding_registers(more["address"], more["registers"])
            if words is None:
                told.errors.append(client.last_error_as_txt or client.last_except_as_txt)
            else:
                told.answer(more["address"], tuple(words), time.perf_counter() - begun)
            if not client.is_open:
                told.errors.append("cut off")
                return
            time.sleep(PERIOD_S)
        client.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def snmp(port: int, count: int, seconds: float, more: dict[str, Any], told: Told) -> None:
    """net-snmp, one walk of `column` after the other."""
    end = time.monotonic() + seconds
    command = ["snmpbulkwalk", "-v2c", "-c", "public", "-On", "-t", "5", f"127.0.0.1:{port}", more["column"]]
    while time.monotonic() < end:
        for _ in range(count):
            begun = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode:
                told.errors.append(done.stderr)
            else:
                rows = done.stdout.splitlines()
                # demands and times move though the meters stand still, and the first of them come late: no row is lost
                if len(rows) < told.rows:
                    told.wrong.append(f"{len(rows)} rows after {told.rows}")
                told.rows = len(rows)
                # of a whole walk; the answer to one question is a part of it
                told.answer("walk", True, (time.perf_counter() - begun) / (1 + len(rows) / 10))
        time.sleep(0.05)


async def _mms(port: int, count: int, seconds: float, told: Told) -> None:
    from tests.support.mms_client import Reports, connect

    end = time.monotonic() + seconds
    clients = [await connect(port) for _ in range(count)]
    devices = await clients[0].get_server_directory()
    for number, connection in enumerate(clients, 1):
        await Reports(connection, f"{devices[0]}/LLN0.RP.urcbAll{number:02}").subscribe()

    async def serve(connection: Any) -> None:
        async def ask() -> tuple[object, object]:
            return "directory", tuple(await connection.get_server_directory())

        async def reports() -> None:
            while time.monotonic() < end:
                await connection.poll_reports(20)
                await asyncio.sleep(0.2)

        await asyncio.gather(every_second(end, ask, told), reports())

    await asyncio.gather(*(serve(connection) for connection in clients))


async def _opcua(port: int, count: int, seconds: float, more: dict[str, Any], told: Told) -> None:
    from asyncua import Client, ua

    end = time.monotonic() + seconds
    nodes = [ua.NodeId(name, 2) for name in more["points"]]

    class Quiet:
        def datachange_notification(self, node: Any, value: Any, data: Any) -> None: ...

    async def serve() -> None:
        async with Client(f"opc.tcp://127.0.0.1:{port}", timeout=10) as client:
            subscription = await client.create_subscription(500, Quiet())
            await subscription.subscribe_data_change([client.get_node(node) for node in nodes])

            async def ask() -> tuple[object, object]:
                answers = await client.uaclient.read_attributes(nodes, ua.AttributeIds.Value)
                return "values", tuple((a.Value.Value, a.StatusCode.value) for a in answers)

            await every_second(end, ask, told)

    await asyncio.gather(*(serve() for _ in range(count)))


async def _bacnet(port: int, count: int, seconds: float, more: dict[str, Any], told: Told) -> None:
    """Each with a COV subscription on every object; answers that are asked for are told apart by their invoke id."""
    from tests.support.bacnet_client import Client, confirmed, read, subscribe

    end = time.monotonic() + seconds
    kind, instance = more["object"]

    async def serve() -> None:
        async with Client.open(port) as client:
            number = 0

            async def answered(service: int, body: bytes) -> bytes:
                nonlocal number
                number = number % 255 + 1
                client.send(confirmed(number, service, body))
                while True:
                    reply = await client.receive(5)
                    if not reply:
                        raise TimeoutError
                    # SimpleACK or ComplexACK of ours, not a notification
                    if reply[0] >> 4 in (2, 3, 5, 6, 7) and reply[1] == number:
                        return reply

            accepted = await answered(5, subscribe(1, kind, instance, lifetime_s=int(seconds) + 60))
            if accepted[0] >> 4 != 2:
                told.errors.append(f"subscription refused: {accepted.hex()}")

            async def ask() -> tuple[object, object]:
                reply = await answered(12, read(kind, instance, 85))
                return "value", reply[2:]

            await every_second(end, ask, told)

    await asyncio.gather(*(serve() for _ in range(count)))


def main() -> None:
    kind, port, count, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    more = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
    told = Told()
    match kind:
        case "gateway":
            gateway(port, count, seconds, more, told)
        case "snmp":
            snmp(port, count, seconds, more, told)
        case "mms":
            asyncio.run(_mms(port, count, seconds, told))
        case "opcua":
            asyncio.run(_opcua(port, count, seconds, more, told))
        case "bacnet":
            asyncio.run(_bacnet(port, count, seconds, more, told))
        case _:
            raise ValueError(kind)
    sys.stdout.write(json.dumps(told.summary()) + "\n")
    sys.stdout.flush()
    # the MMS client crashes now and then when the interpreter exits
    os._exit(0)


if __name__ == "__main__":
    main()
