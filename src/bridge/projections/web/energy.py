"""Readings and what was used between them: days, months and intervals of an index. Pure; never through a float."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import pairwise

from bridge.core.accumulator import decimal_text, difference
from bridge.core.point import PointDef, Sample
from bridge.projections.web.rows import Closing
from bridge.projections.web.shown import quality_words

_NS = 1_000_000_000
# Letters of a day in `Closing.period`; a month has seven
_DAY_LETTERS = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One day, month or interval. `used`: since the entry before, "" where there is no difference to be had."""

    period: str
    reading: str
    used: str
    read_ns: int
    quality: tuple[str, ...]
    serial_number: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of the load profile. `count`: used in it; None: nobody knows."""

    end_ns: int
    reading: str
    count: int | None
    used: str
    quality: tuple[str, ...]


def days_of(closings: Sequence[Closing]) -> list[Closing]:
    return [closing for closing in closings if len(closing.period) == _DAY_LETTERS]


def months_of(closings: Sequence[Closing]) -> list[Closing]:
    return [closing for closing in closings if len(closing.period) < _DAY_LETTERS]


def trail(definition: PointDef, closings: Sequence[Closing]) -> list[Entry]:
    """Return the readings of days or of months with what was used in each, the newest first."""
    found: list[Entry] = []
    before: Closing | None = None
    for closing in closings:
        follows = before is not None and _next(before.period) == closing.period
        used = "" if before is None or not follows else used_between(definition, before, closing)
        found.append(
            Entry(
                closing.period,
                closing.reading,
                used,
                closing.read_ns,
                quality_words(closing.quality),
                closing.serial_number,
            )
        )
        before = closing
    return found[::-1]


def used_between(definition: PointDef, before: Closing, after: Closing) -> str:
    """Return what was used between two readings; "" over a reset or another meter."""
    if before.epoch != after.epoch or before.unit != after.unit:
        return ""
    return _difference(definition, Decimal(before.reading), Decimal(after.reading))


def used_since(definition: PointDef, closing: Closing | None, now: Sample) -> str:
    """Return what was used since a closing reading; "" where the index is not known or is another one since."""
    if closing is None or closing.epoch != closing.epoch_now or not isinstance(now.value, int):
        return ""
    return _difference(definition, Decimal(closing.reading), Decimal(now.value).scaleb(definition.resolution))


def intervals_of(definition: PointDef, rows: Sequence[Sample]) -> list[Interval]:
    """Return the load profile between rows; an outage and a change of epoch have no use that anybody knows."""
    return [_interval(definition, before, row) for before, row in pairwise(rows)]


def day_span(text: str, zone: tzinfo, now_ns: int) -> tuple[date, int, int]:
    """Return a day of the zone and when it begins and ends (UTC ns); today for what is no day."""
    try:
        day = date.fromisoformat(text)
        if not 2000 <= day.year < 2200:
            raise ValueError
    except ValueError:
        day = datetime.fromtimestamp(now_ns / _NS, UTC).astimezone(zone).date()
    begin, end = (datetime(d.year, d.month, d.day, tzinfo=zone) for d in (day, day + timedelta(days=1)))
    return day, int(begin.timestamp()) * _NS, int(end.timestamp()) * _NS


def trail_rows(entries: Sequence[Entry]) -> Iterator[tuple[str, ...]]:
    """Return the entries as cells, oldest first."""
    for entry in reversed(entries):
        read = datetime.fromtimestamp(entry.read_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield entry.period, entry.reading, entry.used, read, "+".join(entry.quality), entry.serial_number


def interval_rows(intervals: Sequence[Interval]) -> Iterator[tuple[str, ...]]:
    """Return the intervals as cells, oldest first."""
    for interval in intervals:
        end = datetime.fromtimestamp(interval.end_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield end, interval.reading, interval.used, "+".join(interval.quality)


def _interval(definition: PointDef, before: Sample, row: Sample) -> Interval:
    reading = decimal_text(row.value, definition.resolution) if isinstance(row.value, int) else ""
    count: int | None = None
    if isinstance(before.value, int) and isinstance(row.value, int) and before.seq == row.seq:
        count = difference(before.value, row.value, definition.modulus)
    used = "" if count is None else decimal_text(count, definition.resolution)
    quality = ("outage",) if row.value is None else quality_words(row.quality)
    return Interval(row.source_ns, reading, count, used, quality)


def _difference(definition: PointDef, before: Decimal, after: Decimal) -> str:
    """Exact, also where the resolution has changed between the two."""
    used = after - before
    if used < 0 and definition.modulus:
        used += Decimal(definition.modulus).scaleb(definition.resolution)
    return f"{used:f}"


def _next(period: str) -> str:
    if len(period) == _DAY_LETTERS:
        return (date.fromisoformat(period) + timedelta(days=1)).isoformat()
    first = date.fromisoformat(f"{period}-01")
    return (first + timedelta(days=31)).replace(day=1).isoformat()[:7]
