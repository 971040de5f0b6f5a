"""What a projection may read of the past: recorded values, load profiles, events by number."""

from typing import Protocol

import msgspec

from bridge.core.event import Event
from bridge.core.point import Sample

# Rows of one page; more are asked for with the time or number of the last one
PAGE_MOST = 1000
EVENTS_MOST = 200


class HistoryPage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """
    Rows, oldest first. `samples`: of an index its load profile (`value` None: an outage began; `seq`: the epoch, two of
    which have no difference), of all others what was recorded; `source_ns` is the time of the row. `more`: there are
    further ones. `failure`: why there is nothing.
    """

    samples: list[Sample] = []
    events: list[Event] = []
    more: bool = False
    failure: str = ""


class Recorded(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is recorded of a point: a row every `every_s`, 0 = on change; at most `rows` are kept, 0 = no telling."""

    every_s: float
    rows: int = 0


class RecordPage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """
    Numbered rows of a point, oldest first: `first` is the number of the first of `samples`, whose `source_ns` is the
    time of the row. `oldest` to `newest` are kept; none where `newest` is less. `failure`: why there is nothing.
    """

    samples: list[Sample] = []
    first: int = 0
    oldest: int = 1
    newest: int = 0
    failure: str = ""


class HistoryPort(Protocol):
    """Loop thread only; never raises."""

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = PAGE_MOST) -> HistoryPage:
        """Return the rows of a point with after_ns < time < before_ns; `index`: one of the projection's points."""
        ...

    async def records(self, index: int, first: int, most: int = PAGE_MOST, since_ns: int | None = None) -> RecordPage:
        """
        Return up to `most` rows of a point from number `first` on. Rows are numbered from 1 in the order of their
        times, and no number moves when old rows go. `since_ns`: `first` counts from the first row at or after that time
        instead: 0 is itself, -3 the third before it. Numbers that are no longer or not yet kept are left out.
        """
        ...

    async def events(self, after: int, most: int = EVENTS_MOST) -> HistoryPage:
        """Return events with a number greater than `after`: what `lost(first, last)` told of can be had with it."""
        ...


class NoHistory:
    """HistoryPort of who has none."""

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = PAGE_MOST) -> HistoryPage:
        return HistoryPage(failure="no history")

    async def records(self, index: int, first: int, most: int = PAGE_MOST, since_ns: int | None = None) -> RecordPage:
        return RecordPage(failure="no history")

    async def events(self, after: int, most: int = EVENTS_MOST) -> HistoryPage:
        return HistoryPage(failure="no history")
