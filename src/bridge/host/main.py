"""
`python -m bridge.host.main MODULE FD`: the child process that runs one projection.

MODULE holds `PROJECTION`; FD is the inherited socket. The child never outlives its core: it exits when the
socket ends, and the kernel sends it SIGTERM when the core dies (PR_SET_PDEATHSIG).
"""

import asyncio
import ctypes
import enum
import importlib
import logging
import os
import signal
import socket
import sys
from functools import partial
from typing import Any, TypeVar, cast

import msgspec
import uvloop

from bridge.core.clock import SystemClock
from bridge.core.ports import Projection, ProjectionContext
from bridge.host import log
from bridge.host.guard import Guard
from bridge.host.image import PointImage
from bridge.host.probe import ProbeTiming, Probing, watch
from bridge.host.visits import OwnVisits
from bridge.host.worker_end import RECEIVE_BYTES, WorkerEnd
from bridge.link import wire
from bridge.link.pipe import Pipe

T = TypeVar("T")
_log = logging.getLogger("bridge.host")
# linux/prctl.h
_PR_SET_PDEATHSIG = 1
# Seconds between the end of the core and ours: time for clients to hear that every point is lost.
GRACE_S = 0.5
# Seconds from the wish to exit until the kernel ends the process, whatever Python or C code is doing.
HARD_EXIT_S = 2.0
# Seconds from start to Hello and the complete image; 80,000 points take 0.2 s, eight of those 0.9 s.
_INTRODUCTION_S = 30.0


class Exit(enum.IntEnum):
    """Exit codes the supervisor knows."""

    STOPPED = 0
    # an exception that nobody caught; the log says where
    FAILED = 1
    PROJECTION_ENDED = 10
    WRONG_VERSION = 11
    CORE_LOST = 12
    # it serves, but its own listener does not answer any more
    PROBE_FAILED = 13


async def host(module: str, sock: socket.socket) -> Exit:
    image, clock, loop = PointImage(), SystemClock(), asyncio.get_running_loop()
    log.configure(module, clock)
    link = WorkerEnd(Pipe(sock, RECEIVE_BYTES), image, clock)
    loop.add_signal_handler(signal.SIGTERM, lambda: _end(link, "SIGTERM"))
    loop.set_exception_handler(lambda _, context: _loop_error(link.counters, context))
    try:
        async with asyncio.timeout(_INTRODUCTION_S):
            if not await _before_end(link.hello, link):
                return Exit.CORE_LOST
            hello = link.hello.result()
            if hello.version != wire.WIRE_VERSION:
                return Exit.WRONG_VERSION
            if not await _before_end(asyncio.ensure_future(link.loaded.wait()), link):
                return Exit.CORE_LOST
        log.configure(hello.name, clock)
        _own_folder(hello.state_dir)
        opened, visits = asyncio.Event(), OwnVisits()
        projection = cast("type[Projection]", importlib.import_module(module).PROJECTION)
        context = ProjectionContext(
            plan=msgspec.msgpack.decode(hello.plan, type=projection.Plan),
            points=image,
            commands=link,
            events=link,
            lines=link,
            listeners=Guard(link.counters, visits, link.clients),
            clock=clock,
            state_dir=hello.state_dir,
            counters=link.counters,
            ready=opened.set,
            alarms=link.alarms,
            operations=link,
            history=link.history,
            logins=link,
            refusals=link,
            notices=link,
        )
        return await _serve(projection(), context, link, Probing(opened, visits))
    except Exception as exc:  # noqa: BLE001 - the last who can say in one line why the process ends
        _log.critical("projection_failed error=%s", log.describe(exc))
        return Exit.FAILED
    finally:
        link.close()


async def _before_end(wanted: asyncio.Future[T], link: WorkerEnd) -> bool:
    either: list[asyncio.Future[T] | asyncio.Future[str]] = [wanted, link.ended]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    return wanted.done()


async def _serve(projection: Projection, context: ProjectionContext, link: WorkerEnd, probe: Probing) -> Exit:
    running = asyncio.ensure_future(projection.run(context))
    ready = partial(link.ready, os.getpid())
    probing = asyncio.ensure_future(watch(projection, probe, ready, link.counters, ProbeTiming()))
    either: list[asyncio.Future[None] | asyncio.Future[str]] = [running, probing, link.ended]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    _die_soon()
    if running.done():
        await _cancel(probing)
        running.result()
        return Exit.PROJECTION_ENDED
    if probing.done():
        probing.result()
        await _cancel(running)
        return Exit.PROBE_FAILED
    await _cancel(probing)
    why = link.ended.result()
    if why != "stop":
        await asyncio.sleep(GRACE_S)
    await _cancel(running)
    return Exit.STOPPED if why == "stop" else Exit.CORE_LOST


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _own_folder(path: str) -> None:
    """Create it for this user only. Raises: OSError."""
    if path:
        os.makedirs(path, mode=0o700, exist_ok=True)
        os.chmod(path, 0o700)


def _loop_error(counters: dict[str, int], context: dict[str, Any]) -> None:
    """What a callback or a forgotten task raised: counted, one line, and the loop goes on."""
    counters["loop_errors"] = counters.get("loop_errors", 0) + 1
    error = context.get("exception")
    _log.error("loop_error message=%s error=%s", context.get("message"), log.describe(error) if error else "none")


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
    # what a projection writes is for this user only
    os.umask(0o077)
    _die_with_parent()
    sock = socket.socket(fileno=int(sys.argv[2]))
    sock.set_inheritable(False)
    sys.exit(uvloop.run(host(sys.argv[1], sock)))


if __name__ == "__main__":
    main()
