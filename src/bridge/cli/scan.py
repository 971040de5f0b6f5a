"""`meterbridge scan` and `probe`: who is on a line, and is it the meter the site says."""

from typing import Annotated, Any

import typer
from rich.progress import Progress

from bridge.cli.live import connect
from bridge.cli.options import Json, Site
from bridge.cli.output import Exit, complain, form, hint, reporting, say, show, stop
from bridge.config.load import load_site
from bridge.core.errors import BridgeError

_COLUMNS = ("unit", "meter", "device", "vendor", "product", "version")


# what docs/faults.md says in full
_SILENT = (
    "A and B may be swapped, or the 120 ohm at both ends missing",
    "speed, framing or unit id may not be those of the device",
    "two devices may have one unit id: `meterbridge trace` shows two answers at once as bad frames",
    "a COUNTIS without phase 1 or neutral has no supply",
)
_ANOTHER = (
    "the unit id may be that of another device, or two devices may have it",
    "a meter that was exchanged needs its own `meter` and `model` in site.yaml",
)


class UnknownDevice(BridgeError):
    """No device of that name in the site."""


def scan(
    site: Site,
    channel: Annotated[str, typer.Argument(help="name of the channel in site.yaml")],
    units: Annotated[str, typer.Option(help="unit ids, e.g. 1-32 or 1,5,9")] = "1-247",
    timeout_s: Annotated[float, typer.Option(help="s to wait for each unit id")] = 0.3,
    json: Json = False,
) -> None:
    """Find the meters of CHANNEL and propose the lines of a site file for them; polling goes on meanwhile."""
    with reporting():
        wanted = _unit_ids(units)
        found: list[dict[str, Any]] = []
        with connect(site) as bridge, Progress(transient=True, disable=json) as progress:
            task = progress.add_task(channel, total=len(wanted))
            for row in bridge.stream("scan", channel=channel, units=wanted, timeout_s=timeout_s):
                progress.advance(task)
                if row["answers"]:
                    found.append(row)
        if not found:
            hint(_SILENT)
        show(found, _COLUMNS, f"{len(found)} of {len(wanted)} unit ids of {channel} answer", form(json))
        if not json:
            for line in _proposal(channel, found):
                say(line)


def probe(site: Site, device: Annotated[str, typer.Argument(help="device id")], json: Json = False) -> None:
    """Ask one device of SITE who it is; the exit status is 1 if it is silent or another meter than the site says."""
    with reporting():
        known = {d.definition.id: d for d in load_site(site).field}
        asked = known.get(device)
        if asked is None:
            raise UnknownDevice(f"expected a device ({', '.join(known)}), found {device}")
        facts = asked.definition
        with connect(site) as bridge:
            (row,) = bridge.stream(
                "scan", channel=facts.channel, units=[facts.unit_id], timeout_s=asked.limits.timeout_s
            )
        show([row], ("unit", "answers", *_COLUMNS[1:]), "", form(json))
        if not row["answers"]:
            complain(f"{device}: unit id {facts.unit_id} of {facts.channel} does not answer")
            hint(_SILENT)
            stop(Exit.FAILED)
        if asked.signatures and row["meter"] != facts.meter:
            complain(f"{device}: expected {facts.meter}, found {row['meter'] or 'a meter the library does not know'}")
            hint(_ANOTHER)
            stop(Exit.FAILED)


def _unit_ids(text: str) -> list[int]:
    """Read '1-32' or '1,5,9-12'."""
    wanted: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise BadUnits(f"expected unit ids such as 1-32 or 1,5,9, found {text}")
        wanted.extend(range(int(first), int(last or first) + 1))
    return wanted


class BadUnits(BridgeError):
    """Unit ids that cannot be read."""


def _proposal(channel: str, found: list[dict[str, Any]]) -> list[str]:
    new = [row for row in found if not row["device"]]
    if not new:
        return []
    lines = ["", "Not in the site yet:", "devices:"]
    for row in new:
        meter = row["meter"] or "?  # not in the library"
        lines.append(f"  {channel}-{row['unit']}: {{meter: {meter}, channel: {channel}, unit: {row['unit']}}}")
    return lines
