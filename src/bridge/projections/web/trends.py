"""The page of trends: chosen points over a chosen time, one picture a unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from starlette.requests import Request

from bridge.core.point import Kind, PointDef, Sample
from bridge.projections.web import chart
from bridge.projections.web.core import Core
from bridge.projections.web.past import dots_of, series_of
from bridge.projections.web.shown import value_text
from bridge.projections.web.span import SPANS, Span, span_of, stamp
from bridge.projections.web.words import Words

# Points on one page: as many colours as one can tell apart
POINTS_MOST = 6
# Names offered to choose from, of a site with more a person types
_OFFERED_MOST = 400
# Values a browser is given for its reading under the pointer
_READ_MOST = 240
_STEPPED = frozenset({Kind.BINARY, Kind.MULTISTATE})


@dataclass(frozen=True, slots=True)
class Line:
    """One point. `number`: of its colour. `read`: [ms, text] for the reading under the pointer. `rows`: how many."""

    definition: PointDef
    number: int
    path: str
    read: list[tuple[int, str]]
    rows: int
    thin: bool
    failure: str
    least: str
    greatest: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture. `data`: JSON for the script: the span in ms, the edges of the plot, the lines."""

    unit: str
    lines: list[Line]
    y: list[chart.Tick]
    x: list[chart.Tick]
    gaps: list[tuple[float, float]]
    data: str


class Trends:
    """Loop thread only."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def collect(self, request: Request, words: Words) -> Mapping[str, Any]:
        """Return what the page shows."""
        core, query = self._core, request.query_params
        span = span_of(query, core.clock.utc_ns())
        recorded = await core.recorded()
        names = list(dict.fromkeys(name for name in query.getlist("point") if name in core.defs))[:POINTS_MOST]
        chosen = [core.defs[name] for name in names]
        lines = [await self._line(definition, number, span, words) for number, definition in enumerate(chosen)]
        by_unit: dict[str, list[tuple[Line, list[chart.Dot]]]] = {}
        for line, dots in lines:
            by_unit.setdefault(line.definition.unit, []).append((line, dots))
        known = [name for name in (*recorded.values, *recorded.billed) if name in core.defs]
        return {
            "span": span,
            "spans": list(SPANS),
            "begin": stamp(span.begin_ns),
            "end": stamp(span.end_ns),
            "chosen": chosen,
            "pictures": [_picture(span, found) for found in by_unit.values()],
            "offered": known[:_OFFERED_MOST],
            "recorded": len(known),
            "room": len(chosen) < POINTS_MOST,
            "ways": _ways(span),
            "with_points": "".join(f"&point={name}" for name in names),
        }

    async def _line(self, definition: PointDef, number: int, span: Span, words: Words) -> tuple[Line, list[chart.Dot]]:
        series = await series_of(self._core.history, definition, span.begin_ns, span.end_ns)
        dots = chart.thinned(dots_of(definition, series.rows), span.begin_ns, span.end_ns)
        read = [
            (row.source_ns // 1_000_000, value_text(definition, row, words.language))
            for row in series.rows[:: max(len(series.rows) // _READ_MOST, 1)]
        ]
        usable = [(row.value, row) for row in series.rows if isinstance(row.value, int | float)]
        ends = [pick(usable, key=_first)[1] for pick in (min, max)] if usable else []
        least, greatest = (value_text(definition, row, words.language) for row in ends) if ends else ("", "")
        line = Line(definition, number, "", read, len(series.rows), series.thin, series.failure, least, greatest)
        return line, dots


def _picture(span: Span, found: Sequence[tuple[Line, list[chart.Dot]]]) -> Picture:
    frame = chart.frame_of(span.begin_ns, span.end_ns, [dots for _, dots in found])
    lines = [replace(line, path=chart.path_of(dots, frame, line.definition.kind in _STEPPED)) for line, dots in found]
    data = {
        "begin": span.begin_ns // 1_000_000,
        "end": span.end_ns // 1_000_000,
        "left": chart.LEFT,
        "right": chart.WIDTH - chart.RIGHT,
        "lines": [{"name": line.definition.id, "unit": line.definition.unit, "read": line.read} for line in lines],
    }
    gaps = [gap for _, dots in found for gap in chart.gaps_of(dots, frame)]
    text = msgspec.json.encode(data).decode()
    return Picture(lines[0].definition.unit, lines, chart.y_ticks(frame), chart.x_ticks(frame), gaps, text)


def _ways(span: Span) -> Mapping[str, str]:
    """Return where one may go from here: words and parameters."""
    return {
        "Earlier": span.moved(-0.5).query(),
        "Later": span.moved(0.5).query(),
        "Zoom in": span.scaled(0.5).query(),
        "Zoom out": span.scaled(2.0).query(),
    }


def _first(pair: tuple[float, Sample]) -> float:
    return pair[0]
