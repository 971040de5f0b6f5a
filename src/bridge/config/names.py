"""Names of channels, devices and protocols in site.yaml."""

import re
from collections.abc import Mapping

from bridge.config.faults import Faults
from bridge.config.library import package_dir
from bridge.config.marked import Marked
from bridge.config.site import SiteFile

# A device id is the part of a point id before the dot, and goes into names of every protocol
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}\Z")
_FORM = "letters, digits, - and _, at most 40, the first a letter or digit"

# Faces of the serial lines themselves, beside those of the points in `projections/`
_GATEWAYS = ("gateway", "ethergate")


def protocols() -> list[str]:
    """Return the protocols a site may switch on: the folders there are."""
    folders = (package_dir() / "projections").iterdir()
    return sorted([*_GATEWAYS, *(p.name for p in folders if p.is_dir() and p.name.isidentifier())])


def check_names(marked: Marked, file: SiteFile, faults: Faults) -> None:
    """Check the form of ids, and that two do not differ by case alone (file names and BACnet names)."""
    for key, ids in (("channels", file.channels), ("devices", file.devices)):
        seen: dict[str, str] = {}
        for id_ in ids:
            if ID.match(id_) is None:
                faults.at(marked, (key, id_), f"expected an id of {_FORM}, found `{id_[:60]}`")
            first = seen.setdefault(id_.lower(), id_)
            if first != id_:
                line = marked.where((key, first))[0]
                message = (
                    f"expected ids that differ by more than capital letters, found `{first}` on line {line} as well"
                )
                faults.at(marked, (key, id_), message)
    _check_renamed(marked, file, faults)


def _check_renamed(marked: Marked, file: SiteFile, faults: Faults) -> None:
    taken: dict[str, str] = {}
    for id_, device in file.devices.items():
        if device.was is None:
            continue
        path = ("devices", id_, "was")
        if device.was in file.devices:
            faults.at(marked, path, f"expected the id of a device that is gone, found `{device.was}`, which exists")
        other = taken.setdefault(device.was, id_)
        if other != id_:
            faults.at(marked, path, f"expected one device to take the numbers of `{device.was}`, found {other} as well")


def renamed(file: SiteFile) -> Mapping[str, str]:
    """Return device id before -> now."""
    return {device.was: id_ for id_, device in file.devices.items() if device.was is not None}
