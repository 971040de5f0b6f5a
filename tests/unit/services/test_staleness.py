"""bridge.services.staleness"""

import asyncio
import time

import pytest

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.staleness import Staleness

SECOND = 1_000_000_000


class FakeClock:
    def __init__(self) -> None:
        self.monotonic, self.wall = 5 * SECOND, 1_700_000_000 * SECOND

    def monotonic_ns(self) -> int:
        return self.monotonic

    def utc_ns(self) -> int:
        return self.wall + self.monotonic


def definition(index: int, after_s: int = 15) -> PointDef:
    return PointDef(index, f"m.p{index}", Kind.ANALOG, stale_after_ns=after_s * SECOND)


class Bench:
    def __init__(self, *definitions: PointDef) -> None:
        self.clock = FakeClock()
        self.store = PointStore(definitions)
        self.staleness = Staleness(self.store, self.clock)

    def read(self, index: int, value: float, quality: Quality = Quality.GOOD) -> None:
        self.store.publish([(index, Sample(value, quality, self.clock.utc_ns(), 1))])

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.monotonic += SECOND
            self.staleness.mark(self.staleness.due())


def test_a_point_without_a_new_reading_turns_stale_and_keeps_value_and_time() -> None:
    bench = Bench(definition(0))
    bench.read(0, 7.0)
    before = bench.store.get(0)
    bench.run(14)
    fresh = bench.store.get(0)
    bench.run(3)
    after = bench.store.get(0)

    assert fresh is before
    assert (after.value, after.quality, after.source_ns) == (7.0, Quality.STALE, before.source_ns)
    assert bench.staleness.stale == 1


def test_readings_keep_a_point_fresh_even_if_the_value_never_changes() -> None:
    bench = Bench(definition(0))
    for _ in range(20):
        bench.read(0, 7.0)
        bench.run(5)

    assert bench.store.get(0).quality == Quality.GOOD


def test_a_new_reading_ends_it_and_the_age_counts_anew() -> None:
    bench = Bench(definition(0))
    bench.read(0, 7.0)
    bench.run(20)
    bench.read(0, 7.0)
    good = bench.store.get(0).quality
    bench.run(17)

    assert good == Quality.GOOD
    assert bench.store.get(0).quality == Quality.STALE


def test_a_sample_that_says_why_there_is_no_reading_makes_nothing_fresh() -> None:
    bench = Bench(definition(0))
    bench.read(0, 7.0)
    held = bench.store.get(0)
    for _ in range(4):
        bench.run(5)
        bench.store.publish([(0, Sample(7.0, Quality.COMM_LOST, held.source_ns, 2))])
    bench.run(2)

    assert bench.store.get(0).quality == Quality.COMM_LOST | Quality.STALE


@pytest.mark.parametrize("step_s", [-3600, 86400])
def test_a_step_of_the_wall_clock_makes_nothing_stale_and_nothing_fresh(step_s: int) -> None:
    # BARS R5
    bench = Bench(definition(0), definition(1))
    bench.read(0, 7.0)
    bench.read(1, 8.0)
    bench.run(10)
    bench.clock.wall += step_s * SECOND
    bench.read(0, 7.0)
    bench.run(7)

    assert bench.store.get(0).quality == Quality.GOOD
    assert bench.store.get(1).quality == Quality.STALE


def test_what_never_had_a_value_or_has_no_age_is_left_alone() -> None:
    bench = Bench(definition(0), PointDef(1, "m.p1", Kind.ANALOG))
    bench.read(1, 8.0)
    bench.run(100)

    assert bench.store.get(0).quality == Quality.NEVER_READ
    assert bench.store.get(1).quality == Quality.GOOD


def test_a_reload_keeps_the_age_of_points_that_stay() -> None:
    bench = Bench(definition(0), definition(1))
    bench.read(0, 7.0)
    bench.run(10)
    bench.store.redefine([definition(0), definition(2)])
    bench.staleness.redefine()
    bench.run(7)

    assert bench.store.get(0).quality == Quality.STALE


def test_after_a_long_sleep_everything_due_is_marked_at_once() -> None:
    bench = Bench(definition(0), definition(1, 30))
    bench.read(0, 7.0)
    bench.read(1, 7.0)
    bench.clock.monotonic += 3600 * SECOND
    bench.staleness.mark(bench.staleness.due())

    assert bench.store.get(0).quality == bench.store.get(1).quality == Quality.STALE


async def test_it_runs_by_itself() -> None:
    bench = Bench(definition(0, 3))
    bench.read(0, 7.0)
    task = asyncio.ensure_future(bench.staleness.run())
    for _ in range(5):
        await asyncio.sleep(1.0)
        bench.clock.monotonic += SECOND
    task.cancel()
    bench.staleness.close()

    assert bench.store.get(0).quality == Quality.STALE


def test_a_campus_of_eighty_thousand_points_costs_little() -> None:
    bench = Bench(*(definition(n) for n in range(80_000)))
    bench.store.publish([(n, Sample(1.0, Quality.GOOD, SECOND, 1)) for n in range(80_000)])
    begun = time.process_time()
    for _ in range(5):
        bench.clock.monotonic += SECOND
        bench.staleness.mark(bench.staleness.due())
    idle_s = time.process_time() - begun

    # nothing is due yet: five looks over a whole campus
    assert idle_s < 0.05
