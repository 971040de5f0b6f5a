"""The core process from its first line of log to its exit status."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop

from bridge.app.bridge import Bridge
from bridge.app.control import control_handlers, control_streams
from bridge.app.operations import Operations
from bridge.app.orders import Orders
from bridge.control.server import ControlServer
from bridge.core.clock import Clock

Ready = Callable[[Bridge], None]


def run_site(
    site: Path,
    clock: Clock,
    log_level: str = "info",
    on_ready: Ready | None = None,
    for_s: float | None = None,
) -> None:
    """
    Run the bridge of `site` until SIGTERM or SIGINT, or for `for_s` seconds.

    Raises: ConfigErrors before anything is opened; ControlError when one runs already.
    """
    start_logging(log_level)
    uvloop.run(_run(Bridge(site, clock), on_ready, for_s))


def start_logging(level: str) -> None:
    """One line per event on stderr; systemd and container engines add time stamps of their own."""
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=f"{stamp}%(levelname)s %(name)s %(message)s")


async def _run(bridge: Bridge, on_ready: Ready | None, for_s: float | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, bridge.stop)
    loop.add_signal_handler(signal.SIGHUP, bridge.reload_soon)
    if on_ready is not None:
        bridge.when_ready(on_ready)
    if for_s is not None:
        loop.call_later(for_s, bridge.stop)
    state_dir = bridge.config.state_dir
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    control = ControlServer(state_dir, control_handlers(bridge), control_streams(bridge))
    bridge.operations = Operations(bridge, Orders(bridge))
    await control.start()
    try:
        await bridge.run()
    finally:
        await control.stop()
