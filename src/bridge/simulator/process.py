"""The simulator as the one thing a process does: until a signal, or until whoever started it is gone."""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bridge.config.load import load_site
from bridge.config.model import SiteConfig
from bridge.core.clock import SystemClock
from bridge.simulator.kept import write_whole
from bridge.simulator.simulation import Simulation, SimulationSettings


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """
    `endpoints_file`: written as JSON once everything answers, None = standard output. `paced`: serial lines keep their
    line's speed.
    """

    control_port: int = 0
    endpoints_file: Path | None = None
    paced: bool = False
    simulation: SimulationSettings = field(default_factory=SimulationSettings)


def run_simulation(site: Path, settings: ProcessSettings) -> None:
    """
    Simulate until SIGTERM, SIGINT or the end of a standard input that is a pipe or socket.

    Raises: ConfigErrors, OSError.
    """
    uvloop.run(_simulate(load_site(site), settings))


async def _simulate(site: SiteConfig, settings: ProcessSettings) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    _watch_parent(loop, ended)
    simulation = Simulation(SystemClock(), settings.simulation)
    endpoints = await simulation.start(site, settings.control_port, settings.paced)
    try:
        text = msgspec.json.encode(endpoints)
        if settings.endpoints_file is not None:
            write_whole(settings.endpoints_file, text)
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
