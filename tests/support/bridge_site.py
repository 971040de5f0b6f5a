"""A whole bridge as its users start it: simulated meters, `meterbridge run`, the command line, a Modbus client."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bridge.core.clock import SystemClock
from bridge.demo.simulator import SimulatorProcess
from bridge.simulator.simulation import TcpEndpoint
from tests.support.workers import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"}
START_S = 25.0
# The generic MID submeter as a technician opens it for his site: everything else stays as the library has it.
OPENED = ("reset_demand_peak", "demand_interval", "display_backlight_timeout", "overload_threshold", "modbus_address")


def modbus_mapping(port: int) -> dict[str, Any]:
    """A Modbus server that offers everything that can be written."""
    listener = {"port": port, "bind": "127.0.0.1", "max_clients": 32}
    return {"listener": listener, "access": "read-write", "write_timeout_s": 2.0, "units": {"landlord": 21}}


def site_files(
    folder: Path,
    access: dict[str, Any] | None,
    mappings: dict[str, dict[str, Any]],
    channel: str = "tcp",
    services: dict[str, Any] | None = None,
) -> Path:
    """Write a site of one MID submeter with these protocols; return its site.yaml. `access` None: says nothing."""
    (folder / "meters").mkdir(parents=True)
    points = {name: {"writable": True} for name in OPENED}
    meter = {"meter": "opened", "extends": "mid-submeter", "source": "test", "points": points}
    meter["models"] = {"MID submeter": {"mid": True}}
    (folder / "meters" / "opened.yaml").write_text(yaml.safe_dump(meter))
    for protocol, mapping in mappings.items():
        (folder / f"{protocol}.yaml").write_text(yaml.safe_dump(mapping))
    lines = {
        "tcp": {"kind": "tcp", "host": "127.0.0.1", "port": 502, "timeout_s": 0.5},
        "rtu": {"kind": "rtu", "port": "/dev/null", "baud": 19200, "timeout_s": 0.5},
    }
    site: dict[str, Any] = {
        "site": {"name": "policy", "state_dir": "var", "meters": ["meters"]},
        "poll": {"fast": "500ms", "normal": "1s", "state": "1s", "slow": "2s"},
        "channels": {"board": lines[channel]},
        "devices": {"landlord": {"meter": "opened", "channel": "board", "unit": 21, "nominal": {"current_a": 100}}},
        "projections": {protocol: f"{protocol}.yaml" for protocol in mappings},
    }
    if access is not None:
        site["access"] = access
    if services is not None:
        site["services"] = services
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site))
    return path


class RunningBridge:
    """`site`: of the bridge. `control`: URL of the simulator."""

    def __init__(self, site: Path, process: subprocess.Popen[bytes], control: str, log: Path) -> None:
        self.site, self.process, self.control, self.log = site, process, control, log

    def cli(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `meterbridge` with `words`."""
        return cli(*words, stdin=stdin)

    def write(self, point: str, value: str) -> subprocess.CompletedProcess[str]:
        return self.cli("write", str(self.site), point, value)

    def value(self, point: str) -> Any:
        """Return what the simulated meter itself has."""
        device, _, name = point.partition(".")
        with urllib.request.urlopen(f"{self.control}/points", timeout=5) as answer:
            return json.load(answer)[device][name]

    def fault(self, device: str, fault: str | None) -> None:
        request = urllib.request.Request(
            f"{self.control}/devices/{device}", json.dumps({"fault": fault}).encode(), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=5):
            pass

    def audit(self) -> list[dict[str, Any]]:
        """Return the records of the audit so far."""
        folder = self.site.parent / "var" / "audit"
        return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def cli(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `meterbridge` with `words`."""
    command = [sys.executable, "-m", "bridge", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, env=ENVIRONMENT, input=stdin, check=False
    )


@contextlib.contextmanager
def running_bridge(site: Path, simulator_port: int) -> Iterator[RunningBridge]:
    """Start simulator and bridge; wait until every server answers."""
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        simulator = SimulatorProcess(site, simulator_port, site.parent, clock)
        stack.enter_context(simulator)
        _connect(site, simulator)
        log = site.parent / "bridge.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "run", str(site)], stderr=stderr, env=ENVIRONMENT
            )
        stack.callback(_end, process)
        until = time.monotonic() + START_S
        while "ready servers=" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield RunningBridge(site, process, f"http://127.0.0.1:{simulator_port}", log)


def _connect(site: Path, simulator: SimulatorProcess) -> None:
    data = yaml.safe_load(site.read_text())
    for name, endpoint in simulator.endpoints().channels.items():
        place = endpoint.port if isinstance(endpoint, TcpEndpoint) else endpoint.path
        data["channels"][name]["port"] = place
    site.write_text(yaml.safe_dump(data))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
