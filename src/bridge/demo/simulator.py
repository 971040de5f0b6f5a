"""The simulator as a process of its own, so that the bridge's figures are the bridge's alone."""

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bridge.core.clock import Clock
from bridge.core.errors import BridgeError
from bridge.simulator.simulation import Endpoints

# s; five meters are there in one
START_S = 20.0
_END_S = 3.0


class SimulatorFailed(BridgeError):
    """The simulated meters did not start."""


class SimulatorProcess:
    """Start it, learn its endpoints, end it. Its standard input is ours: it ends when we do."""

    def __init__(self, site: Path, control_port: int, folder: Path, clock: Clock) -> None:
        """`folder`: where it tells its endpoints and keeps what its meters have counted."""
        endpoints_file = folder / "simulator.json"
        endpoints_file.unlink(missing_ok=True)
        self._file, self._clock = endpoints_file, clock
        arguments = [sys.executable, "-m", "bridge.simulator", str(site), "--control-port", str(control_port)]
        arguments += ["--endpoints-file", str(endpoints_file), "--paced", "--state-file", str(folder / "meters.json")]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def endpoints(self) -> Endpoints:
        """Wait until every simulated meter answers. Raises: SimulatorFailed."""
        until_ns = self._clock.monotonic_ns() + round(START_S * 1e9)
        while not self._file.exists():
            if self._process.poll() is not None:
                raise SimulatorFailed(f"the simulator ended with status {self._process.returncode}")
            if self._clock.monotonic_ns() > until_ns:
                raise SimulatorFailed(f"the simulator was not ready after {START_S:g} s")
            time.sleep(0.05)
        return msgspec.json.decode(self._file.read_bytes(), type=Endpoints)
