"""BARS R6: a disk that is really full: a tmpfs of one megabyte."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.history.opening import open_history
from bridge.history.recorder import Recorder
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
