"""What `meterbridge check` says of the CID file that would be served."""

from collections.abc import Iterable
from pathlib import Path

from bridge.core.errors import ConfigError
from bridge.core.ports import SiteFacts
from bridge.projections.iec61850 import source
from bridge.projections.iec61850.plan import Plan


def findings(plan: Plan, site: SiteFacts, state_dir: Path) -> tuple[Iterable[ConfigError], Iterable[str]]:
    """Return (faults of the file, warnings). Nothing is written."""
    folder = source.folder_of(plan, str(state_dir))
    if folder is None:
        return (), ()
    if not folder.is_dir():
        return (), (f"{folder}: no such folder yet: the port stays closed until it holds one CID file",)
    loaded = source.load(plan, folder, {definition.id: definition.kind for definition in site.points})
    if loaded.model is not None:
        return (), ()
    if not loaded.faults:
        return (), (f"{folder}: the port stays closed: {loaded.why}",)
    path = str(folder / loaded.look[0][0])
    return [ConfigError(path, fault.line, 1, "cid", fault.message) for fault in loaded.faults], ()
