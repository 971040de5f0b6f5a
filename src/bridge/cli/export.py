"""`meterbridge export`."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.app.export import export_site
from bridge.app.history_csv import history_csv
from bridge.app.sheets import REGISTERS, export_sheets
from bridge.cli.options import Site
from bridge.cli.output import reporting, say


def export(
    what: Annotated[
        str,
        typer.Argument(
            help="modbus-map, ede, pics, mib, cid, dnp3-profile, nodeset, haystack, brick, ... or all; csv: the "
            "history; registers: the meter files as tables"
        ),
    ],
    site: Site,
    out: Annotated[Path, typer.Option(help="folder to write into")] = Path(),
) -> None:
    """Write the files an integrator needs, generated from what SITE really serves."""
    with reporting():
        out.mkdir(parents=True, exist_ok=True)
        makers = {"csv": history_csv, REGISTERS: export_sheets}
        texts = makers[what](site) if what in makers else export_site(site, what)
        for name, text in texts:
            (out / name).write_text(text, encoding="utf-8")
            say(str(out / name))
