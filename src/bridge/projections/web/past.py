"""What was recorded, as far as a page needs it: all of it where that is little, else some of every part of the span."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.history import HistoryPage, HistoryPort
from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import UNUSABLE
from bridge.projections.web.chart import Dot

# Pages of 1,000 rows read for one line; beyond, parts of the span are looked into
_PAGES_MOST = 8
# Parts looked into, and rows taken of each
_PARTS, _ROWS = 120, 8


@dataclass(frozen=True, slots=True)
class Series:
    """Rows of one point, oldest first. `thin`: there are more than were read. `failure`: why there are none."""

    rows: Sequence[Sample]
    thin: bool = False
    failure: str = ""


async def series_of(history: HistoryPort, definition: PointDef, begin_ns: int, end_ns: int) -> Series:
    """Read the rows of a span; both its ends belong to it."""
    rows: list[Sample] = []
    after_ns = begin_ns - 1
    for _ in range(_PAGES_MOST):
        page = await history.samples(definition.index, after_ns, end_ns + 1)
        if page.failure:
            return Series(rows, failure=page.failure)
        rows += page.samples
        if not page.more or not page.samples:
            return Series(rows)
        after_ns = page.samples[-1].source_ns
    return await _parts(history, definition, begin_ns, end_ns)


async def _parts(history: HistoryPort, definition: PointDef, begin_ns: int, end_ns: int) -> Series:
    rows: list[Sample] = []
    width_ns = max((end_ns - begin_ns) // _PARTS, 1)
    for at_ns in range(begin_ns, end_ns, width_ns):
        page: HistoryPage = await history.samples(definition.index, at_ns - 1, min(at_ns + width_ns, end_ns), _ROWS)
        if page.failure:
            return Series(rows, thin=True, failure=page.failure)
        rows += page.samples
    return Series(rows, thin=True)


def dots_of(definition: PointDef, rows: Sequence[Sample]) -> list[Dot]:
    """Return rows as what is drawn: an index in its unit (for the eye only), nothing where the value was bad."""
    scale = 10.0**definition.resolution if definition.kind is Kind.ACCUMULATOR else 1.0
    found: list[Dot] = []
    for row in rows:
        usable = isinstance(row.value, int | float) and not row.quality & UNUSABLE
        found.append(Dot(row.source_ns, float(row.value) * scale if usable else None))  # type: ignore[arg-type]
    return found
