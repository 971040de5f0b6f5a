"""`meterbridge demo`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.output import Form, reporting, show, verbatim
from bridge.core.clock import SystemClock
from bridge.demo.ports import DEFAULT_PORT_BASE, Offer


def demo(
    port_base: Annotated[
        int, typer.Option(min=1024, max=64000, help="first port of the range; Modbus TCP is at +502")
    ] = DEFAULT_PORT_BASE,
    state_dir: Annotated[Path | None, typer.Option(help="where the demo keeps its files")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="written as JSON once every server answers")] = None,
    for_s: Annotated[float | None, typer.Option("--for", min=0, help="end by itself after so many seconds")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error")] = "warning",
) -> None:
    """Start simulated meters and a bridge that polls and serves them; Ctrl-C ends it."""
    # imported when asked for: the process of `run` carries neither simulator nor clients
    from bridge.demo.run import DemoSettings, run_demo

    folder = (state_dir or _default_state_dir()).resolve()
    with reporting():
        run_demo(DemoSettings(folder, port_base, ready_file, for_s, log_level), SystemClock(), _announce)


def _announce(site: Path, offers: Sequence[Offer]) -> None:
    rows = [{"server": offer.name, "listens on": offer.address} for offer in offers]
    show(rows, ("server", "listens on"), "The demo runs. Ctrl-C ends it.", Form.TABLE)
    # below the table, each on a line of its own whatever the width: to be copied whole
    verbatim(f"\n# where the Python clients below are\nexport PATH={Path(sys.executable).parent}:$PATH")
    for offer in offers:
        verbatim(f"\n# {offer.name}")
        for text in offer.tries:
            verbatim(text)
    verbatim(f"\n# its site, as the bridge sees it\nmeterbridge points {site} --live\nmeterbridge verify {site}")


def _default_state_dir() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "meterbridge" / "demo"
