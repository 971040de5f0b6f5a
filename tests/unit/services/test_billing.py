"""services.billing: the load profile and the closing readings of days and months."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.services.accumulator import IndexState
from bridge.services.billing import Closing, Closings, Profile, ProfileRecord, billed, profile_record
from tests.support.clock import NEW_YEAR, SECOND
from tests.support.field_points import point

QUARTER = 900 * SECOND
ENERGY = point("active_energy_import", 0)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def read(text: str, count: int = 100) -> IndexState:
    return IndexState(count, at(text), 3, "A1")


def test_an_interval_is_over_once_at_its_end() -> None:
    # E-09
    profile = Profile(QUARTER)
    seconds = [*range(1801)]

    due = [(s, end) for s in seconds if (end := profile.due(NEW_YEAR + 5 * SECOND + s * SECOND))]

    assert due == [(895, NEW_YEAR + QUARTER), (1795, NEW_YEAR + 2 * QUARTER)]


def test_the_interval_that_was_under_way_at_the_first_start_is_none() -> None:
    assert Profile(QUARTER).due(NEW_YEAR + 5) == 0


def test_intervals_missed_while_the_bridge_was_down_are_told() -> None:
    # E-12
    profile = Profile(QUARTER, last_ns=NEW_YEAR)

    assert profile.begins_after_gap(NEW_YEAR + 899 * SECOND) == 0
    assert profile.begins_after_gap(NEW_YEAR + 3 * QUARTER) == NEW_YEAR + QUARTER


def test_a_record_holds_the_reading_with_its_own_time() -> None:
    state = IndexState(123, NEW_YEAR + 880 * SECOND, 3)
    sample = Sample(123, Quality.GOOD, state.source_ns, 1)

    record = profile_record(ENERGY, state, sample, NEW_YEAR + QUARTER, QUARTER)

    assert record == ProfileRecord("m.active_energy_import", NEW_YEAR + QUARTER, 123, 3, state.source_ns, 0)


def test_a_device_lost_within_the_interval_still_has_a_reading_of_it() -> None:
    state = IndexState(123, NEW_YEAR + 100 * SECOND, 3)
    sample = Sample(123, Quality.COMM_LOST, state.source_ns, 1)

    record = profile_record(ENERGY, state, sample, NEW_YEAR + QUARTER, QUARTER)

    assert (record.count, record.quality) == (123, int(Quality.COMM_LOST))


def test_an_interval_without_any_reading_is_a_gap() -> None:
    state = IndexState(123, NEW_YEAR - SECOND, 3)
    sample = Sample(123, Quality.COMM_LOST, state.source_ns, 1)

    assert profile_record(ENERGY, state, sample, NEW_YEAR + QUARTER, QUARTER).count is None
    assert profile_record(ENERGY, None, Sample(None, Quality.NEVER_READ, 0, 1), NEW_YEAR, QUARTER).count is None


def test_the_first_reading_of_a_day_closes_the_day_before() -> None:
    # E-14
    closings = Closings(UTC, {})
    closings.closed_by("m.e", read("2026-03-09T23:59:30"))
    later = read("2026-03-10T00:00:30", 101)

    assert closings.closed_by("m.e", later) == [Closing("m.e", "2026-03-09", later)]
    assert closings.closed_by("m.e", read("2026-03-10T00:01:30")) == []


def test_the_first_reading_of_a_month_closes_the_month_as_well() -> None:
    # E-14
    closings = Closings(UTC, {})
    closings.closed_by("m.e", read("2026-02-28T23:59:30"))

    closed = closings.closed_by("m.e", read("2026-03-01T00:00:10"))

    assert [closing.period for closing in closed] == ["2026-02-28", "2026-02"]


def test_days_begin_at_midnight_of_the_site() -> None:
    # T-03
    closings = Closings(ZoneInfo("Europe/Paris"), {})
    closings.closed_by("m.e", read("2026-07-01T21:59:30"))

    assert [c.period for c in closings.closed_by("m.e", read("2026-07-01T22:00:30"))] == ["2026-07-01"]


def test_a_restart_over_midnight_closes_the_day_with_the_first_reading_there_is() -> None:
    closings = Closings(UTC, {"m.e": read("2026-03-09T18:00:00")})
    morning = read("2026-03-10T06:30:00", 140)

    assert closings.closed_by("m.e", morning) == [Closing("m.e", "2026-03-09", morning)]


def test_a_clock_that_is_set_back_over_midnight_closes_no_day_twice() -> None:
    # BARS R5
    closings = Closings(UTC, {})
    closings.closed_by("m.e", read("2026-03-09T23:59:30"))
    closings.closed_by("m.e", read("2026-03-10T00:00:30"))

    assert closings.closed_by("m.e", read("2026-03-09T23:30:00")) == []
    assert closings.closed_by("m.e", read("2026-03-10T00:00:00")) == []


def test_what_is_billed_are_indexes_only() -> None:
    points = [
        ENERGY,
        point("active_energy_net", 1),
        point("active_power_total", 2),
        point("active_energy_import_l1", 3),
    ]

    assert billed(("*.active_energy_import", "*.active_energy_net"), points) == [ENERGY]
