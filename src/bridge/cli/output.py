"""How the command line speaks: tables for people, JSON for programs, errors on stderr, exit statuses."""

import contextlib
import enum
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import msgspec
from rich.console import Console
from rich.table import Table

from bridge.core.errors import BridgeError, ConfigErrors


class Exit(enum.IntEnum):
    """Exit statuses of every command."""

    GOOD = 0
    FAILED = 1
    USAGE = 2


class Form(enum.Enum):
    """What the reader is."""

    TABLE = "table"
    JSON = "json"


# columns of a table that goes to a file or a pipe
_WIDE = 240

_out = Console(highlight=False, soft_wrap=True)
if not _out.is_terminal:
    _out.width = _WIDE
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def form(json: bool) -> Form:
    return Form.JSON if json else Form.TABLE


def show(rows: Sequence[dict[str, Any]], columns: Sequence[str], title: str, form: Form) -> None:
    """Print rows: all their keys as JSON, the named columns as a table."""
    if form is Form.JSON:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows)).decode() + "\n")
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if row.get(column) is None else str(row.get(column)) for column in columns))
    _out.print(table)


def show_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def say(text: str) -> None:
    _out.print(text, markup=False)


def verbatim(text: str) -> None:
    """Print text to be copied: not wrapped, not coloured, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    _err.print(text, markup=False, style="yellow")


def complain(text: str) -> None:
    _err.print(text, markup=False, style="red")


def hint(causes: Sequence[str]) -> None:
    """Print likely causes of what was just complained about, on stderr."""
    for cause in (*causes, "see docs/faults.md"):
        _err.print(f"  - {cause}", markup=False)


def stop(status: Exit) -> NoReturn:
    raise SystemExit(int(status))


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """Turn the bridge's own errors into a line on stderr and the right exit status; no traceback."""
    try:
        yield
    except ConfigErrors as exc:
        complain(str(exc))
        stop(Exit.USAGE)
    except (BridgeError, OSError) as exc:
        complain(str(exc))
        stop(Exit.FAILED)
    except KeyboardInterrupt:
        stop(Exit.FAILED)
