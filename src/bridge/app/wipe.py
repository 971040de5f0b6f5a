"""
The end of a bridge's life: everything it knows is overwritten and removed, in the order of X-16.

The rule one must not break: nothing outside of the site's own files and its state directory is touched.
"""

import enum
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.app.certificates import FOLDER as TLS_FOLDER
from bridge.app.command_side import AUDIT_FOLDER
from bridge.app.memory import FOLDER as HISTORY_FOLDER
from bridge.commands import resets, users
from bridge.config.ledger_file import LEDGER_FILE
from bridge.config.model import SiteConfig
from bridge.core.errors import BridgeError

# bytes overwritten at once
_CHUNK = 1 << 20
_CERTIFICATES = frozenset({".pem", ".key", ".crt", ".der", ".csr"})
_CID_FOLDER = "iec61850"
_USERS = frozenset({users.FILE, users.TOKEN_FILE, "users.lock"})


class WipeError(BridgeError):
    """A wipe that must not begin, or could not be finished; the message says what is left."""


class Step(enum.Enum):
    """What is removed, in this order (seed 004, l.1762-1891). Network settings are those of the machine, not ours."""

    CONFIGURATION = "configuration"
    FILES = "files"
    CERTIFICATES = "certificates"
    CID = "CID"
    USERS = "users"
    LOGS = "logs"
    ENERGIES = "energies"


class Keep(enum.Enum):
    """What stays."""

    NOTHING = "nothing"
    CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class Wiped:
    step: Step
    files: int
    size: int


def wipe(config: SiteConfig, site: Path, keep: Keep) -> list[Wiped]:
    """
    Overwrite and remove; return what was there. No bridge may run. Raises: WipeError.

    Overwriting reaches what the file system lets it reach: not the spare blocks of a flash disk, nor backups.
    """
    state_dir = config.state_dir.resolve()
    if config.directory.resolve().is_relative_to(state_dir):
        raise WipeError(f"expected a state directory of its own, found {state_dir}, where the site is")
    found: dict[Step, list[Path]] = {step: [] for step in Step}
    if keep is Keep.NOTHING:
        found[Step.CONFIGURATION] = list(_configuration(config, site))
    for path in _files(state_dir):
        found[step_of(path.relative_to(state_dir))].append(path)
    wiped = [Wiped(step, len(paths), sum(_remove(path) for path in paths)) for step, paths in found.items()]
    for folder in sorted((p for p in state_dir.rglob("*") if p.is_dir() and not p.is_symlink()), reverse=True):
        _rmdir(folder)
    if state_dir.is_dir():
        _rmdir(state_dir)
    return wiped


def step_of(path: Path) -> Step:
    """Return to which step a file of the state directory belongs, by its path in it."""
    top = path.parts[0]
    if top == TLS_FOLDER or path.suffix in _CERTIFICATES:
        return Step.CERTIFICATES
    if path.name in _USERS:
        return Step.USERS
    if top == _CID_FOLDER:
        return Step.CID
    if top == AUDIT_FOLDER:
        return Step.LOGS
    if top == HISTORY_FOLDER or path.name == resets.FILE:
        return Step.ENERGIES
    return Step.FILES


def _configuration(config: SiteConfig, site: Path) -> Iterator[Path]:
    """Yield the site's own files: those beside site.yaml, and the meter files in folders below it."""
    here = config.directory.resolve()
    named = [site, here / LEDGER_FILE, *(file.path for file in config.projections)]
    for folder in config.file.site.meters:
        named += sorted((here / folder).glob("*.yaml"))
    for path in dict.fromkeys(path.absolute() for path in named):
        if path.is_file() and path.resolve().is_relative_to(here):
            yield path


def _files(folder: Path) -> Iterable[Path]:
    """Yield everything below that is no folder; links are not followed."""
    for root, folders, names in os.walk(folder):
        yield from (Path(root, name) for name in names)
        yield from (Path(root, name) for name in folders if Path(root, name).is_symlink())


def _remove(path: Path) -> int:
    """Overwrite a file once and remove it; return its size."""
    try:
        size = 0
        if path.is_file() and not path.is_symlink():
            size = path.stat().st_size
            with path.open("r+b") as file:
                for at in range(0, size, _CHUNK):
                    file.write(bytes(min(_CHUNK, size - at)))
                file.flush()
                os.fsync(file.fileno())
        path.unlink()
    except OSError as exc:
        raise WipeError(f"{path} and what comes after it are still there: {exc.strerror}") from exc
    return size


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as exc:
        raise WipeError(f"{folder} is still there: {exc.strerror}") from exc
