"""
Opening the database, whatever has become of the file: damage is set aside, what can be believed is taken over.

The rule one must not break: a damaged file is never written to and never deleted; somebody may need it.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.history.database import TABLES, Access, Database
from bridge.history.head import Head, read_head
from bridge.history.rows import Cell

FILE = "history.sqlite"
GOOD_COPY = "history.good.sqlite"
# Damaged files kept; a disk that dies slowly must not fill itself with them
_ASIDE = 5
# What says nothing of the file: no room for the index of the log beside it, no right, no memory
_NO_DAMAGE = ("SQLITE_FULL", "SQLITE_IOERR_SHM", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN", "SQLITE_BUSY", "SQLITE_NOMEM")
# Legacy and WAL (Database File Format, 1.3.3)
_FORMATS = {1, 2}
# What reading a damaged file raises; sqlite3 cannot even say what it found when that is no UTF-8
DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
# A database in WAL mode is up to three files
_PARTS = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Opened:
    """`damage`: what was found, "" for nothing. `aside`: where the damaged file is. `saved`: rows taken from it."""

    database: Database
    damage: str = ""
    aside: Path | None = None
    saved: int = 0


def open_history(folder: Path, event_ring: int, stamp: str) -> Opened:
    """
    Return the open database. `stamp`: makes the name of a file that is set aside.

    Raises: OSError, sqlite3.Error when even a new file cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, head = folder / FILE, read_head(folder)
    if not path.exists():
        known = (folder / GOOD_COPY).exists()
        _take_good_copy(folder, path)
        lost = "the file is missing" if known or head.commit else ""
        return Opened(_go_on(path, event_ring, head), lost)
    damage = _damage(path, head)
    if not damage:
        return Opened(_go_on(path, event_ring, head))
    aside = _set_aside(path, stamp)
    _take_good_copy(folder, path)
    fresh = _go_on(path, event_ring, head)
    return Opened(fresh, damage, aside, _save(aside, fresh))


def _go_on(path: Path, event_ring: int, head: Head) -> Database:
    database = Database(path, event_ring)
    database.head = Head(max(database.head.commit, head.commit), head.event)
    return database


def _damage(path: Path, head: Head) -> str:
    """
    Return the first damage of a file, "" when there is none; nothing is written to it.

    Raises: sqlite3.Error where the disk is full, or for another reason that is none of the file.
    """
    if not _formats(path) <= _FORMATS:
        return "expected a file format that can be written, found another"
    try:
        with Database(path, access=Access.READ) as database:
            if not head.commit and database.is_empty():
                # a first start that was cut off
                return ""
            damage = database.check()
            last = 0 if damage else database.commits()
    except DAMAGED as exc:
        if getattr(exc, "sqlite_errorname", "").startswith(_NO_DAMAGE):
            raise
        return str(exc)
    if damage or last >= head.commit:
        return damage
    return f"commits {last + 1} to {head.commit} are lost"


def _formats(path: Path) -> set[int]:
    """Return what the header says of reading and writing (bytes 18 and 19); SQLite reads a file it will never write."""
    with path.open("rb") as file:
        return set(file.read(20)[18:])


def _set_aside(path: Path, stamp: str) -> Path:
    aside = path.with_name(f"history.damaged-{stamp}.sqlite")
    for suffix in _PARTS:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    for old in sorted(path.parent.glob("history.damaged-*.sqlite"))[:-_ASIDE]:
        for suffix in _PARTS:
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    return aside


def _take_good_copy(folder: Path, path: Path) -> None:
    good = folder / GOOD_COPY
    if not good.exists():
        return
    shutil.copyfile(good, path)
    if _damage(path, Head()):
        for suffix in _PARTS:
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _save(aside: Path, fresh: Database) -> int:
    """Take over every row of the damaged file whose checksum is right: these are newer than those of the good copy."""
    saved = 0
    copy = aside.with_name("history.rescue.sqlite")
    try:
        for suffix in _PARTS:
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        for suffix in ("", "-wal"):
            part = aside.with_name(aside.name + suffix)
            if part.exists():
                shutil.copyfile(part, copy.with_name(copy.name + suffix))
        saved = _take_rows(copy, fresh)
    except (*DAMAGED, OSError):
        # nothing can be read of it
        return saved
    finally:
        for suffix in _PARTS:
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    return saved


def _take_rows(copy: Path, fresh: Database) -> int:
    saved = 0
    with Database(copy, access=Access.READ) as damaged:
        for table in TABLES:
            try:
                saved += fresh.put_rows(table, _sound(damaged, table))
            except DAMAGED:
                # the rest of this table cannot be read
                continue
    return saved


def _sound(damaged: Database, table: str) -> Iterator[tuple[Cell, ...]]:
    return (cells for cells, right in damaged.every_row(table) if right)
