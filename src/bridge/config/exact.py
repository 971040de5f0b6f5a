"""Numbers of the YAML as exact fractions, and durations. Pure."""

import re
from fractions import Fraction

from bridge.config.faults import Wrong

# Powers of ten a count may stand for, in its unit
MIN_RESOLUTION, MAX_RESOLUTION = -9, 6
# Shortest poll period (CONFIG.md) and longest, ns
MIN_PERIOD_NS, MAX_PERIOD_NS = 200_000_000, 86_400_000_000_000

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|min|h)\Z", re.ASCII)
_UNIT_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}


def exact(number: float) -> Fraction:
    """Return the decimal that the user wrote: 0.01 is 1/100, not the float next to it."""
    return Fraction(repr(number))


def power_of_ten(number: float) -> int:
    """Return k where `number` is 10**k. Raises: Wrong."""
    for exponent in range(MIN_RESOLUTION, MAX_RESOLUTION + 1):
        if exact(number) == Fraction(10) ** exponent:
            return exponent
    raise Wrong("resolution", f"expected a power of ten from 1e-9 to 1e6 such as 0.01, found {number:g}")


def duration_ns(text: str, key: str = "") -> int:
    """Return a period such as `500ms`, `2s`, `1m` in ns. Raises: Wrong."""
    match = _DURATION.match(text)
    if match is None or len(text) > 20:
        raise Wrong(key, f'expected a time such as 500ms, 2s, 1m or 1h, found the text "{text[:20]}"')
    period = int(Fraction(match[1]) * _UNIT_NS[match[2]])
    if not MIN_PERIOD_NS <= period <= MAX_PERIOD_NS:
        raise Wrong(key, f"expected a time from 200ms to 24h, found {text}")
    return period
