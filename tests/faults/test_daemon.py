"""The daemon as its operator meets it: broken files, reload, signals, a second start. Real processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pymodbus.client import ModbusTcpClient

from tests.support.demo import Demo, environment, running_demo, wait_until

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(180)]
PORT_BASE = 30000

Break = Callable[[Path], None]


def edit(name: str, old: str, new: str) -> Break:
    def change(site: Path) -> None:
        text = (site / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        (site / name).write_text(text.replace(old, new, 1))

    return change


def append(name: str, text: str) -> Break:
    def change(site: Path) -> None:
        (site / name).write_text((site / name).read_text() + text)

    return change


def replace(name: str, data: bytes) -> Break:
    def change(site: Path) -> None:
        (site / name).write_bytes(data)

    return change


# BARS R10: each is refused with a file and a line, and the old configuration goes on serving
BROKEN: dict[str, tuple[Break, str]] = {
    "syntax": (append("site.yaml", "devices: [\n"), "site.yaml:"),
    "duplicate key": (append("site.yaml", "poll: {}\n"), "site.yaml:"),
    "unknown key": (append("site.yaml", "devicess: {}\n"), "site.yaml:"),
    "unknown meter": (edit("site.yaml", "meter: ion7400", "meter: ion7401"), "site.yaml:"),
    "unknown channel": (edit("site.yaml", "channel: plant", "channel: plants"), "site.yaml:"),
    "unit twice on a line": (edit("site.yaml", "unit: 12", "unit: 11"), "site.yaml:"),
    "unit out of range": (edit("site.yaml", "unit: 12", "unit: 300"), "site.yaml:"),
    "baud": (edit("site.yaml", "baud: 9600", "baud: 9601"), "site.yaml:"),
    "framing": (edit("site.yaml", "framing: 8N1", "framing: 7N1"), "site.yaml:"),
    "text for a number": (edit("site.yaml", "unit: 12", "unit: twelve"), "site.yaml:"),
    "poll period": (edit("site.yaml", "fast: 1s", "fast: 1 parsec"), "site.yaml:"),
    "poll too fast": (edit("site.yaml", "fast: 1s", "fast: 1ms"), "site.yaml:"),
    "unknown poll class": (edit("site.yaml", "fast: 1s", "faster: 1s"), "site.yaml:"),
    "unknown protocol": (edit("site.yaml", "modbus: modbus.yaml", "modbuss: modbus.yaml"), "site.yaml:"),
    "missing file": (lambda site: (site / "modbus.yaml").unlink(), "site.yaml:"),
    "empty file": (replace("site.yaml", b""), "site.yaml:"),
    "binary file": (replace("site.yaml", b"\xff\xfe\0\0"), "site.yaml:"),
    "tag": (append("site.yaml", "services: !!python/object/apply:os.system [id]\n"), "site.yaml:"),
    "mapping of a server": (edit("modbus.yaml", "access: read", "access: everything"), "modbus.yaml:"),
    "pin of a missing device": (edit("modbus.yaml", "heat-pump: 5", "heat-pumps: 5"), "modbus.yaml:"),
    "damaged ledger": (edit("numbering.lock.yaml", "entries: ", "entries: 9"), "numbering.lock.yaml:"),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("daemon"), PORT_BASE) as running:
        yield running


@pytest.fixture
def kept(demo: Demo, tmp_path: Path) -> Iterator[Path]:
    """The site's folder, as it was before and after."""
    shutil.copytree(demo.site, tmp_path / "kept")
    yield demo.site
    shutil.rmtree(demo.site)
    shutil.copytree(tmp_path / "kept", demo.site)


def answers(demo: Demo) -> bool:
    at = demo.server("modbus")
    client = ModbusTcpClient(at["host"], port=at["port"], timeout=3)
    try:
        return not client.read_holding_registers(0, count=2, device_id=255).isError()
    finally:
        client.close()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_changes_nothing_and_names_its_line(demo: Demo, kept: Path, name: str) -> None:
    damage, says = BROKEN[name]
    before = children(demo.process.pid)
    damage(kept)

    os.kill(demo.process.pid, signal.SIGHUP)
    checked = demo.bridge("check", str(kept))

    assert checked.returncode == 2
    assert says in checked.stderr
    assert any(part.isdigit() for part in checked.stderr.split(says, 1)[1].split(":")[:1])
    assert "Traceback" not in checked.stderr
    assert answers(demo)
    assert children(demo.process.pid) == before


def test_a_reload_that_changes_nothing_keeps_every_process(demo: Demo) -> None:
    before = children(demo.process.pid)

    reloaded = demo.bridge("reload", str(demo.site))

    assert reloaded.returncode == 0, reloaded.stderr
    assert children(demo.process.pid) == before


def test_a_reload_of_a_broken_site_says_every_fault_and_exits_2(demo: Demo, kept: Path) -> None:
    append("modbus.yaml", "acess: read\n")(kept)

    reloaded = demo.bridge("reload", str(kept))

    assert reloaded.returncode == 2
    assert "modbus.yaml:" in reloaded.stderr


# C-06
def test_a_reload_that_makes_another_meter_of_a_device_asks_first(demo: Demo, kept: Path) -> None:
    text = (kept / "site.yaml").read_text()
    ledger = (kept / "numbering.lock.yaml").read_text()
    changed = text.replace("model: COUNTIS E27", "model: COUNTIS E28")
    assert changed != text
    (kept / "site.yaml").write_text(changed)

    refused = demo.bridge("reload", str(kept))
    assert refused.returncode == 1
    assert "heat-pump was socomec-countis-e2x COUNTIS E27, becomes" in refused.stderr
    assert (kept / "numbering.lock.yaml").read_text() == ledger
    # nobody can be asked by a signal
    os.kill(demo.process.pid, signal.SIGHUP)
    wait_until(lambda: "confirm it with" in demo.log.read_text(), 10)
    assert answers(demo)

    confirmed = demo.bridge("reload", str(kept), "--yes")
    assert confirmed.returncode == 0, confirmed.stderr
    told = demo.bridge("events", str(kept)).stdout
    (kept / "site.yaml").write_text(text)
    assert demo.bridge("reload", str(kept), "--yes").returncode == 0
    assert "heat-pump: meter was socomec-countis-e2x COUNTIS E27, is socomec-countis-e2x COUNTIS E28" in told


def test_a_device_taken_out_and_put_back_keeps_its_numbers(demo: Demo, kept: Path) -> None:
    """C-07: what a user chose stays."""
    before = (kept / "numbering.lock.yaml").read_text()
    text = (kept / "site.yaml").read_text()
    start = text.index("  tenant-2:")
    end = text.index("  heat-pump:")
    (kept / "site.yaml").write_text((text[:start] + text[end:]).replace("      - tenant-2.active_power_total\n", ""))
    without = demo.bridge("reload", str(kept))
    assert without.returncode == 0, without.stderr
    gone = demo.bridge("points", str(kept), "--live", "--device", "tenant-2")
    (kept / "site.yaml").write_text(text)
    again = demo.bridge("reload", str(kept))

    assert again.returncode == 0, again.stderr
    assert "tenant-2." not in gone.stdout
    assert numbers(kept / "numbering.lock.yaml") == numbers_of(before)
    wait_until(lambda: "good" in demo.bridge("read", str(kept), "tenant-2.active_power_total").stdout, 15)
    wait_until(lambda: answers(demo), 10)


def numbers(path: Path) -> list[str]:
    return numbers_of(path.read_text())


def numbers_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith(("revision", "entries"))]


def test_health_asks_the_running_bridge(demo: Demo, tmp_path: Path) -> None:
    """BARS S10."""
    healthy = demo.bridge("health", str(demo.site), "--json")
    elsewhere = tmp_path / "site"
    shutil.copytree(demo.site, elsewhere)
    nobody = demo.bridge("health", str(elsewhere))

    assert healthy.returncode == 0, healthy.stdout
    assert nobody.returncode == 1
    assert "no bridge runs" in nobody.stderr


def test_a_second_bridge_for_the_same_site_is_refused(demo: Demo) -> None:
    second = demo.bridge("run", str(demo.site))

    assert second.returncode == 1
    assert "another bridge" in second.stderr
    assert "Traceback" not in second.stderr


def test_sigterm_ends_everything_within_five_seconds(tmp_path: Path) -> None:
    """BARS R11."""
    with running_demo(tmp_path, PORT_BASE + 1000) as demo:
        family = children(demo.process.pid)
        at = time.monotonic()
        demo.process.send_signal(signal.SIGTERM)
        status = demo.process.wait(10)
        took_s = time.monotonic() - at

        assert status == 0
        assert took_s < 5
        wait_until(lambda: not any(psutil.pid_exists(pid) for pid in family), 2)
        assert not (tmp_path / "ready.json").exists()


def test_a_port_that_is_taken_is_said_and_tried_again(tmp_path: Path) -> None:
    """A server that cannot listen is a fault of its own; the meters are polled all the same."""
    site = tmp_path / "site"
    site.mkdir()
    holder = socket.create_server(("127.0.0.1", 0))
    (site / "modbus.yaml").write_text(f"listener: {{port: {holder.getsockname()[1]}}}\n")
    (site / "site.yaml").write_text(
        "site: {name: small}\nchannels: {lan: {kind: tcp, host: 127.0.0.1, port: 9}}\n"
        "devices: {m: {meter: ion7400, channel: lan, model: ION7400}}\nprojections: {modbus: modbus.yaml}\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as stream:
        bridge = subprocess.Popen([sys.executable, "-m", "bridge", "run", str(site)], stderr=stream, env=environment())
    try:
        wait_until(lambda: "server modbus" in log.read_text(), 15)
        time.sleep(1)
        assert bridge.poll() is None
        assert "Traceback" not in log.read_text()
    finally:
        bridge.terminate()
        bridge.wait(10)
        holder.close()


def children(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children(recursive=True)}
