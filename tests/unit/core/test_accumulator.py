"""core.accumulator: a hundred thousand register values become the counts they were made from (DESIGN 5)."""

import math
import struct
from fractions import Fraction

import pytest

from bridge.core.accumulator import as_float, count_of_float, decimal_text
from bridge.core.errors import DecodeError

# counts of 10 Wh: an index of a thousand kWh, one value each
COUNTS = range(100_301)
PER_KWH = Fraction(100)


def single(value: float) -> float:
    """The float32 register that shows `value`."""
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


def spacing(value: float) -> float:
    """Between neighbouring float32 numbers at `value`."""
    return float(math.ldexp(1.0, math.frexp(value)[1] - 24))


def test_every_float64_reading_becomes_its_count_where_the_plain_floor_is_thousands_of_times_wrong() -> None:
    wrong = [n for n in COUNTS if count_of_float(n / 100, PER_KWH) != n]
    plain = sum(math.floor(n / 100 * 100) != n for n in COUNTS)

    assert wrong == []
    # as measured for DESIGN 5 over another range: 4,708 of 100,301
    assert plain > 4_000


@pytest.mark.parametrize("first", [10**6, 10**8, 435_643_576_561, 10**12])
def test_readings_of_great_indexes_become_their_counts(first: int) -> None:
    counts = range(first, first + 100_000, 7)

    assert [n for n in counts if count_of_float(n / 100, PER_KWH) != n] == []


def test_energy_between_two_steps_is_never_rounded_up() -> None:
    shares = (0.000_01, 0.25, 0.5, 0.75, 0.999_99)

    wrong = [(n, s) for n in range(0, 100_000, 5) for s in shares if count_of_float((n + s) / 100, PER_KWH) != n]

    assert wrong == []


def test_every_float32_reading_becomes_its_count_as_long_as_the_format_can_tell_two_counts() -> None:
    # 131,072 kWh: from here on float32 numbers are further apart than 10 Wh
    counts = range(0, 13_107_200, 131)

    wrong = [n for n in counts if count_of_float(single(n / 100), PER_KWH, spacing(n / 100)) != n]

    assert len(counts) > 100_000
    assert wrong == []


def test_a_float32_too_coarse_for_the_step_is_taken_down_to_the_step_below_what_it_says() -> None:
    for n in range(13_107_200, 40_000_000, 999_983):
        register = single(n / 100)

        count = count_of_float(register, PER_KWH, spacing(register))

        assert Fraction(count, 100) <= Fraction(register) < Fraction(count + 1, 100)


def test_counts_are_shown_with_every_digit_and_come_back() -> None:
    for n in range(0, 10**9, 9_973):
        assert Fraction(decimal_text(n, -2)) == Fraction(n, 100)
        assert count_of_float(as_float(n, -2), PER_KWH) == n


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_energy_is_refused(value: float) -> None:
    with pytest.raises(DecodeError):
        count_of_float(value, PER_KWH)
