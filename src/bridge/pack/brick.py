"""
The site in Brick's terms, as Turtle: a site, an Electrical_Meter per device, its points with class and QUDT unit.

Source: docs.brickschema.org, Meters; the class of each point is that of the submeter list (`core.ontology`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from bridge.core.point import PointDef
from bridge.core.ports import SiteFacts
from bridge.pack.notices import notice

_PREFIXES = """\
@prefix brick: <https://brickschema.org/schema/Brick#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix unit: <http://qudt.org/vocab/unit/> .
"""
# Symbol -> name in the QUDT vocabulary that Brick uses
_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "mV": "MilliV",
        "V": "V",
        "kV": "KiloV",
        "mA": "MilliA",
        "A": "A",
        "kA": "KiloA",
        "W": "W",
        "kW": "KiloW",
        "MW": "MegaW",
        "var": "V-A_Reactive",
        "kvar": "KiloV-A_Reactive",
        "Mvar": "MegaV-A_Reactive",
        "VA": "V-A",
        "kVA": "KiloV-A",
        "MVA": "MegaV-A",
        "Wh": "W-HR",
        "kWh": "KiloW-HR",
        "MWh": "MegaW-HR",
        "varh": "V-A_Reactive-HR",
        "kvarh": "KiloV-A_Reactive-HR",
        "Mvarh": "MegaV-A_Reactive-HR",
        "VAh": "V-A-HR",
        "kVAh": "KiloV-A-HR",
        "MVAh": "MegaV-A-HR",
        "Hz": "HZ",
        "%": "PERCENT",
        "deg": "DEG",
        "ms": "MilliSEC",
        "s": "SEC",
        "min": "MIN",
        "h": "HR",
        "degC": "DEG_C",
    }
)
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


def turtle(site: SiteFacts) -> str:
    """Return the model; one statement per meter and point."""
    return "".join(_statements(site))


def exports(site: SiteFacts) -> Iterable[tuple[str, str]]:
    """Yield (file name, text)."""
    yield "brick.ttl", turtle(site)


def _statements(site: SiteFacts) -> Iterator[str]:
    yield _PREFIXES
    home = f"<urn:meterbridge:{_name(site.name)}>"
    yield f"@prefix site: <urn:meterbridge:{_name(site.name)}/> .\n\n"
    yield _thing(home, "Site", [("rdfs:label", _text(site.name))])
    for device in site.devices:
        known = [
            ("rdfs:label", _text(device.id)),
            ("rdfs:comment", _text(f"{device.vendor} {device.model}. {notice(device)}".strip())),
            ("brick:hasLocation", home),
        ]
        yield _thing(f"site:{_name(device.id)}", "Electrical_Meter", known)
    meters = {device.id for device in site.devices}
    for definition in site.points:
        if definition.brick:
            yield _point(definition, meters)


def _point(definition: PointDef, meters: set[str]) -> str:
    known = [("rdfs:label", _text(definition.label or definition.name))]
    if definition.device in meters:
        known.append(("brick:isPointOf", f"site:{_name(definition.device)}"))
    if definition.unit in _UNITS:
        known.append(("brick:hasUnit", f"unit:{_UNITS[definition.unit]}"))
    return _thing(f"site:{_name(definition.device)}.{_name(definition.name)}", definition.brick, known)


def _thing(name: str, class_name: str, known: Iterable[tuple[str, str]]) -> str:
    said = " ;\n    ".join(f"{what} {value}" for what, value in known)
    return f"{name} a brick:{class_name} ;\n    {said} .\n\n"


def _name(text: str) -> str:
    """Return the local part of a Turtle name; two texts never meet in one name."""
    return _NO_NAME.sub(lambda found: f"_{ord(found[0]):x}_", text)


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
