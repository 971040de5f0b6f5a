"""history.recorder: commits behind the loop's back, and a disk that is full (BARS R6)."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.history.database import Access, Database
from bridge.history.opening import FILE, GOOD_COPY
from bridge.history.recorder import Recorder
from bridge.history.rows import Pending, SampleRow
from tests.support.workers import until

pytestmark = pytest.mark.real_time


class Bench:
    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / FILE)
        self.safe: list[int] = []
        self.states: list[str] = []
        self.recorder = Recorder(self.database, self.safe.append, self.states.append, commit_s=0.01, retry_s=0.02)
        self.task = asyncio.ensure_future(self.recorder.run())

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.recorder.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    if not made.task.cancelled():
        await made.close()


async def test_an_event_is_told_when_it_is_safe(bench: Bench, tmp_path: Path) -> None:
    bench.recorder.event(1, b"one")
    await until(lambda: bench.safe == [1])

    reader = sqlite3.connect(f"file:{tmp_path}/{FILE}?mode=ro", uri=True)
    assert reader.execute("SELECT number FROM event").fetchall() == [(1,)]
    reader.close()


async def test_of_what_is_kept_the_newest_is_written_once(bench: Bench) -> None:
    for n in range(1000):
        bench.recorder.keep("index", "m.e", f"{n}".encode())
    await until(lambda: bench.recorder.commits == 1)

    assert bench.database.kept("index") == {"m.e": b"999"}
    assert bench.recorder.commits == 1


async def test_the_end_writes_what_is_left_and_a_copy(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.recorder.keep("index", "m.e", b"1")
    await bench.close()

    for name in (FILE, GOOD_COPY):
        with Database(tmp_path / name) as database:
            assert database.kept("index") == {"m.e": b"1"}


async def test_a_full_disk_is_told_once_stops_nobody_and_loses_nothing(bench: Bench) -> None:
    # BARS R6
    bench.recorder.keep("index", "m.e", b"1")
    await until(lambda: bench.recorder.commits == 1)
    bench.database.limit_pages(1)
    for number in range(1, 400):
        bench.recorder.event(number, b"x" * 500)
        await asyncio.sleep(0)
    await until(lambda: bool(bench.states))
    told = list(bench.states)
    numbers = bench.safe[-1]

    bench.database.limit_pages(0)
    await until(lambda: len(bench.states) == 2)

    assert told == ["database or disk is full"]
    assert numbers > 0
    assert bench.states[1] == ""
    await until(lambda: not bench.recorder.pending)
    assert [number for number, _ in bench.database.events()] == list(range(1, 400))


def test_what_waits_for_a_full_disk_is_bounded_and_what_is_dropped_is_counted() -> None:
    waiting = Pending(most=10)
    later = Pending(samples=[SampleRow("m.v", n, float(n), 0) for n in range(25)])

    kept = waiting.before(later)

    assert ([row.at_ns for row in kept.samples], kept.dropped) == (list(range(15, 25)), 15)


async def test_a_copy_is_made_now_and_then_beside_the_commits(tmp_path: Path) -> None:
    # BARS R7: the last good snapshot
    database = Database(tmp_path / FILE)
    recorder = Recorder(database, commit_s=0.01, copy_s=0.05)
    running = asyncio.ensure_future(recorder.run())
    recorder.event(1, b"one")
    await until(lambda: (tmp_path / GOOD_COPY).exists())
    running.cancel()
    await asyncio.wait([running])

    with Database(tmp_path / GOOD_COPY, access=Access.READ) as copy:
        assert copy.check() == ""
    await recorder.close()


async def test_a_damaged_database_takes_no_good_copys_place_and_is_told(tmp_path: Path) -> None:
    # BARS R7
    database = Database(tmp_path / FILE)
    told: list[str] = []
    recorder = Recorder(database, failing=told.append)
    recorder.keep("index", "m.e", b"1234")
    await recorder.commit()
    await recorder.copy()
    good = (tmp_path / GOOD_COPY).read_bytes()
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("UPDATE kept SET body = x'31323335' WHERE id = 'm.e'")
    other.commit()
    other.close()

    await recorder.copy()

    assert (tmp_path / GOOD_COPY).read_bytes() == good
    assert told == ["no copy: checksum of a row of kept: 'index', 'm.e'"]
    await recorder.close()
