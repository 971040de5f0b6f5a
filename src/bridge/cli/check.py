"""`meterbridge check`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from bridge.app.check import check_site
from bridge.cli.options import Json, Site
from bridge.cli.output import Exit, complain, reporting, say, show_json, stop, warn
from bridge.core.clock import SystemClock

# lines about numbers that a person reads; more are counted by space
_READABLE = 40


def check(
    site: Site,
    numbers: Annotated[bool, typer.Option("--numbers", help="every number that would change, however many")] = False,
    json: Json = False,
) -> None:
    """Say every fault of SITE with file, line and column, and which public numbers a start or reload would change."""
    with reporting():
        found = check_site(site, SystemClock().utc_ns())
    if json:
        show_json(found)
    else:
        for text in found.warnings:
            warn(text)
        for fault in found.faults:
            complain(fault)
        for line in found.changes if numbers or len(found.changes) <= _READABLE else _counted(found.changes):
            say(f"number {line}")
        if not found.faults:
            say(f"{found.devices} devices, {found.points} points, {len(found.servers)} servers: no fault")
    if found.faults:
        stop(Exit.USAGE)


def _counted(changes: Iterable[str]) -> Iterator[str]:
    """Yield how many numbers change in each space."""
    for space, count in Counter(change.partition(":")[0] for change in changes).items():
        yield f"{space}: {count} change (--numbers shows each)"
