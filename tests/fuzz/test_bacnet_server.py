"""
The BACnet server under mutated datagrams: alive, unchanged, no leak, no flood of log lines.

METERBRIDGE_FUZZ_FRAMES sets how many (default 50,000; nightly 1,000,000).
"""

import asyncio
import contextlib
import dataclasses
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bridge.core.alarm import Watched
from bridge.core.history import Recorded
from tests.support.bacnet_client import (
    confirmed,
    read,
    read_many,
    subscribe,
    subscribe_property,
    unconfirmed,
    unicast,
    write,
    write_many,
)
from tests.support.bacnet_site import DEVICE_ID, site, spec_of
from tests.support.modbus_site import store_of
from tests.support.workers import running, spare_ports, status

FRAMES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "50000"))
pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120 + FRAMES // 100)]
PLAIN = site(5)
FACTS = dataclasses.replace(
    PLAIN,
    watched={point.index: Watched(200, 250.0, 200.0, 1.0, (1,)) for point in PLAIN.points},
    recorded={point.index: Recorded(60.0, 1000) for point in PLAIN.points},
    lossy={device.id: 160 for device in PLAIN.devices},
)
SEED = 20_261_120
PER_PROBE = 200
# share of frames whose BVLC length is put right after the mutation
WHOLE = 0.9
# BARS I1
MOST_HANG_S, MOST_GROWTH, MOST_LOG = 3.0, 10 << 20, 1 << 20
REAL = b"\x44\x42\xc8\x00\x00"

GOOD = [
    confirmed(1, 12, read(0, 1, 85)),
    confirmed(2, 12, read(8, DEVICE_ID, 76)),
    confirmed(2, 12, read(8, DEVICE_ID, 76), limit=206),
    confirmed(3, 12, read(23, 1, 371)),
    confirmed(4, 14, read_many(0, 1, 85, 111) + read_many(0, 2, 85, 111)),
    confirmed(5, 14, read_many(29, 1, 8)),
    confirmed(6, 14, read_many(8, DEVICE_ID, 8)),
    confirmed(7, 15, write(1, 1, 85, REAL, 8)),
    confirmed(8, 15, write(4, 1, 85, b"\x91\x01")),
    confirmed(9, 16, write_many(1, 1, 85, REAL)),
    confirmed(10, 5, subscribe(1, 0, 1)),
    confirmed(11, 5, subscribe(2, 23, 1, is_confirmed=True)),
    confirmed(12, 28, subscribe_property(3, 0, 1, 85, 1.0)),
    confirmed(13, 17, b"\x09\x01\x19\x01"),
    confirmed(14, 20, b"\x09\x01"),
    confirmed(18, 29, b""),
    confirmed(19, 3, b""),
    confirmed(20, 0, b"\x09\x01\x1c\x00\x00\x00\x01\x29\x03\x3e\x19\x01\x3f\x4b\x00op\x5e\x19\x01\x5f"),
    confirmed(15, 26, b"\x0c\x05\x00\x00\x01\x19\x83"),
    # ReadRange by position, by sequence number, by time, of a list that is no log; properties only the core knows
    confirmed(21, 26, b"\x0c\x05\x00\x00\x01\x19\x83\x3e\x21\x01\x31\x05\x3f"),
    confirmed(22, 26, b"\x0c\x05\x00\x00\x01\x19\x83\x6e\x21\x01\x31\xfb\x6f"),
    confirmed(23, 26, b"\x0c\x05\x00\x00\x01\x19\x83\x7e\xa4\x7e\x0b\x14\x05\xb4\x10\x00\x00\x00\x31\x05\x7f"),
    confirmed(24, 26, b"\x0c\x03\xc0\x00\x01\x19\x66\x3e\x21\x01\x31\x05\x3f"),
    confirmed(25, 14, read_many(20, 1, 141, 145, 131) + read_many(0, 1, 130, 0)),
    confirmed(16, 12, read(0, 1, 85), route=b"\x00\x05\x03\x00\x00\x02"),
    # a segment of a request that never ends
    unicast(b"\x01\x04\x0e\x75\x11\x00\x04\x0e" + read_many(0, 1, 85)),
    unicast(b"\x01\x00\x40\x11\x00\x04"),
    unicast(b"\x01\x00\x20\x80\x01"),
    unicast(b"\x01\x00\x70\x11\x00"),
    unconfirmed(8, b"\x0a\x03\xe9\x1a\x03\xe9"),
    unconfirmed(8, b""),
    unconfirmed(7, b"\x3d\x0e\x00m2.voltage_l1"),
    unconfirmed(0, b"\xc4\x02\x00\x03\xe9\x22\x05\xc4\x91\x03\x21\x05"),
    unconfirmed(6, b"\xa4\x64\x01\x01\x01\xb4\x00\x00\x00\x00"),
    # Who-Is-Router-To-Network, Initialize-Routing-Table, What-Is-Network-Number
    unicast(b"\x01\x80\x00"),
    unicast(b"\x01\x80\x06\x00"),
    unicast(b"\x01\x80\x12"),
    # BVLC: register foreign device, read and write tables, distribute, forwarded
    b"\x81\x05\x00\x06\x00\x3c",
    b"\x81\x02\x00\x04",
    b"\x81\x01\x00\x0e\x7f\x00\x00\x01\xba\xc0\xff\xff\xff\xff",
    b"\x81\x06\x00\x04",
    b"\x81\x09\x00\x08\x01\x00\x10\x08",
    b"\x81\x04\x00\x12\x7f\x00\x00\x02\xba\xc0\x01\x20\xff\xff\x00\xff\x10\x08",
    b"\x81\x0b\x00\x08\x01\x00\x10\x08",
    b"\x01\x00\x00\x00",
]
PROBE = confirmed(200, 12, read(23, 1, 85))


def mutated(random_: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        frame = bytearray(random_.choice(GOOD))
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
                    frame += random_.choice(GOOD)[6:]
            if not frame:
                break
        if len(frame) >= 8 and random_.random() < WHOLE:
            frame[2:4] = len(frame).to_bytes(2, "big")
        yield bytes(frame)


def socket_to(port: int, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sock.settimeout(timeout_s)
    return sock


def probe(port: int) -> bytes:
    with socket_to(port, MOST_HANG_S) as sock:
        sock.send(PROBE)
        return sock.recv(100)


def attack(port: int, frames: int) -> tuple[set[bytes], float]:
    """Return the different answers to the probe, and the longest time one took."""
    random_, answers, longest = random.Random(SEED), set[bytes](), 0.0
    with socket_to(port, 0.0) as sock:
        for number, frame in enumerate(mutated(random_, frames)):
            sock.send(frame)
            with contextlib.suppress(OSError):
                while sock.recv(2000):
                    pass
            if number % PER_PROBE == 0:
                begun = time.perf_counter()
                answers.add(probe(port))
                longest = max(longest, time.perf_counter() - begun)
    return answers, longest


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


# BARS I1, S1
@pytest.mark.parametrize(("mode", "frames"), [("normal", FRAMES), ("bbmd", FRAMES // 5)])
async def test_mutated_datagrams_leave_the_server_well(
    mode: str, frames: int, capfd: pytest.CaptureFixture[str]
) -> None:
    store, port = store_of(FACTS), spare_ports(1)
    before = {p.index: store.get(p.index) for p in FACTS.points}
    async with running(store, [spec_of(FACTS, port, network={"mode": mode})]) as supervisor:
        worker = psutil.Process(status(supervisor, "bacnet").pid)
        # one of each first: what is built on first use is no leak
        await asyncio.to_thread(attack, port, 2000)
        await asyncio.sleep(0.2)
        rss, open_files = worker.memory_info().rss, descriptors(worker.pid)
        answers, longest_s = await asyncio.to_thread(attack, port, frames)
        await asyncio.sleep(0.6)
        growth, left_open = worker.memory_info().rss - rss, descriptors(worker.pid)
        starts, counters = status(supervisor, "bacnet").starts, status(supervisor, "bacnet").counters
    said = capfd.readouterr()

    assert len(answers) == 1
    assert next(iter(answers))[6] >> 4 == 3
    assert starts == 1
    assert longest_s < MOST_HANG_S
    assert growth <= MOST_GROWTH
    assert left_open == open_files
    assert len(said.out) + len(said.err) <= MOST_LOG
    assert "Traceback" not in said.err
    assert "never retrieved" not in said.err
    # the mutations reach past the header, and not only that far
    assert counters["requests"] > frames // 2
    assert counters["writes_refused"] > 0
    assert counters["management_refused"] > 0
    assert counters["subscriptions"] <= 200
    assert counters.get("loop_errors", 0) == 0
    assert {p.index: store.get(p.index) for p in FACTS.points} == before
