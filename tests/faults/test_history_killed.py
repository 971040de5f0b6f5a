"""BARS R8: the core killed with SIGKILL at any moment, in `make test` 25 times, in `make soak` 200 times."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from bridge.app.kept import load_kept
from bridge.history.database import Database
from bridge.history.opening import FILE

KILLS, SOAK_KILLS = 25, 200
ROOT = Path(__file__).parents[2]


class Said(msgspec.Struct):
    """What the process said last: event number and count."""

    started: tuple[int, int]
    safe: tuple[int, int]


def run_and_kill(folder: Path, chance: random.Random) -> Said:
    """Start the process, kill it at a random moment after its first commit."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.killed", str(folder)],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline(), process.stdout.readline()]
    time.sleep(chance.uniform(0, 0.15))
    process.kill()
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    words = [line.split() for line in said if line.endswith("\n")]
    started, *safe = [(int(event), int(count)) for _, event, count in words]
    return Said(started, safe[-1])


@pytest.mark.real_time
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_nothing_that_was_safe_is_lost_by_a_kill(tmp_path: Path) -> None:
    # BARS R8
    survive(tmp_path, KILLS)


@pytest.mark.real_time
@pytest.mark.soak
def test_nothing_that_was_safe_is_lost_by_two_hundred_kills(tmp_path: Path) -> None:
    # BARS R8
    survive(tmp_path, SOAK_KILLS)


def survive(tmp_path: Path, kills: int) -> None:
    """Kill and look, `kills` times over one database."""
    chance = random.Random(8)
    before = Said((0, 0), (0, 0))
    for _ in range(kills):
        said = run_and_kill(tmp_path, chance)
        assert said.started >= before.safe, "what was safe came back after the kill"

        with Database(tmp_path / "history" / FILE) as database:
            damage = database.check()
            kept = load_kept(database)
        numbers = [event.number for event in kept.events]
        index = kept.indexes["m.active_energy_import"]
        assert damage == ""
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), "event numbers have a gap"
        assert (numbers[-1], index.count) >= said.safe
        assert index.epoch == 0
        before = said
