"""`meterbridge trace`: the frames of a channel with times and verdict."""

from typing import Annotated

import typer

from bridge.cli.live import connect
from bridge.cli.options import Json, Site
from bridge.cli.output import reporting, say, show_json


def trace(
    site: Site,
    channel: Annotated[str, typer.Argument(help="name of the channel in site.yaml")],
    count: Annotated[int, typer.Option(help="stop after this many frames, 0 = never")] = 0,
    json: Json = False,
) -> None:
    """Show every frame of CHANNEL as it passes: time, direction, bytes, CRC verdict."""
    with reporting(), connect(site) as bridge:
        for number, frame in enumerate(bridge.stream("trace", channel=channel), start=1):
            if json:
                show_json(frame)
            else:
                say(f"{frame['time']}  {frame['direction']:<3} {frame['verdict']:<8} {frame['bytes']}")
            if number == count:
                return
