"""Which time a page shows: the last so many seconds, or from a moment to another; and the ways out of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

_NS = 1_000_000_000
# Names and seconds of the spans one may choose
SPANS: Mapping[str, int] = MappingProxyType(
    {"15min": 900, "1h": 3600, "6h": 21_600, "1d": 86_400, "7d": 604_800, "35d": 3_024_000}
)
_USUAL = "1h"
# s; shorter nobody can see anything, longer nothing is kept
_LEAST_S, _MOST_S = 10, 366 * 86_400


@dataclass(frozen=True, slots=True)
class Span:
    """`name`: of SPANS while it goes with the time, "" for one that stands still."""

    begin_ns: int
    end_ns: int
    name: str = ""

    @property
    def seconds(self) -> int:
        return (self.end_ns - self.begin_ns) // _NS

    def moved(self, shares: float) -> "Span":
        """Return the span so many of its lengths later."""
        by_ns = round((self.end_ns - self.begin_ns) * shares)
        return Span(self.begin_ns + by_ns, self.end_ns + by_ns)

    def scaled(self, factor: float) -> "Span":
        """Return a span around the same middle; within what makes sense."""
        middle_ns = (self.begin_ns + self.end_ns) // 2
        half_ns = round(min(max(self.seconds * factor, _LEAST_S), _MOST_S) * _NS / 2)
        return Span(middle_ns - half_ns, middle_ns + half_ns)

    def query(self) -> str:
        """Return it as the parameters that `span_of` reads."""
        return f"span={self.name}" if self.name else f"begin={stamp(self.begin_ns)}&end={stamp(self.end_ns)}"


def span_of(query: Mapping[str, str], now_ns: int) -> Span:
    """Return the span a request asks for; what is no time is as if it were not there."""
    begin_ns, end_ns = read_stamp(query.get("begin", "")), read_stamp(query.get("end", ""))
    if begin_ns is not None:
        end_ns = now_ns if end_ns is None else end_ns
        if _LEAST_S * _NS <= end_ns - begin_ns <= _MOST_S * _NS:
            return Span(begin_ns, end_ns)
    name = query.get("span", "")
    name = name if name in SPANS else _USUAL
    return Span(now_ns - SPANS[name] * _NS, now_ns, name)


def stamp(utc_ns: int) -> str:
    """Return a time as a form and an address carry it: 2026-01-31T12:00:00, UTC."""
    return datetime.fromtimestamp(utc_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def read_stamp(text: str) -> int | None:
    """Return the time in ns; None for what is none, or none of this age."""
    try:
        at = datetime.fromisoformat(text[:19])
    except ValueError:
        return None
    if at.tzinfo is not None or not 2000 <= at.year < 2200:
        return None
    return int(at.replace(tzinfo=UTC).timestamp()) * _NS
