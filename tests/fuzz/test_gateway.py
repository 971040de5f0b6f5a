"""
The gateway under mutated frames, in both framings: alive, no leak, no flood of log lines, nothing written.

METERBRIDGE_FUZZ_FRAMES sets how many (default 50,000; nightly 1,000,000).
"""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from bridge.core.errors import RawFailure, RawRefused
from bridge.core.ports import Tunnel
from bridge.modbus.frame import rtu_frame, tcp_frame
from bridge.modbus.request import only_reads
from bridge.workers.worker import WorkerSpec
from tests.support.gateway_site import STORE, device, facts, projected
from tests.support.workers import running, status

FRAMES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "50000"))
pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.fuzz, pytest.mark.timeout(120 + FRAMES // 100)]
MBAP_PORT, RTU_PORT = 28_040, 28_041
SITE = facts(device("tenant-1", "riser", 11), device("tenant-2", "riser", 12))
SEED = 20_261_121
PER_PROBE = 200
# share of frames that are made whole after the mutation
WHOLE = 0.8
# what half a frame is waited for
HALF_FRAME_S = 0.003
# BARS I1
MOST_HANG_S, MOST_GROWTH, MOST_LOG = 3.0, 10 << 20, 1 << 20
_PDUS = (
    "03000000 7d|04000000 0a|010000 0010|02000000 10|0500 00ff00|0600000001|0f0000000801ff|100000000204 00000000|"
    "160000 0000ffff|17000000040000000102ffff|2b0e0100|11|64 00000001|07|0c|140706000400010002|18 04de"
)
UNITS = (0, 11, 11, 11, 12, 13, 248, 250, 255)


class Core:
    """RawLinePort: answers at once, notes what is no read."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def exchange(
        self,
        channel: str,
        user: str,
        unit_id: int,
        pdu: bytes,
        deadline_ns: int,
        timeout_s: float = 0.0,
        identity: str = "",
    ) -> bytes:
        if not only_reads(pdu):
            self.written.append(pdu)
        if unit_id == 12:
            raise RawRefused(RawFailure.BAD_REPLY)
        count = int.from_bytes(pdu[3:5], "big") if pdu[0] in (3, 4) else 1
        return bytes((pdu[0], 2 * count & 0xFF)) + bytes(2 * count)

    @contextlib.asynccontextmanager
    async def tunnel(
        self, channel: str, user: str, received: Callable[[bytes], None], idle_s: float
    ) -> AsyncIterator[Tunnel]:
        raise RawRefused(RawFailure.NOT_GRANTED)
        yield  # an asynchronous generator


def mutated(random_: random.Random, count: int, rtu: bool) -> Iterator[bytes]:
    good = [bytes.fromhex(pdu) for pdu in _PDUS.split("|")]
    for _ in range(count):
        pdu = bytearray(random_.choice(good))
        for _ in range(random_.choice((0, 1, 1, 2, 4))):
            at = random_.randrange(len(pdu))
            match random_.randrange(5):
                case 0:
                    pdu[at] ^= 1 << random_.randrange(8)
                case 1:
                    pdu[at] = random_.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2:
                    del pdu[at + 1 :]
                case 3:
                    pdu[at:at] = random_.randbytes(random_.randrange(1, 300))
                case _:
                    pdu += random_.choice(good)
        whole = bytes(pdu[: random_.choice((253, 253, 300))])
        unit = random_.choice(UNITS)
        frame = bytearray(rtu_frame(unit, whole) if rtu else tcp_frame(random_.randrange(65_536), unit, whole))
        if random_.random() > WHOLE:
            frame[random_.randrange(len(frame))] ^= 1 << random_.randrange(8)
            del frame[random_.randrange(1, len(frame) + 1) :]
        yield bytes(frame)


class Attack:
    def __init__(self, port: int, rtu: bool) -> None:
        self._port, self._rtu = port, rtu
        read = bytes.fromhex("0300640002")
        self._probe = rtu_frame(11, read) if rtu else tcp_frame(0xBEEF, 11, read)
        reply = bytes.fromhex("030400000000")
        self.expected = rtu_frame(11, reply) if rtu else tcp_frame(0xBEEF, 11, reply)

    def run(self, frames: int) -> tuple[set[bytes], float]:
        """Return the different answers to the probe, and the longest time one took."""
        random_, answers, longest = random.Random(SEED), set[bytes](), 0.0
        sock = self._connected()
        for number, frame in enumerate(mutated(random_, frames, self._rtu)):
            with contextlib.suppress(OSError):
                sock.sendall(frame)
            if not self._answered(sock):
                sock.close()
                sock = self._connected()
            if number % PER_PROBE == 0:
                begun = time.perf_counter()
                answers.add(self.probe())
                longest = max(longest, time.perf_counter() - begun)
        sock.close()
        return answers, longest

    def probe(self) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port), timeout=MOST_HANG_S) as sock:
            sock.sendall(self._probe)
            reply = b""
            while len(reply) < len(self.expected):
                part = sock.recv(64)
                assert part, "closed in front of a good request"
                reply += part
            return reply

    def _connected(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=MOST_HANG_S)
        sock.settimeout(HALF_FRAME_S)
        return sock

    @staticmethod
    def _answered(sock: socket.socket) -> bool:
        try:
            return bool(sock.recv(65536))
        except OSError:
            return False


# BARS I1 S1
@pytest.mark.parametrize("framing", ["mbap", "rtu"])
async def test_mutated_frames_leave_the_gateway_well(framing: str, capfd: pytest.CaptureFixture[str]) -> None:
    port, frames = (MBAP_PORT, FRAMES) if framing == "mbap" else (RTU_PORT, FRAMES // 2)
    attack, core = Attack(port, framing == "rtu"), Core()
    made = projected(SITE, listener={"port": MBAP_PORT}, rtu_over_tcp={"port": RTU_PORT})
    spec = WorkerSpec("gateway", "bridge.gateway.modbus.server", msgspec.msgpack.encode(made.plan), made.needs)
    async with running(STORE, [spec], lines=core) as supervisor:
        worker = psutil.Process(status(supervisor, "gateway").pid)
        await asyncio.to_thread(attack.run, 400)
        await asyncio.sleep(0.2)
        rss, open_files = worker.memory_info().rss, _descriptors(worker.pid)
        answers, longest_s = await asyncio.to_thread(attack.run, frames)
        await asyncio.sleep(0.3)
        growth, left_open = worker.memory_info().rss - rss, _descriptors(worker.pid)
        starts, counters = status(supervisor, "gateway").starts, status(supervisor, "gateway").counters
    said = capfd.readouterr()

    assert answers == {attack.expected}
    assert core.written == []
    assert starts == 1
    assert longest_s < MOST_HANG_S
    assert growth <= MOST_GROWTH
    assert left_open == open_files
    assert len(said.out) + len(said.err) <= MOST_LOG
    assert counters.get("loop_errors", 0) == 0
    # the mutations reach past the framing, and not only that far
    assert counters["requests"] > frames // 3
    assert all(counters[name] > 0 for name in ("bad_frames", "refused_policy", "no_path", "replies"))


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
