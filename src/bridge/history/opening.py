"""
Opening the database, whatever has become of the file: damage is set aside, what can be believed is taken over.

The rule one must not break: a damaged file is never written to and never deleted; somebody may need it.
"""

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from bridge.history.database import TABLES, Database

FILE = "history.sqlite"
GOOD_COPY = "history.good.sqlite"
# Damaged files kept; a disk that dies slowly must not fill itself with them
_ASIDE = 5
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
    path = folder / FILE
    if not path.exists() and (folder / GOOD_COPY).exists():
        _take_good_copy(folder, path, event_ring)
        return Opened(Database(path, event_ring), "the file is missing")
    database, damage = _open(path, event_ring)
    if database is not None and not damage:
        return Opened(database)
    if database is not None:
        database.close()
    aside = _set_aside(path, stamp)
    _take_good_copy(folder, path, event_ring)
    fresh = Database(path, event_ring)
    return Opened(fresh, damage, aside, _save(aside, fresh))


def _open(path: Path, event_ring: int) -> tuple[Database | None, str]:
    try:
        database = Database(path, event_ring)
    except sqlite3.DatabaseError as exc:
        return None, str(exc)
    try:
        return database, database.check()
    except sqlite3.DatabaseError as exc:
        return database, str(exc)


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


def _take_good_copy(folder: Path, path: Path, event_ring: int) -> None:
    good = folder / GOOD_COPY
    if not good.exists():
        return
    shutil.copyfile(good, path)
    database, damage = _open(path, event_ring)
    if database is not None:
        database.close()
    if damage:
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
    except (sqlite3.DatabaseError, OSError):
        # nothing can be read of it
        return saved
    finally:
        for suffix in _PARTS:
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    return saved


def _take_rows(copy: Path, fresh: Database) -> int:
    saved = 0
    with Database(copy) as damaged:
        for table in TABLES:
            try:
                for cells, right in damaged.every_row(table):
                    if right:
                        fresh.put_row(table, cells)
                        saved += 1
            except sqlite3.DatabaseError:
                # the rest of this table cannot be read
                continue
    return saved
