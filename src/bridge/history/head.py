"""
How far the database had come, beside it: tells a commit that was lost from one that never was.

Why: SQLite takes the log of commits up to the first frame that is damaged and says nothing of the rest; one flipped bit
in it undid up to thirty commits of thirty, in sixty of sixty trials. The database is on the disk before this file is
written, and this file is not synced: it may be older than the database, which says nothing, but never newer.

    commit number (20 digits) SP event number (20 digits) SP CRC-32 of both (8 hexadecimal digits) LF
"""

import contextlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

FILE = "history.head"
_LENGTH = 20 + 1 + 20 + 1 + 8 + 1


@dataclass(frozen=True, slots=True)
class Head:
    """Numbers of the last commit, and of the last event that anybody was told of."""

    commit: int = 0
    event: int = 0


def read_head(folder: Path) -> Head:
    """Return what the file says; nothing for one that is missing or damaged."""
    try:
        data = (folder / FILE).read_bytes()
    except OSError:
        return Head()
    commit, event = data[:20], data[21:41]
    if len(data) != _LENGTH or data != _line(commit, event) or not (commit + event).isdigit():
        return Head()
    return Head(int(commit), int(event))


def write_head(folder: Path, head: Head) -> None:
    """Write over the file in place, which needs no room on a full disk; one that cannot be written stays older."""
    line = _line(b"%020d" % head.commit, b"%020d" % head.event)
    with contextlib.suppress(OSError):
        file = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, line, 0)
        finally:
            os.close(file)


def _line(commit: bytes, event: bytes) -> bytes:
    both = commit + b" " + event
    return both + b" %08x\n" % zlib.crc32(both)
