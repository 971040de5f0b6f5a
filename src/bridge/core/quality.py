"""Quality of a sample: one model, which every projection shows in its own protocol's terms."""

import enum


class Quality(enum.IntFlag):
    """
    Why a value must not be trusted as a fresh reading; GOOD is the absence of every flag.

    The value of a bad sample is the last one held and `source_ns` is its own old time: nothing is invented.
    """

    GOOD = 0
    # the point has had no value since the core started
    NEVER_READ = 1 << 0
    # older than the point's `stale_after_ns`
    STALE = 1 << 1
    # the device does not answer, or the link to it is down
    COMM_LOST = 1 << 2
    # the device answers with an exception, or with its own "no value"
    DEVICE_FAULT = 1 << 3
    # outside the limits of the point, or not representable
    OUT_OF_RANGE = 1 << 4
    # not measured: put in place of a measurement (test or DEMO mode of the meter, operator)
    SUBSTITUTED = 1 << 5
    # the counter passed its modulus with this reading
    ROLLOVER = 1 << 6
    # the counter started anew: reset, replaced meter, edited energy
    DISCONTINUITY = 1 << 7
    # the time of the sample comes from a clock that is not synchronised
    CLOCK_UNSYNCED = 1 << 8
    # plausible only in part: a step not confirmed yet, an input of a derived point is bad
    QUESTIONABLE = 1 << 9


# A sample with one of these shows a value that is not a present reading of the meter.
UNUSABLE = Quality.NEVER_READ | Quality.STALE | Quality.COMM_LOST | Quality.DEVICE_FAULT | Quality.OUT_OF_RANGE


def is_good(quality: int) -> bool:
    """Tell whether a value may be shown without any reserve (notices of rollover and clock do not count)."""
    return not quality & (UNUSABLE | Quality.SUBSTITUTED | Quality.QUESTIONABLE)
