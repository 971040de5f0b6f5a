"""The past in the JSON API: recorded values, load profiles, closing readings."""

from starlette.requests import Request

from bridge.core.accumulator import decimal_text
from bridge.core.errors import OperationRefused
from bridge.core.history import PAGE_MOST
from bridge.core.point import Kind, PointDef, Sample
from bridge.projections.web.asked import NotFound, integer
from bridge.projections.web.core import Core
from bridge.projections.web.rows import Closing, HistoryAnswer, HistoryRow
from bridge.projections.web.shown import quality_words

# A time that every JSON reader holds and every database takes; the year 2255
TIME_MOST = 9_007_199_254_740_991_000


async def history(core: Core, request: Request) -> HistoryAnswer:
    """Raises: NotFound, BadRequest, OperationRefused."""
    definition = _definition(core, request)
    after_ns = integer(request, "after", 0, TIME_MOST)
    before_ns = integer(request, "before", TIME_MOST, TIME_MOST)
    limit = integer(request, "limit", PAGE_MOST, PAGE_MOST)
    page = await core.history.samples(definition.index, after_ns, before_ns, max(limit, 1))
    if page.failure:
        raise OperationRefused(page.failure)
    rows = [_row(definition, sample) for sample in page.samples[:limit]]
    more = rows[-1].time_ns if rows and (page.more or len(rows) < len(page.samples)) else None
    return HistoryAnswer(definition.id, definition.unit, rows, more)


async def closings(core: Core, request: Request) -> list[Closing]:
    """Raises: NotFound, OperationRefused."""
    return await core.closings(_definition(core, request).id)


def _definition(core: Core, request: Request) -> PointDef:
    definition = core.defs.get(request.path_params["id"])
    if definition is None:
        raise NotFound("expected a point of this site")
    return definition


def _row(definition: PointDef, sample: Sample) -> HistoryRow:
    value = sample.value
    if definition.kind is Kind.ACCUMULATOR and isinstance(value, int):
        value = decimal_text(value, definition.resolution)
    elif isinstance(value, float) and not -1e308 < value < 1e308:
        # JSON has no infinity
        value = None
    epoch = sample.seq if definition.kind is Kind.ACCUMULATOR else 0
    return HistoryRow(sample.source_ns, value, list(quality_words(sample.quality)), epoch)
