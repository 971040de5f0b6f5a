"""The past, asked of the core."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from bridge.core.history import EVENTS_MOST, PAGE_MOST, HistoryPage, RecordPage
from bridge.link import wire

# Seconds the core may take; it reads a disk
_ANSWER_S = 10.0
# Questions under way
_MOST = 8
Page = TypeVar("Page", HistoryPage, RecordPage)


class HistoryImage:
    """HistoryPort of a projection in its own process. Loop thread only."""

    def __init__(self, send: Callable[[wire.Frame], None], new_id: Callable[[], int]) -> None:
        self._send, self._new_id = send, new_id
        self._asked: dict[int, asyncio.Future[HistoryPage]] = {}
        self._asked_records: dict[int, asyncio.Future[RecordPage]] = {}

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = PAGE_MOST) -> HistoryPage:
        return await self._page(lambda id_: wire.HistoryRequest(id_, index, after_ns, before_ns, most))

    async def events(self, after: int, most: int = EVENTS_MOST) -> HistoryPage:
        return await self._page(lambda id_: wire.HistoryRequest(id_, -1, after, 0, most))

    async def records(self, index: int, first: int, most: int = PAGE_MOST, since_ns: int | None = None) -> RecordPage:
        def request(id_: int) -> wire.Frame:
            return wire.RecordsRequest(id_, index, first, most, since_ns)

        return await self._ask(self._asked_records, request, RecordPage)

    def answered(self, id_: int, page: HistoryPage) -> None:
        """Take an answer; one that comes too late is nobody's."""
        _settle(self._asked, id_, page)

    def answered_records(self, id_: int, page: RecordPage) -> None:
        """As `answered`."""
        _settle(self._asked_records, id_, page)

    def lost(self, why: str) -> None:
        """The core is gone."""
        for id_ in list(self._asked):
            self.answered(id_, HistoryPage(failure=why))
        for id_ in list(self._asked_records):
            self.answered_records(id_, RecordPage(failure=why))

    async def _page(self, request: Callable[[int], wire.Frame]) -> HistoryPage:
        return await self._ask(self._asked, request, HistoryPage)

    async def _ask(
        self, asked: dict[int, asyncio.Future[Page]], request: Callable[[int], wire.Frame], made: type[Page]
    ) -> Page:
        if len(self._asked) + len(self._asked_records) >= _MOST:
            return made(failure=f"{_MOST} questions under way")
        id_ = self._new_id()
        done: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        asked[id_] = done
        try:
            self._send(request(id_))
            async with asyncio.timeout(_ANSWER_S):
                return await done
        except OverflowError:
            return made(failure="a number beyond 64 bits")
        except TimeoutError:
            return made(failure=f"no answer within {_ANSWER_S:g} s")
        finally:
            del asked[id_]


def _settle(asked: dict[int, asyncio.Future[Page]], id_: int, page: Page) -> None:
    done = asked.get(id_)
    if done is not None and not done.done():
        done.set_result(page)
