"""
`make artefacts`: write every generated file of the repository anew. `--check`: say which would change, exit 1 if any.

A generator is a function that yields (path from the top of the repository, text); add it to GENERATORS. A test
compares what is committed with what the generators yield, so a generator takes no clock and no environment.
"""

import argparse
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import bridge.projections
from bridge.app.faces import GATEWAYS, load_mapping
from bridge.app.faces import project_all as faces_of
from bridge.config import schema
from bridge.config.ledger import Ledger
from bridge.config.load import load_site
from bridge.projections.iec61850 import export as iec61850_export
from bridge.projections.iec61850 import mapping as iec61850
from bridge.projections.snmp import export
from bridge.projections.snmp import mapping as snmp

TOP = Path(__file__).parents[1]
Generator = Callable[[], Iterator[tuple[str, str]]]


def schemas() -> Iterator[tuple[str, str]]:
    """JSON Schemas of what a user writes, for completion and checks in an editor: one per kind of YAML file."""
    made = schema.schemas()
    names = [module.name for module in pkgutil.iter_modules(bridge.projections.__path__)]
    for name in [*names, *GATEWAYS]:
        mapping = load_mapping(name).Mapping
        made[f"{name}.json"] = schema.mapping_schema(mapping, f"The {name} projection of a site")
    for name, content in made.items():
        yield f"mappings/schema/{name}", schema.schema_text(content)


def mibs() -> Iterator[tuple[str, str]]:
    """The MIB of the demo site: what a station loads to read it by name."""
    faces = faces_of(load_site(TOP / "mappings" / "demo"), Ledger())
    plan = next(face.projected.plan for face in faces if face.name == "snmp")
    assert isinstance(plan, snmp.Plan)
    for name, text in export.files(plan):
        yield f"mibs/{name}", text


def cids() -> Iterator[tuple[str, str]]:
    """The CID of the demo site, and a capability file per meter model in it."""
    faces = faces_of(load_site(TOP / "mappings" / "demo"), Ledger())
    plan = next(face.projected.plan for face in faces if face.name == "iec61850")
    assert isinstance(plan, iec61850.Plan)
    for name, text in iec61850_export.files(plan):
        yield f"cid/{name}", text


GENERATORS: tuple[Generator, ...] = (schemas, mibs, cids)


def changed() -> Iterator[tuple[Path, str]]:
    """Files that are missing or differ from what their generator yields, with their new text."""
    for generator in GENERATORS:
        for name, text in generator():
            path = TOP / name
            if not path.exists() or path.read_text() != text:
                yield path, text


def main() -> int:
    parser = argparse.ArgumentParser(prog="artefacts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    made = list(changed())
    for path, text in made:
        print(path.relative_to(TOP))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if check and made else 0


if __name__ == "__main__":
    sys.exit(main())
