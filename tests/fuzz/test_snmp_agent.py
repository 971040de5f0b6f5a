"""
The SNMP agent under mutated datagrams and the hostile requests of its page: alive, unchanged, no leak, no flood of log.

METERBRIDGE_FUZZ_FRAMES sets how many (default 50,000; nightly 1,000,000).
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bridge.projections.snmp.ber import encode_integer, encode_oid, tlv
from bridge.projections.snmp.probe import DISCOVERY
from tests.support.snmp_site import facts, plan_of, projected, spec_of, store_of
from tests.support.workers import running, status

FRAMES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "50000"))
pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120 + FRAMES // 200)]
PORT = 21150
SEED = 20_261_120
# few, for the kernel drops datagrams that do not fit the agent's socket
PER_PROBE = 8
# fewer than the wrong communities an address may send at once
PER_ADDRESS = 20
# datagrams after which memory has settled
SETTLED = 5_000
# BARS I1
MOST_HANG_S, MOST_GROWTH, MOST_LOG = 3.0, 10 << 20, 1 << 20
NULL = b"\x05\x00"
GET, GETNEXT, SET, GETBULK = 0xA0, 0xA1, 0xA3, 0xA5
ROOT = (*plan_of(projected()).enterprise, 1, 1)
SYS_NAME = (1, 3, 6, 1, 2, 1, 1, 5, 0)


def message(
    kind: int,
    names: list[tuple[int, ...]],
    first: int = 0,
    second: int = 0,
    version: int = 1,
    community: bytes = b"public",
) -> bytes:
    binds = b"".join(tlv(0x30, tlv(6, encode_oid(name)) + NULL) for name in names)
    body = encode_integer(7) + encode_integer(first) + encode_integer(second) + tlv(0x30, binds)
    return tlv(0x30, encode_integer(version) + tlv(4, community) + tlv(kind, body))


HOSTILE = [
    *(message(GETBULK, [ROOT], 0, count) for count in (0, -1, 65535, 2**31 - 1, -(2**31))),
    message(GETBULK, [ROOT] * 70, 0, 70),
    message(GETBULK, [ROOT] * 70, 2**31 - 1, 70),
    message(GET, [SYS_NAME] * 1000),
    message(GETNEXT, [ROOT] * 200),
    message(SET, [(*ROOT, 3, 1, 4, 1, 1)]),
    message(GETNEXT, [(*ROOT, *(2**32 - 1,) * 60)]),
    message(GET, [SYS_NAME], version=0),
    message(GETBULK, [ROOT], version=0),
    message(0xA2, [SYS_NAME]),
    message(0xA8, [SYS_NAME]),
    DISCOVERY,
    DISCOVERY.replace(b"\x02\x03\x00\xff\xe3", b"\x02\x03\x00\x01\xe4"),
]
PROBE = message(GET, [SYS_NAME])


def mutated(random_: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        frame = bytearray(random_.choice(HOSTILE))
        for _ in range(random_.choice((0, 0, 1, 1, 2, 4))):
            at = random_.randrange(len(frame))
            match random_.randrange(5):
                case 0:
                    frame[at] ^= 1 << random_.randrange(8)
                case 1:
                    frame[at] = random_.choice((0, 1, 0x7F, 0x80, 0x84, 0xFF))
                case 2:
                    del frame[at:]
                case 3:
                    frame[at:at] = random_.randbytes(random_.randrange(1, 300))
                case _:
                    del frame[at : at + 1]
            if not frame:
                break
        yield bytes(frame[:60000])


def socket_from(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.connect(("127.0.0.1", PORT))
    sock.settimeout(MOST_HANG_S)
    return sock


def attack(frames: Iterator[bytes]) -> tuple[set[bytes], float]:
    """Return the different answers to the probe, and the longest time one took."""
    answers, longest = set[bytes](), 0.0
    prober, sock = socket_from("127.0.0.1"), socket_from("127.1.0.1")
    for number, frame in enumerate(frames):
        if number % PER_ADDRESS == 0:
            # wrong communities bar an address, and what is barred is not read
            sock.close()
            address = number // PER_ADDRESS
            sock = socket_from(f"127.2.{address // 250 % 250}.{address % 250 + 1}")
        sock.send(frame)
        if number % PER_PROBE == 0:
            begun = time.perf_counter()
            prober.send(PROBE)
            answers.add(prober.recv(65536))
            longest = max(longest, time.perf_counter() - begun)
    sock.close()
    prober.close()
    return answers, longest


# BARS I1, and memory flat over 100,000 hostile requests at METERBRIDGE_FUZZ_FRAMES=100000
async def test_hostile_datagrams_leave_the_agent_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = projected(listener={"port": PORT, "peer_rate": 65535})
    async with running(store_of(facts()), [spec_of(made, tmp_path)]) as supervisor:
        process = psutil.Process(status(supervisor, "snmp").pid)
        random_ = random.Random(SEED)
        await asyncio.to_thread(attack, mutated(random_, min(SETTLED, FRAMES)))
        before = process.memory_info().rss, process.num_fds()
        answers, longest = await asyncio.to_thread(attack, mutated(random_, FRAMES))
        after = process.memory_info().rss, process.num_fds()
        counters = dict(status(supervisor, "snmp").counters)

    assert len(answers) == 1
    assert longest < MOST_HANG_S
    assert after[0] - before[0] < MOST_GROWTH
    assert after[1] == before[1]
    assert counters["limited"] < FRAMES // 100
    assert counters["out_packets"] > FRAMES // 4
    assert counters["faults"] == 0
    assert counters.get("loop_errors", 0) == 0
    assert status(supervisor, "snmp").starts == 1
    captured = capfd.readouterr()
    assert len(captured.err) + len(captured.out) < MOST_LOG
