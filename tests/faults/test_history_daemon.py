"""BARS R6 and R7 with the whole bridge: the disk is full while it serves, the database is damaged while it is away."""

import contextlib
import csv
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.history.opening import FILE
from tests.faults.test_core_killed import ask, kill, start_again
from tests.support.bridge_site import RunningBridge, cli, modbus_mapping, running_bridge, site_files
from tests.support.modbus_clients import HOLDING, Pymodbus

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(240)]
PORTS = 21_500
DISK = "3m"
ENERGY = "landlord.active_energy_import"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return site_files(tmp_path / "site", None, {"modbus": modbus_mapping(PORTS)})


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of three megabytes at `folder`."""
    folder.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Served:
    """The energy as a foreign client of the Modbus server reads it."""

    def __init__(self, bridge: RunningBridge) -> None:
        out = bridge.site.parent / "map"
        assert cli("export", "modbus-map", str(bridge.site), "--out", str(out)).returncode == 0
        with (out / "modbus-registers.csv").open() as file:
            row = next(row for row in csv.DictReader(file) if row["point"] == ENERGY and row["type"] == "int64")
        self._unit_id, self._address = int(row["unit_id"]), int(row["address"])

    def count(self) -> int:
        client = Pymodbus(PORTS)
        try:
            words = client.read(HOLDING, self._unit_id, self._address, 4)
        finally:
            client.close()
        return int.from_bytes(b"".join(word.to_bytes(2) for word in words), signed=True)

    def count_beyond(self, count: int) -> int:
        wait_for(lambda: self.count() > count, "the energy to go on")
        return self.count()


def wait_for(condition: Callable[[], bool], what: str, limit_s: float = 60.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, f"waited {limit_s} s for {what}"
        time.sleep(0.1)


def failures(bridge: RunningBridge) -> list[tuple[str, str]]:
    """Label and state of every alarm about the history."""
    alarms: list[dict[str, Any]] = ask(bridge, "alarms") or []
    return [(alarm["label"], alarm["state"]) for alarm in alarms if alarm["label"].startswith("history")]


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_on_a_full_disk_the_bridge_serves_tells_one_alarm_and_recovers_alone(site: Path) -> None:
    # BARS R6
    state = site.parent / "var"
    with small_disk(state), running_bridge(site, PORTS + 1) as bridge:
        served = Served(bridge)
        before = served.count_beyond(0)
        filler = fill(state)
        wait_for(lambda: ("history failure", "active") in failures(bridge), "the alarm")

        during = served.count_beyond(served.count_beyond(before))
        told = ask(bridge, "events", "--last", "5000")
        filler.unlink()
        wait_for(lambda: ("history failure", "active") not in failures(bridge), "the end of the alarm")
        after = served.count_beyond(during)
        alarms = failures(bridge)
        kept = wait_until_kept(state, told)

        assert alarms == [("history failure", "historic")]
        assert [event["event"] for event in told] == list(range(1, len(told) + 1))
        assert kept[: len(told)] == [event["event"] for event in told]
        assert bridge.process.poll() is None
        assert after > during > before
        try:
            kill(bridge)
            start_again(bridge)
            assert served.count() >= after
            assert failures(bridge) == alarms
        finally:
            end(bridge)


def wait_until_kept(state: Path, told: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of the events in the database once all that were told are there."""

    def numbers() -> list[int]:
        with contextlib.closing(sqlite3.connect(f"file:{state / 'history' / FILE}?mode=ro", uri=True)) as raw:
            return [row[0] for row in raw.execute("SELECT number FROM event ORDER BY number")]

    wait_for(lambda: len(numbers()) >= len(told), "the events on the disk")
    return numbers()


def flip_value(history: Path) -> None:
    """One bit of the kept energy."""
    with contextlib.closing(sqlite3.connect(history / FILE)) as raw:
        body = raw.execute("SELECT body FROM kept WHERE kind = 'index' AND id = ?", (ENERGY,)).fetchone()[0]
    flip(history / FILE, (history / FILE).read_bytes().index(body) + 2)


def flip_in_log(history: Path) -> None:
    log = history / f"{FILE}-wal"
    flip(log, random.Random(7).randrange(log.stat().st_size // 2, log.stat().st_size))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def overwrite(history: Path) -> None:
    (history / FILE).write_bytes(os.urandom(60_000))


HARMS: tuple[tuple[str, signal.Signals, Callable[[Path], None]], ...] = (
    ("one bit of one value", signal.SIGTERM, flip_value),
    ("one bit of the log", signal.SIGKILL, flip_in_log),
    ("another file", signal.SIGTERM, overwrite),
)


def test_any_damage_found_at_the_start_is_set_aside_and_told_and_the_bridge_serves(site: Path) -> None:
    # BARS R7
    with running_bridge(site, PORTS + 1) as bridge:
        history = site.parent / "var" / "history"
        served = Served(bridge)
        count = served.count_beyond(0)
        try:
            for n, (harm, way, damage) in enumerate(HARMS, start=1):
                count = served.count_beyond(count)
                # what was read is on the disk half a second later
                time.sleep(1.5)
                events = ask(bridge, "events", "--last", "5000")
                bridge.process.send_signal(way)
                bridge.process.wait(20)
                damage(history)

                start_again(bridge)

                assert served.count() >= count, harm
                alarms = failures(bridge)
                assert alarms.count(("history damaged", "historic")) == n, (harm, alarms)
                assert len(list(history.glob("history.damaged-*.sqlite"))) == n, harm
                again = ask(bridge, "events", "--last", "5000")
                assert any("history damaged" in event["text"] for event in again), harm
                # no number is given to two events
                first_new = next(event for event in again if "history damaged" in event["text"] and event not in events)
                assert first_new["event"] > events[-1]["event"], harm
        finally:
            end(bridge)


def end(bridge: RunningBridge) -> None:
    bridge.process.send_signal(signal.SIGTERM)
    bridge.process.wait(20)
