"""
Readings that a bill is made from: the load profile (E-09, E-12) and the closing reading of each day and month (E-14).

The rule one must not break: a record holds a reading that was taken, with its own time; a reading that is missing is a
gap, and nothing is put in its place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase

from bridge.core.point import PointDef, Sample, counts_up
from bridge.core.quality import UNUSABLE
from bridge.services.accumulator import IndexState


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """One index at the end of one interval. `count` None: there was no reading in the interval."""

    point: str
    at_ns: int
    count: int | None
    epoch: int
    source_ns: int
    quality: int
    registers: bytes = b""


@dataclass(frozen=True, slots=True)
class Closing:
    """The reading that closes a day (`2026-01-31`) or a month (`2026-01`): the first one after it."""

    point: str
    period: str
    state: IndexState


def billed(patterns: Sequence[str], points: Iterable[PointDef]) -> list[PointDef]:
    """Return the indexes that the site bills by."""
    indexes = [point for point in points if counts_up(point)]
    return [point for point in indexes if any(fnmatchcase(point.id, pattern) for pattern in patterns)]


class Profile:
    """Tells when an interval is over. `last_ns`: end of the last interval recorded, 0 = none."""

    def __init__(self, period_ns: int, last_ns: int = 0) -> None:
        self._period_ns, self._last_ns = period_ns, last_ns

    def due(self, utc_ns: int) -> int:
        """Return the end of the interval that is over now, once each; 0 while none is."""
        end = utc_ns // self._period_ns * self._period_ns
        if end == self._last_ns:
            return 0
        first, self._last_ns = not self._last_ns, end
        # at the first look the interval under way began before us
        return 0 if first else end

    def begins_after_gap(self, utc_ns: int) -> int:
        """Return the end of the first interval that was missed while nobody looked, 0 when none was."""
        missed = self._last_ns + self._period_ns
        return missed if self._last_ns and missed <= utc_ns // self._period_ns * self._period_ns else 0


def profile_record(
    definition: PointDef, state: IndexState | None, sample: Sample, end_ns: int, period_ns: int
) -> ProfileRecord:
    """Return the record of an index; a reading older than the interval is none of it."""
    quality = int(sample.quality)
    if state is None or (sample.quality & UNUSABLE and state.source_ns <= end_ns - period_ns):
        return ProfileRecord(definition.id, end_ns, None, state.epoch if state else 0, 0, quality)
    return ProfileRecord(definition.id, end_ns, state.count, state.epoch, state.source_ns, quality, state.registers)


class Closings:
    """Finds the first reading of a new day. `before`: index states of an earlier process, by point id."""

    def __init__(self, zone: tzinfo, before: Mapping[str, IndexState]) -> None:
        self._zone = zone
        self._days = {id_: self._day(state.source_ns) for id_, state in before.items()}

    def closed_by(self, point: str, state: IndexState) -> list[Closing]:
        """Return what a reading closes: nothing, a day, or a day and a month."""
        day = self._day(state.source_ns)
        before = self._days.get(point)
        if before is not None and day <= before:
            # the clock may have been set back: no day is closed twice
            return []
        self._days[point] = day
        if before is None:
            return []
        closed = day - timedelta(days=1)
        closings = [Closing(point, closed.isoformat(), state)]
        if (before.year, before.month) != (day.year, day.month):
            closings.append(Closing(point, f"{closed.year:04}-{closed.month:02}", state))
        return closings

    def _day(self, utc_ns: int) -> date:
        return datetime.fromtimestamp(utc_ns / 1e9, UTC).astimezone(self._zone).date()
