"""Alarms over the link: the list at the beginning, every change after it, acknowledgements back."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace

import pytest

from bridge.core.alarm import Alarm
from bridge.core.command import CommandResult, Origin, Outcome
from bridge.core.ports import Grant, Needs
from bridge.core.store import PointStore
from bridge.host.alarms import HISTORIC
from bridge.host.image import PointImage
from bridge.host.worker_end import WorkerEnd
from bridge.link.pipe import Pipe
from bridge.workers.core_end import CoreEnd
from bridge.workers.feed import Feed
from tests.support.fake_wire import LoopClock
from tests.support.workers import definition, services

ORIGIN = Origin("bacnet", "10.0.0.9", "anna")
S = 1_000_000_000


class FakeAlarms:
    """AlarmPort with a list that a test sets."""

    def __init__(self, alarms: Sequence[Alarm]) -> None:
        self.list = list(alarms)
        self.seen: list[tuple[int, Origin]] = []
        self.confirmed: list[tuple[int, Origin]] = []

    def alarms(self) -> Sequence[Alarm]:
        return self.list

    def subscribe(self, deliver: Callable[[Alarm], None]) -> Callable[[], None]:
        return lambda: None

    async def acknowledge(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        self.seen.append((alarm, origin))
        return CommandResult(Outcome.DONE)

    async def confirm(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        self.confirmed.append((alarm, origin))
        return CommandResult(Outcome.DONE)


def alarm(id_: int, end_ns: int = 0) -> Alarm:
    return Alarm(id_, "over", "over", "m", 3, 150, 10, end_ns=end_ns, extreme=2.5)


class Pair:
    def __init__(self, alarms: Sequence[Alarm], grants: Grant) -> None:
        store = PointStore([definition(1)])
        self.port = FakeAlarms(alarms)
        self.clock = LoopClock()
        self.feed = Feed(store)
        ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        core = replace(services(store), clock=self.clock, alarms=self.port)
        self.tasks: set[asyncio.Task[None]] = set()
        self.core = CoreEnd(Pipe(ours, 1 << 14), core, self._spawn, lambda frame: None, lambda why: None)
        self.feed.add(self.core)
        self.core.introduce(Needs(frozenset([1]), grants))
        self.worker: WorkerEnd | None = None

    def listen(self) -> WorkerEnd:
        self.worker = WorkerEnd(Pipe(self.theirs, 1 << 18), PointImage(), self.clock)
        return self.worker

    def _spawn(self, request: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(request)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def close(self) -> None:
        self.feed.close()
        self.core.close()
        if self.worker is not None:
            self.worker.close()
        self.theirs.close()


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Pair]]:
    made: list[Pair] = []

    def make_pair(alarms: Sequence[Alarm] = (), grants: Grant = Grant.ALARMS | Grant.COMMANDS) -> Pair:
        made.append(Pair(alarms, grants))
        return made[-1]

    yield make_pair
    for pair in made:
        pair.close()


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_worker_has_every_alarm_before_it_begins(make: Callable[..., Pair]) -> None:
    pair = make([alarm(n) for n in range(1, 1001)])
    worker = pair.listen()

    await worker.loaded.wait()

    assert [a.id for a in worker.alarms.alarms()] == list(range(1, 1001))


async def test_a_worker_hears_of_every_change(make: Callable[..., Pair]) -> None:
    pair = make([alarm(1)])
    worker = pair.listen()
    await worker.loaded.wait()
    heard: list[Alarm] = []
    worker.alarms.subscribe(heard.append)

    pair.feed.alarm_changed(alarm(1, end_ns=99))
    await settle()

    assert heard == [alarm(1, end_ns=99)]
    assert worker.alarms.alarms() == heard


async def test_a_worker_that_does_not_read_costs_one_entry_per_alarm(make: Callable[..., Pair]) -> None:
    pair = make([alarm(1)])
    for end in range(1, 20_000):
        pair.feed.alarm_changed(alarm(1, end_ns=end))

    worker = pair.listen()
    await settle()

    assert worker.alarms.alarms() == [alarm(1, end_ns=19_999)]


async def test_who_was_not_granted_alarms_sees_none(make: Callable[..., Pair]) -> None:
    pair = make([alarm(1)], Grant.COMMANDS)
    worker = pair.listen()
    await worker.loaded.wait()
    pair.feed.alarm_changed(alarm(1, end_ns=99))
    await settle()

    assert worker.alarms.alarms() == []
    result = await worker.alarms.acknowledge(1, ORIGIN, pair.clock.monotonic_ns() + S)
    assert (result.outcome, pair.port.seen) == (Outcome.REFUSED_BY_POLICY, [])


async def test_an_acknowledgement_reaches_the_core_with_who_it_was(make: Callable[..., Pair]) -> None:
    pair = make([alarm(1)])
    worker = pair.listen()
    await worker.loaded.wait()

    result = await worker.alarms.acknowledge(1, ORIGIN, pair.clock.monotonic_ns() + S)

    assert (result.outcome, pair.port.seen) == (Outcome.DONE, [(1, ORIGIN)])


async def test_a_confirmation_reaches_the_core_with_who_it_was(make: Callable[..., Pair]) -> None:
    pair = make([alarm(1)])
    worker = pair.listen()
    await worker.loaded.wait()

    result = await worker.alarms.confirm(1, ORIGIN, pair.clock.monotonic_ns() + S)

    assert (result.outcome, pair.port.seen, pair.port.confirmed) == (Outcome.DONE, [], [(1, ORIGIN)])


async def test_to_see_alarms_is_no_right_to_acknowledge_them(make: Callable[..., Pair]) -> None:
    pair = make([alarm(1)], Grant.ALARMS)
    worker = pair.listen()
    await worker.loaded.wait()

    result = await worker.alarms.acknowledge(1, ORIGIN, pair.clock.monotonic_ns() + S)

    assert (result.outcome, pair.port.seen) == (Outcome.REFUSED_BY_POLICY, [])


async def test_a_late_acknowledgement_is_never_carried_out(make: Callable[..., Pair]) -> None:
    pair = make([alarm(1)])
    worker = pair.listen()
    await worker.loaded.wait()

    result = await worker.alarms.acknowledge(1, ORIGIN, pair.clock.monotonic_ns() - 1)
    await settle()

    assert (result.outcome, pair.port.seen) == (Outcome.TIMED_OUT, [])


async def test_a_worker_keeps_no_more_historic_alarms_than_the_core(make: Callable[..., Pair]) -> None:
    worker = make().listen()

    worker.alarms.change([alarm(n, end_ns=1) for n in range(2, HISTORIC + 50)])
    worker.alarms.change([alarm(1)])

    kept = worker.alarms.alarms()
    assert (len(kept), kept[0]) == (HISTORIC + 1, alarm(1))
    assert kept[-1].id == HISTORIC + 49
