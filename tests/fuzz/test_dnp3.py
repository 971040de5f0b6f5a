"""
The DNP3 outstation under mutated frames with valid CRCs, broken frames and noise: alive, unchanged, no leak.

METERBRIDGE_FUZZ_FRAMES sets how many (default 20,000; nightly 1,000,000).
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

from tests.support.dnp3_master import fragments, link
from tests.support.dnp3_site import CLASS_0, spec_of
from tests.support.modbus_site import site, store_of
from tests.support.workers import running, status

FRAMES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "20000"))
pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120 + FRAMES // 100)]
PORT = 23095
FACTS = site(5)
SEED = 20_261_120
PER_PROBE = 100
# what half a frame is waited for
HALF_FRAME_S = 0.002
# BARS I1
MOST_HANG_S, MOST_GROWTH, MOST_LOG = 3.0, 10 << 20, 1 << 20
EVERYTHING = ["control", "freeze", "time", "deadband", "assign_class"]
_GOOD = [
    "c0013c02063c03063c04063c0106",
    "c0050c01280100000003016400000064000000 00",
    "c0030c01280100000003016400000064000000 00",
    "c0040c01280100000003016400000064000000 00",
    "c0022903280100 0000 0000b442 00",
    "c002320107 01 000000000000",
    "c0011e05000005",
    "c0011e0528 0300 0100 0500 ffff",
    "c0163c02061e0006",
    "c007140006",
    "c009140006",
    "c00222031701000000 0000",
    "c002500100070700",
    "c0143c02063c03063c0406",
    "c00100fe06",
    "c0016e0006",
    "c0012203000005",
    "c01846035b010000",
    "c017",
    "c000",
    "d000",
]


def mutated(dice: random.Random, count: int) -> Iterator[bytes]:
    good = [bytes.fromhex(text) for text in _GOOD]
    for _ in range(count):
        fragment = bytearray(dice.choice(good))
        fragment[0] = fragment[0] & 0xF0 | dice.randrange(16)
        for _ in range(dice.choice((0, 1, 1, 2, 4))):
            at = dice.randrange(len(fragment))
            match dice.randrange(5):
                case 0:
                    fragment[at] ^= 1 << dice.randrange(8)
                case 1:
                    fragment[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2 if at:
                    del fragment[at:]
                case 3:
                    fragment[at:at] = dice.randbytes(dice.randrange(1, 40))
                case _:
                    fragment += dice.choice(good)[2:]
        frame = bytearray(
            link(
                bytes(
                    (
                        dice.choice(
                            (0xC0, 0xC0, 0xC0, 0x40, 0x80, dice.randrange(256)),
                        ),
                    )
                )
                + fragment[:240]
            )
        )
        if dice.random() < 0.1:
            frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
        if dice.random() < 0.05:
            frame = frame[: dice.randrange(len(frame))] + dice.randbytes(dice.randrange(300))
        yield bytes(frame)


def connected() -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=MOST_HANG_S)
    sock.settimeout(HALF_FRAME_S)
    return sock


def probe() -> bytes:
    """Return the objects that a good master gets."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=MOST_HANG_S) as sock:
        sock.sendall(link(CLASS_0, source=2))
        data = sock.recv(4096)
    return fragments([data])[0][4:]


def attack(frames: int) -> tuple[set[bytes], float]:
    """Return the different answers to the probe, and the longest time one took."""
    dice, answers, longest = random.Random(SEED), set[bytes](), 0.0
    sock = connected()
    for number, frame in enumerate(mutated(dice, frames)):
        try:
            sock.sendall(frame)
            if number % 4 == 0 and not sock.recv(65536):
                raise ConnectionResetError
        except TimeoutError:
            pass
        except OSError:
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
@pytest.mark.parametrize(("allow", "frames"), [([], FRAMES), (EVERYTHING, FRAMES // 2)])
async def test_mutated_frames_leave_the_outstation_well(
    allow: list[str], frames: int, capfd: pytest.CaptureFixture[str]
) -> None:
    store = store_of(FACTS)
    before = {p.index: store.get(p.index) for p in FACTS.points}
    masters = [{"address": 1, "allow": allow}, {"address": 2}]
    async with running(store, [spec_of(FACTS, PORT, masters=masters)]) as supervisor:
        worker = psutil.Process(status(supervisor, "dnp3").pid)
        await asyncio.to_thread(attack, 200)
        await asyncio.sleep(0.3)
        rss, open_files = worker.memory_info().rss, descriptors(worker.pid)
        answers, longest_s = await asyncio.to_thread(attack, frames)
        await asyncio.sleep(0.4)
        growth, left_open = worker.memory_info().rss - rss, descriptors(worker.pid)
        starts, counters = status(supervisor, "dnp3").starts, status(supervisor, "dnp3").counters
        with contextlib.suppress(OSError):
            await asyncio.to_thread(probe)
    said = capfd.readouterr()

    assert len(answers) == 1
    assert starts == 1
    assert longest_s < MOST_HANG_S
    assert growth <= MOST_GROWTH
    assert left_open == open_files
    assert len(said.out) + len(said.err) <= MOST_LOG
    # the mutations reach the application layer, and not only that
    assert counters["requests"] > frames // 3
    assert counters["crc_errors"] > 0
    assert counters.get("loop_errors", 0) == 0
    assert {p.index: store.get(p.index) for p in FACTS.points} == before
