"""Quality bits and time stamps, byte for byte."""

import pytest

from bridge.core.quality import Quality
from bridge.projections.iec61850.quality import ClockState, bits, clock_of, utc_time


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (Quality.GOOD, 0),
        (Quality.ROLLOVER | Quality.DISCONTINUITY | Quality.CLOCK_UNSYNCED, 0),
        (Quality.NEVER_READ, 0b10),
        (Quality.STALE, 0b11 | 1 << 7),
        (Quality.COMM_LOST, 0b11 | 1 << 7),
        (Quality.DEVICE_FAULT, 0b10 | 1 << 6),
        (Quality.OUT_OF_RANGE, 0b11 | 1 << 3),
        (Quality.QUESTIONABLE, 0b11 | 1 << 8),
        (Quality.SUBSTITUTED, 1 << 10),
        (Quality.STALE | Quality.DEVICE_FAULT, 0b10 | 1 << 6 | 1 << 7),
    ],
)
def test_flags_become_validity_and_details(flags: Quality, expected: int) -> None:
    assert bits(flags) == expected


def test_a_time_is_seconds_fraction_and_time_quality() -> None:
    assert utc_time(1_500_000_000) == bytes.fromhex("00000001 800000 8a")
    assert utc_time(0, ClockState.UNSYNCHRONISED)[7] == 0xBF
    assert utc_time(0, ClockState.FAILED)[7] == 0x7F


@pytest.mark.parametrize("source_ns", [-1, 1 << 63])
def test_a_time_outside_1970_to_2106_is_refused(source_ns: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        utc_time(source_ns)


def test_an_unsynchronised_clock_shows_in_the_time_and_not_in_the_quality() -> None:
    # T-04
    assert clock_of(Quality.CLOCK_UNSYNCED) is ClockState.UNSYNCHRONISED
    assert clock_of(Quality.STALE) is ClockState.SYNCHRONISED
