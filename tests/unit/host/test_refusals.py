"""bridge.host.refusals"""

from bridge.core.command import Origin
from bridge.host.refusals import KEPT, REFUSALS_PER_S, RefusalCounts

SECOND = 1_000_000_000
ORIGIN = Origin("modbus", "192.0.2.1", "")


def test_the_first_refusal_goes_at_once() -> None:
    (frame,) = RefusalCounts().tell(ORIGIN, "unit 1", "exception 0x01", 0)

    assert (frame.origin, frame.target, frame.reason, frame.times) == (ORIGIN, "unit 1", "exception 0x01", 1)


def test_a_flood_becomes_a_count() -> None:
    counts = RefusalCounts()
    sent = [frame for _ in range(1000) for frame in counts.tell(ORIGIN, "unit 1", "", 0)]
    sent += counts.tell(ORIGIN, "unit 1", "", SECOND)

    assert len(sent) == REFUSALS_PER_S + 1
    assert sum(frame.times for frame in sent) == 1001


def test_a_flood_of_different_targets_keeps_little_and_loses_no_count() -> None:
    counts = RefusalCounts()
    sent = [frame for n in range(10_000) for frame in counts.tell(ORIGIN, f"unit {n}", "", 0)]
    for second in range(1, 30):
        sent += counts.tell(ORIGIN, "unit", "", second * SECOND)

    assert sum(frame.times for frame in sent) == 10_029
    assert len(sent) <= REFUSALS_PER_S + KEPT + 30
