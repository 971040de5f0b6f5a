"""`meterbridge verify`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from bridge.cli.options import Json, Site
from bridge.cli.output import Exit, complain, form, reporting, say, show, stop, warn
from bridge.core.clock import SystemClock

if TYPE_CHECKING:
    from bridge.verify.run import Plan, Row

_COLUMNS = ("point", "protocol", "verdict", "held", "shown")


def verify(
    site: Site,
    protocol: Annotated[list[str] | None, typer.Option(help="only these servers; may be given again")] = None,
    watch: Annotated[float, typer.Option(min=0, help="again every so many seconds, 0 = once")] = 0.0,
    every: Annotated[bool, typer.Option("--all", help="show every row, not only the failures")] = False,
    json: Json = False,
) -> None:
    """Read every point of the running bridge as a client of each protocol does and compare it with the meter."""
    # imported when asked for: the process of `run` carries neither simulator nor clients
    from bridge.verify.run import plan

    with reporting():
        wanted = plan(site, protocol or [])
        while True:
            failed = _once(wanted, every, json)
            if not watch:
                break
            time.sleep(watch)
    if failed:
        stop(Exit.FAILED)


def _once(wanted: "Plan", every: bool, json: bool) -> bool:
    from bridge.verify.compare import Verdict
    from bridge.verify.run import verify as rows_of

    rows: list[Row] = []
    with Progress(transient=True, disable=json) as progress:
        task = progress.add_task("verifying", total=None)
        for row in rows_of(wanted, SystemClock()):
            rows.append(row)
            progress.advance(task)
    failures = [row for row in rows if row.verdict is not Verdict.GOOD]
    shown = rows if every or json else failures
    if shown:
        table = [
            {
                "point": r.point,
                "protocol": r.protocol,
                "verdict": r.verdict.value,
                "held": r.held,
                "shown": r.shown,
            }
            for r in shown
        ]
        show(table, _COLUMNS, "Verification", form(json))
    for name, why in wanted.unread.items():
        warn(f"{name}: not verified: {why}")
    if not json:
        (complain if failures else say)(f"{len(rows) - len(failures)} of {len(rows)} comparisons hold")
    return bool(failures)
