"""`meterbridge check`: everything a start would do, short of opening anything."""

from pathlib import Path

import msgspec

from bridge.app.faces import project_all
from bridge.config.ledger import LEDGER_NAME, Ledger, difference
from bridge.config.load import load_site
from bridge.core.errors import ConfigErrors


class Change(msgspec.Struct, frozen=True):
    """One public number that a start would give or retire; None: no number."""

    space: str
    key: str
    was: int | None
    becomes: int | None


class Checked(msgspec.Struct, frozen=True):
    """What `check` found. `faults` and `warnings`: file:line:column texts."""

    faults: list[str]
    warnings: list[str]
    changes: list[Change] = []
    devices: int = 0
    points: int = 0
    servers: list[str] = []


def check_site(site: Path) -> Checked:
    """Return every fault, or what would be served; writes nothing."""
    try:
        config = load_site(site)
        path = config.directory / LEDGER_NAME
        ledger, before = Ledger.load(path), Ledger.load(path)
        faces = project_all(config, ledger)
    except ConfigErrors as exc:
        return Checked([str(error) for error in exc.errors], [])
    changes = [Change(c.space, c.key, c.was, c.becomes) for c in difference(before, ledger)]
    warnings = [str(warning) for warning in config.warnings]
    names = [face.name for face in faces]
    return Checked([], warnings, changes, len(config.devices), len(config.points), names)
