"""services.chrony against a real chronyd, which sets no clock here."""

import asyncio
import contextlib
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.core.clock import SystemClock
from bridge.services.chrony import Chrony, answered, request
from bridge.services.kernel_clock import KernelClock
from tests.support.workers import until

pytestmark = pytest.mark.real_time


@contextlib.contextmanager
def chronyd(folder: Path, *directives: str) -> Iterator[int]:
    """A chronyd that only answers questions at the port it yields."""
    program = shutil.which("chronyd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no chronyd")
    if os.geteuid() != 0:
        pytest.skip("chronyd wants to begin as root")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    # its socket wants a folder that nobody else may enter
    folder.chmod(0o750)
    own = (f"pidfile {folder / 'pid'}", f"bindcmdaddress {folder / 'socket'}", "bindcmdaddress 127.0.0.1")
    config = folder / "chrony.conf"
    config.write_text("\n".join((*own, f"cmdport {port}", "port 0", *directives)) + "\n")
    # -x: the clock of this machine is not touched
    with (folder / "chronyd.log").open("wb") as said:
        process = subprocess.Popen([program, "-x", "-d", "-u", "root", "-f", str(config)], stdout=said, stderr=said)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


async def asked(port: int) -> KernelClock:
    """Return what chronyd says, as soon as it does."""
    chrony = Chrony(SystemClock(), port)
    asking = asyncio.ensure_future(_ask_often(chrony))
    try:
        await until(lambda: chrony.state() is not None)
    finally:
        asking.cancel()
        await asyncio.wait([asking])
    state = chrony.state()
    assert state is not None
    return state


async def _ask_often(chrony: Chrony) -> None:
    while True:
        running = asyncio.ensure_future(chrony.run())
        await asyncio.sleep(1.5)
        running.cancel()
        await asyncio.wait([running])


async def test_a_chronyd_that_follows_a_reference_vouches_for_the_clock(tmp_path: Path) -> None:
    # T-01
    with chronyd(tmp_path, "local stratum 8") as port:
        state = await asked(port)

    assert (state.synchronised, state.told_by) == (True, "chrony, stratum 8")
    assert 0 <= state.error_s < 1


async def test_a_chronyd_that_follows_nothing_vouches_for_nothing(tmp_path: Path) -> None:
    # T-01
    with chronyd(tmp_path) as port:
        state = await asked(port)

    assert not state.synchronised


async def test_where_no_chronyd_is_nothing_is_known_of_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chrony = Chrony(SystemClock(), port)
    asking = asyncio.ensure_future(chrony.run())
    await asyncio.sleep(0.3)
    asking.cancel()
    await asyncio.wait([asking])

    assert chrony.state() is None


def test_an_answer_to_another_question_or_cut_off_is_none() -> None:
    head = struct.pack(">BBxxHHH6xI8x", 6, 2, 33, 5, 0, 7)
    whole = head + struct.pack(">4x20xHH12x9I", 3, 0, *[0] * 9)

    assert len(request(7)) == len(whole) == 104
    assert answered(whole, 7) == KernelClock(True, 0.0, "chrony, stratum 3")
    assert answered(whole, 8) is None
    assert [answered(whole[:n], 7) for n in range(104)] == [None] * 104
    assert answered(b"\x05" + whole[1:], 7) is None
