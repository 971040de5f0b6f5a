"""
A meter file as a table for a spreadsheet, and back, nothing lost but the comments.

One row per point, one column per key of a point; a fact of the whole file is a row whose name begins with `@`, with its
value in the column beside it. Lists are `1; 2`, states `0 = OK; 1 = Loss`; anything that cannot be written so is JSON.
"""

import csv
import io
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from bridge.config.marked import Marked, Path
from bridge.config.meter import MeterFile, PointFile
from bridge.config.yaml_marks import MAX_BYTES
from bridge.core.errors import ConfigError, ConfigErrors

NAME = "point"
_KEYS = tuple(field.name for field in msgspec.structs.fields(PointFile))
_FACTS = frozenset(field.name for field in msgspec.structs.fields(MeterFile)) - {"points"}
COLUMNS = (NAME, *_KEYS)
# in a file that extends another: the point is taken away
_GONE = "~"
_TEXTS = frozenset({"unit", "label", "note", "brick", "type", "order", "kind", "role", "poll", "certainty"})
_LISTS = frozenset({"scale_alternatives", "limits", "typical", "range", "values", "invalid", "tags"})
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_STATE = re.compile(r"(-?[0-9]+) = (.*)\Z", re.DOTALL)
_BETWEEN_STATES = re.compile(r"; (?=-?[0-9]+ = )")


def to_sheet(data: Mapping[str, Any]) -> str:
    """Return the CSV of a meter file's values as they stand in the file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key, value in data.items():
        if key != "points":
            writer.writerow([f"@{key}", _cell("", value)])
    for name, facts in data.get("points", {}).items():
        if facts is None:
            writer.writerow([name, _GONE])
        else:
            writer.writerow([name, *(_cell(key, facts[key]) if key in facts else "" for key in _KEYS)])
    return text.getvalue()


def from_sheet(text: str, file: str) -> Marked:
    """
    Return the values of a CSV, each with its line and the number of its column.

    Columns may come in any order and be left out. Raises: ConfigErrors.
    """
    if len(text) > MAX_BYTES:
        raise ConfigErrors([ConfigError(file, 1, 1, "(file)", f"expected at most {MAX_BYTES} characters, found more")])
    made = Marked(file, {"points": {}})
    faults: list[ConfigError] = []
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        faults += _header_faults(header, file)
        for row in () if faults else reader:
            _take(made, header, row, reader.line_num, faults)
    except csv.Error as exc:
        faults.append(ConfigError(file, max(reader.line_num, 1), 1, "(file)", f"expected CSV: {exc}"))
    if faults:
        raise ConfigErrors(faults)
    return made


def to_yaml(data: Mapping[str, Any]) -> str:
    """Return the values as a meter file, one line a point."""
    lines = ["# yaml-language-server: $schema=../schema/meter.json"]
    lines += [f"{key}: {_yaml(value)}" for key, value in data.items() if key != "points"]
    lines.append("points:" if data.get("points") else "points: {}")
    lines += [f"  {_yaml(name)}: {_yaml(facts)}" for name, facts in data.get("points", {}).items()]
    return "\n".join(lines) + "\n"


def _header_faults(header: list[str], file: str) -> list[ConfigError]:
    if header[:1] != [NAME]:
        found = header[0] if header else "nothing"
        return [ConfigError(file, 1, 1, "(header)", f"expected `{NAME}` as the first column, found {found[:64]}")]
    faults = []
    for at, name in enumerate(header, 1):
        if name not in COLUMNS:
            message = f"expected one of {', '.join(COLUMNS)}, found {name[:64] or 'nothing'}"
            faults.append(ConfigError(file, 1, at, "(header)", message))
        elif name in header[: at - 1]:
            faults.append(ConfigError(file, 1, at, "(header)", f"expected each column once, found {name} again"))
    return faults


def _take(made: Marked, header: list[str], row: list[str], line: int, faults: list[ConfigError]) -> None:
    cells = [cell.strip() for cell in row]
    if not any(cells):
        return
    name = cells[0]
    fact = name.removeprefix("@")
    path: Path = (fact,) if name.startswith("@") else ("points", name)
    if not name or (name.startswith("@") and fact not in _FACTS):
        expected = f"expected the name of a point, or @ and one of {', '.join(sorted(_FACTS))}"
        faults.append(ConfigError(made.file, line, 1, NAME, f"{expected}, found {name[:64] or 'nothing'}"))
    elif path in made.marks:
        message = f"expected each row once, found {name[:64]} in line {made.marks[path][0]} too"
        faults.append(ConfigError(made.file, line, 1, name[:64], message))
    elif len(cells) > len(header) and any(cells[len(header) :]):
        message = f"expected at most {len(header)} cells, found {len(cells)}"
        faults.append(ConfigError(made.file, line, len(header) + 1, name[:64], message))
    elif name.startswith("@"):
        made.marks[path] = (line, 2)
        made.data[fact] = _value("", cells[1] if len(cells) > 1 else "")
    elif cells[1:2] == [_GONE]:
        made.marks[path] = (line, 1)
        made.data["points"][name] = None
    else:
        made.marks[path] = (line, 1)
        facts = made.data["points"][name] = {}
        for at, (key, cell) in enumerate(zip(header, cells, strict=False), 1):
            if key != NAME and cell:
                made.marks[*path, key] = (line, at)
                facts[key] = _value(key, cell)


def _cell(key: str, value: object) -> str:
    """Return the text of a value: plain where reading it back gives the same, else JSON."""
    plain = _plain(value)
    return plain if plain is not None and _value(key, plain.strip()) == value else json.dumps(value, ensure_ascii=False)


def _plain(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return value
        case list():
            return "; ".join(_plain(one) or "" for one in value)
        case dict():
            return "; ".join(f"{code} = {text}" for code, text in value.items())
        case _:
            return None


def _value(key: str, cell: str) -> Any:
    """Return what a cell says. Text that is no JSON stays text: the model says what is wrong with it."""
    if cell[:1] in ("[", "{", '"'):
        try:
            read = json.loads(cell)
        except ValueError:
            return cell
        states = key == "states" and isinstance(read, dict)
        return {_scalar(code): text for code, text in read.items()} if states else read
    if key in _TEXTS:
        return cell
    if key in _LISTS:
        return [_scalar(part.strip()) for part in cell.split(";")]
    if key == "states":
        found = [_STATE.match(part) for part in _BETWEEN_STATES.split(cell)]
        return {int(one[1]): one[2] for one in found if one} if all(found) else cell
    return _scalar(cell)


def _scalar(text: str) -> Any:
    if _INTEGER.match(text):
        return int(text)
    if _NUMBER.match(text):
        return float(text)
    return {"true": True, "false": False}.get(text, text)


def _yaml(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=2**31, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()
