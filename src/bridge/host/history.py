"""The past, asked of the core."""

import asyncio
from collections.abc import Callable

from bridge.core.history import EVENTS_MOST, PAGE_MOST, HistoryPage
from bridge.link import wire

# Seconds the core may take; it reads a disk
_ANSWER_S = 10.0
# Questions under way
_MOST = 8


class HistoryImage:
    """HistoryPort of a projection in its own process. Loop thread only."""

    def __init__(self, send: Callable[[wire.Frame], None], new_id: Callable[[], int]) -> None:
        self._send, self._new_id = send, new_id
        self._asked: dict[int, asyncio.Future[HistoryPage]] = {}

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = PAGE_MOST) -> HistoryPage:
        return await self._page(lambda id_: wire.HistoryRequest(id_, index, after_ns, before_ns, most))

    async def events(self, after: int, most: int = EVENTS_MOST) -> HistoryPage:
        return await self._page(lambda id_: wire.HistoryRequest(id_, -1, after, 0, most))

    def answered(self, id_: int, page: HistoryPage) -> None:
        """Take an answer; one that comes too late is nobody's."""
        done = self._asked.get(id_)
        if done is not None and not done.done():
            done.set_result(page)

    def lost(self, why: str) -> None:
        """The core is gone."""
        for id_ in list(self._asked):
            self.answered(id_, HistoryPage(failure=why))

    async def _page(self, request: Callable[[int], wire.Frame]) -> HistoryPage:
        if len(self._asked) >= _MOST:
            return HistoryPage(failure=f"{_MOST} questions under way")
        id_ = self._new_id()
        done: asyncio.Future[HistoryPage] = asyncio.get_running_loop().create_future()
        self._asked[id_] = done
        try:
            self._send(request(id_))
            async with asyncio.timeout(_ANSWER_S):
                return await done
        except OverflowError:
            return HistoryPage(failure="a number beyond 64 bits")
        except TimeoutError:
            return HistoryPage(failure=f"no answer within {_ANSWER_S:g} s")
        finally:
            del self._asked[id_]
