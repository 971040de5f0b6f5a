"""`meterbridge simulate`."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import Site
from bridge.cli.output import reporting
from bridge.simulator.main import run_simulator


def simulate(
    site: Site,
    control_port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP control port on 127.0.0.1")] = 8080,
    endpoints_file: Annotated[Path | None, typer.Option(help="where to write who listens where, as JSON")] = None,
    paced: Annotated[bool, typer.Option(help="serial lines at the speed of their baud rate")] = True,
    seed: Annotated[int, typer.Option(help="of the load curves")] = 1,
) -> None:
    """Simulate the meters of SITE: pseudo-terminals for its serial lines, TCP ports for the others."""
    with reporting():
        run_simulator(site, control_port, endpoints_file, paced, seed)
