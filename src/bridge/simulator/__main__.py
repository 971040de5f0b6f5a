"""`python -m bridge.simulator SITE --control-port N --endpoints-file PATH [--paced] [--seed N]`: its own process."""

import argparse
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
from bridge.core.errors import BridgeError
from bridge.simulator.simulation import Simulation, SimulationSettings

_FAILED, _USAGE = 1, 2


def main() -> int:
    """Simulate the site until SIGTERM, SIGINT or the end of standard input. Return the exit status."""
    arguments = _parser().parse_args()
    try:
        site = load_site(arguments.site)
    except (BridgeError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return _USAGE
    try:
        uvloop.run(_simulate(site, arguments))
    except OSError as exc:
        sys.stderr.write(f"cannot simulate: {exc}\n")
        return _FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bridge.simulator", description="Simulated meters of a site, on this machine only")
    parser.add_argument("site", type=Path, metavar="SITE", help="site.yaml or its folder")
    parser.add_argument("--control-port", type=int, default=0, help="port of 127.0.0.1, 0 = any")
    parser.add_argument("--endpoints-file", type=Path, help="written as JSON once everything answers")
    parser.add_argument("--paced", action="store_true", help="serial lines keep their line's speed")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same meters")
    return parser


async def _simulate(site: SiteConfig, arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    _watch_parent(loop, ended)
    simulation = Simulation(SystemClock(), SimulationSettings(seed=arguments.seed))
    endpoints = await simulation.start(site, arguments.control_port, arguments.paced)
    try:
        text = msgspec.json.encode(endpoints)
        if arguments.endpoints_file is not None:
            _write_whole(arguments.endpoints_file, text)
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


if __name__ == "__main__":
    sys.exit(main())
