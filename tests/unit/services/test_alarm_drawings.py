"""
An alarm's whole life against the two drawings and the table of lamps of seed 004 (l.5675-5705, l.5764-5777).

    over          Max1 __                Max2
    A pickup  -------/  \\---------------/\\------------------
    B dropout ------/----\\-------------/--\\----\\------------      A, B in the point's unit
                     |<--T1-->|                  |<-T2->|
                             EV1 <------ T3 ------------>EV2
"""

from dataclasses import dataclass

import pytest

from bridge.config.alarm_keys import AlarmKey
from bridge.core.alarm import Alarm, Band, summary_of
from bridge.core.event import EventKind
from tests.support.clock import NEW_YEAR, SECOND
from tests.unit.services.test_alarms import V1, Bench


@dataclass(frozen=True)
class Drawing:
    """`values`: one a second, from second 1 on. `max1`, `max2`: furthest while pending, and while active."""

    rule: AlarmKey
    values: tuple[float, ...]
    ev1_s: int
    ev2_s: int
    max1: float
    max2: float


OVER = Drawing(
    AlarmKey(match=(V1.id,), over=250, dropout=240, pickup_delay_s=3, dropout_delay_s=2, priority="high"),
    (230, 251, 256, 252, 253, 255, 258, 254, 245, 239, 238, 237, 236),
    ev1_s=5,
    ev2_s=12,
    max1=256,
    max2=258,
)
UNDER = Drawing(
    AlarmKey(match=(V1.id,), under=200, dropout=210, pickup_delay_s=3, dropout_delay_s=2, priority="high"),
    (230, 199, 190, 198, 195, 197, 188, 196, 205, 211, 212, 213, 214),
    ev1_s=5,
    ev2_s=12,
    max1=190,
    max2=188,
)


@pytest.mark.parametrize("drawing", [OVER, UNDER], ids=["over", "under"])
def test_the_life_of_an_alarm_is_that_of_the_drawing(drawing: Drawing) -> None:
    # A-02 A-05
    bench = Bench(set_point=drawing.rule)
    lives: list[tuple[int, bool]] = []

    for second, value in enumerate(drawing.values, start=1):
        bench.value(V1, value)
        bench.service.look()
        lives.append((second, any(alarm.active for alarm in bench.service.alarms())))

    (alarm,) = bench.service.alarms()
    assert [second for second, active in lives if active] == list(range(drawing.ev1_s, drawing.ev2_s))
    assert alarm.start_ns == NEW_YEAR + drawing.ev1_s * SECOND
    assert alarm.end_ns == NEW_YEAR + drawing.ev2_s * SECOND
    assert alarm.duration_ns == (drawing.ev2_s - drawing.ev1_s) * SECOND
    assert (alarm.before, alarm.extreme) == (drawing.max1, drawing.max2)
    assert alarm.limit == (drawing.rule.over if drawing.rule.over is not None else drawing.rule.under)
    assert [(e.kind, e.time_ns) for e in bench.events.events()] == [
        (EventKind.ALARM_START, alarm.start_ns),
        (EventKind.ALARM_END, alarm.end_ns),
    ]


@pytest.mark.parametrize("drawing", [OVER, UNDER], ids=["over", "under"])
def test_a_condition_one_second_shorter_than_t1_is_no_alarm_and_one_shorter_than_t2_no_end(drawing: Drawing) -> None:
    #
    bench = Bench(set_point=drawing.rule)
    quiet, beyond, back = drawing.values[0], drawing.values[1], drawing.values[-1]

    for value in (quiet, beyond, beyond, beyond, quiet, quiet):
        bench.value(V1, value)
        bench.service.look()
    none = list(bench.service.alarms())
    for value in (beyond, beyond, beyond, beyond, back, back, beyond, beyond):
        bench.value(V1, value)
        bench.service.look()

    assert none == []
    assert [alarm.active for alarm in bench.service.alarms()] == [True]


def alarm(priority: int, active: bool, acknowledged: bool) -> Alarm:
    return Alarm(1, "x", "x", "m", -1, priority, 1, 0 if active else 2, acknowledged_ns=3 if acknowledged else 0)


@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize(
    ("priority", "active", "lamp", "display"),
    [
        (200, True, True, True),
        (150, True, True, False),
        (80, True, True, False),
        (200, False, True, False),
        (150, False, True, False),
        (80, False, False, False),
    ],
    ids=["active high", "active medium", "active low", "historic high", "historic medium", "historic low"],
)
def test_lamp_and_display_are_those_of_the_table(
    priority: int, active: bool, lamp: bool, display: bool, acknowledged: bool
) -> None:
    """`lamp`: it flashes until somebody has acknowledged. `display`: so does the display."""
    #
    summary = summary_of([alarm(priority, active, acknowledged)])

    flashes = summary.band is not Band.NONE and not summary.acknowledged
    assert flashes is (lamp and not acknowledged)
    assert summary.attention is (display and not acknowledged)
    if active:
        assert (summary.active, int(summary.band)) == (True, priority // 64 * 64)


def test_without_an_alarm_that_is_active_or_not_acknowledged_the_lamp_is_off() -> None:
    #
    summary = summary_of([alarm(200, False, True), alarm(80, False, False)])

    assert (summary.band, summary.active, summary.attention) == (Band.NONE, False, False)
