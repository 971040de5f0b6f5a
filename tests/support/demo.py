"""The demo as its users start it: a process of its own, a ready file, a control port."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Seconds until every server answers; every face of the bridge starts at once on two cores.
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Demo:
    """`ready`: the ready file's content. `folder`: its state directory."""

    process: subprocess.Popen[bytes]
    ready: dict[str, Any]
    folder: Path
    log: Path

    @property
    def site(self) -> Path:
        return self.folder / "site"

    def server(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ready["servers"][name]
        return found

    def points(self) -> dict[str, dict[str, Any]]:
        """What the simulated meters hold now."""
        found: dict[str, dict[str, Any]] = self.ask("GET", "/points")
        return found

    def set(self, device: str, point: str, value: Any) -> None:
        """Pin a value; None lets it move again."""
        self.ask("PUT", f"/points/{device}/{point}", value)

    def fault(self, device: str, fault: str | None) -> None:
        self.ask("PUT", f"/devices/{device}", {"fault": fault})

    def pin_everything(self) -> dict[str, dict[str, Any]]:
        """Stop every curve where it is; return what stands still."""
        for device, points in self.points().items():
            for point, value in points.items():
                with contextlib.suppress(urllib.error.HTTPError):
                    self.set(device, point, value)
        return self.points()

    def live(self) -> dict[str, dict[str, Any]]:
        """Every point as the bridge holds it now."""
        done = self.bridge("points", str(self.site), "--live", "--json")
        assert done.returncode == 0, done.stderr
        return {row["point"]: row for row in json.loads(done.stdout)}

    def settle(self, timeout_s: float = 90.0) -> None:
        """Wait until the bridge has read everything that stands still in the meters."""
        behind: list[Any] = ["nothing asked yet"]

        def settled() -> bool:
            held, shown, again = self.points(), self.live(), self.points()
            behind[:] = [
                (f"{device}.{name}", value, shown[f"{device}.{name}"])
                for device, points in held.items()
                for name, value in points.items()
                if again[device][name] == value and _behind(value, shown.get(f"{device}.{name}"))
            ]
            return not behind

        try:
            wait_until(settled, timeout_s)
        except AssertionError as exc:
            raise AssertionError(behind[:10]) from exc

    def ask(self, method: str, path: str, value: Any = ...) -> Any:
        body = None if value is ... else json.dumps(value).encode()
        url = self.ready["simulator"]["control"] + path
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def bridge(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line."""
        return subprocess.run(
            [sys.executable, "-m", "bridge", *words], capture_output=True, text=True, env=environment(), timeout=60
        )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "COLUMNS": "200"}


@contextlib.contextmanager
def running_demo(folder: Path, port_base: int, *options: str) -> Iterator[Demo]:
    """Start it, wait until it is ready, end it with SIGTERM."""
    ready_file, log = folder / "ready.json", folder / "demo.log"
    state = folder / "state"
    words = ["demo", "--port-base", str(port_base), "--state-dir", str(state), "--ready-file", str(ready_file)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *words, "--log-level", "info", *options],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    try:
        wait_until(lambda: ready_file.exists() or process.poll() is not None, READY_S)
        assert process.poll() is None, log.read_text()
        yield Demo(process, json.loads(ready_file.read_text()), state, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _behind(value: Any, row: dict[str, Any] | None) -> bool:
    """Tell whether a number of a meter has not come to the bridge; texts and times are written differently."""
    if row is None or isinstance(value, bool | str):
        return False
    shown = row["value"]
    return shown is None or not math.isclose(float(shown), value, rel_tol=1e-6, abs_tol=1e-9)


def wait_until(condition: Any, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"not within {timeout_s:g} s"
        time.sleep(0.05)
