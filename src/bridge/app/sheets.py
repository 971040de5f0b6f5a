"""Meter files as tables, out of a site and into a folder."""

from collections.abc import Iterator
from pathlib import Path

from bridge.config.faults import Faults
from bridge.config.library import library_dir
from bridge.config.load import load_site
from bridge.config.meter import MeterFile
from bridge.config.meters import METER_NAME, Meter
from bridge.config.register_sheet import from_sheet, to_sheet, to_yaml
from bridge.config.resolve import meter_facts
from bridge.config.yaml_marks import read_file
from bridge.core.errors import BridgeError

# name for `meterbridge export`
REGISTERS = "registers"


class SheetRefused(BridgeError):
    """The table cannot be read, or must not become a file here."""


def export_sheets(site: Path) -> Iterator[tuple[str, str]]:
    """Yield (file name, CSV) of every meter file the site uses, and of what those extend. Raises: ConfigErrors."""
    config = load_site(site)
    folders = [*(config.directory / folder for folder in config.file.site.meters), library_dir()]
    wanted = sorted({device.meter for device in config.file.devices.values()})
    done: set[str] = set()
    while wanted:
        name = wanted.pop(0)
        if name not in done:
            done.add(name)
            data = read_file(next(path for folder in folders if (path := folder / f"{name}.yaml").is_file())).data
            wanted += [data["extends"]] if "extends" in data else []
            yield f"registers-{name}.csv", to_sheet(data)


def import_sheet(sheet: Path, folder: Path, replace: bool) -> Path:
    """
    Write the meter file of a CSV into `folder`; return where it is.

    A file that extends another is looked at as a whole only by who loads both. Raises: ConfigErrors with the lines of
    the CSV, SheetRefused.
    """
    try:
        text = sheet.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise SheetRefused(f"{sheet}: expected text in UTF-8 that can be read: {exc}") from exc
    marked = from_sheet(text, str(sheet))
    faults = Faults()
    name = marked.data.get("meter")
    if not isinstance(name, str) or METER_NAME.match(name) is None:
        faults.at(marked, ("meter",), f"expected a row @meter with the name of the file, found {name!s:.64}")
    if "extends" not in marked.data:
        file = faults.convert(marked, MeterFile)
        if file is not None:
            meter_facts(Meter(file, marked), faults)
    faults.raise_if_any()
    place = folder / f"{name}.yaml"
    if place.exists() and not replace:
        raise SheetRefused(f"{place} exists; --replace writes over it")
    folder.mkdir(parents=True, exist_ok=True)
    draft = place.with_suffix(".draft")
    draft.write_text(to_yaml(marked.data), encoding="utf-8")
    draft.replace(place)
    return place
