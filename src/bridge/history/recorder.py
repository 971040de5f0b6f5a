"""
Writes what it is given, in a thread of its own; says when it is safe, and when it cannot be written.

The rule one must not break: the loop never waits for the disk, and a full disk loses nothing that memory can hold.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bridge.history.database import Access, Database
from bridge.history.opening import GOOD_COPY
from bridge.history.rows import Pending, Tidying

# Seconds between two commits; a kill loses at most this much of what is not an event
COMMIT_S = 0.5
# Seconds until the next attempt after one that failed
RETRY_S = 5.0
# Points tidied in one transaction
_TIDY_AT_ONCE = 200
# Seconds between two whole copies of the database
COPY_S = 3600.0
# Bytes of a database that is copied at the end as well; a greater one would hold up the stop
_COPY_AT_END = 32_000_000

Failing = Callable[[str], None]
Committed = Callable[[int], None]


class Recorder:
    """
    Loop thread only. `committed(number)`: every event up to `number` is safe. `failing(why)`: nothing can be written
    at present, "" when it can again; told once each.
    """

    def __init__(
        self,
        database: Database,
        committed: Committed = lambda number: None,
        failing: Failing = lambda why: None,
        commit_s: float = COMMIT_S,
        retry_s: float = RETRY_S,
        copy_s: float = COPY_S,
    ) -> None:
        self._database = database
        self._committed, self._failing = committed, failing
        self._commit_s, self._retry_s, self._copy_s = commit_s, retry_s, copy_s
        # a copy of a great database takes a while, and an event waits for none
        self._copying = ThreadPoolExecutor(1, thread_name_prefix="history-copy")
        # sqlite's thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")
        self.pending = Pending()
        self._urgent = asyncio.Event()
        self._why = ""
        self.commits = 0

    @property
    def why(self) -> str:
        """Why nothing can be written at present, "" when it can."""
        return self._why

    def keep(self, kind: str, id_: str, body: bytes | None) -> None:
        """Keep a body, None = no longer; the newest counts."""
        self.pending.kept[kind, id_] = body

    def event(self, number: int, body: bytes) -> None:
        """Write an event with the next commit, which comes at once."""
        self.pending.events.append((number, body))
        self._urgent.set()

    async def run(self) -> None:
        """Commit and copy until cancelled; what is left then is for `close`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._commit_often(), name="commit")
            group.create_task(self._copy_now_and_then(), name="copy")

    async def _commit_often(self) -> None:
        while True:
            try:
                if self._why:
                    await asyncio.sleep(self._retry_s)
                async with asyncio.timeout(self._commit_s):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._urgent.clear()
            if self.pending:
                await self.commit()

    async def _copy_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._copy_s)
            await self.copy()

    async def commit(self) -> bool:
        """Write what waits; False when it could not be written and waits on."""
        writing, self.pending = self.pending, Pending()
        number = writing.events[-1][0] if writing.events else 0
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._database.commit, writing)
        try:
            await asyncio.shield(work)
        except sqlite3.Error as exc:
            self.pending = writing.before(self.pending)
            self._tell(str(exc))
            # the numbers must not wait for a disk that is full (BARS R6)
            if number:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._database.told, number)
                self._committed(number)
            return False
        except asyncio.CancelledError:
            await asyncio.wait([work])
            if work.exception() is not None:
                self.pending = writing.before(self.pending)
            raise
        self.commits += 1
        self._tell("")
        if number:
            self._committed(number)
        return True

    async def copy(self) -> None:
        """Write the whole copy that a damaged database is replaced with."""
        path = self.copy_path()
        try:
            await asyncio.get_running_loop().run_in_executor(self._copying, _copy, self._database.path, path)
        except (sqlite3.Error, OSError, UnicodeDecodeError) as exc:
            path.with_suffix(".unfinished").unlink(missing_ok=True)
            self._tell(f"no copy: {exc}")

    async def tidy(self, points: Sequence[Tidying]) -> None:
        """Sum up and let go of what is old, some points at a time: an event must not wait for all."""
        loop = asyncio.get_running_loop()
        try:
            for first in range(0, len(points), _TIDY_AT_ONCE):
                some = points[first : first + _TIDY_AT_ONCE]
                await loop.run_in_executor(self._thread, self._database.tidy, some)
        except sqlite3.Error as exc:
            self._tell(str(exc))

    async def close(self) -> None:
        """Write what waits, copy, close. At most some seconds, and never an exception: this is the end."""
        if self.pending:
            await self.commit()
        if self._size() <= _COPY_AT_END:
            await self.copy()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._database.close)
        self._thread.shutdown()
        self._copying.shutdown(wait=False, cancel_futures=True)

    def _size(self) -> int:
        try:
            return self._database.path.stat().st_size
        except OSError:
            return 0

    def copy_path(self) -> Path:
        """Where the whole copy is."""
        return self._database.path.with_name(GOOD_COPY)

    def _tell(self, why: str) -> None:
        if bool(why) is not bool(self._why):
            self._why = why
            self._failing(why)
        self._why = why


def _copy(path: Path, to: Path) -> None:
    with Database(path, access=Access.READ) as database:
        database.save_copy(to)
