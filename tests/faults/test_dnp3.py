"""The DNP3 outstation in its worker, among clients that misbehave."""

import asyncio
import contextlib
import os
import signal
import struct
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bridge.core.point import Sample
from bridge.core.quality import Quality
from tests.support.dnp3_master import fragments, link, unlink
from tests.support.dnp3_site import CLASS_0, POLL, Peer, spec_of
from tests.support.guarded import Swarm
from tests.support.modbus_site import NOW_NS, site, store_of
from tests.support.workers import QUICK, all_ready, running, status, until

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PORT = 23080
FACTS = site(5)
VOLTAGE = next(d for d in FACTS.points if d.name == "voltage_l1")


# BARS R4
async def test_silent_connections_half_frames_resets_and_slow_bytes_hold_up_no_master() -> None:
    async with running(store_of(FACTS), [spec_of(FACTS, PORT)]) as supervisor:
        swarm = Swarm(PORT)
        swarm.attack(300, link(CLASS_0)[:7])
        took = []
        for _ in range(20):
            swarm.drip()
            begun = time.monotonic()
            peer = await Peer.connect(PORT)
            assert await peer.ask(CLASS_0)
            took.append(time.monotonic() - begun)
            peer.close()
        swarm.close()
        worker = status(supervisor, "dnp3")

    assert max(took) < 1.0
    assert worker.starts == 1


# BARS R9, L5
@pytest.mark.slow
async def test_a_killed_worker_is_back_and_its_masters_are_told_of_the_restart() -> None:
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 1)]) as supervisor:
        peer = await Peer.connect(PORT + 1)
        await peer.ask(b"\xc0" + bytes.fromhex("c102500100070700"))
        before = await peer.ask(CLASS_0)
        begun = time.monotonic()
        os.kill(status(supervisor, "dnp3").pid, signal.SIGKILL)
        after: list[bytes] | None = None
        while not after:
            await asyncio.sleep(0.05)
            peer.close()
            with contextlib.suppress(OSError):
                peer = await Peer.connect(PORT + 1)
                after = await peer.ask(CLASS_0, wait_s=0.5)
        took = time.monotonic() - begun
        peer.close()

    assert before
    # IIN1.7
    assert not before[0][2] & 0x80
    assert after[0][2] & 0x80
    assert before[0][4:] == after[0][4:]
    assert took <= 3.0


async def test_a_master_that_does_not_read_costs_bounded_memory_and_the_others_nothing() -> None:
    facts = site(40)
    whole = b"\xc0" + bytes.fromhex("c1013c0106")
    async with running(store_of(facts), [spec_of(facts, PORT + 2)]) as supervisor:
        worker = psutil.Process(status(supervisor, "dnp3").pid)
        deaf, other = await Peer.connect(PORT + 2), await Peer.connect(PORT + 2)
        await other.ask(CLASS_0, source=2)
        rss = worker.memory_info().rss
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]
        took = []
        for _ in range(100):
            with contextlib.suppress(OSError):
                deaf.writer.write(link(whole) * 100)
            begun = time.monotonic()
            assert await other.ask(CLASS_0, source=2)
            took.append(time.monotonic() - begun)
        growth = worker.memory_info().rss - rss
        deaf.writer.transport.abort()
        other.close()

    assert max(took) < 1.0
    assert growth < 10 << 20


async def test_a_flood_of_requests_leaves_the_other_masters_their_turns() -> None:
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 3)]):
        flood, other = await Peer.connect(PORT + 3), await Peer.connect(PORT + 3)
        stop = asyncio.Event()

        async def read_all() -> None:
            while not stop.is_set() and await flood.reader.read(1 << 20):
                pass

        reading = asyncio.ensure_future(read_all())
        took = []
        for _ in range(50):
            flood.writer.write(link(POLL) * 200)
            begun = time.monotonic()
            assert await other.ask(CLASS_0, source=2)
            took.append(time.monotonic() - begun)
        stop.set()
        flood.writer.transport.abort()
        with contextlib.suppress(OSError):
            await reading
        other.close()

    assert max(took) < 0.5


async def test_events_outlive_the_connection_and_an_overflow_is_told_and_forgotten() -> None:
    store = store_of(FACTS)
    masters = [{"event_capacity": [10, 10, 10]}]
    async with running(store, [spec_of(FACTS, PORT + 4, masters=masters)]) as supervisor:
        peer = await Peer.connect(PORT + 4)
        await peer.ask(CLASS_0)
        peer.writer.transport.abort()
        await until(lambda: status(supervisor, "dnp3").counters["masters"] == 0)
        for step in range(30):
            store.publish([(VOLTAGE.index, Sample(1000.0 + step, Quality.GOOD, NOW_NS + step * 10**6, step))])
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        peer = await Peer.connect(PORT + 4)
        told = await peer.ask(POLL)
        assert told
        peer.writer.write(link(b"\xc0" + bytes((0xC0 | (told[0][0] & 15), 0))))
        after = await peer.ask(CLASS_0)
        assert after
        await until(lambda: status(supervisor, "dnp3").counters["events_lost"] == 20)
        peer.close()

    # IIN2.3
    assert told[0][3] & 0x08
    assert told[0][7:9] == (10).to_bytes(2, "little")
    assert not after[0][3] & 0x08


async def test_a_silent_master_is_asked_for_its_link_and_then_given_up() -> None:
    masters = [{"keepalive_s": 0.4, "confirm_timeout_s": 0.4}]
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 5, masters=masters)]):
        peer = await Peer.connect(PORT + 5)
        await peer.ask(CLASS_0)
        asked = await asyncio.wait_for(peer.reader.readexactly(10), 3)
        ended = await peer.ends_within(3)
        peer.close()
        answering = await Peer.connect(PORT + 5)
        await answering.ask(CLASS_0)
        for _ in range(3):
            assert (await asyncio.wait_for(answering.reader.readexactly(10), 3))[3] == 0x49
            answering.writer.write(link(control=0x8B))
        stays = await answering.ask(CLASS_0)
        answering.close()

    # REQUEST_LINK_STATUS of an outstation
    assert asked[3] == 0x49
    assert ended
    assert stays


async def test_frozen_counters_outlive_a_killed_worker_and_a_spoilt_file_costs_only_them(tmp_path: Path) -> None:
    spec = spec_of(FACTS, PORT + 6, str(tmp_path), masters=[{"allow": ["freeze"]}])
    freeze, read = b"\xc0" + bytes.fromhex("c007140006"), b"\xc0" + bytes.fromhex("c1011500000000")

    async def frozen() -> bytes:
        peer = await Peer.connect(PORT + 6)
        answer = await peer.ask(read)
        peer.close()
        assert answer
        return answer[0][4:]

    async def killed() -> None:
        starts = status(supervisor, "dnp3").starts
        os.kill(status(supervisor, "dnp3").pid, signal.SIGKILL)
        await until(lambda: status(supervisor, "dnp3").starts > starts and all_ready(supervisor, 1))

    async with running(store_of(FACTS), [spec]) as supervisor:
        peer = await Peer.connect(PORT + 6)
        await peer.ask(freeze)
        peer.close()
        before = await frozen()
        await until((tmp_path / "frozen.msgpack").exists)
        await killed()
        after = await frozen()
        (tmp_path / "frozen.msgpack").write_bytes(b"\xff\xfe")
        await killed()
        spoilt = await frozen()

    # g21v5: online, count, time of the freeze
    assert before == after
    assert before[5] == 0x01
    # restart
    assert spoilt[5] == 0x02


# BARS L5: the tower; a campus has more analogs than 16 bits of index
@pytest.mark.slow
@pytest.mark.parametrize(("meters", "most_mb", "ready_s"), [(100, 80, 5), (800, 250, 20)])
async def test_a_large_site_is_served_soon_and_in_little_memory(meters: int, most_mb: int, ready_s: int) -> None:
    facts = site(meters, [f"voltage_{n}" for n in range(69)])
    spec = spec_of(facts, PORT + 7)
    async with running(store_of(facts), [spec], replace(QUICK, ready_s=30, hung_s=30), wait_ready=False) as supervisor:
        await until(lambda: all_ready(supervisor, 1), 30)
        worker = status(supervisor, "dnp3")
        rss_mb = psutil.Process(worker.pid).memory_info().rss >> 20
        peer = await Peer.connect(PORT + 7)
        answered = await peer.ask(CLASS_0)
        peer.close()

    print(f"{meters} meters of 80 points: ready after {worker.ready_after_s:.1f} s, {rss_mb} MB")  # noqa: T201
    assert answered
    assert worker.ready_after_s <= ready_s
    assert rss_mb <= most_mb


# BARS P9
@pytest.mark.slow
async def test_changes_reach_an_unsolicited_master_soon() -> None:
    store = store_of(FACTS)
    clock, sent, took = time.monotonic, dict[float, float](), list[float]()
    async with running(store, [spec_of(FACTS, PORT + 8, masters=[{"unsolicited": True}])]):
        peer = await Peer.connect(PORT + 8)
        held = b""

        async def fragment() -> bytes:
            nonlocal held
            while True:
                async with asyncio.timeout(5):
                    held += await peer.reader.read(65536)
                # half a frame ends in one of these
                with contextlib.suppress(AssertionError, IndexError):
                    segments = [user for user in unlink(held) if user]
                    found = fragments([held])
                    if found and segments[-1][0] & 0x80:
                        held = b""
                        return found[-1]

        async def confirmed() -> bytes:
            told = await fragment()
            peer.writer.write(link(b"\xc0" + bytes((0xD0 | told[0] & 15, 0))))
            return told

        peer.writer.write(link(control=0xC9))
        await confirmed()
        peer.writer.write(link(b"\xc0" + bytes.fromhex("c1143c02063c03063c0406")))
        await fragment()

        async def publish() -> None:
            for step in range(1000):
                value = 1024.0 + step
                sent[value] = clock()
                store.publish([(VOLTAGE.index, Sample(value, Quality.GOOD, NOW_NS + step, step))])
                await asyncio.sleep(0.001)

        publishing = asyncio.ensure_future(publish())
        while len(took) < 500:
            told, now = await confirmed(), clock()
            for at in range(9, len(told), 13):
                (value,) = struct.unpack_from("<f", told, at + 3)
                took.append(now - sent[value])
        publishing.cancel()
        peer.close()

    took.sort()
    print(f"{len(took)} changes: p50 {took[len(took) // 2] * 1e3:.1f} ms, p99 {took[-len(took) // 100] * 1e3:.1f} ms")  # noqa: T201
    # the figure is for the reader, the bound for starvation: the machine may be busy with other tests
    assert took[-len(took) // 100] < 0.2
