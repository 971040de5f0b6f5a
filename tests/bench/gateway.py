"""
`python -m tests.bench.gateway`: P2, CPU per request through the gateway, core and worker together, beside a gateway
made of pymodbus on the same kind of line.

The client is a process of its own. A line at full speed sends each reply in one piece; a paced one byte by byte.
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
from bridge.workers.worker import WorkerSpec
from tests.bench.table import Table
from tests.support.gateway_site import STORE, audit, device, facts, nothing_written, projected
from tests.support.workers import running, status

OUR_PORT, PEER_PORT = 28_050, 28_051
SOURCE = Path(__file__).with_name("paced.c")
REGISTERS = 125
# line -> baud of the device, bytes it sends at once, baud we are told, requests
LINES = {"full speed": (2_000_000, 255, 115200, 400), "paced, 19200 baud": (19200, 1, 19200, 40)}
ROUNDS = 3
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
    took, size = [], 9 + 2 * REGISTERS
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for address in range(first, first + count):
            begun = time.perf_counter()
            sock.sendall(struct.pack(">HHHBBHH", address & 0xFFFF, 0, 6, 1, 3, address, REGISTERS))
            reply = b""
            while len(reply) < size:
                part = sock.recv(512)
                if not part or (len(reply + part) > 8 and (reply + part)[7] & 0x80):
                    raise SystemExit(f"refused: {(reply + part).hex()}")
                reply += part
            took.append(time.perf_counter() - begun)
            if reply[9:11] != (address * 7919 & 0xFFFF).to_bytes(2, "big"):
                raise SystemExit("wrong reply")
    return took


def asked(port: int, count: int, first: int) -> list[float]:
    command = [sys.executable, "-m", "tests.bench.gateway", "ask", str(port), str(count), str(first)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
    found: list[float] = json.loads(done.stdout)
    return found


@contextmanager
def line(folder: str, name: str, baud: int, chunk: int) -> Iterator[Path]:
    link = Path(folder, name)
    turnaround_ms = "10" if chunk == 1 else "0"
    process = subprocess.Popen([f"{folder}/paced", str(link), str(baud), "10", turnaround_ms, str(chunk)])
    try:
        while not link.is_symlink():
            time.sleep(0.01)
        yield link
    finally:
        process.kill()
        process.wait()
        link.unlink(missing_ok=True)


async def ours(folder: str, name: str) -> list[Figure]:
    baud, chunk, told, count = LINES[name]
    clock, site = SystemClock(), facts(device("m", "riser", 1))
    made = projected(site, listener={"port": OUR_PORT}, cache_ms=0)
    spec = WorkerSpec("gateway", "bridge.gateway.modbus.server", msgspec.msgpack.encode(made.plan), made.needs)
    found = []
    with line(folder, "ours", baud, chunk) as link:
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


def pymodbus(folder: str, name: str) -> list[Figure]:
    baud, chunk, told, count = LINES[name]
    found = []
    with line(folder, "peer", baud, chunk) as link:
        command = [sys.executable, "-m", "tests.bench.pymodbus_forwarder", str(PEER_PORT), str(link), str(told)]
        peer = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert peer.stdout is not None
            peer.stdout.readline()
            asked(PEER_PORT, 20, 0)
            for turn in range(ROUNDS):
                before = cpu_ns(peer.pid)
                took = asked(PEER_PORT, count, 100 + turn * count)
                used = (cpu_ns(peer.pid) - before) / 1000 / count
                found.append(Figure(name, "pymodbus", used, used, statistics.median(took) * 1000))
        finally:
            peer.kill()
            peer.communicate()
    return found


def measured() -> list[list[Figure]]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cc", "-O2", str(SOURCE), "-o", f"{folder}/paced", "-lutil"], check=True)
        return [rounds for name in LINES for rounds in (uvloop.run(ours(folder, name)), pymodbus(folder, name))]


def run() -> Table:
    rows = []
    for rounds in measured():
        best = min(rounds, key=lambda one: one.cpu_us)
        mbusd = " and ".join(str(us) for us in MBUSD_US[best.line] if us is not None) if best.who == "ours" else ""
        core = f"{best.core_us:.0f}" if best.who == "ours" else ""
        rows.append((best.line, best.who, f"{best.cpu_us:.0f}", core, f"{best.median_ms:.1f}", mbusd))
    return Table(
        "Gateway (P2)",
        ("line", "gateway", "CPU us per request", "of it the core", "median ms", "mbusd 0.5, measured apart"),
        rows,
        f"FC03 of {REGISTERS} registers, one client, no memory of replies, best of {ROUNDS}. Ours: two processes,"
        " core and worker. mbusd with its defaults, and with `-R 1`; it cannot be installed here.",
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["ask"]:
        print(json.dumps(ask(*(int(word) for word in sys.argv[2:]))))
    else:
        print(run().markdown())
        print(f"load {os.getloadavg()[0]:.1f}")
