"""
The site in Project Haystack's terms: one site, an elec meter per device, a point per point, as Zinc 3.0 and as JSON.

Source: project-haystack.org, docHaystack: Zinc, Json (the JSON of Haystack 4), Meters; tags of the submeter list.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bridge.core.point import DeviceDef, Kind, PointDef
from bridge.core.ports import SiteFacts
from bridge.pack.notices import notice


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to another row."""

    id: str
    dis: str = ""


class Marker:
    """A tag without a value."""


MARKER = Marker()
Value = Ref | Marker | str | int
Row = Mapping[str, Value]

# Symbols of the Haystack unit database where they are not ours
_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "var": "VAR",
        "kvar": "kVAR",
        "Mvar": "MVAR",
        "varh": "VARh",
        "kvarh": "kVARh",
        "Mvarh": "MVARh",
        "deg": "deg",
        "degC": "\u00b0C",
        "h": "hr",
        # not in the database: the number comes without a unit, its label says it
        "V2h": "",
        "A2h": "",
        "Wh/pulse": "",
        "bit/s": "",
    }
)
_KINDS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.ANALOG: "Number",
        Kind.ACCUMULATOR: "Number",
        Kind.BINARY: "Bool",
        Kind.MULTISTATE: "Str",
        Kind.TEXT: "Str",
        Kind.TIME: "DateTime",
    }
)
_PHASES = ("L1", "L2", "L3")
# characters a Haystack id may hold; others become "_"
_NO_ID = re.compile(r"[^a-zA-Z0-9_:.~-]")


def unit_of(symbol: str) -> str:
    """Return the symbol of the Haystack unit database, "" for a unit it does not have."""
    return _UNITS.get(symbol, symbol)


def rows(site: SiteFacts) -> Iterator[Row]:
    """Yield the site, then each meter followed by its points; what identifies a device is a tag of its meter."""
    home = Ref(_id(site.name), site.name)
    yield {"id": home, "dis": site.name, "site": MARKER}
    of_device: dict[str, list[PointDef]] = {}
    for definition in site.points:
        of_device.setdefault(definition.device, []).append(definition)
    for device in site.devices:
        meter = Ref(_id(f"{site.name}.{device.id}"), device.id)
        yield _meter(device, meter, home)
        for definition in of_device.pop(device.id, ()):
            if definition.tags:
                yield _point(definition, home, meter)
    # derived points of the site, which belong to no meter
    for definition in (d for points in of_device.values() for d in points if d.tags):
        yield _point(definition, home)


def zinc(site: SiteFacts) -> str:
    """Return the grid as Zinc."""
    grid = list(rows(site))
    columns = _columns(grid)
    lines = ['ver:"3.0"', ",".join(columns)]
    lines += [",".join(_zinc(row[name]) if name in row else "" for name in columns) for row in grid]
    return "\n".join(lines) + "\n"


def hayson(site: SiteFacts) -> str:
    """Return the grid as the JSON of Haystack 4."""
    grid = list(rows(site))
    made = {
        "_kind": "grid",
        "meta": {"ver": "3.0"},
        "cols": [{"name": name} for name in _columns(grid)],
        "rows": [{name: _json(value) for name, value in row.items()} for row in grid],
    }
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def exports(site: SiteFacts) -> Iterable[tuple[str, str]]:
    """Yield (file name, text)."""
    yield "haystack.zinc", zinc(site)
    yield "haystack.json", hayson(site)


def _meter(device: DeviceDef, meter: Ref, home: Ref) -> Row:
    row: dict[str, Value] = {
        "id": meter,
        "dis": device.id,
        "equip": MARKER,
        "elec": MARKER,
        "meter": MARKER,
        "siteRef": home,
        "vendorName": device.vendor,
        "modelName": device.model,
        "notice": notice(device),
    }
    if device.mid:
        row["mid"] = MARKER
    # tenant, floor, ... as the site file states them
    row |= {name: text for name, text in device.labels.items() if name not in row and name.isidentifier()}
    return {name: value for name, value in row.items() if value != ""}


def _point(definition: PointDef, home: Ref, meter: Ref | None = None) -> Row:
    row: dict[str, Value] = {
        "id": Ref(f"{home.id}.{_id(definition.id)}"),
        "dis": definition.label or definition.name,
        "siteRef": home,
        "kind": _KINDS[definition.kind],
    }
    if meter is not None:
        row["equipRef"] = meter
    row |= {tag: MARKER for tag in definition.tags if tag not in _PHASES}
    phases = [tag for tag in definition.tags if tag in _PHASES]
    if phases:
        # a tag begins with a small letter: Haystack's `phase` holds the names
        row["phase"] = "-".join(phases)
    if unit_of(definition.unit):
        row["unit"] = unit_of(definition.unit)
    if definition.states:
        row["enum"] = ",".join(text for _, text in definition.states)
    if definition.writable:
        row["writable"] = MARKER
    return row


def _columns(grid: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in grid for name in row))


def _id(text: str) -> str:
    return _NO_ID.sub("_", text)


def _zinc(value: Value) -> str:
    match value:
        case Marker():
            return "M"
        case Ref(id=name, dis=dis):
            return f"@{name} {_quoted(dis)}" if dis else f"@{name}"
        case int():
            return str(value)
        case str():
            return _quoted(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'


def _json(value: Value) -> object:
    match value:
        case Marker():
            return {"_kind": "marker"}
        case Ref(id=name, dis=dis):
            return {"_kind": "ref", "val": name, "dis": dis} if dis else {"_kind": "ref", "val": name}
        case _:
            return value
