"""bridge.projections.web.energy and span: exact differences, and none where nobody knows one."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from bridge.projections.web.energy import day_span, intervals_of, trail, trail_rows, used_since
from bridge.projections.web.rows import Closing
from bridge.projections.web.span import Span, span_of, stamp

S = 10**9
NOON = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()) * S
INDEX = PointDef(
    0, "m.active_energy_import", Kind.ACCUMULATOR, "kWh", False, 10**10, "m.yaml:1", resolution=-2, modulus=10_000
)


def closing(period: str, reading: str, epoch: int = 1, epoch_now: int = 1) -> Closing:
    return Closing(INDEX.id, period, reading, "kWh", epoch, epoch_now, "S1", NOON, 0)


def row(count: int | None, minute: int, epoch: int = 1) -> Sample:
    quality = Quality.NEVER_READ if count is None else Quality.GOOD
    return Sample(count, quality, NOON + minute * 60 * S, epoch)


# E-14
def test_a_day_is_used_from_the_reading_before_to_its_own_to_the_last_digit() -> None:
    found = trail(
        INDEX, [closing("2026-01-29", "10.10"), closing("2026-01-30", "10.30"), closing("2026-01-31", "10.30")]
    )

    assert [(entry.period, entry.reading, entry.used) for entry in found] == [
        ("2026-01-31", "10.30", "0.00"),
        ("2026-01-30", "10.30", "0.20"),
        ("2026-01-29", "10.10", ""),
    ]
    assert next(iter(trail_rows(found)))[:4] == ("2026-01-29", "10.10", "", "2026-01-31T12:00:00Z")


def test_months_follow_each_other_over_the_new_year() -> None:
    found = trail(INDEX, [closing("2025-12", "1.00"), closing("2026-01", "3.50")])

    assert found[0].used == "2.50"


def test_an_index_that_started_again_is_counted_over_its_end() -> None:
    assert trail(INDEX, [closing("2026-01-30", "99.90"), closing("2026-01-31", "0.05")])[0].used == "0.15"


@pytest.mark.parametrize(
    "second",
    [closing("2026-01-31", "50.00", epoch=2), closing("2026-02-02", "50.00")],
    ids=["another meter or a reset", "a day is missing between"],
)
def test_there_is_no_difference_over(second: Closing) -> None:
    assert trail(INDEX, [closing("2026-01-30", "10.00"), second])[0].used == ""


def test_today_is_what_came_since_the_last_closing_of_the_same_index() -> None:
    now = Sample(1234, Quality.GOOD, NOON, 0)

    assert used_since(INDEX, closing("2026-01-30", "10.00"), now) == "2.34"
    assert used_since(INDEX, closing("2026-01-30", "10.00", epoch_now=2), now) == ""
    assert used_since(INDEX, None, now) == ""
    assert used_since(INDEX, closing("2026-01-30", "10.00"), Sample(None, Quality.NEVER_READ, 0, 0)) == ""


# E-09 E-12
def test_an_interval_is_known_between_two_readings_of_one_index_only() -> None:
    rows = [row(100, 0), row(150, 15), row(None, 30), row(200, 45), row(5, 60, epoch=2), row(25, 75, epoch=2)]

    found = intervals_of(INDEX, rows)

    assert [interval.used for interval in found] == ["0.50", "", "", "", "0.20"]
    assert [interval.count for interval in found] == [50, None, None, None, 20]
    assert found[1].quality == ("outage",)


def test_a_day_is_one_of_the_zone_and_has_the_hours_it_has() -> None:
    spring, begin, end = day_span("2026-03-29", ZoneInfo("Europe/Paris"), NOON)

    assert spring == date(2026, 3, 29)
    assert (end - begin) // (3600 * S) == 23
    assert day_span("no day", ZoneInfo("UTC"), NOON)[0] == date(2026, 1, 31)
    assert day_span("9999-12-31", ZoneInfo("UTC"), NOON)[0] == date(2026, 1, 31)


@pytest.mark.parametrize(
    ("query", "seconds", "name"),
    [
        ({}, 3600, "1h"),
        ({"span": "7d"}, 604_800, "7d"),
        ({"span": "nonsense"}, 3600, "1h"),
        ({"begin": "2026-01-31T10:00:00", "end": "2026-01-31T10:30"}, 1800, ""),
        ({"begin": "2026-01-31T11:00"}, 3600, ""),
        ({"begin": "2026-01-31T11:00:00", "end": "2026-01-31T11:00:01"}, 3600, "1h"),
        ({"begin": "\u0661", "end": "x"}, 3600, "1h"),
        ({"begin": "1999-01-31T11:00:00"}, 3600, "1h"),
    ],
)
def test_a_span_is_what_the_address_says_or_the_last_hour(query: dict[str, str], seconds: int, name: str) -> None:
    span = span_of(query, NOON)

    assert (span.seconds, span.name) == (seconds, name)


def test_zooming_keeps_the_middle_and_moving_the_length() -> None:
    span = Span(NOON, NOON + 1000 * S)

    assert span.scaled(0.5) == Span(NOON + 250 * S, NOON + 750 * S)
    assert span.moved(0.5) == Span(NOON + 500 * S, NOON + 1500 * S)
    assert span.scaled(0.0001).seconds == 10
    assert span_of(dict(part.split("=") for part in span.query().split("&")), NOON) == span
    assert stamp(NOON) == "2026-01-31T12:00:00"
