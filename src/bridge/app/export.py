"""The files an integrator takes home, each generated from what is really served."""

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

import msgspec

from bridge.app.faces import Face, number_and_project, package_of, site_facts
from bridge.config.ledger_file import LEDGER_FILE, read_ledger
from bridge.config.load import load_site
from bridge.core.errors import BridgeError
from bridge.core.ports import SiteFacts

# name on the command line -> generator of (file name, text)
Exports = Mapping[str, Callable[[msgspec.Struct, SiteFacts], Iterable[tuple[str, str]]]]
# name on the command line that means every one
ALL = "all"


class NothingToExport(BridgeError):
    """No enabled server of the site offers what was asked for."""


def export_site(site: Path, what: str) -> Iterator[tuple[str, str]]:
    """Yield (file name, text) of everything called `what`. Raises: ConfigErrors, NothingToExport."""
    config = load_site(site)
    faces, _ = number_and_project(config, read_ledger(config.directory / LEDGER_FILE))
    facts = site_facts(config)
    offered: list[str] = []
    for face in faces:
        exports = exports_of(face)
        offered += exports
        for name, generate in exports.items():
            if what in (name, ALL):
                yield from generate(face.projected.plan, facts)
    if what != ALL and what not in offered:
        raise NothingToExport(f"expected one of {', '.join([ALL, *offered])}, found {what}")


def exports_of(face: Face) -> Exports:
    """Return what a server offers; nothing if its package has no exporter."""
    name = f"{package_of(face.name)}.export"
    if importlib.util.find_spec(name) is None:
        return {}
    return cast("Exports", importlib.import_module(name).EXPORTS)
