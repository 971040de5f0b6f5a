"""`meterbridge simulate`."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import Site
from bridge.cli.output import reporting


def simulate(
    site: Site,
    control_port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP control port on 127.0.0.1, 0 = any")] = 0,
    endpoints_file: Annotated[Path | None, typer.Option(help="where to write who listens where, as JSON")] = None,
    paced: Annotated[bool, typer.Option(help="serial lines keep their line's speed")] = True,
    seed: Annotated[int, typer.Option(help="the same seed gives the same meters")] = 1,
    state_file: Annotated[Path | None, typer.Option(help="where the meters keep what they have counted")] = None,
) -> None:
    """Simulate the meters of SITE: pseudo-terminals for its serial lines, TCP ports for the others."""
    # imported when asked for: the process of `run` carries neither simulator nor clients
    from bridge.simulator.process import ProcessSettings, run_simulation
    from bridge.simulator.simulation import SimulationSettings

    settings = ProcessSettings(
        control_port, endpoints_file, paced, SimulationSettings(seed=seed, state_file=state_file)
    )
    with reporting():
        run_simulation(site, settings)
