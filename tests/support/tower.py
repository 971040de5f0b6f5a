"""The tower of BARS: a hundred simulated meters of 82 points on ten TCP lines, and a bridge with every server."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.demo import ROOT, environment, wait_until

PROTOCOLS = ("bacnet", "modbus", "snmp", "iec61850", "dnp3", "opcua")
LINES = 10


@dataclass(frozen=True, slots=True)
class Tower:
    """`ready_s`: from the start of the process until every server answered."""

    process: subprocess.Popen[bytes]
    site: Path
    log: Path
    ready_s: float

    def bridge(self, *words: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line."""
        command = [sys.executable, "-m", "bridge", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=timeout_s)


def site_of(meters: int) -> dict[str, Any]:
    """Return a site file; where the lines are, the simulator says."""
    quiet = ["ch2_reactive*", "ch2_apparent*", "ch2_power_factor*"]
    nominal = {"voltage_v": 230, "current_a": 80, "frequency_hz": 50}
    return {
        "site": {"name": "tower", "state_dir": "var"},
        "channels": {f"line-{n}": {"kind": "tcp", "host": "127.0.0.1", "port": 502 + n} for n in range(LINES)},
        "devices": {
            f"m{n:03}": {
                "meter": "bsmart",
                "wiring": "3P4W",
                "channel": f"line-{n % LINES}",
                "unit": 1 + n // LINES,
                "skip": quiet,
                "nominal": nominal,
            }
            for n in range(meters)
        },
    }


@contextlib.contextmanager
def running_tower(
    folder: Path, port_base: int, meters: int = 100, protocols: Sequence[str] = PROTOCOLS, patience_s: float = 120.0
) -> Iterator[Tower]:
    """Start both, wait until every server answers, end them with SIGTERM."""
    site = site_of(meters)
    with contextlib.ExitStack() as ending:
        endpoints = simulate(folder, site, ending)
        for name, channel in site["channels"].items():
            channel["port"] = endpoints[name]["port"]
        run = folder / "run"
        run.mkdir()
        for number, protocol in enumerate(protocols):
            mapping = yaml.safe_load((ROOT / "mappings" / "demo" / f"{protocol}.yaml").read_text())
            # what the demo says of its own devices and receivers stays there
            mapping = {key: mapping[key] for key in mapping.keys() - {"traps", "map", "units"}}
            mapping["listener"] = {**mapping.get("listener", {}), "bind": "127.0.0.1", "port": port_base + number}
            (run / f"{protocol}.yaml").write_text(yaml.safe_dump(mapping))
        site["projections"] = {protocol: f"{protocol}.yaml" for protocol in protocols}
        (run / "site.yaml").write_text(yaml.safe_dump(site, sort_keys=False))
        log, begun = folder / "log", time.monotonic()
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "run", str(run)], stderr=stream, env=environment()
            )
        ending.callback(end, process)
        wait_until(lambda: " ready servers" in log.read_text() or process.poll() is not None, patience_s)
        assert process.poll() is None, log.read_text()
        yield Tower(process, run, log, time.monotonic() - begun)


def simulate(folder: Path, site: dict[str, Any], ending: contextlib.ExitStack) -> dict[str, Any]:
    """Start the meters; return where each line is."""
    place, endpoints = folder / "meters", folder / "endpoints.json"
    place.mkdir()
    (place / "site.yaml").write_text(yaml.safe_dump(site, sort_keys=False))
    words = ["-m", "bridge.simulator", str(place / "site.yaml"), "--endpoints-file", str(endpoints)]
    process = subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, env=environment())
    ending.callback(end, process)
    wait_until(lambda: endpoints.exists() or process.poll() is not None, 60)
    found: dict[str, Any] = json.loads(endpoints.read_text())["channels"]
    return found


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
