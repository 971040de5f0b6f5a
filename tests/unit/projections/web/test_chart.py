"""bridge.projections.web.chart: what is drawn is what was recorded, and nothing where nothing was."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bridge.projections.web.chart import (
    BOTTOM,
    COLUMNS,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Dot,
    bars_of,
    frame_of,
    gaps_of,
    path_of,
    thinned,
    x_ticks,
    y_ticks,
)

S = 10**9
NOON = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()) * S


def test_a_line_goes_from_edge_to_edge_and_from_low_to_high() -> None:
    dots = [Dot(NOON, 0.0), Dot(NOON + 60 * S, 100.0)]
    frame = frame_of(NOON, NOON + 60 * S, [dots])

    assert path_of(dots, frame) == f"M{LEFT} {HEIGHT - BOTTOM}h0L{WIDTH - RIGHT} {TOP}"


def test_a_line_is_broken_where_there_was_no_usable_value_and_the_gap_is_shaded() -> None:
    dots = [Dot(NOON, 1.0), Dot(NOON + 20 * S, None), Dot(NOON + 30 * S, None), Dot(NOON + 60 * S, 2.0)]
    frame = frame_of(NOON, NOON + 100 * S, [dots])
    width = WIDTH - LEFT - RIGHT

    assert path_of(dots, frame).count("M") == 2
    assert gaps_of(dots, frame) == [(round(LEFT + 0.2 * width, 1), round(0.4 * width, 1))]


def test_a_state_goes_in_steps() -> None:
    dots = [Dot(NOON, 0.0), Dot(NOON + 30 * S, 1.0)]

    path = path_of(dots, frame_of(NOON, NOON + 60 * S, [dots]), stepped=True)

    assert re.fullmatch(r"M96 234h0H544V10", path)


def test_thinning_keeps_the_least_the_greatest_and_every_gap() -> None:
    dots = [Dot(NOON + n * S, float(n % 50)) for n in range(20_000)]
    dots[7777] = Dot(NOON + 7777 * S, 1000.0)
    dots[9000] = Dot(NOON + 9000 * S, None)
    dots[12_345] = Dot(NOON + 12_345 * S, -5.0)

    kept = thinned(dots, NOON, NOON + 20_000 * S)

    values = [dot.value for dot in kept]
    assert len(kept) <= 3 * (COLUMNS + 1)
    assert {1000.0, -5.0, None} <= set(values)
    assert [dot.at_ns for dot in kept] == sorted(dot.at_ns for dot in kept)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50))
def test_every_value_is_inside_the_frame_and_so_is_every_tick(values: list[float]) -> None:
    dots = [Dot(NOON + n * S, value) for n, value in enumerate(values)]
    frame = frame_of(NOON, NOON + 100 * S, [dots])

    slack = 1e-9 * (1 + max(abs(value) for value in values))
    assert frame.low <= min(values) + slack
    assert frame.high >= max(values) - slack
    ticks = y_ticks(frame)
    assert 2 <= len(ticks) <= 11
    assert all(TOP <= tick.at <= HEIGHT - BOTTOM for tick in ticks)


def test_ticks_are_whole_hours_of_the_zone_and_days_over_a_long_span() -> None:
    day = frame_of(NOON, NOON + 86_400 * S, [])
    month = frame_of(NOON, NOON + 30 * 86_400 * S, [])

    assert [tick.text for tick in x_ticks(day, ZoneInfo("Asia/Kolkata"))][:3] == ["18:00", "21:00", "00:00"]
    assert all(re.fullmatch(r"\d\d/\d\d", tick.text) for tick in x_ticks(month))


def test_a_bar_stands_on_zero_over_its_interval_and_none_stands_for_the_unknown() -> None:
    dots = [Dot(NOON + 900 * S, 5.0), Dot(NOON + 1800 * S, None)]
    frame = frame_of(NOON, NOON + 3600 * S, [dots], zero=True)

    ((x, y, _, height),) = bars_of(dots, 900 * S, frame)

    assert (x, y, height) == (LEFT, frame.y(5.0), round(frame.y(0.0) - frame.y(5.0), 1))
