"""How to recognise every meter of the library: what a scan asks for."""

from pathlib import Path

from bridge.config.faults import Faults
from bridge.config.library import library_dir
from bridge.config.marked import Marked
from bridge.config.meters import Library
from bridge.config.model import Fingerprint
from bridge.config.resolve import signatures_of


def fingerprints(folders: list[Path] | None = None) -> list[Fingerprint]:
    """
    Return one per meter file that says how it is recognised, most signatures first. Raises: ConfigErrors.

    `folders`: of meter files, before the shipped library.
    """
    faults = Faults()
    library = Library([*(folders or ()), library_dir()], faults)
    found = []
    for name in library.names():
        meter = library.get(name, Marked("scan"), ())
        signatures = signatures_of(meter.file) if meter is not None else ()
        if signatures:
            found.append(Fingerprint(name, signatures))
    faults.raise_if_any()
    return sorted(found, key=lambda fingerprint: -len(fingerprint.signatures))
