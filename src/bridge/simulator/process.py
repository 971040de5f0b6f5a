"""The simulator as the one thing a process does: until a signal, or until whoever started it is gone."""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bridge.config.load import load_site
from bridge.config.model import SiteConfig
from bridge.core.clock import SystemClock
from bridge.simulator.simulation import Simulation, SimulationSettings


def run_simulation(site: Path, control_port: int, endpoints_file: Path | None, paced: bool, seed: int) -> None:
    """
    Simulate until SIGTERM, SIGINT or the end of a standard input that is a pipe or socket.

    `endpoints_file`: written as JSON once everything answers, None = standard output. Raises: ConfigErrors, OSError.
    """
    uvloop.run(_simulate(load_site(site), control_port, endpoints_file, paced, seed))


async def _simulate(site: SiteConfig, control_port: int, endpoints_file: Path | None, paced: bool, seed: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    _watch_parent(loop, ended)
    simulation = Simulation(SystemClock(), SimulationSettings(seed=seed))
    endpoints = await simulation.start(site, control_port, paced)
    try:
        text = msgspec.json.encode(endpoints)
        if endpoints_file is not None:
            _write_whole(endpoints_file, text)
        else:
            sys.stdout.write(text.decode() + "\n")
            sys.stdout.flush()
        await _first(ended.wait(), simulation.broken())
    finally:
        await simulation.stop()


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of them and give up the others. Raises: what the first raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()


def _watch_parent(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """End with whoever holds the other end of standard input; a terminal, file or /dev/null says nothing."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    os.set_blocking(0, False)

    def readable() -> None:
        try:
            data = os.read(0, 4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            loop.remove_reader(0)
            ended.set()

    loop.add_reader(0, readable)


def _write_whole(path: Path, text: bytes) -> None:
    """Write so that a reader sees nothing or all of it."""
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(text)
    beside.replace(path)
