"""
`python -m tests.bench [NAME...]`: run the benchmark modules and write docs/benchmarks.md.

A benchmark is a module of this folder with `run() -> Table`. Each runs in a process of its own, one after the other.
"""

import argparse
import datetime
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import msgspec

import tests.bench
from tests.bench import report
from tests.bench.table import Table

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
# Seconds one module may take.
LIMIT_S = 900
_CHILD = "--table"


def names() -> list[str]:
    """Modules of this folder that have a `run`."""
    found = [m.name for m in pkgutil.iter_modules(tests.bench.__path__) if not m.name.startswith("_")]
    return [name for name in found if hasattr(importlib.import_module(f"tests.bench.{name}"), "run")]


def child(name: str) -> None:
    table = importlib.import_module(f"tests.bench.{name}").run()
    sys.stdout.write(msgspec.json.encode(table).decode())


def measured(name: str) -> Table:
    """Raises: subprocess.SubprocessError."""
    command = [sys.executable, "-m", "tests.bench", _CHILD, name]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=LIMIT_S)
    return msgspec.json.decode(done.stdout, type=Table)


def main() -> int:
    known = names()
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(known)}; all when left out")
    wanted = parser.parse_args().name or known
    if unknown := set(wanted) - set(known):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    failed = []
    for name in wanted:
        load, date = os.getloadavg()[0], datetime.datetime.now(datetime.UTC).date().isoformat()
        print(f"{name} ...", flush=True)
        try:
            table = measured(name)
        except subprocess.SubprocessError as exc:
            print(f"{name}: {exc}", file=sys.stderr)
            failed.append(name)
            continue
        print(f"{table.title}\n{table.markdown()}\n", flush=True)
        DOCUMENT.parent.mkdir(exist_ok=True)
        before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
        DOCUMENT.write_text(report.merged(before, name, report.section(name, table, date, report.machine(), load)))
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        child(sys.argv[2])
    else:
        sys.exit(main())
