"""`meterbridge audit`: what was written, or tried, and whether the record of it is whole."""

from typing import Annotated

import msgspec
import typer

from bridge.app.command_side import audit_folder
from bridge.cli.options import Json, Site
from bridge.cli.output import Exit, complain, form, reporting, say, show, show_json, stop
from bridge.commands.audit_files import records
from bridge.commands.audit_files import verify as verify_files
from bridge.config.load import load_site

_COLUMNS = ("n", "time", "kind", "result", "target", "old", "new", "protocol", "peer", "user", "reason", "repeated")

app = typer.Typer(name="audit", help="What was written or tried, by whom, and what came of it.", no_args_is_help=True)


@app.command("verify")
def verify(site: Site, json: Json = False) -> None:
    """Check the chain of all records; the exit status is 1 when one was changed, removed or inserted."""
    with reporting():
        report = verify_files(audit_folder(load_site(site).state_dir))
        if json:
            show_json(msgspec.to_builtins(report))
        elif report.fault is None:
            say(f"records {report.first} to {report.last} in {report.files} files are whole; head {report.head}")
        else:
            complain(report.fault)
        if report.fault is not None:
            stop(Exit.FAILED)


@app.command("show")
def show_records(
    site: Site,
    last: Annotated[int, typer.Option(help="newest records to show", min=1)] = 50,
    json: Json = False,
) -> None:
    """Show the newest records."""
    with reporting():
        newest = list(records(audit_folder(load_site(site).state_dir)))[-last:]
        show([msgspec.to_builtins(record) for record in newest], _COLUMNS, "", form(json))
