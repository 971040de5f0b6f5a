"""Meter files: found by name, read once, `extends` resolved; every part keeps the file and line it was written in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from bridge.config.faults import Faults
from bridge.config.marked import Marked, Path
from bridge.config.meter import MeterFile
from bridge.config.words import near
from bridge.config.yaml_marks import read_file
from bridge.core.errors import ConfigErrors

# Meter files in one chain of `extends`
MAX_CHAIN = 4
METER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")

# Merged key by key with the file that is extended; everything else is replaced as a whole
_MERGED = ("modbus", "nominal")
# What decides how every point is read
_VITAL = frozenset({"modbus"})
# Facts of that one file and no other
_OWN = frozenset({"meter", "models", "identify", "golden", "note", "source", "extends"})


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter file with all it inherits. `marked` knows the place of every key."""

    file: MeterFile
    marked: Marked


class Library:
    """Meter files of some folders, the first folder that has a name wins. A broken file is reported once."""

    def __init__(self, folders: Sequence[FilePath], faults: Faults, shown_from: FilePath | None = None) -> None:
        self._folders = list(folders)
        self._faults = faults
        self._shown_from = shown_from
        self._meters: dict[str, Meter | None] = {}
        self._raw: dict[str, Marked | None] = {}

    def names(self) -> list[str]:
        """Return the names of every meter there is a file for."""
        return sorted({path.stem for folder in self._folders for path in folder.glob("*.yaml")})

    def get(self, name: str, asked_by: Marked, path: Path) -> Meter | None:
        """Return a meter. A missing file is the mistake of who asked; None when it cannot be used."""
        if name in self._meters:
            return self._meters[name]
        marked = self._chain(name, asked_by, path, ())
        file = self._faults.convert(marked, MeterFile, _VITAL) if marked is not None else None
        meter = Meter(file, marked) if file is not None and marked is not None else None
        if marked is not None or self._find(name) is not None:
            self._meters[name] = meter
        return meter

    def _find(self, name: str) -> FilePath | None:
        if METER_NAME.match(name) is None:
            return None
        return next((path for folder in self._folders if (path := folder / f"{name}.yaml").is_file()), None)

    def _chain(self, name: str, asked_by: Marked, path: Path, below: tuple[str, ...]) -> Marked | None:
        """Read a file and, below it, what it extends."""
        place = self._find(name)
        if place is None:
            hint = near(name, self.names())
            self._faults.at(asked_by, path, f"expected the name of a meter file, found `{name[:64]}`{hint}")
            return None
        if name in below:
            chain = " -> ".join((*below[below.index(name) :], name))
            self._faults.at(asked_by, path, f"expected a file that does not extend itself, found {chain}")
            return None
        if len(below) >= MAX_CHAIN:
            self._faults.at(asked_by, path, f"expected at most {MAX_CHAIN} meter files in a row, found more")
            return None
        marked = self._read(name, place)
        if marked is None or not isinstance(marked.data, dict):
            return marked
        parent_name = marked.data.get("extends")
        if not isinstance(parent_name, str):
            return marked
        parent = self._chain(parent_name, marked, ("extends",), (*below, name))
        return self._merge(parent, marked) if parent is not None and isinstance(parent.data, dict) else None

    def _read(self, name: str, place: FilePath) -> Marked | None:
        if name not in self._raw:
            try:
                self._raw[name] = marked = read_file(place, self._shown(place))
            except ConfigErrors as exc:
                self._faults.errors += exc.errors
                self._raw[name] = None
                return None
            stated = marked.data.get("meter") if isinstance(marked.data, dict) else None
            if isinstance(stated, str) and stated != name:
                self._faults.at(marked, ("meter",), f"expected `{name}`, the name of the file, found `{stated[:64]}`")
        return self._raw[name]

    def _shown(self, place: FilePath) -> str:
        base = self._shown_from
        return str(place.relative_to(base)) if base is not None and place.is_relative_to(base) else str(place)

    def _merge(self, parent: Marked, child: Marked) -> Marked:
        """Lay the child over the parent; a point set to nothing (`~`) is taken away."""
        merged = Marked(child.file, {}, dict(child.marks), dict(child.files))
        for key, value in parent.data.items():
            if key not in _OWN and key not in child.data:
                merged.data[key] = value
                _take_over(merged, parent, (key,))
        for key, value in child.data.items():
            inherited = parent.data.get(key)
            if key == "points" and isinstance(inherited, dict) and isinstance(value, dict):
                merged.data[key] = self._points(merged, parent, inherited, value)
            elif key in _MERGED and isinstance(inherited, dict) and isinstance(value, dict):
                merged.data[key] = _overlay(merged, parent, (key,), inherited, value)
            else:
                merged.data[key] = value
        ours, theirs = _addressing(child.data), _addressing(parent.data)
        if ours not in (None, theirs) and isinstance(merged.data.get("modbus"), dict):
            where = parent.place(("modbus", "addressing"))
            path: Path = ("modbus", "addressing")
            self._faults.at(child, path, f"expected `{theirs}` as in {where}, which it extends, found `{ours}`")
        return merged

    def _points(self, merged: Marked, parent: Marked, inherited: dict[Any, Any], own: dict[Any, Any]) -> dict[Any, Any]:
        points: dict[Any, Any] = {}
        for name, facts in inherited.items():
            path: Path = ("points", name)
            if name not in own:
                points[name] = facts
                _take_over(merged, parent, path)
            elif isinstance(facts, dict) and isinstance(own[name], dict):
                points[name] = _overlay(merged, parent, path, facts, own[name])
            elif own[name] is not None:
                points[name] = own[name]
        return points | {name: facts for name, facts in own.items() if name not in inherited}


def _addressing(data: dict[Any, Any]) -> str | None:
    modbus = data.get("modbus")
    return str(modbus.get("addressing", "zero")) if isinstance(modbus, dict) and "addressing" in modbus else None


def _overlay(merged: Marked, parent: Marked, path: Path, under: dict[Any, Any], over: dict[Any, Any]) -> dict[Any, Any]:
    for key in under:
        if key not in over:
            _take_over(merged, parent, (*path, key))
    return {**under, **over}


def _take_over(merged: Marked, parent: Marked, path: Path) -> None:
    """Copy the places of everything at and under `path`."""
    size = len(path)
    for inner, place in parent.marks.items():
        if inner[:size] == path:
            merged.marks[inner] = place
            merged.files[inner] = parent.file_of(inner)
