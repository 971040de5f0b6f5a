"""BARS R6: a disk that is really full: a tmpfs of one megabyte."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.history.opening import GOOD_COPY, Opened, open_history
from bridge.history.recorder import Recorder
from bridge.history.rows import Pending
from tests.support.workers import until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.real_time
async def test_a_full_disk_is_told_once_and_writing_goes_on_when_there_is_room(small_disk: Path) -> None:
    # BARS R6
    opened = open_history(small_disk, 5000, "now")
    told: list[str] = []
    safe: list[int] = []
    recorder = Recorder(opened.database, safe.append, told.append, commit_s=0.01, retry_s=0.05)
    running = asyncio.ensure_future(recorder.run())
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 700_000)
    for number in range(1, 301):
        recorder.event(number, b"x" * 2000)
        await asyncio.sleep(0)
    await until(lambda: bool(told))
    full = list(told)
    # numbers go out all the same
    await until(lambda: bool(safe) and safe[-1] == 300)

    filler.unlink()
    await until(lambda: told[-1] == "" and not recorder.pending)

    assert len(full) == 1
    assert "full" in full[0]
    assert [number for number, _ in opened.database.events()] == list(range(1, 301))
    assert opened.database.check() == ""
    running.cancel()
    await asyncio.wait([running])
    await recorder.close()


def test_a_start_on_a_full_disk_takes_a_good_file_for_no_damaged_one(small_disk: Path) -> None:
    # BARS R6 R7
    with open_history(small_disk, 5000, "before").database as database:
        made = Pending()
        made.events = [(number, b"event") for number in range(1, 101)]
        database.commit(made)
        database.save_copy(small_disk / GOOD_COPY)
        made.events = [(number, b"event") for number in range(101, 201)]
        database.commit(made)
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))

    opened: Opened | None = None
    with contextlib.suppress(sqlite3.Error):
        opened = open_history(small_disk, 5000, "full")
    if opened is not None:
        opened.database.close()
    filler.unlink()
    again = open_history(small_disk, 5000, "after")

    with again.database as database:
        assert again.damage == ""
        assert len(database.events()) == 200
    assert list(small_disk.glob("*damaged*")) == []
