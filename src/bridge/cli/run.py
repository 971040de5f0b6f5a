"""`meterbridge run` and `reload`."""

import sys
from typing import Annotated

import typer

from bridge.app.main import run_site
from bridge.cli.live import connect
from bridge.cli.options import Site
from bridge.cli.output import Exit, complain, reporting, say, stop, warn
from bridge.core.clock import SystemClock


def run(
    site: Site,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error")] = "info",
) -> None:
    """Poll the meters of SITE and serve them until SIGTERM; SIGHUP reloads the configuration."""
    with reporting():
        run_site(site, SystemClock(), log_level)


def reload(
    site: Site,
    yes: Annotated[bool, typer.Option("--yes", help="devices that become other meters are meant")] = False,
) -> None:
    """
    Make the running bridge of SITE take over its files; a faulty configuration changes nothing.

    Asks first where a device would become another meter.
    """
    with reporting():
        with connect(site) as bridge:
            answer = bridge.ask("reload", confirmed=yes)
            if answer["confirm"]:
                for change in answer["confirm"]:
                    warn(change)
                if not sys.stdin.isatty() or not typer.confirm(
                    "Is that meant? Indexes go on with another meter's counts"
                ):
                    complain("nothing was changed; --yes confirms it")
                    stop(Exit.FAILED)
                answer = bridge.ask("reload", confirmed=True)
        for fault in answer["faults"]:
            complain(fault)
        if answer["faults"]:
            stop(Exit.USAGE)
        say(answer["summary"])
