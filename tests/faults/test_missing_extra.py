"""An extra that is not installed costs its own server and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo import environment, wait_until

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
# the command line in a Python that cannot find the library
WITHOUT = "import sys; sys.modules['pyiec61850'] = None; from bridge.__main__ import main; sys.exit(main())"


def test_the_demo_runs_without_the_extra_and_names_it(tmp_path: Path) -> None:
    ready_file, log = tmp_path / "ready.json", tmp_path / "log"
    words = ["demo", "--port-base", "25000", "--state-dir", str(tmp_path / "s"), "--ready-file", str(ready_file)]
    with log.open("wb") as stream:
        command = [sys.executable, "-c", WITHOUT, *words]
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment())
    try:
        wait_until(lambda: ready_file.exists() or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()
        servers = json.loads(ready_file.read_text())["servers"]
    finally:
        process.terminate()
        process.wait(10)

    assert "modbus" in servers
    assert "iec61850" not in servers
    assert "meterbridge[iec61850]" in log.read_text()


def test_check_warns_of_the_extra_and_finds_no_fault() -> None:
    command = [sys.executable, "-c", WITHOUT, "check", "mappings/demo"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30)

    assert done.returncode == 0, done.stderr
    assert "meterbridge[iec61850]" in done.stdout + done.stderr
