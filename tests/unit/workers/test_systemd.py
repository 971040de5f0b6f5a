"""bridge.workers.systemd, with a real socket in the place of the service manager"""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.workers.systemd import Notifier

PID = 4711
pytestmark = pytest.mark.real_time


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def heard(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def notifier(manager: socket.socket, **more: str) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": manager.getsockname(), **more}, PID)


def test_ready_and_stopping_are_told(manager: socket.socket) -> None:
    tell = notifier(manager)
    tell.ready("serving 8 protocols\nEXTRA=1")
    tell.status("snmp is back")
    tell.stopping()
    tell.close()
    tell.stopping()

    assert heard(manager) == ["READY=1\nSTATUS=serving 8 protocols", "STATUS=snmp is back", "STOPPING=1"]


def test_an_abstract_socket_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(b"\0meterbridge-test-notify")
        tell = Notifier("@meterbridge-test-notify")
        tell.ready()
        tell.close()

        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify"])
def test_without_a_service_manager_nothing_happens(address: str) -> None:
    tell = Notifier(address)
    tell.ready()
    tell.close()


async def watch_for(tell: Notifier, seconds: float, is_fresh: bool = True) -> None:
    task = asyncio.ensure_future(tell.watch(lambda: is_fresh))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    tell.close()


async def test_the_watchdog_is_fed_while_all_is_fresh(manager: socket.socket) -> None:
    await watch_for(notifier(manager, WATCHDOG_USEC="90000", WATCHDOG_PID=str(PID)), 0.25)

    assert 5 <= len(heard(manager)) <= 9


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "90000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
async def test_a_watchdog_that_is_not_ours_is_not_fed(manager: socket.socket, more: dict[str, str]) -> None:
    await watch_for(notifier(manager, **more), 0.1)

    assert heard(manager) == []


async def test_a_watchdog_is_not_fed_when_polls_or_commits_are_old(manager: socket.socket) -> None:
    await watch_for(notifier(manager, WATCHDOG_USEC="30000"), 0.1, is_fresh=False)

    assert heard(manager) == []


async def test_a_blocked_loop_feeds_no_watchdog(manager: socket.socket) -> None:  # BARS R11
    tell = notifier(manager, WATCHDOG_USEC="90000")
    task = asyncio.ensure_future(tell.watch(lambda: True))
    await asyncio.sleep(0.1)
    before = heard(manager)
    time.sleep(0.5)  # noqa: ASYNC251 - the point of the test
    while_blocked = heard(manager)
    task.cancel()
    await asyncio.wait([task])
    tell.close()

    assert len(before) >= 3
    assert while_blocked == []
