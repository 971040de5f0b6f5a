"""`python -m bridge.simulator`: a process of its own that ends with whoever started it"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.real_time
ROOT = Path(__file__).parents[3]
DEMO = ROOT / "mappings" / "demo"


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.simulator", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def endpoints_of(path: Path, within_s: float = 20.0) -> dict[str, Any]:
    until = time.monotonic() + within_s
    while not path.exists():
        assert time.monotonic() < until, "the simulator did not get ready"
        time.sleep(0.02)
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def test_the_demo_site_is_simulated_and_ends_with_standard_input(tmp_path: Path) -> None:
    with started(str(DEMO), "--endpoints-file", str(tmp_path / "ends.json"), "--paced", "--seed", "7") as process:
        found = endpoints_of(tmp_path / "ends.json")
        points = httpx.get(found["control"] + "/points", timeout=5).json()
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        status = process.wait(timeout=10)

    assert {name: end["kind"] for name, end in found["channels"].items()} == {
        "riser-1": "pty",
        "riser-2": "pty",
        "plant": "tcp",
        "main-board": "tcp",
    }
    assert points["tenant-1"]["active_energy_import"] > 0
    assert status == 0


def test_sigterm_ends_it_cleanly_and_silently(tmp_path: Path) -> None:
    with started(str(DEMO), "--endpoints-file", str(tmp_path / "ends.json")) as process:
        endpoints_of(tmp_path / "ends.json")
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)

    assert process.returncode == 0
    assert time.monotonic() - before < 3
    assert errors == b""


def test_a_wrong_site_is_a_usage_error_and_a_taken_port_a_failure(tmp_path: Path) -> None:
    with started(str(tmp_path / "nowhere")) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert b"nowhere" in errors
    assert b"Traceback" not in errors

    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        started(str(DEMO), "--control-port", str(taken.getsockname()[1])) as process,
    ):
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"cannot simulate" in errors
    assert b"Traceback" not in errors
