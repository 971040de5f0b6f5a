"""The past over the link: pages of rows for points of one's own, events by number."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace

import pytest

from bridge.core.event import Event
from bridge.core.history import HistoryPage, RecordPage
from bridge.core.point import NEVER_READ, Sample
from bridge.core.ports import Grant, Needs
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.host.image import PointImage
from bridge.host.worker_end import WorkerEnd
from bridge.link.pipe import Pipe
from bridge.workers.core_end import CoreEnd
from tests.support.fake_wire import LoopClock
from tests.support.workers import definition, services

PAGE = HistoryPage([Sample(1.5, Quality.GOOD, 7, 0)], [Event(3, 1, NEVER_READ, "x")], True)
RECORDS = RecordPage([Sample(1.5, Quality.GOOD, 7, 0)], 4, 2, 9)
ALL = Grant.HISTORY | Grant.EVENTS


class FakeHistory:
    def __init__(self) -> None:
        self.asked: list[tuple[int | None, ...]] = []

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = 0) -> HistoryPage:
        self.asked.append((index, after_ns, before_ns, most))
        return PAGE

    async def records(self, index: int, first: int, most: int = 0, since_ns: int | None = None) -> RecordPage:
        self.asked.append((index, first, most, since_ns))
        return RECORDS

    async def events(self, after: int, most: int = 0) -> HistoryPage:
        self.asked.append((after, most))
        return PAGE


class Pair:
    def __init__(self, grants: Grant) -> None:
        self.history, clock = FakeHistory(), LoopClock()
        store = PointStore([definition(1), definition(2)])
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        core = replace(services(store), clock=clock, history=self.history)
        self._tasks: set[asyncio.Task[None]] = set()
        self.core = CoreEnd(Pipe(ours, 1 << 14), core, self._spawn, lambda frame: None, lambda why: None)
        self.core.introduce(Needs(frozenset([1]), grants))
        self.worker = WorkerEnd(Pipe(theirs, 1 << 18), PointImage(), clock)

    def _spawn(self, request: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(request)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        self.core.close()
        self.worker.close()


@pytest.fixture
async def make() -> AsyncIterator[Callable[[Grant], Pair]]:
    made: list[Pair] = []

    def make_pair(grants: Grant) -> Pair:
        made.append(Pair(grants))
        return made[-1]

    yield make_pair
    for pair in made:
        pair.close()


async def test_rows_of_a_point_come_as_a_page(make: Callable[[Grant], Pair]) -> None:
    pair = make(ALL)

    assert await pair.worker.history.samples(1, 5, 9, 10) == PAGE
    assert pair.history.asked == [(1, 5, 9, 10)]


async def test_rows_of_a_point_come_by_number_and_by_time(make: Callable[[Grant], Pair]) -> None:
    pair = make(Grant.HISTORY)

    assert await pair.worker.history.records(1, 4, 10) == RECORDS
    assert await pair.worker.history.records(1, -3, 3, 77) == RECORDS
    assert (await pair.worker.history.records(2, 1, 1)).failure == "not granted"
    assert pair.history.asked == [(1, 4, 10, None), (1, -3, 3, 77)]


async def test_events_that_were_lost_can_be_asked_for_by_number(make: Callable[[Grant], Pair]) -> None:
    pair = make(ALL)

    assert await pair.worker.history.events(2, 10) == PAGE
    assert pair.history.asked == [(2, 10)]


async def test_a_point_of_somebody_else_has_no_past(make: Callable[[Grant], Pair]) -> None:
    pair = make(ALL)

    assert (await pair.worker.history.samples(2, 0, 9)).failure == "not granted"
    assert pair.history.asked == []


@pytest.mark.parametrize("grants", [Grant.NOTHING, Grant.EVENTS, Grant.HISTORY])
async def test_without_both_grants_no_events_of_the_past(make: Callable[[Grant], Pair], grants: Grant) -> None:
    pair = make(grants)

    assert (await pair.worker.history.events(0)).failure == "not granted"
    assert pair.history.asked == []


async def test_when_the_core_is_gone_the_question_is_answered_so(make: Callable[[Grant], Pair]) -> None:
    pair = make(ALL)
    asking = asyncio.ensure_future(pair.worker.history.events(0))
    await asyncio.sleep(0)

    pair.worker.history.lost("core lost")

    assert (await asking).failure == "core lost"
