"""HistoryPort of the core process: reads the database beside the thread that writes it."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bridge.core.history import EVENTS_MOST, PAGE_MOST, HistoryPage, RecordPage
from bridge.core.point import Kind, PointDef, Sample, counts_up
from bridge.core.ports import PointReader
from bridge.core.quality import Quality
from bridge.history.database import TABLES, Access, Database
from bridge.history.rows import ProofRow
from bridge.services.events import EventLog


class Past:
    """Loop thread only; reading has a thread of its own."""

    def __init__(self, points: PointReader, events: EventLog) -> None:
        self._points, self._events = points, events
        self._path: Path | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="past")

    def open(self, path: Path) -> None:
        """From now on read the database at `path`."""
        self._path = path

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = PAGE_MOST) -> HistoryPage:
        most = max(1, min(most, PAGE_MOST))
        path, definition, failure = self._place(index)
        if path is None or definition is None:
            return HistoryPage(failure=failure)
        read = self._profile if counts_up(definition) else self._recorded
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(self._thread, read, path, definition.id, after_ns, before_ns, most + 1)
        except sqlite3.Error as exc:
            return HistoryPage(failure=str(exc))
        return HistoryPage(samples=rows[:most], more=len(rows) > most)

    async def records(self, index: int, first: int, most: int = PAGE_MOST, since_ns: int | None = None) -> RecordPage:
        most = max(0, min(most, PAGE_MOST))
        path, definition, failure = self._place(index)
        if path is None or definition is None:
            return RecordPage(failure=failure)
        table = "profile" if definition.kind is Kind.ACCUMULATOR else "sample"
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._thread, self._numbered, path, table, definition.id, first, most, since_ns
            )
        except sqlite3.Error as exc:
            return RecordPage(failure=str(exc))

    def _place(self, index: int) -> tuple[Path | None, PointDef | None, str]:
        """Return the database and the point, or why there is none."""
        try:
            definition = self._points.definition(index)
        except KeyError:
            return None, None, "no such point"
        return self._path, definition, "no history"

    async def events(self, after: int, most: int = EVENTS_MOST) -> HistoryPage:
        most = max(1, min(most, EVENTS_MOST))
        found = self._events.safe_events(after)
        return HistoryPage(events=found[:most], more=len(found) > most)

    async def closings(self, point: str = "") -> list[ProofRow]:
        """
        Return the readings that close the days and months of a point; without one the newest of every point.

        Raises: sqlite3.Error.
        """
        if self._path is None:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._proofs, self._path, point)

    def close(self) -> None:
        """Read no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _profile(path: Path, point: str, after_ns: int, before_ns: int, most: int) -> list[Sample]:
        with Database(path, access=Access.READ) as database:
            rows = database.profile(point, after_ns, before_ns, most)
            if not rows:
                # an index that the bridge adds up has no load profile; it is recorded as any other value
                return Past._recorded(path, point, after_ns, before_ns, most)
        # an outage has no value and no quality of a meter
        return [
            Sample(r.count, Quality(r.quality) if r.count is not None else Quality.NEVER_READ, r.at_ns, r.epoch)
            for r in rows
        ]

    @staticmethod
    def _numbered(path: Path, table: str, point: str, first: int, most: int, since_ns: int | None) -> RecordPage:
        with Database(path, access=Access.READ) as database:
            found = database.numbered(table, point, first, most, since_ns)
            if table == "profile" and found.newest < found.oldest:
                # an energy that is no index, or that the bridge adds up, is recorded as any other value
                table, found = "sample", database.numbered("sample", point, first, most, since_ns)
        value, quality = TABLES[table].index("count" if table == "profile" else "value"), TABLES[table].index("quality")
        rows: list[tuple[Any, ...]] = [cells if sound else (*cells[:2], *[None] * 4, 0) for cells, sound in found.rows]
        samples = [
            # an outage has no value and no quality of a meter, and neither has a row whose checksum is wrong
            Sample(row[value], Quality(row[quality]) if row[value] is not None else Quality.NEVER_READ, row[1], 0)
            for row in rows
        ]
        return RecordPage(samples, found.first, found.oldest, found.newest)

    @staticmethod
    def _proofs(path: Path, point: str) -> list[ProofRow]:
        with Database(path, access=Access.READ) as database:
            return database.proofs(point) if point else database.last_proofs()

    @staticmethod
    def _recorded(path: Path, point: str, after_ns: int, before_ns: int, most: int) -> list[Sample]:
        with Database(path, access=Access.READ) as database:
            first_ns = next((row.at_ns for row in database.samples(point, most=1)), before_ns)
            # of what is no longer kept one by one, the means
            means = database.summaries(point, after_ns, min(first_ns, before_ns), most)
            rows = database.samples(point, after_ns, before_ns, most - len(means))
        older = [Sample(row.mean, Quality(row.quality), row.at_ns, 0) for row in means]
        return older + [Sample(row.value, Quality(row.quality), row.at_ns, 0) for row in rows]
