"""`meterbridge alarms`, `acknowledge` and `events`."""

import enum
import getpass
from typing import Annotated

import typer

from bridge.cli.live import connect
from bridge.cli.options import Json, Site
from bridge.cli.output import form, reporting, say, show


class Switch(enum.Enum):
    """What to do with an alarm."""

    ON = "on"
    OFF = "off"


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


def switch_alarm(
    site: Site,
    alarm: Annotated[str, typer.Argument(help="its name, such as over_voltage")],
    state: Annotated[Switch, typer.Argument(help="off for maintenance work, on again afterwards")],
) -> None:
    """Switch every alarm of a name off or on; a restart switches all on."""
    with reporting(), connect(site) as bridge:
        bridge.ask("switch_alarm", alarm=alarm, on=state is Switch.ON, user=getpass.getuser())
        say(f"alarm {alarm} is {state.value}")


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
