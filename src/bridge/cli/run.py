"""`meterbridge run` and `reload`."""

from typing import Annotated

import typer

from bridge.app.main import run_site
from bridge.cli.live import connect
from bridge.cli.options import Site
from bridge.cli.output import Exit, complain, reporting, say, stop
from bridge.core.clock import SystemClock


def run(
    site: Site,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error")] = "info",
) -> None:
    """Poll the meters of SITE and serve them until SIGTERM; SIGHUP reloads the configuration."""
    with reporting():
        run_site(site, SystemClock(), log_level)


def reload(site: Site) -> None:
    """Make the running bridge of SITE take over its files; a faulty configuration changes nothing."""
    with reporting():
        with connect(site) as bridge:
            answer = bridge.ask("reload")
        for fault in answer["faults"]:
            complain(fault)
        if answer["faults"]:
            stop(Exit.USAGE)
        say(answer["summary"])
