"""`meterbridge check`."""

from bridge.app.check import check_site
from bridge.cli.options import Json, Site
from bridge.cli.output import Exit, complain, reporting, say, show_json, stop, warn


def check(site: Site, json: Json = False) -> None:
    """Say every fault of SITE with file, line and column, and which public numbers a start or reload would change."""
    with reporting():
        found = check_site(site)
    if json:
        show_json(found)
    else:
        for text in found.warnings:
            warn(text)
        for fault in found.faults:
            complain(fault)
        for change in found.changes:
            say(f"number {change}")
        if not found.faults:
            say(f"{found.devices} devices, {found.points} points, {len(found.servers)} servers: no fault")
    if found.faults:
        stop(Exit.USAGE)
