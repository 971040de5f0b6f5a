"""`meterbridge alarms`, `acknowledge` and `events`."""

import getpass
from typing import Annotated

import typer

from bridge.cli.live import connect
from bridge.cli.options import Json, Site
from bridge.cli.output import form, reporting, say, show

_ALARMS = ("alarm", "state", "band", "label", "device", "point", "start", "end", "extreme", "acknowledged", "by")
_EVENTS = ("event", "time", "priority", "device", "text", "user")


def alarms(
    site: Site,
    active: Annotated[bool, typer.Option("--active", help="only those that last")] = False,
    json: Json = False,
) -> None:
    """Show the active alarms of the running bridge and the last historic ones."""
    with reporting(), connect(site) as bridge:
        show(bridge.ask("alarms", active=active), _ALARMS, "Alarms", form(json))


def acknowledge(site: Site, alarm: Annotated[int, typer.Argument(help="its number in `alarms`")]) -> None:
    """Acknowledge an alarm, with your user name and the time."""
    with reporting(), connect(site) as bridge:
        bridge.ask("acknowledge", alarm=alarm, user=getpass.getuser())
        say(f"alarm {alarm} acknowledged")


def events(
    site: Site,
    last: Annotated[int, typer.Option(help="the newest so many")] = 50,
    after: Annotated[int, typer.Option(help="only events with a greater number")] = 0,
    seen: Annotated[bool, typer.Option("--seen", help="as the reader of the log: they count as read")] = False,
    json: Json = False,
) -> None:
    """Show the event log of the running bridge."""
    with reporting(), connect(site) as bridge:
        show(bridge.ask("events", last=last, after=after, seen=seen), _EVENTS, "Events", form(json))
