"""Monitored items on virtual time: ticks, deadbands, queues, what is reported and what is not."""

import asyncio
from collections.abc import Callable

import pytest

from bridge.core.clock import SystemClock
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Sample, Wiring
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.sampling import (
    DISABLED,
    REPORTING,
    SAMPLING,
    STATUS,
    STATUS_VALUE,
    STATUS_VALUE_TIMESTAMP,
    Group,
    Item,
    overflowed,
)

DEVICE = DeviceDef("m", "toy", "Toy", "T1", "lan", 1, False, Wiring.FOUR_WIRE, Nominal(), {}, "s.yaml:1")
POINT = PointDef(0, "m.p", Kind.ANALOG, "V")
SOURCE = 0


class Outbox:
    def __init__(self) -> None:
        self.pending: list[Item] = []


class Bench:
    """One point, one item."""

    def __init__(
        self, group: Group | None = None, size: int = 10, trigger: int = STATUS_VALUE, band: float = -1
    ) -> None:
        self.store = PointStore([POINT], [DEVICE])
        self.publish(1.0)
        self.soon: list[Callable[[], None]] = []
        self.image = Image(self.store, Model([POINT], [DEVICE], lambda _: POINT), self.soon.append)
        self.outbox, self.group = Outbox(), group
        self.item = Item(self.image, SystemClock(), self.outbox, 0, SOURCE)
        self.item.configure(trigger, band, size, group)
        self.item.set_mode(REPORTING)
        self.settle()

    def settle(self) -> None:
        while self.soon:
            self.soon.pop()()

    def publish(self, value: float | None, quality: Quality = Quality.GOOD, at: int = 1000) -> None:
        self.store.publish([(0, Sample(value, quality, at, 1))])

    def taken(self) -> int:
        return len(self.item.take(100))


def test_the_first_value_is_reported_at_once() -> None:
    bench = Bench()

    assert bench.outbox.pending == [bench.item]
    assert bench.taken() == 1


def test_without_a_sampling_interval_every_change_is_one() -> None:
    bench = Bench()
    bench.taken()
    for value in (2.0, 3.0, 3.0, 4.0):
        bench.publish(value)

    assert bench.taken() == 3


def test_a_deadband_is_taken_from_what_was_reported() -> None:
    bench = Bench(band=1.0)
    bench.taken()
    for value in (1.5, 2.0, 2.5, 3.0, 3.5):
        bench.publish(value)

    # 2.5 is more than 1 away from 1.0; 3.5 is not more than 1 away from 2.5
    assert bench.taken() == 1


def test_a_new_quality_is_news_inside_any_deadband() -> None:
    bench = Bench(band=1000.0)
    bench.taken()
    bench.publish(1.0, Quality.STALE)
    bench.publish(1.0, Quality.STALE | Quality.DEVICE_FAULT)
    bench.publish(1.0)

    # stale and stale with a fault are one status
    assert bench.taken() == 2


def test_the_status_trigger_hears_of_no_value() -> None:
    bench = Bench(trigger=STATUS)
    bench.taken()
    bench.publish(5.0)
    bench.publish(5.0, Quality.COMM_LOST)

    assert bench.taken() == 1


async def test_a_new_time_is_news_only_to_who_asks_for_it() -> None:
    found = {}
    for trigger in (STATUS_VALUE, STATUS_VALUE_TIMESTAMP):
        group = Group(0.5)
        bench = Bench(group=group, trigger=trigger)
        bench.taken()
        bench.publish(1.0, at=2000)
        await asyncio.sleep(1.1)
        found[trigger] = bench.taken()
        group.close()

    assert found == {STATUS_VALUE: 0, STATUS_VALUE_TIMESTAMP: 1}


async def test_items_of_a_group_are_sampled_at_its_tick_and_not_between() -> None:
    group = Group(1.0)
    bench = Bench(group=group)
    await asyncio.sleep(1.1)
    bench.taken()
    for value in (2.0, 3.0, 4.0):
        bench.publish(value)
        await asyncio.sleep(0.1)
    early = bench.taken()
    await asyncio.sleep(1.0)

    assert (early, bench.taken()) == (0, 1)


async def test_a_value_that_is_back_before_the_tick_was_never_away() -> None:
    group = Group(1.0)
    bench = Bench(group=group)
    await asyncio.sleep(1.1)
    bench.taken()
    bench.publish(2.0)
    bench.publish(1.0)
    await asyncio.sleep(1.1)

    assert bench.taken() == 0


@pytest.mark.parametrize(("oldest", "marked"), [(True, 0), (False, -1)])
def test_a_full_queue_marks_the_value_next_to_the_lost_one(oldest: bool, marked: int) -> None:
    bench = Bench(size=3)
    bench.taken()
    bench.item.discard_oldest = oldest
    for value in range(2, 8):
        bench.publish(float(value))
    found = bench.item.take(100)

    assert len(found) == 3
    # status after mask, type and double
    flags = [int.from_bytes(data[len(bench.item.handle) + 10 :][:4], "little") for data in found]
    assert flags[marked] == 0x480
    assert sum(flags) == 0x480


def test_a_queue_of_one_holds_the_newest_and_says_nothing() -> None:
    bench = Bench(size=1)
    for value in (2.0, 3.0):
        bench.publish(value)
    [data] = bench.item.take(100)

    assert int.from_bytes(data[10:14], "little") == 0


def test_a_disabled_item_is_told_nothing_and_begins_anew() -> None:
    bench = Bench()
    bench.taken()
    bench.item.set_mode(DISABLED)
    bench.settle()
    bench.publish(2.0)
    quiet = bench.taken()
    bench.item.set_mode(REPORTING)
    bench.settle()

    assert (quiet, bench.taken()) == (0, 1)


def test_an_item_that_only_samples_reports_when_it_is_told_to() -> None:
    bench = Bench()
    bench.taken()
    bench.outbox.pending.clear()
    bench.item.pending = False
    bench.item.set_mode(SAMPLING)
    bench.publish(2.0)
    held = (bench.item.waiting(), list(bench.outbox.pending))
    bench.item.set_mode(REPORTING)

    assert held == (False, [])
    assert bench.outbox.pending == [bench.item]


def test_a_change_between_watching_and_the_subscription_is_not_missed() -> None:
    bench = Bench()
    bench.item.set_mode(DISABLED)
    bench.settle()
    bench.item.set_mode(REPORTING)
    bench.taken()
    bench.publish(9.0)
    bench.settle()

    assert bench.taken() == 1


def test_overflow_is_set_wherever_the_status_stands() -> None:
    # value and status; with source time; text with both times
    for data, at in (
        (b"\x03\x01\x01" + bytes(4), 3),
        (b"\x07\x01\x01" + bytes(12), 3),
        (b"\x0f\x0c\1\0\0\0x" + bytes(20), 7),
    ):
        found = overflowed(data)
        assert int.from_bytes(found[at : at + 4], "little") == 0x480
        assert len(found) == len(data)
