"""services.derived: results follow their inputs through the store."""

from bridge.core.point import Batch, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.arithmetic import sum_of
from bridge.services.derived import Derived
from bridge.services.rules import Rule
from tests.support.field_points import point


def store_of(*definitions: PointDef) -> PointStore:
    return PointStore(definitions)


A, B = point("active_power_l1", 0), point("active_power_l2", 1)
SUM, TWICE = point("active_power_total", 2), point("x_twice", 3, unit="kW")
RULES = [
    Rule(SUM.index, (A.index, B.index), sum_of(SUM, [A, B])),
    Rule(TWICE.index, (SUM.index,), sum_of(TWICE, [SUM])),
]


def good(value: float, at_ns: int) -> Sample:
    return Sample(value, Quality.GOOD, at_ns, 1)


def test_a_result_follows_its_inputs() -> None:
    store = store_of(A, B, SUM, TWICE)
    Derived(store, RULES)

    store.publish([(A.index, good(1.0, 10)), (B.index, good(2.0, 20))])

    assert (store.get(SUM.index).value, store.get(SUM.index).source_ns) == (3.0, 10)


def test_a_result_of_a_result_follows_too() -> None:
    store = store_of(A, B, SUM, TWICE)
    Derived(store, RULES)

    store.publish([(A.index, good(1.0, 10)), (B.index, good(2.0, 20))])

    assert store.get(TWICE.index).value == 3.0


def test_one_batch_is_one_result() -> None:
    store = store_of(A, B, SUM, TWICE)
    Derived(store, RULES[:1])
    heard: list[Batch] = []
    store.subscribe([SUM.index], heard.append)

    store.publish([(A.index, good(1.0, 10)), (B.index, good(2.0, 20))])

    assert [sample.value for batch in heard for _, sample in batch] == [3.0]


def test_an_unchanged_result_becomes_newer_with_its_inputs() -> None:
    store = store_of(A, B, SUM, TWICE)
    Derived(store, RULES)
    store.publish([(A.index, good(1.0, 10)), (B.index, good(2.0, 20))])

    store.publish([(A.index, good(1.0, 30)), (B.index, good(2.0, 30))])

    assert store.get(SUM.index).source_ns == 30


def test_a_lost_input_marks_every_result_down_the_line() -> None:
    store = store_of(A, B, SUM, TWICE)
    Derived(store, RULES)
    store.publish([(A.index, good(1.0, 10)), (B.index, good(2.0, 20))])

    store.publish([(A.index, Sample(1.0, Quality.COMM_LOST, 10, 2))])

    assert store.get(TWICE.index) == Sample(
        3.0, Quality.COMM_LOST | Quality.QUESTIONABLE, 10, store.get(TWICE.index).seq
    )


def test_rules_of_points_that_are_gone_rest_after_a_reload() -> None:
    store = store_of(A, B, SUM)
    derived = Derived(store, RULES[:1])

    store.redefine([A, B])
    derived.redefine([])
    store.publish([(A.index, good(1.0, 10))])

    assert store.get(A.index).value == 1.0


def test_a_result_of_many_inputs_is_computed_once_a_second() -> None:
    meters = [point("active_power_total", n, f"m{n}") for n in range(100)]
    out = point("active_power_total", 100, "building")
    store = PointStore([*meters, out])
    derived = Derived(store, [Rule(100, tuple(range(100)), sum_of(out, meters))])
    for meter in meters:
        store.publish([(meter.index, good(1.0, 10))])
    before = store.get(100).value

    derived.look()

    assert (before, store.get(100).value) == (None, 100.0)
