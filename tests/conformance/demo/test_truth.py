"""From the meter's register to a foreign client: the demo's servers show what its simulated meters hold."""

import csv
import io
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.demo import ROOT, Demo, environment, running_demo, wait_until
from tests.support.modbus_clients import HOLDING, Libmodbus, Mbpoll, Pymodbus, PyModbusTcp, Reader

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(180)]
PORT_BASE = 29000
_FORMATS = {
    "int64": ">q",
    "int32": ">i",
    "uint32": ">I",
    "float64": ">d",
    "float32": ">f",
    "uint16": ">H",
    "boolean": ">H",
    "time": ">q",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), PORT_BASE) as running:
        yield running


class Registers:
    """The bridge's own Modbus server as an integrator reads it: by its register list, with a foreign client."""

    def __init__(self, demo: Demo) -> None:
        out = demo.folder / "pack"
        done = demo.bridge("export", "modbus-map", str(demo.site), "--out", str(out))
        assert done.returncode == 0, done.stderr
        self.rows = list(csv.DictReader(io.StringIO((out / "modbus-registers.csv").read_text())))
        self.port = demo.server("modbus")["port"]
        self.reader: Reader | None = None

    def ask_with(self, reader: Reader | None) -> None:
        """Use this client from now on, or for None a pymodbus of the moment for each question."""
        self.reader = reader

    def row(self, point: str, form: str, shows: str = "value") -> dict[str, str]:
        return next(
            r
            for r in self.rows
            if r["point"] == point and r["type"] == form and r["shows"] == shows and r["unit_id"] != "255"
        )

    def read(self, row: dict[str, str]) -> Any:
        count, form = int(row["registers"]), row["type"]
        reader = self.reader or Pymodbus(self.port)
        words = reader.read(HOLDING, int(row["unit_id"]), int(row["address"]), count)
        if self.reader is None:
            reader.close()
        data = b"".join(word.to_bytes(2, "big") for word in words)
        if form == "text":
            return data.rstrip(b"\0").decode()
        return struct.unpack(_FORMATS[form], data)[0]

    def value(self, point: str, form: str) -> Any:
        return self.read(self.row(point, form))


@pytest.fixture(scope="module")
def registers(demo: Demo) -> Registers:
    return Registers(demo)


@pytest.fixture(scope="module")
def held(demo: Demo) -> dict[str, dict[str, Any]]:
    """What the meters hold, standing still."""
    demo.pin_everything()
    demo.settle()
    return demo.points()


def client(name: str, port: int, folder: Path) -> Reader:
    if name == "libmodbus":
        return Libmodbus(port, folder, ROOT / "tests" / "conformance" / "modbus" / "read_blocks.c")
    clients: dict[str, Callable[[int], Reader]] = {"pymodbus": Pymodbus, "pyModbusTCP": PyModbusTcp, "mbpoll": Mbpoll}
    return clients[name](port)


@pytest.mark.parametrize("name", ["pymodbus", "pyModbusTCP", "libmodbus", "mbpoll"])
def test_a_foreign_client_reads_what_the_meters_hold(
    registers: Registers, held: dict[str, dict[str, Any]], tmp_path: Path, name: str
) -> None:
    """Every value of every meter, energy to the last count."""
    reader = client(name, registers.port, tmp_path)
    registers.ask_with(reader)
    wrong, seen, energies = [], set[str](), 0
    for row in registers.rows:
        device, _, point = row["point"].partition(".")
        if row["table"] != "registers" or row["unit_id"] == "255" or point not in held.get(device, {}):
            continue
        if row["shows"] not in ("value", "indicative") or (row["type"] == "uint16" and row["scale"] not in ("", "1")):
            continue
        truth, got = held[device][point], registers.read(row)
        if not same(row, truth, got):
            wrong.append((row["point"], row["type"], truth, got))
        seen.add(row["point"])
        energies += row["type"] == "int64"

    registers.ask_with(None)
    reader.close()
    assert wrong == []
    assert seen == {f"{device}.{point}" for device, points in held.items() for point in points}
    assert energies > 50


def same(row: dict[str, str], truth: Any, got: Any) -> bool:
    """Compare without losing a digit: integer counts exactly, FLOAT32 as the nearest float32."""
    if row["type"] in ("int64", "int32", "uint32"):
        count = round(truth / float(row["scale"]))
        exact = row["type"] != "int64" or f"{count * float(row['scale']):.3f}" == f"{truth:.3f}"
        return bool(got == count and exact)
    if row["type"] == "float32":
        return struct.pack(">f", truth) == struct.pack(">f", got)
    if row["type"] == "time":
        return bool(got == round(datetime.fromisoformat(truth).timestamp() * 1000))
    return bool(got == truth)


def test_a_changed_meter_is_served_within_one_poll_of_its_class(demo: Demo, registers: Registers) -> None:
    # classes of the demo: fast 1 s, slow 5 s; a line that is shared needs some room
    for device, point, value, form, period_s in (
        ("main", "active_power_total", 123.5, "float32", 1.0),
        ("heat-pump", "active_power_total", 7.25, "float32", 1.0),
        ("tenant-1", "active_power_total", 3.5, "float32", 1.0),
        ("landlord", "active_power_total", 11.0, "float32", 1.0),
    ):
        demo.set(device, point, value)
        at = time.monotonic()
        wait_until(lambda d=device, p=point, f=form, v=value: registers.value(f"{d}.{p}", f) == v, period_s + 3)
        assert time.monotonic() - at < period_s + 3
    demo.set("main", "active_energy_import", 131072.01)

    wait_until(lambda: registers.value("main.active_energy_import", "int64") == 131_072_010, 8)


def test_a_dead_meter_turns_bad_holds_its_value_and_comes_back(demo: Demo, registers: Registers) -> None:
    demo.set("heat-pump", "active_power_total", 5.5)
    wait_until(lambda: registers.value("heat-pump.active_power_total", "float32") == 5.5, 5)
    demo.fault("heat-pump", "dead")

    def row() -> dict[str, Any]:
        done = demo.bridge("read", str(demo.site), "heat-pump.active_power_total", "--json")
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    wait_until(lambda: "comm_lost" in row()["quality"], 15)
    lost = row()
    time.sleep(2)
    still = row()
    demo.fault("heat-pump", None)
    wait_until(lambda: row()["quality"] == "good", 30)

    assert lost["value"] == still["value"] == 5.5
    assert lost["source_ns"] == still["source_ns"]


def test_the_other_meters_do_not_notice_a_dead_one(demo: Demo) -> None:
    demo.fault("tenant-1", "dead")
    try:
        time.sleep(8)
        rows = json.loads(demo.bridge("points", str(demo.site), "--live", "--json").stdout)
    finally:
        demo.fault("tenant-1", None)
    others = [r for r in rows if r["point"].startswith("tenant-2.active_power") and r["value"] is not None]

    assert others
    assert all(r["quality"] == "good" for r in others)


def test_verify_finds_every_server_telling_the_truth(demo: Demo) -> None:
    done = demo.bridge("verify", str(demo.site))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "comparisons hold" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "point"),
    [
        ("unit: kW,", "scale: 0.5, unit: kW,", "main.active_power_l1"),
        ("word_order: ABCD", "word_order: CDAB", "main.active_energy_import"),
    ],
    ids=["scale", "words"],
)
def test_verify_finds_a_seeded_fault(demo: Demo, old: str, new: str, point: str) -> None:
    """Another meter file than the running bridge has: its table, and what comes through its gateway, are not that."""
    text = (ROOT / "mappings" / "meters" / "ion7400.yaml").read_text()
    wrong = text.replace(old, new, 1)
    assert wrong != text
    site = demo.site / "site.yaml"
    before = site.read_text()
    (demo.site / "meters").mkdir(exist_ok=True)
    (demo.site / "meters" / "ion7400.yaml").write_text(wrong)
    try:
        site.write_text(before.replace("site:\n", "site:\n  meters: [meters]\n", 1))
        done = demo.bridge("verify", str(demo.site), "--protocol", "gateway", "--json")
    finally:
        site.write_text(before)
    rows = json.loads(done.stdout)

    assert done.returncode == 1
    assert {row["protocol"] for row in rows if row["point"] == point and row["verdict"] == "different"} == {
        "meter",
        "gateway",
    }
    assert all(row["verdict"] == "good" for row in rows if row["point"].startswith("tenant-1."))


def test_scan_and_probe_recognise_the_simulated_meters(demo: Demo) -> None:
    # M-20: the COUNTIS on TCP at its factory unit id
    found = demo.bridge("scan", str(demo.site), "plant", "--units", "4-6", "--json")
    probed = demo.bridge("probe", str(demo.site), "main", "--json")
    silent = demo.bridge("scan", str(demo.site), "plant", "--units", "77", "--json")

    (row,) = json.loads(found.stdout)
    assert (row["unit"], row["meter"], row["device"]) == (5, "socomec-countis-e2x", "heat-pump")
    assert probed.returncode == 0
    assert json.loads(probed.stdout)[0]["meter"] == "ion7400"
    assert json.loads(silent.stdout) == []


# C-03
def test_probe_of_a_silent_device_says_what_it_may_be(demo: Demo) -> None:
    demo.fault("heat-pump", "dead")
    try:
        done = demo.bridge("probe", str(demo.site), "heat-pump")
    finally:
        demo.fault("heat-pump", None)

    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "unit id may not be those of the device" in done.stderr
    assert "docs/faults.md" in done.stderr


# C-02
def test_status_counts_requests_of_every_line_device_and_server(demo: Demo) -> None:
    answer = json.loads(demo.bridge("status", str(demo.site), "--json").stdout)

    assert {row["name"] for row in answer["servers"]} >= set(demo.ready["servers"])
    assert all(row["counters"] for row in answer["servers"] if row["name"] == "modbus")
    assert all(row["requests"] > 0 for row in answer["channels"])
    assert all(row["requests"] > 0 and "timeouts" in row for row in answer["devices"])


def test_trace_shows_the_frames_of_a_line(demo: Demo) -> None:
    done = demo.bridge("trace", str(demo.site), "riser-1", "--count", "4")

    assert done.returncode == 0
    assert " sent " in done.stdout
    assert " ok " in done.stdout


def test_the_integration_pack_has_a_file_of_every_face(demo: Demo) -> None:
    out = demo.folder / "all"
    done = demo.bridge("export", "all", str(demo.site), "--out", str(out))
    names = {path.name for path in out.iterdir()}

    assert done.returncode == 0, done.stderr
    assert names >= {"modbus-registers.csv", "METERBRIDGE-MIB.mib"}
    assert {path.suffix for path in out.iterdir()} >= {".csv", ".mib", ".cid", ".icd", ".xml"}
    assert all(path.stat().st_size for path in out.iterdir())


def test_the_numbers_are_those_of_the_shipped_ledger(demo: Demo) -> None:
    shipped = ROOT / "mappings" / "demo" / "numbering.lock.yaml"

    assert (demo.site / "numbering.lock.yaml").read_text() == shipped.read_text()


@pytest.mark.timeout(240)
def test_every_command_the_demo_prints_can_be_copied_and_run(demo: Demo) -> None:
    offered = commands(demo)
    failed = {}
    for server, lines in offered.items():
        for line in lines:
            done = as_typed(line)
            if done.returncode or not (done.stdout.strip() or line.startswith(("socat ", "export "))):
                failed[server] = (line, done.returncode, done.stderr[-500:])

    assert not failed, failed
    assert set(offered) >= set(demo.ready["servers"]) | {"simulator"}
    assert all(offered.values())


def commands(demo: Demo) -> dict[str, list[str]]:
    """The commands below each heading of what the demo printed."""
    wait_until(lambda: "\nmeterbridge verify " in demo.log.read_text(), 10)
    printed = demo.log.read_text().partition("The demo runs.")[2]
    text = printed[: printed.index("\n", printed.index("\nmeterbridge verify ") + 1)]
    found: dict[str, list[str]] = {}
    for part in text.split("\n\n# ")[1:]:
        server, *lines = part.strip().split("\n")
        found[server] = [line for line in lines if line and not line.startswith("#")]
    return found


def as_typed(line: str) -> subprocess.CompletedProcess[str]:
    # a tunnel has no end of its own, and a source tree no command of its name
    line = f"{line} & sleep 1; kill $!" if line.startswith("socat ") else line
    line = line.replace("meterbridge ", "python -m bridge ", 1)
    words = ["bash", "-c", line]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, env=with_clients(), cwd="/", check=False)


def with_clients() -> dict[str, str]:
    """The environment of a shell in which the clients of this Python are found."""
    return {**environment(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_the_log_holds_no_traceback(demo: Demo) -> None:
    assert "Traceback" not in demo.log.read_text()


def test_the_readme_of_the_demo_interface_holds(demo: Demo) -> None:
    assert demo.ready["ready"] is True
    assert demo.ready["pid"] == demo.process.pid
    assert set(demo.ready["servers"]["modbus"]) >= {"host", "port"}
    assert (ROOT / "mappings" / "demo" / "site.yaml").exists()
