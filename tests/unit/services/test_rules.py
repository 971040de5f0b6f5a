"""services.rules: what a derived point inherits from its inputs."""

import math

from bridge.core.point import NEVER_READ, Sample
from bridge.core.quality import Quality
from bridge.services.rules import Numbers, derive

HELD = Sample(7.0, Quality.GOOD, 50, 1)


def total(values: Numbers, settings: Numbers, held: object) -> float:
    return sum(values) + sum(settings)


def good(value: float, at_ns: int = 100) -> Sample:
    return Sample(value, Quality.GOOD, at_ns, 1)


def test_a_result_is_as_old_as_its_oldest_input() -> None:
    result = derive(total, [good(1.0, 300), good(2.0, 200)], [], HELD, 9)

    assert result == Sample(3.0, Quality.GOOD, 200, 9)


def test_a_setting_makes_no_result_older() -> None:
    result = derive(total, [good(1.0, 300)], [good(2.0, 10)], HELD, 9)

    assert result == Sample(3.0, Quality.GOOD, 300, 9)


def test_without_one_input_the_result_is_held_with_its_time_and_says_why() -> None:
    lost = Sample(2.0, Quality.COMM_LOST, 200, 1)

    result = derive(total, [good(1.0, 300), lost], [], HELD, 9)

    assert result == Sample(7.0, Quality.COMM_LOST | Quality.QUESTIONABLE, 50, 9)


def test_a_result_that_never_was_is_not_made_up_from_the_inputs_that_are_there() -> None:
    result = derive(total, [good(1.0), NEVER_READ], [], NEVER_READ, 9)

    assert result == Sample(None, Quality.NEVER_READ, 0, 9)


def test_a_stale_input_makes_the_result_stale() -> None:
    result = derive(total, [Sample(1.0, Quality.STALE, 100, 1)], [], HELD, 9)

    assert result.quality == Quality.STALE | Quality.QUESTIONABLE


def test_doubt_about_an_input_is_doubt_about_the_result() -> None:
    doubtful = Sample(1.0, Quality.QUESTIONABLE | Quality.CLOCK_UNSYNCED, 100, 1)

    result = derive(total, [doubtful, good(1.0)], [], HELD, 9)

    assert result == Sample(2.0, Quality.QUESTIONABLE | Quality.CLOCK_UNSYNCED, 100, 9)


def test_that_one_input_rolled_over_is_no_news_of_the_sum() -> None:
    result = derive(total, [Sample(1.0, Quality.ROLLOVER, 100, 1)], [], HELD, 9)

    assert result.quality == Quality.GOOD


def test_where_there_is_no_answer_the_last_one_is_held_in_doubt() -> None:
    result = derive(lambda values, settings, held: math.nan, [good(0.0)], [], HELD, 9)

    assert result == Sample(7.0, Quality.QUESTIONABLE, 50, 9)
