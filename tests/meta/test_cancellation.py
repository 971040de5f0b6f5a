"""No linter of ours catches it: a handler of CancelledError must re-raise."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
# file -> why a handler in it may end everything: it is called by C in a thread of C, where nobody can be raised to
CALLED_BY_C = {"bridge/projections/iec61850/lib61850.py": 1}


def swallows(handler: ast.ExceptHandler) -> bool:
    names = (
        {
            n.attr if isinstance(n, ast.Attribute) else n.id
            for n in ast.walk(handler.type)
            if isinstance(n, ast.Attribute | ast.Name)
        }
        if handler.type
        else {"BaseException"}
    )
    return bool(names & {"CancelledError", "BaseException"}) and not any(
        isinstance(n, ast.Raise) for n in ast.walk(handler)
    )


@pytest.mark.parametrize("file", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_cancellation_is_passed_on(file: Path) -> None:
    found = [
        n.lineno for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ExceptHandler) and swallows(n)
    ]

    assert len(found) == CALLED_BY_C.get(str(file.relative_to(SRC)), 0), found
