"""
The database: schema, commits, reads. Synchronous; one thread at a time.

The rule one must not break: every row is written with its checksum, and none is believed without.
"""

import enum
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from bridge.history.head import Head, write_head
from bridge.history.rows import Cell, IndexRow, Pending, ProofRow, SampleRow, SummaryRow, Tidying, checksum
from bridge.history.summary import summaries

# A change of the tables is a new version and a migration
VERSION = 1
# ms another process may hold us up while it reads
_BUSY_MS = 5_000
# Pages after which the log is written back; 1,000 is SQLite's own
_CHECKPOINT_PAGES = 1_000
# Rows in one transaction when a damaged file is taken over
_ROWS_AT_ONCE = 10_000
# kind of the row of `kept` that holds the number of the last commit
_COMMIT = "commit"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (
    kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY, body BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS profile (
    point TEXT NOT NULL, at_ns INTEGER NOT NULL, count INTEGER, epoch INTEGER NOT NULL, source_ns INTEGER NOT NULL,
    quality INTEGER NOT NULL, registers BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (point, at_ns)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proof (
    point TEXT NOT NULL, period TEXT NOT NULL, count INTEGER NOT NULL, resolution INTEGER NOT NULL, unit TEXT NOT NULL,
    epoch INTEGER NOT NULL, serial TEXT NOT NULL, source_ns INTEGER NOT NULL, quality INTEGER NOT NULL,
    registers BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (point, period)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sample (
    point TEXT NOT NULL, at_ns INTEGER NOT NULL, value, quality INTEGER NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (point, at_ns)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS summary (
    point TEXT NOT NULL, at_ns INTEGER NOT NULL, mean REAL NOT NULL, least REAL NOT NULL, greatest REAL NOT NULL,
    count INTEGER NOT NULL, quality INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (point, at_ns)
) WITHOUT ROWID;
"""
# Table -> its columns in the order of the checksum, which is the last column of each
TABLES: dict[str, tuple[str, ...]] = {
    "kept": ("kind", "id", "body"),
    "event": ("number", "body"),
    "profile": ("point", "at_ns", "count", "epoch", "source_ns", "quality", "registers"),
    "proof": ("point", "period", "count", "resolution", "unit", "epoch", "serial", "source_ns", "quality", "registers"),
    "sample": ("point", "at_ns", "value", "quality"),
    "summary": ("point", "at_ns", "mean", "least", "greatest", "count", "quality"),
}


_TABLES = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
# Kind of `kept` rows that hold how many rows of a table and point are gone, so that the others keep their numbers
_GONE = "gone"
# Letters of a day and of a month
_PERIODS = (10, 7)
_BETWEEN = "WHERE point = ? AND at_ns > ? AND at_ns < ? ORDER BY at_ns LIMIT ?"
_LATEST, _ALL = 1 << 62, -1


class NumberedRows(NamedTuple):
    """Rows with whether each is sound; `first`: number of the first of them. `oldest` to `newest` are kept."""

    first: int
    oldest: int
    newest: int
    rows: list[tuple[tuple[Cell, ...], bool]]


class Access(enum.Enum):
    """What a process may do with the file."""

    WRITE = "write"
    # beside the process that writes, or without one
    READ = "read"


class Database:
    """An open database. `event_ring`: events kept."""

    def __init__(self, path: Path, event_ring: int = 5000, access: Access = Access.WRITE) -> None:
        """Raises: sqlite3.Error."""
        self.path, self._ring = path, event_ring
        self.head = Head()
        if access is Access.READ:
            self._sql = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._sql.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            return
        self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._sql.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            self._sql.execute("PRAGMA journal_mode = WAL")
            # an index that was shown must be there after a power cut
            self._sql.execute("PRAGMA synchronous = FULL")
            self._sql.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            if self.is_empty():
                # at once, or a kill here would look like damage; a file that is whole is not written to, on a full disk
                self._sql.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            self.head = Head(self.commits(), 0)
        except sqlite3.Error:
            self._sql.close()
            raise

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def pragma(self, name: str) -> Cell:
        """Return a setting of SQLite."""
        value: Cell = self._sql.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def limit_pages(self, pages: int) -> None:
        """Set the largest size in pages; 0 = no limit. Stands for a full disk in tests."""
        self._sql.execute(f"PRAGMA max_page_count = {pages or 1_073_741_823}")

    def commit(self, pending: Pending) -> None:
        """Write everything in one transaction. Raises: sqlite3.Error; then nothing of it is written."""
        sql = self._sql
        sql.execute("BEGIN IMMEDIATE")
        try:
            for (kind, id_), body in pending.kept.items():
                if body is None:
                    sql.execute("DELETE FROM kept WHERE kind = ? AND id = ?", (kind, id_))
                else:
                    self._put("kept", (kind, id_, body))
            for number, body in pending.events:
                self._put("event", (number, body))
            if pending.events:
                sql.execute("DELETE FROM event WHERE number <= ?", (pending.events[-1][0] - self._ring,))
            for row in pending.profile:
                cells = (row.point, row.at_ns, row.count, row.epoch, row.source_ns, row.quality, row.registers)
                # an interval is recorded once, also when the clock goes over it a second time
                if self._is_new("profile", row.point, row.at_ns):
                    self._put("profile", cells)
            for proof in pending.proofs:
                self._put("proof", _proof_cells(proof))
            for sample in pending.samples:
                self._put("sample", (sample.point, sample.at_ns, sample.value, sample.quality))
            self._put("kept", (_COMMIT, "", b"%d" % (self.head.commit + 1)))
            sql.execute("COMMIT")
        except BaseException:
            if sql.in_transaction:
                sql.execute("ROLLBACK")
            raise
        last = pending.events[-1][0] if pending.events else 0
        self._go_on(Head(self.head.commit + 1, max(self.head.event, last)))

    def told(self, event: int) -> None:
        """Remember that an event was told which cannot be written at present: its number is never given again."""
        self._go_on(Head(self.head.commit, max(self.head.event, event)))

    def commits(self) -> int:
        """Return the number of the last commit there is. Raises: sqlite3.Error."""
        body = self.kept(_COMMIT).get("", b"0")
        return int(body) if body.isdigit() else 0

    def _go_on(self, head: Head) -> None:
        self.head = head
        write_head(self.path.parent, head)

    def tidy(self, points: Sequence[Tidying]) -> None:
        """Sum up what is old enough and let go of what is older, of some points, in one transaction."""
        sql = self._sql
        sql.execute("BEGIN IMMEDIATE")
        try:
            for one in points:
                if one.period_ns:
                    self._sum_up(one)
                for table, before_ns in (
                    ("profile", one.profile_ns),
                    ("sample", one.samples_ns),
                    ("summary", one.summaries_ns),
                ):
                    if before_ns:
                        self._let_go(table, one.point, before_ns)
            sql.execute("COMMIT")
        except BaseException:
            if sql.in_transaction:
                sql.execute("ROLLBACK")
            raise

    def _sum_up(self, one: Tidying) -> None:
        last = self._sql.execute("SELECT max(at_ns) FROM summary WHERE point = ?", (one.point,)).fetchone()[0] or 0
        rows = ((row.at_ns, row.value, row.quality) for row in self.samples(one.point, last))
        for made in summaries(rows, one.period_ns, one.until_ns):
            cells = (made.at_ns, made.mean, made.least, made.greatest, made.count, made.quality)
            self._put("summary", (one.point, *cells))

    def kept(self, kind: str) -> dict[str, bytes]:
        """Return what is kept of one kind, by id."""
        return {str(row[1]): bytes(row[2]) for row in self._rows("kept", "WHERE kind = ?", kind)}

    def events(self) -> list[tuple[int, bytes]]:
        """Return every event, oldest first."""
        return [(int(row[0]), bytes(row[1])) for row in self._rows("event", "ORDER BY number")]

    def profile(self, point: str, after_ns: int = 0, before_ns: int = _LATEST, most: int = _ALL) -> list[IndexRow]:
        """Return the load profile of a point."""
        rows = self._rows("profile", _BETWEEN, point, after_ns, before_ns, most)
        return [IndexRow(*row) for row in rows]

    def points(self, table: str) -> list[str]:
        """Return the points that have rows in `table`."""
        assert table in TABLES
        return [row[0] for row in self._sql.execute(f"SELECT DISTINCT point FROM {table} ORDER BY point")]

    def last_profile(self) -> dict[str, int]:
        """Return the end of the last interval of every point."""
        return dict(self._sql.execute("SELECT point, max(at_ns) FROM profile GROUP BY point"))

    def proofs(self, point: str) -> list[ProofRow]:
        """Return the daily and monthly readings of a point."""
        return [ProofRow(*row) for row in self._rows("proof", "WHERE point = ? ORDER BY period", point)]

    def last_proofs(self) -> list[ProofRow]:
        """Return the newest daily and the newest monthly reading of every point."""
        newest = "SELECT point, max(period) FROM proof WHERE length(period) = ? GROUP BY point"
        rows = [row for size in _PERIODS for row in self._rows("proof", f"WHERE (point, period) IN ({newest})", size)]
        return [ProofRow(*row) for row in rows]

    def samples(self, point: str, after_ns: int = 0, before_ns: int = _LATEST, most: int = _ALL) -> list[SampleRow]:
        """Return recorded values of a point."""
        rows = self._rows("sample", _BETWEEN, point, after_ns, before_ns, most)
        return [SampleRow(*row) for row in rows]

    def summaries(self, point: str, after_ns: int = 0, before_ns: int = _LATEST, most: int = _ALL) -> list[SummaryRow]:
        """Return what is left of recorded values of a point."""
        rows = self._rows("summary", _BETWEEN, point, after_ns, before_ns, most)
        return [SummaryRow(*row) for row in rows]

    def numbered(self, table: str, point: str, first: int, most: int, since_ns: int | None) -> NumberedRows:
        """
        Return rows by number, see HistoryPort.records: as `every_row`, for a damaged one still has its number. 25 ms
        for 600,000 rows of the point.
        """
        assert table in TABLES
        sql, counted = self._sql, f"SELECT count(*) FROM {table} WHERE point = ?"
        # one snapshot for all four questions
        sql.execute("BEGIN")
        try:
            oldest = self._gone(table, point) + 1
            count = int(sql.execute(counted, (point,)).fetchone()[0])
            if since_ns is not None:
                later = int(sql.execute(f"{counted} AND at_ns >= ?", (point, since_ns)).fetchone()[0])
                first += oldest + count - later
            begin, end = max(first, oldest), min(first + most, oldest + count)
            rows = self._in_order(table, point, begin - oldest, end - oldest, count) if begin < end else []
        finally:
            sql.execute("COMMIT")
        return NumberedRows(begin, oldest, oldest + count - 1, rows)

    def _in_order(
        self, table: str, point: str, begin: int, end: int, count: int
    ) -> list[tuple[tuple[Cell, ...], bool]]:
        """Return rows from position `begin` to before `end`, from whichever side is nearer."""
        near = begin <= count - end
        offset, order = (begin, "") if near else (count - end, " DESC")
        columns = ", ".join(TABLES[table])
        query = f"SELECT {columns}, crc FROM {table} WHERE point = ? ORDER BY at_ns{order} LIMIT ? OFFSET ?"
        found = self._sql.execute(query, (point, end - begin, offset)).fetchall()
        rows = [(tuple(cells), checksum(*cells) == crc) for *cells, crc in found]
        return rows if near else rows[::-1]

    def _gone(self, table: str, point: str) -> int:
        found = self._rows("kept", "WHERE kind = ? AND id = ?", _GONE, f"{table} {point}")
        return next((int(row[2]) for row in found), 0)

    def _let_go(self, table: str, point: str, before_ns: int) -> None:
        """Delete rows inside a transaction, and remember how many: the others keep their numbers."""
        gone = self._sql.execute(f"DELETE FROM {table} WHERE point = ? AND at_ns < ?", (point, before_ns)).rowcount
        if gone:
            gone += self._gone(table, point)
            self._put("kept", (_GONE, f"{table} {point}", str(gone).encode()))

    def every_row(self, table: str) -> Iterator[tuple[tuple[Cell, ...], bool]]:
        """Return every row and whether its checksum is right. Raises: sqlite3.Error."""
        columns = TABLES[table]
        query = f"SELECT {', '.join(columns)}, crc FROM {table}"
        with closing(self._sql.execute(query)) as cursor:
            for *cells, crc in cursor:
                yield tuple(cells), checksum(*cells) == crc

    def is_empty(self) -> bool:
        """Tell whether there is not even a table. Raises: sqlite3.Error."""
        return self._sql.execute("SELECT 1 FROM sqlite_master").fetchone() is None

    def put_rows(self, table: str, rows: Iterator[tuple[Cell, ...]]) -> int:
        """Write rows as `every_row` returns them; return how many. Raises: sqlite3.Error; some may be written then."""
        written = 0
        while some := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            self._sql.execute("BEGIN IMMEDIATE")
            for cells in some:
                self._put(table, cells)
            self._sql.execute("COMMIT")
            written += len(some)
        return written

    def check(self) -> str:
        """Return the first damage, "" when there is none: of the tables, then of pages, then of every row."""
        tables = self._sql.execute(_TABLES).fetchall()
        if tables != _tables_of_schema():
            found = ", ".join(str(name) for _, name, *_ in tables) or "none"
            return f"expected the tables {', '.join(TABLES)} as the bridge makes them, found {found}"
        verdict = self._sql.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            return str(verdict)
        for table in TABLES:
            for cells, right in self.every_row(table):
                if not right:
                    return f"checksum of a row of {table}: {cells[0]!r}, {cells[1]!r:.60}"
        return ""

    def save_copy(self, path: Path) -> None:
        """
        Write a whole copy beside, whatever happens to this file later; one that is damaged takes no good one's place.

        Raises: sqlite3.Error, OSError.
        """
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        self._sql.execute("VACUUM INTO ?", (str(unfinished),))
        with Database(unfinished, access=Access.READ) as copy:
            damage = copy.check()
        if damage:
            raise sqlite3.DatabaseError(damage)
        unfinished.replace(path)

    def close(self) -> None:
        """Write the log back and close."""
        self._sql.close()

    def _put(self, table: str, cells: tuple[Cell, ...]) -> None:
        marks = ", ".join("?" * (len(cells) + 1))
        self._sql.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*cells, checksum(*cells)))

    def _is_new(self, table: str, point: str, at_ns: int) -> bool:
        found = self._sql.execute(f"SELECT 1 FROM {table} WHERE point = ? AND at_ns = ?", (point, at_ns))
        return found.fetchone() is None

    def _rows(self, table: str, where: str, *values: Cell) -> Iterator[tuple[Any, ...]]:
        """Return rows whose checksum is right, in the columns of TABLES; the others are nobody's."""
        columns = TABLES[table]
        with closing(self._sql.execute(f"SELECT {', '.join(columns)}, crc FROM {table} {where}", values)) as cursor:
            for *cells, crc in cursor:
                if checksum(*cells) == crc:
                    yield tuple(cells)


def _tables_of_schema() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.executescript(_SCHEMA)
        return memory.execute(_TABLES).fetchall()


def _proof_cells(row: ProofRow) -> tuple[Cell, ...]:
    return (
        row.point,
        row.period,
        row.count,
        row.resolution,
        row.unit,
        row.epoch,
        row.serial,
        row.source_ns,
        row.quality,
        row.registers,
    )
