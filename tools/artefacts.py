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
from bridge.app.export import export_site
from bridge.app.faces import GATEWAYS, load_mapping, number_and_project
from bridge.config import schema
from bridge.config.ledger_file import LEDGER_FILE, ledger_text, read_ledger
from bridge.config.load import load_site

TOP = Path(__file__).parents[1]
DEMO = TOP / "mappings" / "demo"
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


def ledger() -> Iterator[tuple[str, str]]:
    """The numbers of the demo site: kept from what is committed, so that no client of the demo loses its objects."""
    path = DEMO / LEDGER_FILE
    _, spaces = number_and_project(load_site(DEMO), read_ledger(path))
    yield str(path.relative_to(TOP)), ledger_text(spaces)


def mibs() -> Iterator[tuple[str, str]]:
    """The MIB of the demo site: what a station loads to read it by name."""
    return ((f"mibs/{name}", text) for name, text in export_site(DEMO, "mib"))


def cids() -> Iterator[tuple[str, str]]:
    """The CID of the demo site, and a capability file per meter model in it."""
    return ((f"cid/{name}", text) for what in ("cid", "icd") for name, text in export_site(DEMO, what))


GENERATORS: tuple[Generator, ...] = (schemas, ledger, mibs, cids)


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
