"""The files an integrator takes home, each generated from what is really served."""

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from bridge.app.faces import Face, number_and_project, package_of, site_facts
from bridge.config.ledger_file import LEDGER_FILE, read_ledger
from bridge.config.load import load_site
from bridge.core.errors import BridgeError
from bridge.core.ports import SiteFacts
from bridge.pack import brick, haystack
from bridge.pack.index import FILE_NAME, ServerRow, index_page

# name on the command line -> generator of (file name, text)
Exports = Mapping[str, Callable[[msgspec.Struct, SiteFacts], Iterable[tuple[str, str]]]]
# name on the command line that means every one
ALL = "all"
# of a server's facts, what opens a door: the pack is handed to strangers
_SECRET_FACTS = frozenset({"community"})


class NothingToExport(BridgeError):
    """No enabled server of the site offers what was asked for."""


# of the whole site, whatever serves it
SITE_EXPORTS: Mapping[str, Callable[[SiteFacts], Iterable[tuple[str, str]]]] = {
    "haystack": haystack.exports,
    "brick": brick.exports,
}


def export_site(site: Path, what: str) -> Iterator[tuple[str, str]]:
    """
    Yield (file name, text) of everything called `what`; for ALL a cover page comes last.

    Raises: ConfigErrors, NothingToExport.
    """
    config = load_site(site)
    faces, _ = number_and_project(config, read_ledger(config.directory / LEDGER_FILE))
    facts = site_facts(config)
    offered: list[str] = []
    files: list[tuple[str, str]] = []
    for name, made in _generators(faces, facts):
        offered.append(name)
        if what in (name, ALL):
            for file_name, text in made():
                files.append((file_name, name))
                yield file_name, text
    if what == ALL:
        yield FILE_NAME, index_page(facts, [_server_row(face) for face in faces], files)
    elif what not in offered:
        raise NothingToExport(f"expected one of {', '.join([ALL, *offered])}, found {what}")


def _generators(
    faces: Iterable[Face], facts: SiteFacts
) -> Iterator[tuple[str, Callable[[], Iterable[tuple[str, str]]]]]:
    """Yield the name of every export and what makes it."""
    for face in faces:
        for name, generate in exports_of(face).items():
            yield name, partial(generate, face.projected.plan, facts)
    for name, generate_site in SITE_EXPORTS.items():
        yield name, partial(generate_site, facts)


def _server_row(face: Face) -> ServerRow:
    at = face.listener
    facts = {name: value for name, value in face.projected.facts.items() if name not in _SECRET_FACTS}
    return ServerRow(face.name, f"{at.bind}:{at.port}/{face.projected.transport.value}", facts)


def exports_of(face: Face) -> Exports:
    """Return what a server offers; nothing if its package has no exporter."""
    name = f"{package_of(face.name)}.export"
    if importlib.util.find_spec(name) is None:
        return {}
    return cast("Exports", importlib.import_module(name).EXPORTS)
