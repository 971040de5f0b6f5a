"""`meterbridge import`; the other way is `meterbridge export registers`."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.app.sheets import import_sheet
from bridge.cli.output import reporting, say


def import_csv(
    sheet: Annotated[Path, typer.Argument(help="CSV as `export registers` writes it", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="folder of meter files to write into")] = Path(),
    replace: Annotated[bool, typer.Option(help="write over a meter file that is there")] = False,
) -> None:
    """Make a meter file of a register list kept in a spreadsheet; every fault is told with line and column."""
    with reporting():
        say(str(import_sheet(sheet, out, replace)))
