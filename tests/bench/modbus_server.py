"""
P3: CPU per FC03 of 125 registers, our worker beside a libmodbus server.

Both servers stand on one core and are asked in turn, so that what the machine does meanwhile falls on both; the
client has the other core. CPU is what the scheduler counted for the server's threads.
"""

import asyncio
import os
import socket
import statistics
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from tests.bench.table import Table
from tests.support.modbus_site import site, spec_of, store_of
from tests.support.workers import running, status

OUR_PORT, PEER_PORT = 20490, 20491
ROUNDS, REQUESTS = 15, 4000
REGISTERS = 125
SOURCE = Path(__file__).with_name("modbus_peer.c")
# P3: our CPU by libmodbus's
TARGET = 1.3


def build(folder: str) -> str:
    program = f"{folder}/modbus_peer"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmodbus"], capture_output=True, check=True)
    subprocess.run(["cc", "-O2", str(SOURCE), "-o", program, *flags.stdout.decode().split()], check=True)
    return program


def cpu_ns(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def ask(sock: socket.socket, count: int) -> None:
    request = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 0, REGISTERS)
    expected = 9 + 2 * REGISTERS
    for _ in range(count):
        sock.sendall(request)
        got = 0
        while got < expected:
            got += len(sock.recv(512))


def measure(names: Sequence[str], pids: Sequence[int], ports: Sequence[int]) -> dict[str, list[float]]:
    """Return CPU us per request, one figure per round."""
    socks = [socket.create_connection(("127.0.0.1", port)) for port in ports]
    found: dict[str, list[float]] = {name: [] for name in names}
    for sock in socks:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask(sock, 500)
    for _ in range(ROUNDS):
        for name, pid, sock in zip(names, pids, socks, strict=True):
            before = cpu_ns(pid)
            ask(sock, REQUESTS)
            found[name].append((cpu_ns(pid) - before) / REQUESTS / 1000)
    for sock in socks:
        sock.close()
    return found


async def measured(peer_pid: int) -> dict[str, list[float]]:
    facts = site(5)
    cores = sorted(os.sched_getaffinity(0))
    async with running(store_of(facts), [spec_of(facts, OUR_PORT)]) as supervisor:
        ours = status(supervisor, "modbus").pid
        for pid in (ours, peer_pid):
            os.sched_setaffinity(pid, {cores[-1]})
        os.sched_setaffinity(0, {cores[0]})
        return await asyncio.to_thread(measure, ("ours", "libmodbus"), (ours, peer_pid), (OUR_PORT, PEER_PORT))


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder:
        peer = subprocess.Popen([build(folder), str(PEER_PORT)], stdout=subprocess.PIPE)
        try:
            assert peer.stdout is not None
            peer.stdout.readline()
            found = uvloop.run(measured(peer.pid))
        finally:
            peer.kill()
            peer.communicate()
    rows = [[name, *(f"{f(rounds):.2f}" for f in (statistics.median, min, max))] for name, rounds in found.items()]
    ratio = statistics.median(a / b for a, b in zip(found["ours"], found["libmodbus"], strict=True))
    note = (
        f"FC03 of {REGISTERS} registers, {ROUNDS} rounds of {REQUESTS} requests, both asked in turn on one core. "
        f"Ours takes {ratio:.2f} times what libmodbus takes; the bar is {TARGET}."
    )
    return Table("Modbus TCP server (P3)", ("server", "CPU us per request, median", "min", "max"), rows, note)
