"""
`python -m tests.bench.gateway`: P2, CPU per request through the gateway, core and worker together, beside gateways
made of pymodbus and of libmodbus on the same kind of line; P1 with 32 clients and the poller on one line.

On a busy machine run it with real-time priority (`chrt -f 10`): a device that does not get its turn in time has
stopped in the middle of a reply. The client is a process of its own. A line at full speed sends each reply in one
piece, a paced one byte by byte.
"""

import asyncio
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from bridge.app.lines import FieldLines
from bridge.config.site import RtuChannel
from bridge.core.clock import SystemClock
from bridge.field.channel import open_channel
from bridge.field.line import Use
from bridge.modbus.frame import read_pdu
from bridge.modbus.timing import LineTiming
from bridge.workers.worker import WorkerSpec
from tests.bench.line import figures_of
from tests.bench.table import Table
from tests.support.gateway_site import STORE, audit, device, facts, nothing_written, projected
from tests.support.workers import running, status

OUR_PORT, PEER_PORT = 28_050, 28_051
SOURCE = Path(__file__).with_name("paced.c")
RELAY = Path(__file__).with_name("modbus_relay.c")
PEERS = ("pymodbus", "libmodbus")
REGISTERS = 125
# line -> baud of the device, bytes it sends at once, baud we are told, requests
LINES = {"full speed": (2_000_000, 255, 115200, 400), "paced, 19200 baud": (19200, 1, 19200, 40)}
ROUNDS = 3
# of one read
TRIES = 3
# P1: clients, registers of a read, seconds
CLIENTS, CROWD_REGISTERS, CROWD_S = 32, 50, 20.0
# us of CPU of mbusd 0.5 per request with its defaults and with one attempt (measured apart: it cannot be installed)
MBUSD_US = {"full speed": (1151, 275), "paced, 19200 baud": (3082, None)}


@dataclass(frozen=True, slots=True)
class Figure:
    line: str
    who: str
    cpu_us: float
    core_us: float
    median_ms: float


def cpu_ns(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def ask(port: int, count: int, first: int) -> list[float]:
    """Return the seconds of each of `count` different reads. Raises: SystemExit for a wrong answer."""
    took = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for address in range(first, first + count):
            begun = time.perf_counter()
            reply = next((reply for _ in range(TRIES) if (reply := answer(sock, address))), b"")
            took.append(time.perf_counter() - begun)
            if reply[:2] != (address * 7919 & 0xFFFF).to_bytes(2, "big"):
                raise SystemExit(f"wrong reply: {reply.hex() or 'none'}")
    return took


def answer(sock: socket.socket, address: int) -> bytes:
    """Return the registers of one read; b"" for an exception: a busy machine may stop a device amid its reply."""
    sock.sendall(struct.pack(">HHHBBHH", address & 0xFFFF, 0, 6, 1, 3, address, REGISTERS))
    reply = b""
    while len(reply) < 9 or len(reply) < 6 + int.from_bytes(reply[4:6], "big"):
        part = sock.recv(512)
        if not part:
            raise SystemExit("closed")
        reply += part
    return b"" if reply[7] & 0x80 else reply[9:]


def asked(port: int, count: int, first: int) -> list[float]:
    command = [sys.executable, "-m", "tests.bench.gateway", "ask", str(port), str(count), str(first)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
    found: list[float] = json.loads(done.stdout)
    return found


async def crowd(port: int, seconds: float) -> None:
    """Ask different things over CLIENTS connections; print how many answers each got."""
    served = [0] * CLIENTS

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 100 * number, CROWD_REGISTERS)
        while True:
            writer.write(request)
            reply = await reader.readexactly(9 + 2 * CROWD_REGISTERS)
            if reply[7] != 3:
                raise SystemExit(f"refused: {reply.hex()}")
            served[number] += 1

    clients = [asyncio.ensure_future(client(number)) for number in range(CLIENTS)]
    done, _ = await asyncio.wait(clients, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for ended in done:
        ended.result()
    print(json.dumps(served))
    os._exit(0)


@contextmanager
def line(folder: str, name: str, baud: int, chunk: int) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    link = Path(folder, name)
    turnaround_ms = "10" if chunk == 1 else "0"
    command = [f"{folder}/paced", str(link), str(baud), "10", turnaround_ms, str(chunk)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        while not link.is_symlink():
            time.sleep(0.01)
        yield link, process
    finally:
        process.kill()
        process.communicate()
        link.unlink(missing_ok=True)


async def ours(folder: str, name: str) -> list[Figure]:
    baud, chunk, told, count = LINES[name]
    clock, site = SystemClock(), facts(device("m", "riser", 1))
    made = projected(site, listener={"port": OUR_PORT}, cache_ms=0)
    spec = WorkerSpec("gateway", "bridge.gateway.modbus.server", msgspec.msgpack.encode(made.plan), made.needs)
    found = []
    with line(folder, "ours", baud, chunk) as (link, _):
        config = RtuChannel(port=str(link), baud=told)  # type: ignore[arg-type]
        channel = open_channel("riser", config, clock, asyncio.get_running_loop())
        lines = FieldLines({"riser": channel}, clock, nothing_written(), audit(clock), lambda channel, unit_id: 1.0)
        async with running(STORE, [spec], lines=lines) as supervisor:
            pids = os.getpid(), status(supervisor, "gateway").pid
            await asyncio.to_thread(asked, OUR_PORT, 20, 0)
            for turn in range(ROUNDS):
                before = [cpu_ns(pid) for pid in pids]
                took = await asyncio.to_thread(asked, OUR_PORT, count, 100 + turn * count)
                used = [(cpu_ns(pid) - was) / 1000 / count for pid, was in zip(pids, before, strict=True)]
                found.append(Figure(name, "ours", sum(used), used[0], statistics.median(took) * 1000))
        channel.close()
    return found


@dataclass(frozen=True, slots=True)
class Shared:
    """A line with a crowd of clients and a poller. `share`: of what the line can carry; `polls`: of the exchanges."""

    baud: int
    share: float
    polls: float
    fewest: int
    most: int
    violations: int


async def shared(folder: str, baud: int) -> Shared:
    clock, site = SystemClock(), facts(device("m", "riser", 1))
    made = projected(site, listener={"port": OUR_PORT}, cache_ms=0)
    spec = WorkerSpec("gateway", "bridge.gateway.modbus.server", msgspec.msgpack.encode(made.plan), made.needs)
    polls = 0
    with line(folder, "shared", baud, 1) as (link, process):
        config = RtuChannel(port=str(link), baud=baud)  # type: ignore[arg-type]
        channel = open_channel("riser", config, clock, asyncio.get_running_loop())
        lines = FieldLines({"riser": channel}, clock, nothing_written(), audit(clock), lambda channel, unit_id: 1.0)

        async def poll() -> None:
            nonlocal polls
            while True:
                await channel.ask(Use.POLL, "m", 1, read_pdu(3, 7, CROWD_REGISTERS), 1.0)
                polls += 1

        async with running(STORE, [spec], lines=lines):
            polling = asyncio.ensure_future(poll())
            command = [sys.executable, "-m", "tests.bench.gateway", "crowd", str(OUR_PORT), str(CROWD_S)]
            crowd = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            await asyncio.sleep(2)
            figures_of(process)
            begun, polled, requests = time.perf_counter(), polls, channel.counters.requests
            await asyncio.sleep(CROWD_S - 5)
            lasted, polled, requests = time.perf_counter() - begun, polls - polled, channel.counters.requests - requests
            _, violations = figures_of(process)
            said, _ = await crowd.communicate()
            polling.cancel()
            await asyncio.wait([polling])
        channel.close()
    served = json.loads(said)
    ideal_s = LineTiming(baud, 10).read_s(CROWD_REGISTERS, 0.01)
    return Shared(baud, requests * ideal_s / lasted, polled / requests, min(served), max(served), violations)


def peer_command(who: str, folder: str) -> list[str]:
    if who == "pymodbus":
        return [sys.executable, "-m", "tests.bench.pymodbus_forwarder"]
    return [f"{folder}/relay"]


def peer(who: str, folder: str, name: str) -> list[Figure]:
    baud, chunk, told, count = LINES[name]
    found = []
    with line(folder, "peer", baud, chunk) as (link, _):
        command = [*peer_command(who, folder), str(PEER_PORT), str(link), str(told)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            asked(PEER_PORT, 20, 0)
            for turn in range(ROUNDS):
                before = cpu_ns(process.pid)
                took = asked(PEER_PORT, count, 100 + turn * count)
                used = (cpu_ns(process.pid) - before) / 1000 / count
                found.append(Figure(name, who, used, used, statistics.median(took) * 1000))
        finally:
            process.kill()
            process.communicate()
    return found


def measured() -> tuple[list[list[Figure]], list[Shared]]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cc", "-O2", str(SOURCE), "-o", f"{folder}/paced", "-lutil"], check=True)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmodbus"], stdout=subprocess.PIPE, check=True)
        relay = ["cc", "-O2", str(RELAY), "-o", f"{folder}/relay", *flags.stdout.decode().split()]
        subprocess.run(relay, check=True)
        figures = []
        for name in LINES:
            figures.append(uvloop.run(ours(folder, name)))
            figures += [peer(who, folder, name) for who in PEERS]
        return figures, [uvloop.run(shared(folder, baud)) for baud in (9600, 19200)]


def run() -> Table:
    rows = []
    figures, crowds = measured()
    for rounds in figures:
        best = min(rounds, key=lambda one: one.cpu_us)
        mbusd = " and ".join(str(us) for us in MBUSD_US[best.line] if us is not None) if best.who == "ours" else ""
        core = f"{best.core_us:.0f}" if best.who == "ours" else ""
        rows.append((best.line, best.who, f"{best.cpu_us:.0f}", core, f"{best.median_ms:.1f}", mbusd))
    return Table(
        "Gateway (P1, P2)",
        ("line", "gateway", "CPU us per request", "of it the core", "median ms", "mbusd 0.5, measured apart"),
        rows,
        f"FC03 of {REGISTERS} registers, one client, no memory of replies, best of {ROUNDS} rounds. Ours is two"
        " processes: core and worker; it judges, records, shares the line and keeps t3.5. The gateway made of libmodbus"
        " (`modbus_relay.c`) does none of that: one client, one line, no silence between frames; it shows what the"
        " system calls alone cost. mbusd with its defaults, and with `-R 1`; it cannot be installed here."
        " Run with `chrt -f 10` beside other work. " + " ".join(_sentence(one) for one in crowds),
    )


def _sentence(one: Shared) -> str:
    return (
        f"With {CLIENTS} clients that always want {CROWD_REGISTERS} registers and a poller that does too, a paced line"
        f" at {one.baud} baud carries {100 * one.share:.1f} % of what it can, {100 * one.polls:.0f} % of the exchanges"
        f" are the poller's, the clients got {one.fewest} to {one.most} answers each, t3.5 was"
        f" violated {one.violations} times."
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["crowd"]:
        asyncio.run(crowd(int(sys.argv[2]), float(sys.argv[3])))
    elif sys.argv[1:2] == ["ask"]:
        print(json.dumps(ask(*(int(word) for word in sys.argv[2:]))))
    else:
        table = run()
        print(table.markdown(), table.note, sep="\n")
        print(f"load {os.getloadavg()[0]:.1f}")
