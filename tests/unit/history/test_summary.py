"""history.summary and the tidying of the database: what is left of values that are let go."""

from pathlib import Path

from bridge.core.quality import Quality
from bridge.history.database import Database
from bridge.history.rows import Pending, SampleRow, SummaryRow, Tidying
from bridge.history.summary import Summary, summaries

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
POINT = "m.active_power_total"


def test_a_period_becomes_its_mean_least_and_greatest() -> None:
    rows = [(MINUTE * n, float(n), 0) for n in range(1, 121)]

    assert list(summaries(rows, HOUR, 2 * HOUR)) == [
        Summary(HOUR, 30.5, 1.0, 60.0, 60, 0),
        Summary(2 * HOUR, 90.5, 61.0, 120.0, 60, 0),
    ]


def test_a_period_that_is_not_over_is_left_alone() -> None:
    rows = [(MINUTE * n, 1.0, 0) for n in range(1, 100)]

    assert [made.at_ns for made in summaries(rows, HOUR, 99 * MINUTE)] == [HOUR]


def test_a_bad_value_is_in_no_mean_and_a_doubtful_one_leaves_its_doubt() -> None:
    rows = [
        (1, 5.0, 0),
        (2, 99.0, int(Quality.COMM_LOST)),
        (3, None, int(Quality.NEVER_READ)),
        (4, 7.0, int(Quality.CLOCK_UNSYNCED)),
    ]

    assert list(summaries(rows, HOUR, HOUR)) == [Summary(HOUR, 6.0, 5.0, 7.0, 2, int(Quality.CLOCK_UNSYNCED))]


def test_a_period_without_a_value_is_a_gap() -> None:
    rows = [(1, 5.0, 0), (HOUR + 1, 5.0, int(Quality.STALE)), (2 * HOUR + 1, 5.0, 0)]

    assert [made.at_ns for made in summaries(rows, HOUR, 3 * HOUR)] == [HOUR, 3 * HOUR]


def test_tidying_sums_up_before_it_lets_go_and_never_twice(tmp_path: Path) -> None:
    with Database(tmp_path / "history.sqlite") as database:
        rows = [SampleRow(POINT, MINUTE * n, float(n), 0) for n in range(1, 301)]
        database.commit(Pending(samples=rows[:150]))
        for end, some in ((150 * MINUTE, rows[150:]), (300 * MINUTE, [])):
            database.tidy([Tidying(POINT, 0, end - HOUR, 0, HOUR, end)])
            database.commit(Pending(samples=some))

        assert [(row.at_ns // HOUR, row.mean, row.count) for row in database.summaries(POINT)] == [
            (1, 30.5, 60),
            (2, 90.5, 60),
            (3, 150.5, 60),
            (4, 210.5, 60),
            (5, 270.5, 60),
        ]
        assert [row.at_ns // MINUTE for row in database.samples(POINT)] == list(range(240, 301))
        assert database.check() == ""


def test_summaries_go_too_when_their_time_is_over(tmp_path: Path) -> None:
    with Database(tmp_path / "history.sqlite") as database:
        database.commit(Pending(samples=[SampleRow(POINT, n * HOUR, 1.0, 0) for n in range(1, 10)]))

        database.tidy([Tidying(POINT, 0, 0, 8 * HOUR, HOUR, 9 * HOUR)])

        assert database.summaries(POINT) == [SummaryRow(POINT, n * HOUR, 1.0, 1.0, 1.0, 1, 0) for n in (8, 9)]
