"""
The Modbus server under mutated frames: alive, unchanged, no leak, no flood of log lines.

METERBRIDGE_FUZZ_FRAMES sets how many (default 50,000; nightly 1,000,000).
"""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.modbus_site import site, spec_of, store_of
from tests.support.workers import running, status

FRAMES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "50000"))
pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120 + FRAMES // 200)]
PORT = 20420
FACTS = site(5)
SEED = 20_261_120
PER_PROBE = 200
# share of frames whose header is put right after the mutation
WHOLE = 0.8
# what half a frame is waited for
HALF_FRAME_S = 0.003
# BARS I1
MOST_HANG_S, MOST_GROWTH, MOST_LOG = 3.0, 10 << 20, 1 << 20

_GOOD = [
    "0001000000060103000000 7d",
    "00020000000601040000000a",
    "000300000006010100000010",
    "000400000006ff0200000010",
    "000500000006010500 00ff00",
    "000600000006010600000001",
    "000700000008010f0000000801ff",
    "00080000000b0110000000020400000000",
    "000900000008011600000000ffff",
    "000a0000000d0117000000040000000102ffff",
    "000b00000005ff2b0e0100",
    "000c0000000201 11",
    "000d0000000601 64 00000001",
]
PROBE = bytes.fromhex("beef00000006010300000004")


def mutated(random_: random.Random, count: int) -> Iterator[bytes]:
    good = [bytes.fromhex(frame) for frame in _GOOD]
    for _ in range(count):
        frame = bytearray(random_.choice(good))
        for _ in range(random_.choice((0, 1, 1, 2, 4))):
            at = random_.randrange(len(frame))
            match random_.randrange(6):
                case 0:
                    frame[at] ^= 1 << random_.randrange(8)
                case 1:
                    frame[at] = random_.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2:
                    del frame[at:]
                case 3:
                    frame[at:at] = random_.randbytes(random_.randrange(1, 300))
                case 4:
                    frame[-1:] = random_.randbytes(2)
                case _:
                    frame += random_.choice(good)
            if not frame:
                break
        if len(frame) >= 8 and random_.random() < WHOLE:
            # a header that is right lets the rest through
            frame[2:6] = b"\0\0" + (min(len(frame), 260) - 6).to_bytes(2, "big")
        yield bytes(frame)


def answered(sock: socket.socket) -> bool:
    """Wait for an answer; False when the server has closed or has nothing to say to half a frame."""
    try:
        return bool(sock.recv(65536))
    except OSError:
        return False


def connected() -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=MOST_HANG_S)
    sock.settimeout(HALF_FRAME_S)
    return sock


def probe() -> bytes:
    with socket.create_connection(("127.0.0.1", PORT), timeout=MOST_HANG_S) as sock:
        sock.sendall(PROBE)
        reply = b""
        while len(reply) < 17:
            part = sock.recv(64)
            assert part, "closed in front of a good request"
            reply += part
        return reply


def attack(frames: int) -> tuple[set[bytes], float]:
    """Return the different answers to the probe, and the longest time one took."""
    random_, answers, longest = random.Random(SEED), set[bytes](), 0.0
    sock = connected()
    for number, frame in enumerate(mutated(random_, frames)):
        with contextlib.suppress(OSError):
            sock.sendall(frame)
        if not answered(sock):
            sock.close()
            sock = connected()
        if number % PER_PROBE == 0:
            begun = time.perf_counter()
            answers.add(probe())
            longest = max(longest, time.perf_counter() - begun)
    sock.close()
    return answers, longest


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


# BARS I1, S1
@pytest.mark.parametrize(("access", "frames"), [("read", FRAMES), ("read-write", FRAMES // 5)])
async def test_mutated_frames_leave_the_server_well(
    access: str, frames: int, capfd: pytest.CaptureFixture[str]
) -> None:
    store = store_of(FACTS)
    before = {p.index: store.get(p.index) for p in FACTS.points}
    async with running(store, [spec_of(FACTS, PORT, access=access)]) as supervisor:
        worker = psutil.Process(status(supervisor, "modbus").pid)
        await asyncio.to_thread(probe)
        await asyncio.sleep(0.2)
        rss, open_files = worker.memory_info().rss, descriptors(worker.pid)
        answers, longest_s = await asyncio.to_thread(attack, frames)
        await asyncio.sleep(0.3)
        growth, left_open = worker.memory_info().rss - rss, descriptors(worker.pid)
        starts, counters = status(supervisor, "modbus").starts, status(supervisor, "modbus").counters
    said = capfd.readouterr()

    energy = 2**53 + 1
    assert answers == {bytes.fromhex("beef0000000b010308") + energy.to_bytes(8, "big")}
    assert starts == 1
    assert longest_s < MOST_HANG_S
    assert growth <= MOST_GROWTH
    assert left_open == open_files
    assert len(said.out) + len(said.err) <= MOST_LOG
    # the mutations reach past the header, and not only that far
    assert counters["requests"] > frames // 2
    assert counters["bad_frames"] > 0
    assert all(counters[f"exception_{code:02x}"] > 0 for code in (1, 2, 3, 0x0A))
    if access == "read":
        assert {p.index: store.get(p.index) for p in FACTS.points} == before
        assert counters["writes_done"] == 0
