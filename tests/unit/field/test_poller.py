"""bridge.field.modbus.poller, device_poller and block_reader, on virtual time"""

import asyncio
import contextlib
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from bridge.config.meter import PollClass, RegisterType, Table
from bridge.config.model import FieldDevice, FieldPoint, Register
from bridge.config.site import RtuChannel, TcpChannel
from bridge.core.errors import ConnectionLost, LineBusy
from bridge.core.point import Kind, PointDef
from bridge.core.quality import Quality
from bridge.core.quantity import Meaning, Quantity
from bridge.field.modbus.notice import Notice, NoticeKind
from bridge.field.modbus.poller import ChannelPoller, timing_of
from bridge.field.modbus.statistics import DeviceState
from bridge.modbus.frame import read_pdu
from tests.support.meters import SECOND, FakeChannel, LoopClock, Meter, Sink, device, point

LINE = RtuChannel(port="/dev/null")
EVERY_MINUTE = {PollClass.FAST: 60 * SECOND}


class Bench:
    """A channel of devices, polled for some virtual seconds at a time."""

    def __init__(self, devices: Sequence[FieldDevice], channel: FakeChannel) -> None:
        self.channel, self.sink, self.clock = channel, Sink(), LoopClock()
        self.notices: list[Notice] = []
        self.trail: list[tuple[int, bytes]] = []
        self.poller = ChannelPoller(
            LINE,
            devices,
            channel,
            self.sink,
            self.clock,
            self.notices.append,
            lambda utc_ns, registers: self.trail.extend(registers),
        )
        self.task: asyncio.Task[None] | None = None

    async def run(self, seconds: float) -> None:
        if self.task is None:
            self.task = asyncio.ensure_future(self.poller.run())
        await asyncio.sleep(seconds)
        if self.task.done():
            self.task.result()

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def kinds(self) -> list[NoticeKind]:
        return [notice.kind for notice in self.notices]


def one(*points: object, **more: object) -> tuple[Bench, Meter]:
    meter = Meter()
    built = device(points, **more)  # type: ignore[arg-type]
    return Bench([built], FakeChannel({1: meter})), meter


async def test_first_read_at_start_then_each_class_at_its_period() -> None:
    # F-05
    bench, meter = one(point(0, 100), point(1, 500, poll=PollClass.SLOW), point(2, 900, poll=PollClass.ON_CHANGE))
    meter.registers = {100: 7, 500: 8, 900: 9}
    await bench.run(121)
    await bench.stop()

    assert {index: sample.value for index, sample in bench.sink.now.items()} == {0: 7.0, 1: 8.0, 2: 9.0}
    assert max(times[0] for times in (bench.sink.times(n) for n in range(3))) < 0.3
    assert len(bench.sink.times(0)) == pytest.approx(25, abs=1)
    assert len(bench.sink.times(1)) == 3
    assert len(bench.sink.times(2)) == 1


async def test_a_sample_bears_the_time_at_which_its_reply_had_come() -> None:
    bench, meter = one(point(0, 100))
    meter.registers = {100: 7}
    await bench.run(1)
    await bench.stop()

    at, _, sample = bench.sink.log[0]
    assert sample.source_ns == bench.clock.wall_ns + round(at * SECOND)


async def test_meters_are_spread_in_time() -> None:
    # F-06
    meters = {unit: Meter({100: unit}) for unit in range(1, 6)}
    bench = Bench([device([point(unit, 100)], unit) for unit in meters], FakeChannel(meters))
    await bench.run(60)
    await bench.stop()

    phases = sorted(at % 5.0 for at, *_ in bench.channel.asked if at > 20)
    gaps = [b - a for a, b in pairwise(phases) if b - a > 0.1]
    assert len(gaps) == 4
    assert min(gaps) > 0.8


async def test_the_long_block_takes_the_short_ones_place_where_both_are_due() -> None:
    short = [point(n, 100 + 2 * n, RegisterType.FLOAT32) for n in range(5)]
    long = [point(5 + n, 110 + 2 * n, RegisterType.FLOAT32, PollClass.NORMAL) for n in range(5)]
    bench, _ = one(*short, *long)
    await bench.run(41)
    await bench.stop()

    counts = [int.from_bytes(pdu[3:5], "big") for at, _, pdu, _ in bench.channel.asked if at > 1]
    assert sorted(counts) == [10, 10, 10, 10, 20, 20, 20, 20]


async def test_a_step_of_the_wall_clock_moves_no_poll() -> None:
    # BARS R5
    bench, meter = one(point(0, 100))
    meter.registers = {100: 7}
    await bench.run(60)
    bench.clock.wall_ns -= 3600 * SECOND
    await bench.run(60)
    bench.clock.wall_ns += 86400 * SECOND
    await bench.run(60)
    await bench.stop()

    times = bench.sink.times(0)[1:]
    assert {round(b - a, 1) for a, b in pairwise(times)} == {5.0}


async def test_a_line_that_somebody_has_for_himself_is_no_dead_meter() -> None:
    # G-04: while raw bytes have the line, samples age (STALE by their age) and nothing is said of the device
    bench, meter = one(point(0, 100))
    meter.registers = {100: 7}
    await bench.run(12)
    before = bench.sink.now[0]
    ask = bench.channel.ask

    async def leased(*_: object, **__: object) -> bytes:
        raise LineBusy("test", 0, "leased")

    bench.channel.ask = leased  # type: ignore[method-assign]
    await bench.run(60)
    assert bench.sink.now[0] == before
    assert NoticeKind.LOST not in bench.kinds()

    bench.channel.ask = ask  # type: ignore[method-assign]
    meter.registers = {100: 8}
    await bench.run(1)
    await bench.stop()
    assert bench.sink.now[0].value == 8.0
    assert bench.poller.snapshots()["m1"].max_s < 1


async def test_points_of_a_dead_meter_turn_bad_within_three_polls_and_keep_value_and_time() -> None:
    # M-32
    # BARS R1
    bench, meter = one(point(0, 100), point(1, 500, poll=PollClass.SLOW))
    meter.registers = {100: 7, 500: 8}
    await bench.run(12)
    before = dict(bench.sink.now)
    meter.dead = True
    await bench.run(15)
    await bench.stop()

    for index in (0, 1):
        sample = bench.sink.now[index]
        assert sample.quality == Quality.COMM_LOST
        assert (sample.value, sample.source_ns) == (before[index].value, before[index].source_ns)
    assert bench.poller.snapshots()["m1"].state is DeviceState.BACKING_OFF
    assert bench.kinds() == [NoticeKind.FOUND, NoticeKind.LOST]


async def test_a_meter_that_never_answered_has_no_value() -> None:
    bench, meter = one(point(0, 100))
    meter.dead = True
    await bench.run(5)
    await bench.stop()

    assert bench.sink.now[0].value is None
    assert bench.sink.now[0].quality == Quality.COMM_LOST | Quality.NEVER_READ


async def test_one_dead_meter_of_ten_costs_the_others_less_than_a_tenth_of_their_rate() -> None:
    # F-12
    # BARS R1: a line as full as it gets, so that every second lost is a reading lost
    meters = {unit: Meter() for unit in range(1, 11)}
    points = [[point(100 * unit + n, 2 * n, RegisterType.FLOAT32) for n in range(50)] for unit in meters]
    devices = [device(points[unit - 1], unit, {PollClass.FAST: SECOND}) for unit in meters]
    bench = Bench(devices, FakeChannel(meters))
    await bench.run(60)
    before = sum(bench.channel.replies[unit] for unit in range(2, 11))
    bench.channel.replies.clear()
    meters[1].dead = True
    await bench.run(60)
    after = sum(bench.channel.replies[unit] for unit in range(2, 11))
    await bench.stop()

    assert after >= 0.9 * before
    assert max(bench.channel.replies.values()) - min(bench.channel.replies[u] for u in range(2, 11)) <= 2


async def test_a_meter_that_is_back_is_found_within_ten_seconds_in_the_first_minutes() -> None:
    # M-49
    bench, meter = one(point(0, 100))
    meter.dead = True
    await bench.run(100)
    meter.dead = False
    await bench.run(11)
    found = bench.sink.now[0].quality
    meter.dead = True
    await bench.run(3600)
    probes = [at for at, *_ in bench.channel.asked]
    meter.dead = False
    await bench.run(302)
    await bench.stop()

    assert found == Quality.GOOD
    assert bench.sink.now[0].quality == Quality.GOOD
    assert max(b - a for a, b in pairwise(probes)) == pytest.approx(301, abs=1)


async def test_a_lost_line_is_back_within_five_seconds() -> None:
    # BARS R3
    bench, _ = one(point(0, 100))
    await bench.run(3)
    bench.channel.lost = ConnectionLost
    await bench.run(600)
    lost = bench.sink.now[0].quality
    bench.channel.lost = None
    await bench.run(5)
    await bench.stop()

    assert lost == Quality.COMM_LOST
    assert bench.sink.now[0].quality == Quality.GOOD
    assert bench.poller.snapshots()["m1"].connection_errors > 2


async def test_a_register_the_device_does_not_have_is_found_by_halves_and_left_out() -> None:
    bench, meter = one(*(point(n, 100 + n) for n in range(40)))
    meter.registers = {100 + n: n for n in range(40)}
    meter.missing = {117}
    await bench.run(30)
    asked = len([1 for at, *_ in bench.channel.asked if at > 6])
    await bench.stop()

    bad = {index for index, sample in bench.sink.now.items() if sample.quality}
    assert bad == {17}
    assert bench.sink.now[17].quality == Quality.DEVICE_FAULT | Quality.NEVER_READ
    assert all(bench.sink.now[n].value == n for n in range(40) if n != 17)
    assert [notice.index for notice in bench.notices if notice.kind is NoticeKind.REGISTER_REFUSED] == [17]
    # two blocks around the hole every 5 s
    assert asked == pytest.approx(10, abs=2)


async def test_a_register_the_device_is_silent_about_does_not_make_it_lost() -> None:
    bench, meter = one(*(point(n, 100 + n) for n in range(16)), point(99, 900))
    meter.registers = {900: 9}
    meter.silent = {107}
    await bench.run(60)
    late = len([1 for at, *_ in bench.channel.asked if at > 40])
    await bench.stop()

    bad = {index for index, sample in bench.sink.now.items() if sample.quality}
    assert bad == {7}
    assert bench.sink.now[99].value == 9.0
    assert bench.kinds() == [NoticeKind.FOUND, NoticeKind.REGISTER_REFUSED]
    # three blocks every 5 s
    assert late == pytest.approx(12, abs=3)


async def test_a_serial_number_the_device_is_silent_about_is_not_waited_for() -> None:
    bench, meter = one(point(0, 100), serial=Register(Table.HOLDING, 10, 2, RegisterType.UINT32))
    meter.silent = {10}
    await bench.run(20)
    await bench.stop()

    assert len(bench.sink.times(0)) >= 4


async def test_a_meter_that_was_slow_once_is_asked_again_at_once() -> None:
    bench, meter = one(point(0, 100), point(1, 500, poll=PollClass.SLOW), point(2, 900, poll=PollClass.ON_CHANGE))
    meter.deaf = 1
    await bench.run(3)
    await bench.stop()

    assert {sample.quality for sample in bench.sink.now.values()} == {Quality.GOOD}
    assert len(bench.sink.now) == 3


async def test_what_was_refused_is_tried_again_later() -> None:
    bench, meter = one(point(0, 100), point(1, 101))
    meter.missing = {101}
    await bench.run(10)
    meter.missing = set()
    await bench.run(920)
    await bench.stop()

    assert bench.sink.now[1].quality == Quality.GOOD


async def test_a_gap_the_device_does_not_answer_is_not_read_through_again() -> None:
    bench, meter = one(point(0, 100), point(1, 104))
    meter.missing = {102}
    await bench.run(21)
    await bench.stop()

    spans = [(int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")) for _, _, pdu, _ in bench.channel.asked]
    assert spans[0] == (100, 5)
    assert set(spans[1:]) == {(100, 1), (104, 1)}
    assert {sample.quality for sample in bench.sink.now.values()} == {Quality.GOOD}


async def test_a_device_that_takes_shorter_reads_only_gets_them() -> None:
    bench, meter = one(*(point(n, 100 + n) for n in range(64)))
    meter.most = 20
    await bench.run(30)
    await bench.stop()

    late = [int.from_bytes(pdu[3:5], "big") for at, _, pdu, _ in bench.channel.asked if at > 6]
    assert max(late) <= 20
    assert {sample.quality for sample in bench.sink.now.values()} == {Quality.GOOD}


@pytest.mark.parametrize("code", [4, 8])
async def test_an_exception_is_a_device_fault_and_is_not_asked_again_at_once(code: int) -> None:
    bench, meter = one(point(0, 100))
    await bench.run(4)
    meter.exception = code
    asked = len(bench.channel.asked)
    await bench.run(4)
    await bench.stop()

    assert bench.sink.now[0].quality == Quality.DEVICE_FAULT
    assert len(bench.channel.asked) == asked + 1
    assert bench.poller.snapshots()["m1"].exceptions == ((code, 1),)


async def test_a_busy_device_is_bad_only_when_it_stays_busy() -> None:
    bench, meter = one(point(0, 100))
    await bench.run(4)
    meter.exception = 6
    await bench.run(8)
    once = bench.sink.now[0].quality
    await bench.run(10)
    await bench.stop()

    assert once == Quality.GOOD
    assert bench.sink.now[0].quality == Quality.DEVICE_FAULT


async def test_a_gateways_word_that_the_target_is_silent_is_silence() -> None:
    bench, meter = one(point(0, 100))
    await bench.run(4)
    meter.exception = 0x0B
    await bench.run(15)
    await bench.stop()

    assert bench.sink.now[0].quality == Quality.COMM_LOST


@pytest.mark.parametrize(
    "lie",
    [lambda r: r[:-1], lambda r: r + b"\0", lambda r: bytes((4,)) + r[1:], lambda r: b"", lambda r: b"\x03\xff" * 90],
    ids=["short", "long", "other function", "nothing", "nonsense"],
)
async def test_a_meter_that_lies_about_its_reply_is_never_believed(lie: object) -> None:
    # BARS I3
    bench, meter = one(point(0, 100))
    meter.registers = {100: 7}
    await bench.run(4)
    meter.lie = lie  # type: ignore[assignment]
    meter.registers = {100: 8}
    await bench.run(30)
    await bench.stop()

    assert bench.sink.now[0].value == 7.0
    assert bench.sink.now[0].quality == Quality.COMM_LOST


async def test_under_one_percent_of_noise_points_stay_fresh() -> None:
    # BARS R2
    meters = {unit: Meter() for unit in range(1, 4)}
    points = [[point(100 * unit + n, 2 * n, RegisterType.FLOAT32) for n in range(30)] for unit in meters]
    bench = Bench([device(points[unit - 1], unit) for unit in meters], FakeChannel(meters, byte_error=0.01))
    await bench.run(600)
    await bench.stop()

    fresh = total = 0.0
    for definition in (p.definition for each in points for p in each):
        times = [0.0, *bench.sink.times(definition.index), 600.0]
        gaps = [b - a for a, b in pairwise(times)]
        total += 600
        fresh += sum(min(gap, 15.0) for gap in gaps)
    assert fresh / total >= 0.99
    assert NoticeKind.LINE_NOISY in bench.kinds()
    late = [int.from_bytes(pdu[3:5], "big") for at, _, pdu, _ in bench.channel.asked if at > 60]
    assert max(late) < 60


async def test_under_ten_percent_of_noise_small_reads_go_on() -> None:
    # BARS R2
    bench, meter = one(*(point(n, 2 * n, RegisterType.FLOAT32) for n in range(6)))
    bench.channel.byte_error = 0.1
    meter.registers = {n: 0 for n in range(12)}
    await bench.run(600)
    await bench.stop()

    for index in range(6):
        assert len([at for at in bench.sink.times(index) if at > 120]) >= 10


async def test_an_energy_is_believed_under_noise_when_a_second_reading_agrees() -> None:
    bench, meter = one(point(0, 100, RegisterType.UINT32, kind=Kind.ACCUMULATOR))
    meter.put(100, ">I", 1000)
    await bench.run(4)
    bench.poller.share.noise.level = 0.01
    once = iter([4_000_000_000])

    def corrupt(reply: bytes) -> bytes:
        value = next(once, None)
        return reply if value is None else reply[:2] + value.to_bytes(4, "big")

    meter.lie = corrupt
    meter.put(100, ">I", 1001)
    await bench.run(5)
    await bench.stop()

    assert [sample.value for _, _, sample in bench.sink.log] == [1000, 1001]


async def test_a_scale_is_decided_by_what_is_plausible_and_told() -> None:
    frequency = point(
        0,
        100,
        RegisterType.UINT32,
        scale=Fraction(1, 100),
        scale_alternatives=(Fraction(1, 1000),),
        low=45.0,
        high=65.0,
    )
    bench, meter = one(frequency)
    meter.put(100, ">I", 50_012)
    await bench.run(4)
    first = bench.sink.now[0]
    await bench.run(20)
    await bench.stop()

    assert (first.value, first.quality) == (50.012, Quality.QUESTIONABLE)
    assert (bench.sink.now[0].value, bench.sink.now[0].quality) == (50.012, Quality.GOOD)
    decided = [notice.text for notice in bench.notices if notice.kind is NoticeKind.SCALE_DECIDED]
    assert decided == ["m.p0: scale 0.001 by plausibility, first value 50.012"]


async def test_without_a_plausible_scale_there_is_no_value() -> None:
    frequency = point(0, 100, scale=Fraction(1), scale_alternatives=(Fraction(1, 10),), low=45.0, high=65.0)
    bench, meter = one(frequency)
    meter.registers = {100: 9999}
    await bench.run(20)
    await bench.stop()

    assert bench.sink.now[0].quality == Quality.OUT_OF_RANGE | Quality.NEVER_READ
    assert bench.kinds().count(NoticeKind.SCALE_UNDECIDED) == 1


async def test_a_scale_register_is_read_with_its_value() -> None:
    bench, meter = one(point(0, 100, RegisterType.INT16, scale_at=120))
    meter.registers = {100: 2301, 120: 0xFFFF}
    await bench.run(4)
    first = bench.sink.now[0].value
    meter.registers[120] = 0x8000
    await bench.run(5)
    await bench.stop()

    assert first == 230.1
    assert (bench.sink.now[0].value, bench.sink.now[0].quality) == (230.1, Quality.DEVICE_FAULT)


async def test_coils_and_inputs_are_read_as_bits() -> None:
    coils = [point(n, 3 + n, RegisterType.BOOL, table=Table.COIL, kind=Kind.BINARY) for n in range(12)]
    bench, meter = one(*coils)
    meter.registers = {3 + n: n % 3 == 0 for n in range(12)}
    await bench.run(4)
    await bench.stop()

    assert [bench.sink.now[n].value for n in range(12)] == [n % 3 == 0 for n in range(12)]
    assert len(bench.channel.asked) == 1


async def test_the_serial_number_is_told_at_start_and_when_it_is_another() -> None:
    serial = Register(Table.HOLDING, 10, 2, RegisterType.UINT32)
    bench, meter = one(point(0, 100), serial=serial)
    meter.put(10, ">I", 4711)
    await bench.run(4)
    meter.dead = True
    await bench.run(20)
    meter.dead = False
    meter.put(10, ">I", 4712)
    await bench.run(20)
    await bench.stop()

    told = [notice.text for notice in bench.notices if notice.kind is NoticeKind.SERIAL_NUMBER]
    assert told == ["4711", "4712"]


async def test_points_can_be_asked_for_at_once() -> None:
    bench, meter = one(point(0, 100), point(1, 900, poll=PollClass.ON_CHANGE))
    await bench.run(2)
    meter.registers = {100: 1, 900: 2}
    changed = await bench.poller.device("m1").refresh()
    after_change = (bench.sink.now[0].value, bench.sink.now[1].value)
    fast = await bench.poller.device("m1").refresh([0])
    meter.dead = True
    await bench.run(12)
    lost = await bench.poller.device("m1").refresh([0])
    await bench.stop()

    assert (changed, fast, lost) == (True, True, False)
    assert after_change == (0.0, 2.0)
    assert bench.sink.times(0)[1] < 2.2


async def test_whoever_waits_for_a_reading_is_told_when_polling_ends() -> None:
    bench, meter = one(point(0, 100), timeout_s=15.0)
    await bench.run(2)
    meter.dead = True
    waiting = asyncio.ensure_future(bench.poller.device("m1").refresh([0]))
    await asyncio.sleep(1)
    await bench.stop()

    assert await waiting is False


async def test_the_communication_status_is_what_the_bridge_sees() -> None:
    definition = PointDef(
        9,
        "m.communication_status",
        Kind.BINARY,
        meaning=Meaning(Quantity.COMMUNICATION_STATUS),
    )
    status = FieldPoint(definition, None, PollClass.STATE, point(0, 1).certainty)
    bench, meter = one(point(0, 100), status)
    await bench.run(12)
    before = bench.sink.now[9]
    meter.dead = True
    await bench.run(15)
    after = bench.sink.now[9]
    meter.dead = False
    await bench.run(15)
    await bench.stop()

    assert [(s.value, s.quality) for s in (before, after)] == [(True, Quality.GOOD), (False, Quality.GOOD)]
    assert bench.sink.now[9].value is True


async def test_statistics_say_what_happened() -> None:
    # C-02: of each device; of ports and servers in tests/conformance/demo
    bench, meter = one(point(0, 100))
    meter.registers = {100: 0x1234}
    await bench.run(9)
    meter.dead = True
    await bench.run(4)
    snapshot = bench.poller.snapshots()["m1"]
    await bench.stop()

    assert (snapshot.requests, snapshot.replies, snapshot.timeouts, snapshot.blocks) == (4, 2, 2, 1)
    assert 0.02 < snapshot.min_s <= snapshot.average_s <= snapshot.max_s < 0.1
    assert snapshot.last_error == "line unit 1: no reply"
    assert snapshot.raw[-1].data == b"\x12\x34"


def test_network_links_count_reads_and_not_registers() -> None:
    assert timing_of(RtuChannel(port="x", framing="8E2")).bits_per_char == 12
    assert timing_of(TcpChannel(host="x")).read_s(125, 0.0) < 0.003


def overhear(bench: Bench, meter: Meter, first: int, count: int) -> None:
    """A client of the gateway reads these registers of unit 1."""
    request = read_pdu(3, first, count)
    reply = meter.answer(request)
    assert reply is not None
    bench.poller.overheard(1, request, reply)


async def test_what_a_client_of_the_gateway_reads_renews_the_points_that_stand_whole_in_it() -> None:
    bench, meter = one(point(0, 100), point(1, 101, RegisterType.UINT32), point(2, 104), periods=EVERY_MINUTE)
    meter.registers = {100: 1, 102: 2, 104: 3}
    await bench.run(1)
    meter.registers = {100: 11, 102: 12, 104: 13}
    overhear(bench, meter, 98, 4)
    found = {index: sample.value for index, sample in bench.sink.now.items()}
    source_ns = bench.sink.now[0].source_ns
    await bench.stop()

    assert found == {0: 11.0, 1: 2.0, 2: 3.0}
    assert source_ns == bench.clock.utc_ns()


async def test_a_client_that_reads_all_the_time_costs_a_decoding_now_and_then() -> None:
    bench, meter = one(point(0, 100), periods=EVERY_MINUTE)
    meter.registers = {100: 1}
    await bench.run(1)
    for _ in range(100):
        meter.registers[100] += 1
        overhear(bench, meter, 100, 1)
        await asyncio.sleep(0.01)
    await bench.stop()

    assert 4 <= len(bench.sink.times(0)) - 1 <= 6


async def test_what_is_no_whole_read_of_the_device_renews_nothing() -> None:
    bench, meter = one(point(0, 100), periods=EVERY_MINUTE)
    meter.registers = {100: 1}
    await bench.run(1)
    for request, reply in (
        (b"\x03\x00\x64\x00\x02", b"\x83\x02"),
        (b"\x03\x00\x64\x00\x03", b"\x03\x02\x00\x09"),
        (b"\x04\x00\x64\x00\x01", b"\x04\x02\x00\x09"),
        (b"\x11", b"\x11\x02\x00\x09"),
    ):
        bench.poller.overheard(1, request, reply)
    bench.poller.overheard(7, b"\x03\x00\x64\x00\x01", b"\x03\x02\x00\x09")
    await bench.stop()

    assert len(bench.sink.log) == 1
    assert bench.sink.now[0].value == 1.0


async def test_reads_without_end_of_different_registers_are_not_remembered_without_end() -> None:
    bench, meter = one(point(0, 100), periods=EVERY_MINUTE)
    await bench.run(1)
    for count in range(1, 126):
        overhear(bench, meter, 50, count)
    taken = len(bench.sink.log)
    await bench.stop()

    assert taken == 1 + 75  # reads of 51 and more registers reach register 100


async def test_a_meter_that_answers_a_client_while_it_counts_as_lost_is_asked_at_once() -> None:
    bench, meter = one(point(0, 100))
    meter.registers = {100: 1}
    await bench.run(1)
    meter.dead = True
    await bench.run(120)
    lost = bench.sink.now[0]
    meter.dead = False
    overhear(bench, meter, 100, 1)
    held = bench.sink.now[0]
    await bench.run(0.2)
    back = bench.sink.now[0]
    await bench.stop()

    assert lost.quality == held.quality == Quality.COMM_LOST
    assert back.quality == Quality.GOOD


async def test_the_registers_of_energies_are_told_as_they_came_and_of_nothing_else() -> None:
    # E-14
    energy: dict[str, Any] = {
        "stored": RegisterType.UINT32,
        "poll": PollClass.SLOW,
        "kind": Kind.ACCUMULATOR,
        "resolution": -2,
    }
    bench, meter = one(point(0, 100), point(1, 500, **energy), point(2, 502, **energy))
    meter.registers = {100: 7, 500: 1, 501: 0x86A0, 502: 0, 503: 9}
    await bench.run(1)
    await bench.stop()

    assert bench.trail == [(1, b"\x00\x01\x86\xa0"), (2, b"\x00\x00\x00\x09")]
    assert bench.sink.now[1].value == 100_000


async def test_an_energy_that_a_client_of_the_gateway_reads_brings_its_registers_too() -> None:
    # E-14
    energy: dict[str, Any] = {"stored": RegisterType.UINT32, "kind": Kind.ACCUMULATOR, "resolution": -2}
    bench, meter = one(point(1, 500, **energy), periods=EVERY_MINUTE)
    meter.registers = {500: 1, 501: 0x86A0}
    await bench.run(1)
    meter.registers[501] += 1
    overhear(bench, meter, 499, 4)
    await bench.stop()

    assert bench.trail == [(1, b"\x00\x01\x86\xa0"), (1, b"\x00\x01\x86\xa1")]
