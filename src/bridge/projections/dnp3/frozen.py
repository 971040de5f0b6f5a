"""Frozen counters outlive the worker: one small file in its folder, written after every freeze."""

import contextlib
import os
from pathlib import Path

import msgspec

from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.tables import PointTables

FILE = "frozen.msgpack"
# Bytes; 65,536 counters of at most 24 bytes each.
_MOST_BYTES = 2 << 20


class Kept(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """One frozen counter. `number`: its DNP3 index, which the ledger never gives to another point."""

    number: int
    value: int
    flags: int
    time_ms: int


def kept_of(tables: PointTables) -> bytes:
    """Return what there is to keep: every counter that was ever frozen."""
    frozen = tables[PointType.FROZEN_COUNTER]
    rows = [
        Kept(number, int(frozen.values[number]), frozen.flags[number], frozen.times[number])
        for number in frozen.points
        if frozen.times[number]
    ]
    return msgspec.msgpack.encode(rows)


def restore(tables: PointTables, data: bytes) -> int:
    """Take back what `kept_of` gave, for the counters there still are; return how many. Raises: ValueError."""
    frozen = tables[PointType.FROZEN_COUNTER]
    rows = [row for row in msgspec.msgpack.decode(data, type=list[Kept]) if row.number in frozen.points]
    for row in rows:
        tables.update(PointType.FROZEN_COUNTER, row.number, row.value, row.flags & 0xFF, row.time_ms)
    return len(rows)


def read(folder: str) -> bytes | None:
    """Return the file's content, None if there is none. Raises: OSError; ValueError for one that is too large."""
    with contextlib.suppress(FileNotFoundError), open(Path(folder) / FILE, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"expected at most {_MOST_BYTES} bytes in {FILE}")
        return data
    return None


def write(folder: str, data: bytes) -> None:
    """Replace the file as a whole; a crash leaves the old one. Raises: OSError."""
    part = Path(folder) / (FILE + ".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, Path(folder) / FILE)
