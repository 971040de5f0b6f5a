"""
The IEC 61850 server under mutated MMS: alive, unchanged, no leak, no flood of log lines. BARS I1.

METERBRIDGE_FUZZ_FRAMES sets how many (default 20,000; nightly 1,000,000). What is mutated is what a real client said:
association, directories, reads, data sets, report blocks, controls, writes.
"""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from bridge.workers.status import Status
from tests.support.mms_recorder import recorded, reply
from tests.support.mms_session import everything
from tests.support.mms_site import site, spec_of, store_of
from tests.support.workers import running, spare_ports, status

FRAMES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "20000"))
pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(180 + FRAMES // 100)]
SEED = 20_261_120
PER_PROBE = 200
# mutated frames sent into one association
PER_CONNECTION = 12
# s a mutated frame is waited for
ANSWER_S = 0.01
# share of frames whose lengths are put right after the mutation
WHOLE = 0.8
# BARS I1
MOST_HANG_S, MOST_GROWTH = 3.0, 10 << 20
RULES = [{"match": "*.digital_output_?", "control": "direct"}]


async def conversation(port: int) -> list[bytes]:
    """Return what a client says that does everything once; the first two open the association."""
    async with recorded(port) as recording:
        await everything(recording.port)
        return recording.said


def mutated(random_: random.Random, said: list[bytes], count: int) -> Iterator[bytes]:
    for _ in range(count):
        frame = bytearray(random_.choice(said))
        for _ in range(random_.choice((0, 1, 1, 2, 4))):
            at = random_.randrange(7, len(frame)) if len(frame) > 7 else 0
            match random_.randrange(6):
                case 0:
                    frame[at] ^= 1 << random_.randrange(8)
                case 1:
                    frame[at] = random_.choice((0, 1, 0x7F, 0x80, 0x82, 0x84, 0xFF))
                case 2:
                    del frame[at:]
                case 3:
                    frame[at:at] = random_.randbytes(random_.randrange(1, 300))
                case 4:
                    frame[at : at + 4] = random_.randbytes(4)
                case _:
                    frame += random_.choice(said)
            if not frame:
                break
        if len(frame) >= 4 and random_.random() < WHOLE:
            frame[0:4] = b"\3\0" + min(len(frame), 65535).to_bytes(2, "big")
        yield bytes(frame)


class Attacker:
    def __init__(self, port: int, said: list[bytes]) -> None:
        self._port, self._opening, self._said = port, said[:2], said
        self._sock: socket.socket | None = None
        self.replies = 0

    def associated(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=MOST_HANG_S)
        for frame in self._opening:
            sock.sendall(frame)
            reply(sock)
        return sock

    def probe(self) -> bytes:
        """Ask as a client whose frames nobody mutated."""
        for _ in range(50):
            with contextlib.suppress(OSError), self.associated() as sock:
                sock.sendall(self._said[2])
                answer = reply(sock)
                if answer:
                    return answer
            # the library has not yet noticed that earlier clients are gone
            time.sleep(0.02)
        raise AssertionError("no answer to a good client")

    def send(self, frame: bytes, fresh: bool) -> None:
        with contextlib.suppress(OSError):
            if self._sock is None or fresh:
                self.close()
                self._sock = self.associated()
                self._sock.settimeout(ANSWER_S)
            self._sock.sendall(frame)
            if self._sock.recv(65536):
                self.replies += 1
            else:
                self.close()

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None

    def attack(self, frames: int) -> tuple[set[bytes], float]:
        """Return the different answers to the probe, and the longest time one took."""
        random_, answers, longest = random.Random(SEED), set[bytes](), 0.0
        for number, frame in enumerate(mutated(random_, self._said, frames)):
            self.send(frame, number % PER_CONNECTION == 0)
            if number % PER_PROBE == 0:
                begun = time.perf_counter()
                answers.add(self.probe())
                longest = max(longest, time.perf_counter() - begun)
        self.close()
        return answers, longest


async def test_mutated_mms_does_no_harm(capfd: pytest.CaptureFixture[str]) -> None:
    facts, port = site(2), spare_ports(1)
    store, seen = store_of(facts), list[Status]()
    async with running(store, [spec_of(facts, port, rules=RULES)], on_status=seen.append) as supervisor:
        attacker = Attacker(port, await conversation(port))
        before = [store.get(d.index).value for d in facts.points if not d.writable]
        await asyncio.to_thread(attacker.attack, 500)
        process = psutil.Process(status(supervisor, "iec61850").pid)
        rss, files = process.memory_info().rss, process.num_fds()

        answers, longest = await asyncio.to_thread(attacker.attack, FRAMES)

        assert [s.last_end for s in seen if s.last_end] == []
        assert status(supervisor, "iec61850").starts == 1
        await asyncio.sleep(1)
        # the mutations reach past the transport, and not only that far
        assert attacker.replies > FRAMES // 5
        assert len(answers) == 1
        assert longest < MOST_HANG_S
        assert process.memory_info().rss - rss < MOST_GROWTH
        assert process.num_fds() <= files + 2
        assert before == [store.get(d.index).value for d in facts.points if not d.writable]
    assert len(capfd.readouterr().err) < 1 << 20
