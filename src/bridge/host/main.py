"""
`python -m bridge.host.main MODULE FD`: the child process that runs one projection.

MODULE holds `PROJECTION`; FD is the inherited socket. The child never outlives its core: it exits when the
socket ends, and the kernel sends it SIGTERM when the core dies (PR_SET_PDEATHSIG).
"""

import asyncio
import contextlib
import ctypes
import enum
import importlib
import os
import signal
import socket
import sys
from typing import TypeVar, cast

import msgspec
import uvloop

from bridge.core.clock import SystemClock
from bridge.core.ports import Projection, ProjectionContext
from bridge.host.guard import Guard
from bridge.host.image import PointImage
from bridge.host.worker_end import RECEIVE_BYTES, WorkerEnd
from bridge.link import wire
from bridge.link.pipe import Pipe

T = TypeVar("T")
# linux/prctl.h
_PR_SET_PDEATHSIG = 1
# Seconds between the end of the core and ours: time for clients to hear that every point is lost.
GRACE_S = 0.5
# Seconds from the wish to exit until the kernel ends the process, whatever Python or C code is doing.
HARD_EXIT_S = 2.0
# Seconds from start to Hello and the complete image; 80,000 points take 0.2 s, eight of those 0.9 s.
_INTRODUCTION_S = 30.0


class Exit(enum.IntEnum):
    """Exit codes the supervisor knows. 1 is an exception that nobody caught, its traceback on stderr."""

    STOPPED = 0
    PROJECTION_ENDED = 10
    WRONG_VERSION = 11
    CORE_LOST = 12


async def host(module: str, sock: socket.socket) -> Exit:
    image, clock = PointImage(), SystemClock()
    link = WorkerEnd(Pipe(sock, RECEIVE_BYTES), image, clock)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: _end(link, "SIGTERM"))
    try:
        async with asyncio.timeout(_INTRODUCTION_S):
            if not await _before_end(link.hello, link):
                return Exit.CORE_LOST
            hello = link.hello.result()
            if hello.version != wire.WIRE_VERSION:
                return Exit.WRONG_VERSION
            if not await _before_end(asyncio.ensure_future(link.loaded.wait()), link):
                return Exit.CORE_LOST
        projection = cast("type[Projection]", importlib.import_module(module).PROJECTION)
        context = ProjectionContext(
            plan=msgspec.msgpack.decode(hello.plan, type=projection.Plan),
            points=image,
            commands=link,
            events=link,
            lines=link,
            listeners=Guard(link.counters),
            clock=clock,
            state_dir=hello.state_dir,
            counters=link.counters,
            ready=lambda: link.ready(os.getpid()),
        )
        return await _serve(projection(), context, link)
    finally:
        link.close()


async def _before_end(wanted: asyncio.Future[T], link: WorkerEnd) -> bool:
    either: list[asyncio.Future[T] | asyncio.Future[str]] = [wanted, link.ended]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    return wanted.done()


async def _serve(projection: Projection, context: ProjectionContext, link: WorkerEnd) -> Exit:
    running = asyncio.ensure_future(projection.run(context))
    either: list[asyncio.Future[None] | asyncio.Future[str]] = [running, link.ended]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
        return Exit.PROJECTION_ENDED
    _die_soon()
    why = link.ended.result()
    if why != "stop":
        await asyncio.sleep(GRACE_S)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return Exit.STOPPED if why == "stop" else Exit.CORE_LOST


def _end(link: WorkerEnd, why: str) -> None:
    if not link.ended.done():
        link.ended.set_result(why)


def _die_soon() -> None:
    """SIGALRM with its default action needs no interpreter: it ends a process whose Python is stuck."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, HARD_EXIT_S)


def _die_with_parent() -> None:
    """The signal comes when the THREAD that started us ends; the supervisor starts us in its main thread."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    sock = socket.socket(fileno=int(sys.argv[2]))
    sock.set_inheritable(False)
    sys.exit(uvloop.run(host(sys.argv[1], sock)))


if __name__ == "__main__":
    main()
