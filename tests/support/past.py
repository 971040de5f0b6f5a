"""HistoryPort over lists of rows, as core.history describes it."""

from collections.abc import Mapping, Sequence

from bridge.core.history import EVENTS_MOST, PAGE_MOST, HistoryPage, NoHistory
from bridge.core.point import Sample


class ListedPast(NoHistory):
    """`rows`: of each index, oldest first. `asked`: every question, for who counts them."""

    def __init__(self, rows: Mapping[int, Sequence[Sample]]) -> None:
        self.rows = dict(rows)
        self.asked: list[tuple[int, int, int]] = []
        self.failure = ""

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = PAGE_MOST) -> HistoryPage:
        self.asked.append((index, after_ns, before_ns))
        if self.failure:
            return HistoryPage(failure=self.failure)
        found = [row for row in self.rows.get(index, ()) if after_ns < row.source_ns < before_ns]
        most = min(most, PAGE_MOST)
        return HistoryPage(samples=found[:most], more=len(found) > most)

    async def events(self, after: int, most: int = EVENTS_MOST) -> HistoryPage:
        return HistoryPage()
