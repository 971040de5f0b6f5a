"""The audit on disk: files of sealed lines, synced one by one; the oldest goes when there are too many."""

import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.commands.chain import GENESIS, LINE_LIMIT, ChainBroken, Fact, Record, follow, seal, unseal

_NAME = re.compile(r"audit-(\d{8})\.jsonl\Z")
# held by the process that writes
_LOCK = "audit.lock"
# number and hash of the newest record, beside the files: tells when lines were cut off at the end
_HEAD = "audit.head"


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found. `first`, `last`: numbers of the records there are. `fault`: None = whole."""

    first: int
    last: int
    files: int
    head: str
    fault: str | None


class AuditFiles:
    """One writer at a time, any thread. Files are for the owner only (0600 in a folder of 0700)."""

    def __init__(self, folder: Path, file_bytes: int, files: int) -> None:
        """Go on after the last whole record. Raises: OSError, also while another process writes."""
        self._folder, self._file_bytes, self._files = folder, file_bytes, files
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(folder / _LOCK)
        self.repaired = ""
        self._n, self._prev = 0, GENESIS
        self._resume()

    @property
    def last(self) -> int:
        """Number of the newest record."""
        return self._n

    def close(self) -> None:
        """Let another process write."""
        os.close(self._lock)

    def append(self, fact: Fact, time: str) -> Record:
        """Write one record and wait until it is on the disk. Raises: OSError; then nothing counts as written."""
        line, digest = seal(fact, self._n + 1, time, self._prev)
        path = self._current()
        with open(path, "ab", opener=_private) as file:
            size = file.tell()
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                _cut(path, size)
                raise
        self._n, self._prev = self._n + 1, digest
        self._write_head()
        return unseal(line)

    def _current(self) -> Path:
        """Return the file to append to; begin a new one when the last is full."""
        files = _files(self._folder)
        if files and files[-1].stat().st_size < self._file_bytes:
            return files[-1]
        new = self._folder / f"audit-{self._n + 1:08d}.jsonl"
        for old in files[: max(0, len(files) + 1 - self._files)]:
            old.unlink()
        new.touch(mode=0o600)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return new

    def _resume(self) -> None:
        files = _files(self._folder)
        if not files:
            return
        path = files[-1]
        whole, last, fault = 0, None, ""
        for end, line in _lines(path):
            try:
                record = unseal(line)
                follow(record, last)
            except ChainBroken as exc:
                fault = f"{path.name}, byte {whole}: {exc}"
                break
            whole, last = end, record
        if fault or whole < path.stat().st_size:
            # a line cut off by a power failure, or damage: kept aside, never thrown away
            aside = path.with_suffix(".damaged")
            aside.write_bytes(path.read_bytes())
            _cut(path, whole)
            self.repaired = fault or f"{path.name}: the last record is not whole"
        if last is None and len(files) > 1:
            last = _last_of(files[:-1])
        if last is not None:
            self._n, self._prev = last.n, last.hash
        elif (stem := _NAME.match(path.name)) is not None:
            self._n = int(stem[1]) - 1

    def _write_head(self) -> None:
        """Not synced: after a power failure it may be older than the files, which says nothing against them."""
        with open(self._folder / _HEAD, "wb", opener=_private) as file:
            file.write(f"{self._n} {self._prev}\n".encode())


def verify(folder: Path) -> Report:
    """Go through every file. Raises: OSError."""
    files = _files(folder)
    first, last = 0, None
    for path in files:
        for number, line in enumerate(_whole_lines(path), start=1):
            try:
                record = unseal(line)
                follow(record, last)
            except ChainBroken as exc:
                return Report(
                    first, last.n if last else 0, len(files), last.hash if last else "", f"{path.name}:{number}: {exc}"
                )
            first, last = first or record.n, record
    fault = _against_head(folder, last)
    return Report(first, last.n if last else 0, len(files), last.hash if last else "", fault)


def records(folder: Path) -> Iterator[Record]:
    """Yield every record that can be read, oldest first; what is damaged is left out (`verify` tells)."""
    for path in _files(folder):
        for line in _whole_lines(path):
            try:
                yield unseal(line)
            except ChainBroken:
                continue


def _against_head(folder: Path, last: Record | None) -> str | None:
    try:
        number, _, digest = (folder / _HEAD).read_text("ascii", "replace").partition(" ")
    except FileNotFoundError:
        return None
    if not number.isdigit():
        return f"{_HEAD}: expected a number and a hash"
    if last is None or int(number) > last.n:
        return f"records up to {number} were written, {last.n if last else 0} is the last there is"
    if int(number) == last.n and digest.strip() != last.hash:
        return f"record {last.n} is not the one that was written last"
    return None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name)) if folder.is_dir() else []


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines with the place where each ends."""
    at = 0
    with path.open("rb") as file:
        while line := file.readline(LINE_LIMIT + 1):
            if not line.endswith(b"\n"):
                return
            at += len(line)
            yield at, line


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(LINE_LIMIT + 1):
            yield line


def _last_of(files: list[Path]) -> Record | None:
    last = None
    for _, line in _lines(files[-1]):
        try:
            last = unseal(line)
        except ChainBroken:
            break
    return last


def _cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def _locked(path: Path) -> int:
    """Raises: OSError."""
    descriptor = _private(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise BlockingIOError(f"{path.parent}: another bridge writes this audit") from exc
    return descriptor


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
