"""bridge.field.modbus.schedule, readings, noise and backoff: what needs no loop"""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.meter import PollClass, RegisterType, Table, WordOrder
from bridge.config.model import FieldPoint
from bridge.core.point import Kind
from bridge.core.quality import Quality
from bridge.field.modbus.backoff import BackOff, Why
from bridge.field.modbus.noise import NoiseMeter
from bridge.field.modbus.planner import ReadCost
from bridge.field.modbus.readings import Readings
from bridge.field.modbus.schedule import ON_CHANGE, DevicePlan, ReadBlock, first_due_ns, groups_of, next_due_ns
from bridge.field.modbus.words import packer, words_of
from bridge.modbus.timing import LineTiming
from tests.support.meters import PERIODS, SECOND, Meter, device, point

COST = ReadCost(LineTiming(9600, 10))
STORED = [RegisterType.UINT16, RegisterType.INT32, RegisterType.UINT32, RegisterType.FLOAT64, RegisterType.INT64]
LAYOUT = st.lists(
    st.tuples(
        st.integers(0, 600),
        st.sampled_from([*STORED, RegisterType.BOOL]),
        st.sampled_from(WordOrder),
        st.sampled_from([PollClass.FAST, PollClass.NORMAL, PollClass.SLOW, PollClass.ON_CHANGE]),
    ),
    min_size=1,
    max_size=40,
)


def taken(block: ReadBlock, meters: dict[Table, Meter]) -> bytes:
    reply = meters[block.table].answer(struct.pack(">BHH", block.table.value, block.address, block.count))
    assert reply is not None
    assert reply[0] < 0x80
    return reply[2:]


@given(LAYOUT, st.integers(4, 125), st.integers(0, 30), st.sampled_from([0.0, 0.01, 0.1]), st.randoms())
def test_every_point_of_any_layout_is_read_exactly(
    layout: list[tuple[int, RegisterType, WordOrder, PollClass]],
    most: int,
    gap: int,
    noise: float,
    chance: random.Random,
) -> None:
    meters = {table: Meter() for table in Table}
    points: list[FieldPoint] = []
    values: list[object] = []
    taken_up: set[tuple[Table, int]] = set()
    for address, stored, order, poll in layout:
        bit = stored is RegisterType.BOOL
        table = chance.choice([Table.COIL, Table.DISCRETE_INPUT] if bit else [Table.HOLDING, Table.INPUT])
        words = words_of(stored) or 1
        if taken_up & {(table, address + n) for n in range(words)}:
            continue
        taken_up |= {(table, address + n) for n in range(words)}
        value = chance.randrange(2 if bit else 30_000)
        if bit:
            meters[table].registers[address] = value
        else:
            wire = packer(stored, order)(value)
            for n in range(words):
                meters[table].registers[address + n] = int.from_bytes(wire[2 * n : 2 * n + 2], "big")
        kind = Kind.BINARY if bit else Kind.ANALOG
        points.append(point(len(points), address, stored, poll, table, order=order, kind=kind))
        values.append(bool(value) if bit else float(value))
    built = device(points, max_registers=most, max_gap=gap, forbidden=((300, 310),))
    plan, readings = DevicePlan(built, COST), Readings("m1", points, lambda notice: None)
    plan.set_noise(noise)
    blocks = plan.blocks(frozenset(plan.groups))

    for block in blocks:
        assert block.count <= (most if block.table in (Table.HOLDING, Table.INPUT) else 16 * most)
        batch, unsure = readings.take(block, taken(block, meters), 42)
        assert not unsure
        assert all(sample.source_ns == 42 and sample.quality == Quality.GOOD for _, sample in batch)
    assert [readings.held(n).value for n in range(len(points))] == values
    assert sorted(p for block in blocks for p in block.points) == list(range(len(points)))


@given(LAYOUT)
def test_each_due_set_reads_the_points_that_are_due_and_no_others(
    layout: list[tuple[int, RegisterType, WordOrder, PollClass]],
) -> None:
    points = [
        point(n, address, stored, poll, Table.COIL if stored is RegisterType.BOOL else Table.HOLDING)
        for n, (address, stored, _, poll) in enumerate(layout)
    ]
    built = device(points)
    plan = DevicePlan(built, COST)
    for period, positions in groups_of(built).items():
        read = sorted(p for block in plan.blocks(frozenset((period,))) for p in block.points)
        assert read == list(positions)


def test_classes_of_one_period_are_one_group_and_settings_have_none() -> None:
    periods = PERIODS | {PollClass.STATE: 10 * SECOND}
    polls = [PollClass.FAST, PollClass.NORMAL, PollClass.STATE, PollClass.ON_CHANGE]
    built = device([point(n, n, poll=poll) for n, poll in enumerate(polls)], periods=periods)

    assert groups_of(built) == {ON_CHANGE: (3,), 5 * SECOND: (0,), 10 * SECOND: (1, 2)}


def test_what_is_refused_is_not_read_through_and_comes_back_when_forgotten() -> None:
    built = device([point(n, 100 + n) for n in range(3)])
    plan = DevicePlan(built, COST)
    whole = frozenset(plan.groups)
    plan.refuse(ReadBlock(Table.HOLDING, 101, 1, (1,)))
    around = [(block.address, block.count) for block in plan.blocks(whole)]
    plan.forget()

    assert around == [(100, 1), (102, 1)]
    assert [(block.address, block.count) for block in plan.blocks(whole)] == [(100, 3)]


def test_the_probe_is_the_shortest_read() -> None:
    plan = DevicePlan(device([point(0, 5, RegisterType.FLOAT64), point(1, 9)]), COST)
    probe = plan.probe()

    assert probe is not None
    assert (probe.address, probe.count) == (9, 1)
    assert DevicePlan(device([]), COST).probe() is None


@given(st.integers(1, 40), st.sampled_from([SECOND // 5, SECOND, 5 * SECOND]), st.sampled_from([1, 2, 6, 12, 60]))
def test_devices_are_spread_over_their_period_and_long_classes_stay_on_its_ticks(
    places: int, shortest: int, factor: int
) -> None:
    period = shortest * factor
    due = [first_due_ns(0, period, shortest, place, places) for place in range(places)]
    ticks = [first_due_ns(0, shortest, shortest, place, places) for place in range(places)]

    assert all((a - b) % shortest == 0 for a, b in zip(due, ticks, strict=True))
    assert len({at % shortest for at in ticks}) == places
    assert all(0 < at <= 2 * period for at in due)


@given(st.integers(0, 10**12), st.integers(1, 10**10), st.integers(0, 10**13))
def test_the_next_poll_is_on_the_grid_and_what_was_missed_is_left_out(due: int, period: int, late: int) -> None:
    now = due + late
    then = next_due_ns(due, period, now)

    assert (then - due) % period == 0
    assert then > due
    assert now <= then <= now + period


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05])
def test_the_noise_of_a_line_is_estimated_within_a_factor_of_two(rate: float) -> None:
    noise, chance = NoiseMeter(), random.Random(3)
    for _ in range(400):
        chars = chance.choice([17, 33, 60])
        if chance.random() < (1 - rate) ** chars:
            noise.got_through(chars)
        else:
            noise.spoilt(chars)

    assert rate / 2 < noise.estimate < rate * 2
    assert noise.noisy


def test_a_line_is_called_clean_again_after_a_while_and_one_spoilt_reply_is_no_noise() -> None:
    noise = NoiseMeter()
    for _ in range(200):
        noise.got_through(100)
    noise.spoilt(100)
    one = noise.noisy
    for _ in range(20):
        noise.spoilt(100)
    many = noise.noisy
    for _ in range(1000):
        noise.got_through(100)

    assert (one, many, noise.noisy) == (False, True, False)


def test_pauses_double_to_ten_seconds_and_after_three_minutes_to_five_minutes() -> None:
    # M-49
    back_off = BackOff(1.0)
    now = back_off.start(0)
    pauses = [now / SECOND]
    while len(pauses) < 40:
        then = back_off.failed(now, Why.SILENT)
        pauses.append((then - now) / SECOND)
        now = then

    assert pauses[:5] == [2, 4, 8, 10, 10]
    assert [pause for pause in pauses if pause > 10][:6] == [20, 40, 80, 160, 300, 300]
    assert sum(pause for pause in pauses if pause <= 10) >= 180


@given(st.integers(1, 20), st.floats(0.1, 15))
def test_probes_of_all_silent_devices_cost_the_line_less_than_a_tenth(silent: int, timeout_s: float) -> None:
    # BARS R1
    back_offs = [BackOff(timeout_s) for _ in range(silent)]
    spent = 0.0
    for back_off in back_offs:
        now = back_off.start(0)
        while now < 600 * SECOND:
            spent += back_off.probe_timeout_s(silent)
            now = back_off.failed(now, Why.SILENT)

    # no device is given less than 0.1 s
    assert spent <= max(60.0, 0.1 * 70 * silent) + timeout_s * silent
