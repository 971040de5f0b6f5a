"""bridge.workers.core_end and feed, over a socket pair inside one process"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import replace

import msgspec
import pytest

from bridge.core.command import Command, Origin, Outcome
from bridge.core.errors import LinkError
from bridge.core.event import Event
from bridge.core.point import NEVER_READ, DeviceDef, Nominal, Sample, Wiring
from bridge.core.ports import Grant, Needs
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.host.image import PointImage
from bridge.host.worker_end import COUNTERS_MOST, WorkerEnd
from bridge.link import codec, wire
from bridge.link.pipe import Pipe
from bridge.workers import core_end
from bridge.workers.core_end import CoreEnd
from bridge.workers.feed import Feed
from tests.support.fake_wire import LoopClock
from tests.support.workers import EVERYTHING, FakeLines, StoreWriter, definition, sample, services

ORIGIN = Origin("echo", "", "")
POINTS = 5000
S = 1_000_000_000


class Pair:
    """Both ends of one link; `ours` reads nothing until `listen`."""

    def __init__(self, grants: Grant = EVERYTHING, points: int = POINTS, devices: Sequence[DeviceDef] = ()) -> None:
        self.store = PointStore([definition(i) for i in range(points)], devices)
        self.services = replace(services(self.store), clock=LoopClock())
        self.feed = Feed(self.store, interval_s=0.0)
        self.broken: list[str] = []
        self.frames: list[wire.Answering] = []
        self.tasks: set[asyncio.Task[None]] = set()
        ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.core = CoreEnd(Pipe(ours, 1 << 14), self.services, self._spawn, self.frames.append, self.broken.append)
        self.core.control(wire.Hello(1, "echo", b"", ""))
        self.feed.add(self.core)
        self.core.introduce(Needs(frozenset(range(points)), grants))
        self.image = PointImage()
        self.worker: WorkerEnd | None = None

    def _spawn(self, request: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(request)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def listen(self) -> WorkerEnd:
        self.worker = WorkerEnd(Pipe(self.theirs, 1 << 18), self.image, self.services.clock)
        return self.worker

    async def settle(self) -> None:
        for _ in range(2000):
            await asyncio.sleep(0)

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.feed.close()
        self.core.close()
        if self.worker is not None:
            self.worker.close()
        self.theirs.close()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    yield made
    made.close()


async def test_a_worker_gets_the_definitions_the_snapshot_and_then_changes(pair: Pair) -> None:
    pair.store.publish([(4999, sample(1.0))])
    worker = pair.listen()
    await worker.loaded.wait()
    assert pair.image.get(4999).value == 1.0
    pair.store.publish([(0, sample(2.0))])
    await pair.settle()

    assert [d.id for d in pair.image.defs()] == [d.id for d in pair.store.defs()]
    assert pair.image.get(0).value == 2.0
    assert pair.image.get(1) == NEVER_READ


async def test_a_worker_that_does_not_read_costs_one_entry_per_point_and_then_gets_the_newest(
    pair: Pair,
) -> None:
    for turn in range(1, 101):
        pair.store.publish([(i, sample(float(turn))) for i in range(POINTS)])
        await asyncio.sleep(0)
    pair.feed.flush()
    assert pair.core.behind <= POINTS
    pair.listen()
    await pair.settle()

    assert pair.core.behind == 0
    assert {pair.image.get(i).value for i in range(POINTS)} == {100.0}


async def test_a_worker_on_its_way_out_may_be_behind_on_points_that_are_gone(pair: Pair) -> None:
    pair.store.publish([(i, sample(1.0)) for i in range(POINTS)])
    pair.feed.flush()
    pair.store.redefine([])
    pair.core.silence()
    pair.core.control(wire.Stop())
    worker = pair.listen()
    await pair.settle()

    assert worker.ended.result() == "stop"


async def test_events_keep_their_order_and_own_up_to_losses(pair: Pair) -> None:
    heard: list[int | tuple[int, int]] = []
    for number in range(core_end.EVENTS_KEPT + 5000):
        pair.feed.happened(Event(number, 0, NEVER_READ, "x" * 200))
    worker = pair.listen()
    worker.subscribe(lambda e: heard.append(e.number), lambda first, last: heard.append((first, last)))
    await pair.settle()

    at = next(i for i, item in enumerate(heard) if isinstance(item, tuple))
    assert [h for h in heard if isinstance(h, tuple)] == [heard[at]]
    assert heard[:at] == list(range(at))
    assert heard[at] == (at, 5000 - 1)
    assert heard[at + 1 :] == list(range(5000, 6000))


async def test_an_answer_overtakes_a_snapshot() -> None:
    pair = Pair(points=50_000)
    worker = pair.listen()
    await worker.hello
    result = await worker.submit(Command(1, 5.0, ORIGIN, pair.services.clock.monotonic_ns() + S))
    loaded = worker.loaded.is_set()
    pair.close()

    assert result.outcome is Outcome.DONE
    assert not loaded


async def test_a_late_command_is_never_executed(pair: Pair) -> None:
    worker = pair.listen()
    command = Command(1, 5.0, ORIGIN, pair.services.clock.monotonic_ns() - 1)
    result = await worker.submit(command)
    await pair.settle()

    assert result.outcome is Outcome.TIMED_OUT
    assert isinstance(pair.services.commands, StoreWriter)
    assert pair.services.commands.seen == []


async def test_commands_under_way_are_bounded_at_both_ends(pair: Pair) -> None:
    worker = pair.listen()
    deadline = pair.services.clock.monotonic_ns() + 5 * S
    stuck = [
        asyncio.ensure_future(worker.submit(Command(1, -1.0, ORIGIN, deadline))) for _ in range(wire.REQUESTS_KEPT)
    ]
    await pair.settle()
    assert (await worker.submit(Command(1, 1.0, ORIGIN, deadline))).outcome is Outcome.BUSY
    worker._commands.clear()
    over = await worker.submit(Command(1, 1.0, ORIGIN, deadline))

    assert over.outcome is Outcome.BUSY
    for task in stuck:
        task.cancel()


async def test_what_was_not_granted_is_refused_before_the_policy() -> None:
    pair = Pair(grants=Grant.NOTHING, points=10)
    worker = pair.listen()
    deadline = pair.services.clock.monotonic_ns() + S
    result = await worker.submit(Command(1, 5.0, ORIGIN, deadline))
    with pytest.raises(LinkError, match="not granted"):
        await worker.exchange("line-1", "a", 1, b"\x01", deadline)
    pair.close()

    assert result.outcome is Outcome.REFUSED_BY_POLICY


async def test_raw_requests_share_the_line_by_user(pair: Pair) -> None:
    worker = pair.listen()
    deadline = pair.services.clock.monotonic_ns() + 5 * S
    greedy = [worker.exchange("line-1", "greedy", 1, bytes([1, n]), deadline) for n in range(10)]
    modest = [worker.exchange("line-1", "modest", 2, bytes([2, n]), deadline) for n in range(2)]
    replies = await asyncio.gather(*greedy, *modest)
    with pytest.raises(LinkError, match="no reply in 5 ms"):
        await worker.exchange("line-1", "greedy", 1, b"\xff", deadline)

    assert replies[0] == b"\x00\x01"
    assert isinstance(pair.services.lines, FakeLines)
    assert pair.services.lines.order[:5] == ["greedy", "greedy", "modest", "greedy", "modest"]


@pytest.mark.parametrize("data", [b"\x00\x00\x00\x02\x91\xff", b"\xff\xff\xff\xff"], ids=["broken", "oversize"])
async def test_a_bad_frame_ends_the_link_and_says_why(pair: Pair, data: bytes) -> None:
    pair.theirs.send(data)
    await pair.settle()

    assert len(pair.broken) == 1
    assert pair.broken[0].startswith("frame of")


async def test_the_end_of_the_core_marks_the_image_and_ends_what_waits(pair: Pair) -> None:
    worker = pair.listen()
    await worker.loaded.wait()
    waiting = asyncio.ensure_future(worker.submit(Command(1, -1.0, ORIGIN, pair.services.clock.monotonic_ns() + 9 * S)))
    await pair.settle()
    pair.core.close()
    await pair.settle()

    assert worker.ended.result() == "end of stream"
    assert (await waiting).outcome is Outcome.TIMED_OUT
    assert pair.image.get(0).quality & 2


async def test_a_silent_core_makes_points_stale_until_it_speaks_again(pair: Pair) -> None:
    worker = pair.listen()
    await worker.loaded.wait()
    await asyncio.sleep(10)
    stale = pair.image.get(0).quality
    pair.core.control(wire.Ping(1))
    await pair.settle()

    assert stale != pair.image.get(0).quality == NEVER_READ.quality
    assert pair.frames == [wire.Health(1, {})]


async def test_a_worker_that_floods_us_with_refused_commands_is_heard_once_a_second() -> None:
    pair = Pair(grants=Grant.NOTHING, points=10)
    pair.listen()
    frame = codec.encode(wire.CommandRequest(1, Command(1, 5.0, ORIGIN, pair.services.clock.monotonic_ns() + S)))
    sent = 0
    for _ in range(30):
        with contextlib.suppress(BlockingIOError):
            for _ in range(1000):
                pair.theirs.send(frame)
                sent += 1
        await asyncio.sleep(0.1)
    floods = pair.core.floods
    pair.core.control(wire.Ping(1))
    await asyncio.sleep(60)
    heard = pair.frames
    pair.close()

    assert sent > 1000
    assert 2 <= floods <= 4
    assert heard == [wire.Health(1, {})]


async def test_answers_for_a_worker_that_does_not_read_are_bounded() -> None:
    pair = Pair(grants=Grant.NOTHING, points=10)
    frame = codec.encode(wire.RawRequest(1, "line", "u", 1, b"\x03", 0, 0.0, ""))
    most = 0
    for _ in range(100):
        with contextlib.suppress(BlockingIOError):
            while True:
                pair.theirs.send(frame)
        await asyncio.sleep(1.1)
        most = max(most, len(pair.core._control))
    worker = pair.listen()
    await asyncio.sleep(100)
    left = len(pair.core._control)
    result = await worker.submit(Command(1, 5.0, ORIGIN, pair.services.clock.monotonic_ns() + S))
    pair.close()

    # one receive brings at most 16 KiB of requests
    assert core_end.ANSWERS_KEPT <= most < core_end.ANSWERS_KEPT + core_end.RECEIVE_BYTES // len(frame)
    assert left == 0
    assert result.outcome is Outcome.REFUSED_BY_POLICY


@pytest.mark.parametrize("nonsense", [2**64, -(2**63) - 1, "half \ud800"])
async def test_a_value_no_frame_can_carry_keeps_nobody_elses_back(pair: Pair, nonsense: int | str) -> None:
    bad = msgspec.structs.replace(sample(0.0), value=nonsense)
    pair.store.publish([(0, bad), (1, sample(1.0))])
    worker = pair.listen()
    await worker.loaded.wait()
    in_snapshot = pair.image.get(0)
    pair.store.publish([(2, bad), (3, sample(3.0))])
    pair.feed.happened(Event(1, 2, bad, "text \udfff"))
    heard: list[Event] = []
    worker.subscribe(heard.append, lambda first, last: None)
    await pair.settle()

    assert [pair.image.get(i).value for i in (1, 3)] == [1.0, 3.0]
    assert in_snapshot == pair.image.get(2) == Sample(None, Quality.OUT_OF_RANGE, bad.source_ns, 0)
    assert [event.text for event in heard] == ["text ?"]


async def test_a_command_no_frame_can_carry_is_out_of_range(pair: Pair) -> None:
    worker = pair.listen()
    result = await worker.submit(Command(1, 2**64, ORIGIN, pair.services.clock.monotonic_ns() + S))
    then = await worker.submit(Command(1, 7.0, ORIGIN, pair.services.clock.monotonic_ns() + S))

    assert (result.outcome, then.outcome) == (Outcome.OUT_OF_RANGE, Outcome.DONE)


async def test_a_worker_gets_its_devices_and_no_others() -> None:
    device = DeviceDef("m0", "iem3000", "V", "M", "line", 1, False, Wiring.FOUR_WIRE, Nominal(), {}, "site.yaml:1")
    other = msgspec.structs.replace(device, id="m1")
    pair = Pair(points=10, devices=[device, other])
    worker = pair.listen()
    await worker.loaded.wait()
    devices = pair.image.devices()
    pair.close()

    assert devices == [device]


async def test_counters_that_grew_too_many_do_not_end_the_link(pair: Pair) -> None:
    worker = pair.listen()
    worker.counters.update({f"{n:04}{'x' * 100}": n for n in range(1000)})
    pair.core.control(wire.Ping(1))
    await pair.settle()

    (health,) = pair.frames
    assert isinstance(health, wire.Health)
    assert len(health.counters) == COUNTERS_MOST
    assert {len(name) for name in health.counters} == {32}


async def test_a_raw_request_that_the_core_does_not_answer_ends_soon_after_its_deadline(pair: Pair) -> None:
    worker = pair.listen()
    pair.services.lines.turnaround_s = 30.0  # type: ignore[attr-defined] # a fake
    begun = pair.services.clock.monotonic_ns()
    with pytest.raises(LinkError, match="timed out"):
        await worker.exchange("line-1", "a", 1, b"\x03", begun + S // 10)

    assert S // 10 <= pair.services.clock.monotonic_ns() - begun < 2 * S
