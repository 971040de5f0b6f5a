"""`meterbridge check`: everything a start would do, short of opening anything."""

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bridge.app.faces import Face, mapping_faults, missing_extra, number_and_project, package_of
from bridge.app.tls_files import tls_faults
from bridge.config.ledger import difference
from bridge.config.ledger_file import LEDGER_FILE, read_ledger
from bridge.config.load import load_site, projection_files
from bridge.core.errors import ConfigError, ConfigErrors
from bridge.core.ports import SiteFacts


class Checked(msgspec.Struct, frozen=True):
    """What `check` found. `faults` and `warnings`: file:line:column texts. `changes`: of public numbers."""

    faults: list[str]
    warnings: list[str]
    changes: list[str] = []
    devices: int = 0
    points: int = 0
    servers: list[str] = []


def check_site(site: Path, utc_ns: int) -> Checked:
    """Return every fault, or what would be served; writes nothing. `utc_ns`: for certificates that have ended."""
    try:
        config = load_site(site)
    except ConfigErrors as exc:
        return Checked([str(error) for error in (*exc.errors, *mapping_faults(projection_files(site)))], [])
    try:
        before = read_ledger(config.directory / LEDGER_FILE)
        faces, after = number_and_project(config, before)
    except ConfigErrors as exc:
        return Checked([str(error) for error in exc.errors], [])
    faults = tls_faults(faces, utc_ns)
    if faults:
        return Checked([str(fault) for fault in faults], [])
    changes = [str(change) for change in difference(before, after)]
    warnings = [str(warning) for warning in config.warnings]
    warnings += [f"{face.file.path}: {lacking}" for face in faces if (lacking := missing_extra(face))]
    facts = SiteFacts(config.file.site.name, config.points, config.devices)
    own_faults: list[str] = []
    for face in faces:
        errors, further = _findings(face, facts, config.state_dir / face.name)
        own_faults += [str(error) for error in errors]
        warnings += further
    if own_faults:
        return Checked(own_faults, warnings)
    names = [face.name for face in faces]
    return Checked([], warnings, changes, len(config.devices), len(config.points), names)


def _findings(face: Face, facts: SiteFacts, state_dir: Path) -> tuple[Iterable[ConfigError], Iterable[str]]:
    """What a server's own `check` says of the files only it knows; most have none."""
    name = f"{package_of(face.name)}.check"
    if importlib.util.find_spec(name) is None:
        return (), ()
    found: tuple[Iterable[ConfigError], Iterable[str]] = importlib.import_module(name).findings(
        face.projected.plan, facts, state_dir
    )
    return found
