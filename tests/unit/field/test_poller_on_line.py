"""The poller on the real master and line, byte by byte in virtual time: dead meters, spoilt bytes, late replies"""

import asyncio
import contextlib
import itertools
import random
from dataclasses import replace
from typing import cast

import msgspec
import pytest

from bridge.config.meter import PollClass, RegisterType
from bridge.config.model import FieldPoint
from bridge.config.site import RtuChannel
from bridge.core.point import Kind
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.field.arbiter import LineArbiter
from bridge.field.channel import FieldChannel
from bridge.field.modbus.poller import ChannelPoller
from bridge.modbus.frame import rtu_frame
from bridge.services.staleness import Staleness
from tests.support.fake_wire import FakeWire, LoopClock, master_on
from tests.support.meters import SECOND, Meter, Sink, device, point

LINE = RtuChannel(port="/dev/null")


class Line:
    """Meters on one wire that spoils bytes, and their poller."""

    def __init__(self, meters: dict[int, Meter], byte_error: float = 0.0) -> None:
        self.meters, self.byte_error = meters, byte_error
        self.random = random.Random(11)
        self.answers: list[int] = []
        self.wire = FakeWire(self.respond, chunk=256)
        self.sink = Sink()

    def respond(self, request: bytes) -> bytes:
        heard = self.spoil(request)
        meter = self.meters.get(request[0])
        reply = meter.answer(request[1:-2]) if meter is not None and heard == request else None
        if reply is None:
            return b""
        self.answers.append(request[0])
        return self.spoil(rtu_frame(request[0], reply))

    def spoil(self, data: bytes) -> bytes:
        return bytes(self.random.randrange(256) if self.random.random() < self.byte_error else b for b in data)

    async def poll(self, poller: ChannelPoller, *seconds: float) -> None:
        task = asyncio.ensure_future(poller.run())
        for wait_s in seconds:
            await asyncio.sleep(wait_s)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def channel(self) -> FieldChannel:
        return FieldChannel("line", master_on(self.wire), LineArbiter("line"))


def floats(unit: int, count: int) -> list[object]:
    return [point(100 * unit + n, 2 * n, RegisterType.FLOAT32) for n in range(count)]


@pytest.mark.parametrize("chunk", [1, 256])
async def test_a_dead_meter_of_ten_leaves_the_other_nine_their_rate(chunk: int) -> None:
    # BARS R1
    meters = {unit: Meter() for unit in range(1, 11)}
    line = Line(meters)
    line.wire.chunk = chunk
    seconds = 20.0 if chunk == 1 else 120.0
    devices = [device(floats(unit, 50), unit, {PollClass.FAST: SECOND}) for unit in meters]  # type: ignore[arg-type]
    poller = ChannelPoller(LINE, devices, line.channel(), line.sink, LoopClock(), lambda notice: None)
    task = asyncio.ensure_future(poller.run())
    await asyncio.sleep(seconds)
    alive = [unit for unit in line.answers if unit != 1]
    line.answers.clear()
    meters[1].dead = True
    await asyncio.sleep(seconds)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert len(line.answers) >= 0.9 * len(alive)
    assert all(line.sink.now[100 + n].quality == Quality.COMM_LOST for n in range(50))


@pytest.mark.parametrize(("byte_error", "share"), [(0.01, 0.99), (0.03, 0.9)])
async def test_points_stay_fresh_and_no_value_is_wrong_on_a_noisy_line(byte_error: float, share: float) -> None:
    # BARS R2: fresher than three of their periods
    meter = Meter()
    for n in range(30):
        meter.put(2 * n, ">f", 230.0 + n)
    for n in range(5):
        meter.put(100 + 4 * n, ">Q", 10**9 + n)
    energies = [
        point(200 + n, 100 + 4 * n, RegisterType.UINT64, kind=Kind.ACCUMULATOR, resolution=-2) for n in range(5)
    ]
    line = Line({1: meter}, byte_error)
    built = device([*floats(1, 30), *energies])  # type: ignore[list-item]
    poller = ChannelPoller(LINE, [built], line.channel(), line.sink, LoopClock(), lambda notice: None)
    await line.poll(poller, 900.0)

    fresh = 0.0
    indexes = [p.definition.index for p in built.points]
    for index in indexes:
        times = [0.0, *line.sink.times(index), 900.0]
        fresh += sum(min(b - a, 15.0) for a, b in itertools.pairwise(times))
    assert fresh / (900 * len(indexes)) >= share
    wrong = [
        (index, sample.value)
        for _, index, sample in line.sink.log
        if sample.value is not None and sample.value != (230.0 + index - 100 if index < 200 else 10**9 + index - 200)
    ]
    assert wrong == []


async def test_at_one_byte_in_ten_small_reads_go_on_and_every_point_is_fresh_or_bad() -> None:
    # BARS R2
    meter = Meter()
    for n in range(30):
        meter.put(2 * n, ">f", 230.0 + n)
    line = Line({1: meter}, 0.1)
    limit_ns = 15 * SECOND
    points = [
        replace(p, definition=msgspec.structs.replace(p.definition, stale_after_ns=limit_ns))
        for p in cast("list[FieldPoint]", floats(1, 30))
    ]
    clock = LoopClock()
    store = PointStore([p.definition for p in points])
    staleness = Staleness(store, clock)
    heard: dict[int, int] = {}
    store.feed(lambda batch: heard.update({i: s.source_ns for i, s in batch if s.quality == Quality.GOOD}))
    poller = ChannelPoller(LINE, [device(points)], line.channel(), store, clock, lambda notice: None)
    tasks = [asyncio.ensure_future(poller.run()), asyncio.ensure_future(staleness.run())]
    neither: list[int] = []
    good = 0
    for _ in range(1800):
        await asyncio.sleep(1.0)
        for index in (p.definition.index for p in points):
            sample = store.get(index)
            assert sample.value is None or sample.value == 230.0 + index - 100
            if sample.quality == Quality.GOOD:
                good += 1
                if clock.utc_ns() - sample.source_ns > limit_ns + 2 * SECOND:
                    neither.append(index)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert neither == []
    # some reads still come through, at the end as at the start
    assert good > 0
    assert max(heard.values()) > clock.utc_ns() - 300 * SECOND


async def test_late_replies_never_give_a_point_another_ones_value() -> None:
    # BARS R2
    meter = Meter({n: n for n in range(400)})
    points = [point(n, 40 * n) for n in range(8)]
    line = Line({1: meter})
    chance = random.Random(5)
    line.wire.late_s = [chance.choice([0.0, 0.0, 0.55, 0.7, 0.9]) for _ in range(400)]
    poller = ChannelPoller(
        LINE, [device(points, timeout_s=0.5)], line.channel(), line.sink, LoopClock(), lambda notice: None
    )
    await line.poll(poller, 600.0)

    values = {(index, sample.value) for _, index, sample in line.sink.log if sample.value is not None}
    assert values == {(n, 40.0 * n) for n in range(8)}
