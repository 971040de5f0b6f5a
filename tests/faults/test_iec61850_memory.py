"""
The known-bad sequences of libiec61850 under valgrind: no invalid read or write in the library. BARS I2.

Issue 596 of libiec61850: a data set made by a client, deleted while a report block uses it, is used after it was freed.
The bridge switches dynamic data sets off; the sequences here would reach it, and cut connections amid everything else.
"""

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import iec61850
import pytest

from tests.support.demo import ROOT, environment
from tests.support.mms_client import Reports
from tests.support.mms_session import everything
from tests.support.workers import spare_ports

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind here"),
]
# s; everything is forty times slower under valgrind
START_S = 120.0
_ERROR = re.compile(r"(Invalid (?:read|write|free)[^\n]*(?:\n==\d+== +[^\n]+)*)")
ROUNDS = 2
_MEMBER = "GW1m1/MMXU1.TotW[MX]"
_BLOCK = "GW1m1/LLN0.RP.urcbAll02"


async def connected(port: int) -> Any:
    return await iec61850.IedConnection.connect(f"127.0.0.1:{port}", timeout_ms=20_000)


async def armed_with_own_set(port: int, data_set: str, *members: str) -> list[int]:
    """A client makes a data set, has the URCB report it, and is gone; return the errors of its steps."""
    words = ["-m", "tests.support.mms_dynamic", str(port), _BLOCK, data_set, *members]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=environment()
    )
    out, _ = await process.communicate()
    await asyncio.sleep(0.5)
    return [int(word) for word in out.split()]


async def bad_sequences(port: int) -> None:
    for _ in range(ROUNDS):
        await everything(port, 20_000)
        # issue 596: the owner of the data set goes, the next client arms the same block
        for data_set, *members in (
            ("@mine", _MEMBER),
            ("@mine",),
            ("GW1m1/LLN0$dsAll",),
            ("@mine", _MEMBER),
            ("@x", _MEMBER),
        ):
            refused = await armed_with_own_set(port, data_set, *members)
            assert not members or refused[1:2] != [0], refused
        c = await connected(port)
        for name in ("GW1m1/LLN0.dsAll", "GW1m1/LLN0.dsEvent"):
            with contextlib.suppress(Exception):
                await c.delete_data_set(name)
        await c.abort()
        # cut amid a report and amid a command
        c = await connected(port)
        await Reports(c, "GW1m1/LLN0.BR.brcbEvent01").subscribe()
        control = c.create_control_object("GW1m1/GGIO1.SPCSO1", iec61850.ControlModel.DIRECT_ENHANCED)
        task = asyncio.ensure_future(control.operate(True))
        await asyncio.sleep(0.02)
        await c.abort()
        task.cancel()


async def test_the_library_touches_no_memory_that_is_not_its_own(tmp_path: Path) -> None:
    port, log = spare_ports(1), tmp_path / "valgrind.log"
    command = ["valgrind", "--error-limit=no", f"--log-file={log}", sys.executable, "-m", "tests.support.mms_host"]
    process = subprocess.Popen(  # noqa: ASYNC220 - ends with the test
        [*command, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment(), "PYTHONMALLOC": "malloc"},
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), START_S)
        assert ready == "ready\n"
        await bad_sequences(port)
        assert process.poll() is None
        process.stdin.close()
        await asyncio.to_thread(process.wait, 60)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    found = [error for error in _ERROR.findall(log.read_text()) if "libiec61850" in error]

    assert "ERROR SUMMARY" in log.read_text()
    assert found == []
