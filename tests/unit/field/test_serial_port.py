"""bridge.field.serial_port, alarm and master on a real pseudo-terminal"""

import asyncio
import contextlib
import errno
import os
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.core.clock import SystemClock
from bridge.core.errors import ConnectFailed, ConnectionLost
from bridge.field.alarm import Alarm, TimerFdAlarm
from bridge.field.modbus.master import RtuMaster
from bridge.field.modbus.master_settings import MasterSettings
from bridge.field.serial_port import SerialPort, SerialSettings, Wake
from bridge.modbus.frame import rtu_frame
from bridge.modbus.timing import LineTiming
from tests.support.fake_wire import meter, read, read_reply

pytestmark = pytest.mark.real_time


@contextlib.contextmanager
def pty(link: Path) -> Iterator[int]:
    """Yield the device's end; `link` leads to ours."""
    device, ours = os.openpty()
    tty.setraw(ours)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(ours))
    os.set_blocking(device, False)
    try:
        yield device
    finally:
        os.close(device)
        os.close(ours)


def answer(device: int, reply: Callable[[bytes], bytes]) -> None:
    with contextlib.suppress(BlockingIOError):
        os.write(device, reply(os.read(device, 300)))


def settings(path: Path, wake: Wake = Wake.AT_COUNT) -> SerialSettings:
    return SerialSettings(str(path), 115200, wake=wake)


def make_alarm(ring: Callable[[], None]) -> Alarm:
    return TimerFdAlarm(asyncio.get_running_loop(), ring)


async def test_we_are_woken_only_when_the_wanted_bytes_are_there(tmp_path: Path) -> None:
    with pty(tmp_path / "line") as device:
        port = SerialPort(settings(tmp_path / "line"))
        reads: list[bytes] = []
        port.open(lambda: reads.append(port.read()))
        port.expect(5)
        for byte in b"hello":
            os.write(device, bytes([byte]))
            await asyncio.sleep(0.005)
        port.expect(1)
        os.write(device, b"!")
        await asyncio.sleep(0.02)
        port.close()

    assert reads == [b"hello", b"!"]


async def test_lowering_the_count_wakes_for_bytes_already_there(tmp_path: Path) -> None:
    with pty(tmp_path / "line") as device:
        port = SerialPort(settings(tmp_path / "line"))
        reads: list[bytes] = []
        port.open(lambda: reads.append(port.read()))
        port.expect(50)
        os.write(device, b"abc")
        await asyncio.sleep(0.02)
        before = list(reads)
        port.expect(1)
        await asyncio.sleep(0.02)
        port.close()

    assert (before, reads) == ([], [b"abc"])


async def test_a_port_in_use_cannot_be_opened_twice(tmp_path: Path) -> None:
    with pty(tmp_path / "line"):
        first, second = SerialPort(settings(tmp_path / "line")), SerialPort(settings(tmp_path / "line"))
        first.open(lambda: None)
        with pytest.raises(OSError, match="temporarily unavailable") as caught:
            second.open(lambda: None)
        first.close()

    assert caught.value.errno == errno.EAGAIN


async def test_the_alarm_rings_once_and_never_early() -> None:
    rung: list[int] = []
    clock = SystemClock()
    alarm = make_alarm(lambda: rung.append(clock.monotonic_ns()))
    at_ns = clock.monotonic_ns() + 3_645_833
    alarm.arm(at_ns)
    await asyncio.sleep(0.05)
    alarm.arm(clock.monotonic_ns() + 1_000_000)
    alarm.disarm()
    await asyncio.sleep(0.02)
    alarm.close()

    assert len(rung) == 1
    assert rung[0] - at_ns >= 0


@pytest.mark.parametrize("wake", list(Wake))
async def test_an_unplugged_line_comes_back_without_leaks(tmp_path: Path, wake: Wake) -> None:
    link = tmp_path / "line"
    loop = asyncio.get_running_loop()
    timing = LineTiming(115200, 10)
    master = RtuMaster(
        SerialPort(settings(link, wake)),
        MasterSettings("test", timing, reopen_s=0.01),
        SystemClock(),
        make_alarm,
    )
    descriptors = 0
    for turn in range(20):
        with pty(link) as device:
            loop.add_reader(device, answer, device, meter)
            if turn:
                with contextlib.suppress(ConnectionLost):
                    await master.exchange(1, read(turn, 2), 0.2)
                await asyncio.sleep(0.012)
            assert await master.exchange(1, read(turn, 4), 0.2) == read_reply(turn, 4)
            loop.remove_reader(device)
            descriptors = descriptors or len(os.listdir("/proc/self/fd"))
            assert len(os.listdir("/proc/self/fd")) <= descriptors
    with pytest.raises((ConnectionLost, ConnectFailed)):
        await master.exchange(1, read(0, 1), 0.2)
    master.close()


async def test_a_silent_hangup_costs_no_cpu(tmp_path: Path) -> None:
    master = RtuMaster(
        SerialPort(settings(tmp_path / "line")),
        MasterSettings("test", LineTiming(115200, 10)),
        SystemClock(),
        make_alarm,
    )
    with pty(tmp_path / "line") as device:
        loop = asyncio.get_running_loop()
        loop.add_reader(device, answer, device, lambda _: rtu_frame(1, b"\x83\x02"))
        assert await master.exchange(1, read(0, 2), 0.2) == b"\x83\x02"
        loop.remove_reader(device)
    before = time.process_time()
    await asyncio.sleep(0.2)
    master.close()

    assert time.process_time() - before < 0.05
