"""
`python -m tests.meta.requirements` (`make requirements`): write docs/requirements.md from docs/requirements.csv,
and list every MUST and SHOULD that no test names.

A test proves a requirement by naming its id, as in `# M-43`. The CSV says what people know (built, open, later, out);
`proven` and the places are found here. `built` means: the code is there, no test names it yet.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "requirements.csv"
DOCUMENT = ROOT / "docs" / "requirements.md"
# the families of the list; `1E-05` and `UTF-16` are none of them
_ID = re.compile(r"\b[ABCDEFGIMOPSTWX]-\d\d\b")
_TOOL = ("requirements.py", "test_requirements.py")
LEVELS = ("MUST", "SHOULD", "LATER", "OUT")
STATES = ("built", "open", "later", "out")
# places named in one row of the table; the rest are counted
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the CSV."""

    id: str
    level: str
    family: str
    state: str
    text: str

    @property
    def wanted(self) -> bool:
        return self.level in LEVELS[:2]


def load(path: Path = SOURCE) -> list[Requirement]:
    with path.open(newline="") as file:
        return [Requirement(**row) for row in csv.DictReader(file)]


def named(files: Iterable[Path], root: Path = ROOT) -> dict[str, list[str]]:
    """Ids found in the files, each with the files that name it."""
    found = defaultdict(list)
    for file in sorted(files):
        for id_ in sorted(set(_ID.findall(file.read_text()))):
            found[id_].append(str(file.relative_to(root)))
    return found


def in_tests(root: Path = ROOT) -> dict[str, list[str]]:
    return named((f for f in (root / "tests").rglob("*.py") if f.name not in _TOOL), root)


def in_docs(root: Path = ROOT) -> dict[str, list[str]]:
    return named((f for f in (root / "docs").rglob("*.md") if f != DOCUMENT), root)


def state(row: Requirement, tests: Mapping[str, list[str]]) -> str:
    return "proven" if row.id in tests else row.state


def _where(files: list[str]) -> str:
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(f"`{name}`" for name in files[:_SHOWN]) + more


def table(rows: list[Requirement], tests: Mapping[str, list[str]], docs: Mapping[str, list[str]]) -> str:
    lines = [
        "# Requirements",
        "Written by `make requirements` from `docs/requirements.csv`; do not edit. *proven*: a test names it. *built*:"
        " there, without a test that names it. *open*: not built, or not whole.",
        "| level | all | proven | built | open |\n| --- | --- | --- | --- | --- |\n" + "\n".join(_sums(rows, tests)),
    ]
    for family in dict.fromkeys(row.family for row in rows):
        body = [
            " | ".join(
                (f"| {r.id}", r.level, r.text, state(r, tests), _where(tests.get(r.id, []) + docs.get(r.id, [])) + " |")
            )
            for r in rows
            if r.family == family
        ]
        head = "| id | level | requirement | state | where |\n| --- | --- | --- | --- | --- |\n"
        lines += [f"## {family[0].upper()}{family[1:]}", head + "\n".join(body)]
    return "\n\n".join(lines) + "\n"


def _sums(rows: list[Requirement], tests: Mapping[str, list[str]]) -> list[str]:
    made = []
    for level in LEVELS[:2]:
        states = [state(r, tests) for r in rows if r.level == level]
        counts = [len(states), *(states.count(s) for s in ("proven", "built", "open"))]
        made.append(f"| {level} | " + " | ".join(map(str, counts)) + " |")
    return made


def main() -> None:
    rows, tests = load(), in_tests()
    DOCUMENT.write_text(table(rows, tests, in_docs()))
    silent = [row for row in rows if row.wanted and row.id not in tests]
    for row in silent:
        print(f"{row.id}  {row.level:6}  {row.text}")
    print(f"{len(silent)} of {sum(row.wanted for row in rows)} wanted requirements are named by no test")


if __name__ == "__main__":
    main()
