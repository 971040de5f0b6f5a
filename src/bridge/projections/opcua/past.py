"""Rows of the history in either direction; the port itself knows oldest first only (core.history)."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.history import PAGE_MOST, HistoryPort
from bridge.core.point import Sample

# ns; the first look backwards, doubled while there is too little in it
_WINDOW_NS = 3_600_000_000_000
# Questions for one page, at most: half of them find the century, the other half the moment.
_QUESTIONS = 100


class Failed(Exception):
    """The history cannot be read now; the text says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows with after_ns < time < before_ns; `newest_first`: the way they are wanted."""

    after_ns: int
    before_ns: int
    newest_first: bool = False

    def behind(self, time_ns: int) -> "Span":
        """Return what is left when the rows up to `time_ns` have been taken."""
        if self.newest_first:
            return Span(self.after_ns, time_ns, True)
        return Span(time_ns, self.before_ns)


async def rows(port: HistoryPort, index: int, span: Span, most: int) -> tuple[Sequence[Sample], bool]:
    """Return the first rows of a span in its direction, and whether there are more. Raises: Failed."""
    if not span.newest_first:
        return await _page(port, index, span.after_ns, span.before_ns, most)
    found: list[Sample] = []
    # no row wanted is at `before_ns` or later; the newest one is later than `floor_ns`
    floor_ns, before_ns, width_ns = span.after_ns, span.before_ns, _WINDOW_NS
    for _ in range(_QUESTIONS):
        after_ns = max(floor_ns, before_ns - width_ns)
        page, more = await _page(port, index, after_ns, before_ns, PAGE_MOST)
        if more:
            # these are the oldest of too many
            floor_ns = max(after_ns, page[-1].source_ns)
            width_ns = (before_ns - floor_ns) // 2 + 1
            continue
        found += reversed(page)
        if len(found) > most:
            return found[:most], True
        if after_ns <= span.after_ns:
            return found, False
        # a row at the edge itself belongs to the next window
        before_ns = after_ns + 1
        if page:
            floor_ns = span.after_ns
        width_ns = 2 * width_ns if floor_ns == span.after_ns else (before_ns - floor_ns) // 2 + 1
    raise Failed("too many rows within a moment")


async def _page(
    port: HistoryPort, index: int, after_ns: int, before_ns: int, most: int
) -> tuple[Sequence[Sample], bool]:
    page = await port.samples(index, after_ns, before_ns, most)
    if page.failure:
        raise Failed(page.failure)
    return page.samples, page.more
