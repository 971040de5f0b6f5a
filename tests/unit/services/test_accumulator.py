"""services.accumulator: every rule of the state machine of an energy index (DESIGN 5), each by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.services.accumulator import CONFIRM, Index, IndexLimits, IndexState, Verdict
from tests.support.clock import SECOND

MODULUS = 100_000_000
LIMITS = IndexLimits(MODULUS, most_per_s=100.0)
MINUTE = 60 * SECOND


def index(count: int, serial: str = "", limits: IndexLimits = LIMITS) -> Index:
    return Index(limits, IndexState(count, 1, 4, serial))


def test_the_first_reading_is_accepted_whatever_it_is() -> None:
    fresh = Index(LIMITS)

    assert fresh.take(5_000, 10, 0) is Verdict.ACCEPTED
    assert fresh.state == IndexState(5_000, 10, 0)


def test_an_increase_is_accepted_with_its_time() -> None:
    counting = index(1_000)

    assert counting.take(1_500, 77, MINUTE) is Verdict.ACCEPTED
    assert counting.state == IndexState(1_500, 77, 4)


def test_no_increase_is_accepted_too() -> None:
    counting = index(1_000)

    assert counting.take(1_000, 77, MINUTE) is Verdict.ACCEPTED
    assert counting.state == IndexState(1_000, 77, 4)


def test_more_than_the_line_can_carry_is_held() -> None:
    counting = index(1_000)

    assert counting.take(1_000 + 6_011, 77, MINUTE) is Verdict.HELD
    assert counting.state == IndexState(1_000, 1, 4)


def test_after_an_outage_more_can_have_passed() -> None:
    assert index(1_000).take(1_000 + 6_011, 77, 61 * SECOND) is Verdict.ACCEPTED


def test_without_nominal_values_every_increase_is_plausible() -> None:
    assert index(1_000, limits=IndexLimits()).take(10**15, 77, 1) is Verdict.ACCEPTED


def test_from_near_the_modulus_to_near_zero_is_a_rollover_of_the_same_epoch() -> None:
    counting = index(MODULUS - 10)

    assert counting.take(20, 77, MINUTE) is Verdict.ROLLED
    assert counting.state == IndexState(20, 77, 4)


def test_from_the_middle_to_zero_is_no_rollover() -> None:
    assert index(MODULUS // 2, limits=IndexLimits(MODULUS)).take(20, 77, MINUTE) is Verdict.HELD


def test_a_rollover_by_more_than_the_line_can_carry_is_none() -> None:
    assert index(MODULUS - 10).take(MODULUS // 20, 77, MINUTE) is Verdict.HELD


def test_without_a_modulus_nothing_rolls_over() -> None:
    assert index(MODULUS - 10, limits=IndexLimits()).take(20, 77, MINUTE) is Verdict.HELD


def test_another_serial_number_starts_a_new_epoch_with_the_next_reading() -> None:
    counting = index(1_000, serial="A")

    assert counting.replaced("B")
    assert counting.take(3, 77, MINUTE) is Verdict.REPLACED
    assert counting.state == IndexState(3, 77, 5, "B")


def test_the_same_serial_number_changes_nothing() -> None:
    counting = index(1_000, serial="A")

    assert not counting.replaced("A")
    assert counting.take(1_001, 77, MINUTE) is Verdict.ACCEPTED


def test_a_serial_number_that_becomes_known_is_no_replacement() -> None:
    counting = index(1_000)

    assert not counting.replaced("A")
    assert counting.take(1_001, 77, MINUTE) is Verdict.ACCEPTED
    assert counting.state == IndexState(1_001, 77, 4, "A")


def test_the_serial_number_of_the_first_reading_is_kept() -> None:
    fresh = Index(LIMITS)

    assert not fresh.replaced("A")
    fresh.take(1, 77, 0)

    assert fresh.state == IndexState(1, 77, 0, "A")


def test_a_regression_is_held_and_accepted_after_three_confirming_reads_as_a_new_epoch() -> None:
    # M-47: edited energy, master reset, firmware upgrade
    counting = index(1_000)

    verdicts = [counting.take(count, 70 + count, MINUTE) for count in (5, 5, 6, 9)]

    assert verdicts == [*[Verdict.HELD] * CONFIRM, Verdict.RESET]
    assert counting.state == IndexState(9, 79, 5)


def test_while_it_is_held_the_count_and_its_time_stay() -> None:
    counting = index(1_000)

    counting.take(5, 77, MINUTE)

    assert counting.state == IndexState(1_000, 1, 4)


def test_one_odd_reading_is_forgotten_when_the_index_goes_on() -> None:
    counting = index(1_000)
    counting.take(5, 77, MINUTE)

    assert counting.take(1_001, 78, MINUTE) is Verdict.ACCEPTED
    assert [counting.take(5, 79, MINUTE) for _ in range(3)] == [Verdict.HELD] * 3


def test_odd_readings_that_do_not_agree_confirm_nothing() -> None:
    counting = index(1_000_000)

    verdicts = [counting.take(count, 77, SECOND) for count in (5, 500_000, 7, 300_000, 9, 200_000)]

    assert verdicts == [Verdict.HELD] * 6


@pytest.mark.parametrize("count", [-1, -(10**12), MODULUS, 10**18])
def test_a_count_that_no_register_shows_is_refused_for_ever(count: int) -> None:
    counting = index(1_000)

    assert [counting.take(count, 77, MINUTE) for _ in range(6)] == [Verdict.REFUSED] * 6
    assert counting.state == IndexState(1_000, 1, 4)


def test_time_going_back_refuses_nothing_that_goes_on() -> None:
    # BARS R5
    counting = index(1_000)

    assert counting.take(1_001, -5, MINUTE) is Verdict.ACCEPTED


@given(st.lists(st.integers(min_value=-(10**9), max_value=2 * 10**8), max_size=60))
def test_whatever_is_read_inside_one_epoch_the_count_never_falls_but_by_a_rollover(readings: list[int]) -> None:
    # BARS R8: monotonic
    counting = Index(LIMITS)
    for reading in readings:
        before = counting.state
        verdict = counting.take(reading, 1, MINUTE)
        after = counting.state
        if before is not None and after is not None and after.epoch == before.epoch and verdict is not Verdict.ROLLED:
            assert after.count >= before.count
