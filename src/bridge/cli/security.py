"""`meterbridge security`: the security settings of a site at a glance."""

from bridge.app.faces import number_and_project
from bridge.app.security import security_report
from bridge.cli.options import Json, Site
from bridge.cli.output import form, reporting, show, show_json
from bridge.config.ledger_file import LEDGER_FILE, read_ledger
from bridge.config.load import load_site


def security(site: Site, json: Json = False) -> None:
    """Show who may do what at SITE: listeners, roles, identities, rules, users, locked points. Opens nothing."""
    with reporting():
        config = load_site(site)
        faces, _ = number_and_project(config, read_ledger(config.directory / LEDGER_FILE))
        report = security_report(config, faces)
        if json:
            show_json(report)
            return
        for title, rows in report.items():
            if isinstance(rows, list) and rows:
                show(rows, tuple(rows[0]), title.capitalize(), form(json))
