"""The pages of energy and demand: every billed index, and the readings of one by month, day and interval."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.accumulator import as_float
from bridge.core.point import DeviceDef, PointDef
from bridge.core.quantity import Quantity, Statistic
from bridge.projections.web import chart, energy
from bridge.projections.web.asked import NotFound
from bridge.projections.web.core import Core
from bridge.projections.web.files import cell
from bridge.projections.web.live import row
from bridge.projections.web.past import series_of
from bridge.projections.web.rows import Closing
from bridge.projections.web.shown import value_text
from bridge.projections.web.words import Words

_NS = 1_000_000_000
# Days and months on the page of one index; the file has all
_DAYS_SHOWN, _MONTHS_SHOWN = 35, 36
_PEAKS = frozenset(
    {Quantity.ACTIVE_DEMAND, Quantity.REACTIVE_DEMAND, Quantity.APPARENT_DEMAND, Quantity.CURRENT_DEMAND}
)
# What must be read with every figure that somebody may pay by (M-33, E-18)
_NOTICES = {
    True: (
        "Information only: a bill must be checkable at the meter.",
        "Information over Modbus has no legal value of its own.",
    ),
    False: (
        "Information only: a bill must be checkable at the meter.",
        "This meter is not certified (MID): not fit for billing to third parties.",
    ),
}
_CALCULATED = "Computed by the bridge from other meters: no meter shows this figure."


@dataclass(frozen=True, slots=True)
class Peak:
    """`at`: when it was, "" where the meter does not say."""

    label: PointDef
    value: str
    at: str
    quality: str


class EnergyPages:
    """Loop thread only."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def overview(self, _: Request, words: Words) -> Mapping[str, Any]:
        """Return what the page of all indexes shows."""
        core = self._core
        recorded, site = await core.recorded(), await core.site()
        closings: dict[str, dict[int, Closing]] = {}
        for closing in await core.last_closings():
            closings.setdefault(closing.point, {})[len(closing.period)] = closing
        indexes = []
        for definition in _known(core, recorded.billed):
            sample, mine = core.sample(definition), closings.get(definition.id, {})
            today = energy.used_since(definition, mine.get(10), sample)
            month = energy.used_since(definition, mine.get(7), sample)
            device = core.devices[definition.device]
            indexes.append(
                (definition, device, site.devices.get(device.id, ""), row(core, definition, words), today, month)
            )
        return {"indexes": indexes, "peaks": {name: peaks_of(core, name, words) for name in core.devices}}

    async def index(self, request: Request, words: Words) -> Mapping[str, Any]:
        """Return what the page of one index shows."""
        core, definition, device, zone, period_ns = await self._asked(request)
        closings = await core.closings(definition.id)
        days, months = energy.days_of(closings), energy.months_of(closings)
        day, begin_ns, end_ns = energy.day_span(request.query_params.get("day", ""), zone, core.clock.utc_ns())
        intervals, failure = await self._intervals(definition, begin_ns, end_ns, period_ns)
        sample = core.sample(definition)
        return {
            "definition": definition,
            "device": device,
            "row": row(core, definition, words),
            "today": energy.used_since(definition, days[-1] if days else None, sample),
            "month": energy.used_since(definition, months[-1] if months else None, sample),
            "days": energy.trail(definition, days)[:_DAYS_SHOWN],
            "months": energy.trail(definition, months)[:_MONTHS_SHOWN],
            "day": day.isoformat(),
            "before": (day - timedelta(days=1)).isoformat(),
            "after": (day + timedelta(days=1)).isoformat(),
            "zone": zone.key,
            "intervals": intervals[::-1],
            "failure": failure,
            "picture": _bars(definition, intervals, begin_ns, end_ns, period_ns, zone),
            "peaks": peaks_of(core, device.id, words),
            "notices": notices_of(device),
        }

    def routes(self) -> list[Route]:
        """Return the routes of the files."""
        return [Route("/energy/{id}.csv", self._file, methods=["GET"])]

    async def _file(self, request: Request) -> Response:
        """The readings of days and months, or of the intervals of one day, as CSV with the notices on top."""
        try:
            _, definition, device, zone, period_ns = await self._asked(request)
        except NotFound:
            return Response("No such index.\n", 404, media_type="text/plain")
        words = Words("en")
        lines: list[Sequence[str]] = [(f"# {words(notice)}",) for notice in notices_of(device)]
        tenant = device.labels.get("tenant", "")
        lines.append((f"# {definition.id} in {definition.unit}, tenant {tenant or 'none'}, days of {zone.key}",))
        if "day" in request.query_params:
            _, begin_ns, end_ns = energy.day_span(request.query_params["day"], zone, self._core.clock.utc_ns())
            intervals, _ = await self._intervals(definition, begin_ns, end_ns, period_ns)
            lines += [("interval_end", "reading", "used", "quality"), *energy.interval_rows(intervals)]
        else:
            closings = await self._core.closings(definition.id)
            lines.append(("period", "reading", "used", "read_at", "quality", "serial_number"))
            for part in (energy.months_of(closings), energy.days_of(closings)):
                lines += energy.trail_rows(energy.trail(definition, part))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([cell(word) for word in line] for line in lines)
        headers = {"content-disposition": f'attachment; filename="{definition.id}.csv"'}
        return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

    async def _asked(self, request: Request) -> tuple[Core, PointDef, DeviceDef, ZoneInfo, int]:
        """Return what belongs to the index of a request. Raises: NotFound, OperationRefused."""
        core, recorded = self._core, await self._core.recorded()
        name = request.path_params["id"]
        if name not in core.defs or name not in recorded.billed:
            raise NotFound
        definition = core.defs[name]
        return core, definition, core.devices[definition.device], ZoneInfo(recorded.timezone), recorded.period_s * _NS

    async def _intervals(
        self, definition: PointDef, begin_ns: int, end_ns: int, period_ns: int
    ) -> tuple[list[energy.Interval], str]:
        """Return the intervals that end in a span, and why there are none; the row at its beginning is no interval."""
        series = await series_of(self._core.history, definition, begin_ns - begin_ns % period_ns, end_ns)
        return energy.intervals_of(definition, series.rows), series.failure


def peaks_of(core: Core, device: str, words: Words) -> list[Peak]:
    """Return the greatest demands of a meter with their times."""
    definitions = core.by_device.get(device, [])
    times = {_demand_of(d): d for d in definitions if _is(d, Statistic.PEAK_TIME, Quantity.DEMAND_PEAK_TIMESTAMP)}
    found: list[Peak] = []
    for definition in definitions:
        if _is(definition, Statistic.PEAK, Quantity.DEMAND_PEAK_CURRENT):
            value = row(core, definition, words)
            at = times.get(_demand_of(definition))
            when = "" if at is None else value_text(at, core.sample(at), words.language)
            found.append(Peak(definition, f"{value[1]}", when, str(value[2])))
    return found


def notices_of(device: DeviceDef) -> tuple[str, ...]:
    """Return what must be read with the figures of a meter."""
    if not device.channel:
        return (_NOTICES[True][0], _CALCULATED)
    return _NOTICES[device.mid]


def _is(definition: PointDef, statistic: Statistic, own: Quantity) -> bool:
    meaning = definition.meaning
    return meaning.quantity is own or (meaning.quantity in _PEAKS and meaning.statistic is statistic)


def _demand_of(definition: PointDef) -> tuple[object, ...]:
    meaning = definition.meaning
    named = meaning.quantity in (Quantity.DEMAND_PEAK_CURRENT, Quantity.DEMAND_PEAK_TIMESTAMP)
    quantity = Quantity.DEMAND_PEAK_CURRENT if named else meaning.quantity
    return quantity, meaning.phase, meaning.direction, meaning.circuit, meaning.tariff


def _known(core: Core, names: Sequence[str]) -> list[PointDef]:
    return [core.defs[name] for name in names if name in core.defs]


def _bars(
    definition: PointDef,
    intervals: Sequence[energy.Interval],
    begin_ns: int,
    end_ns: int,
    period_ns: int,
    zone: ZoneInfo,
) -> Mapping[str, Any]:
    dots = [
        chart.Dot(interval.end_ns, None if interval.count is None else as_float(interval.count, definition.resolution))
        for interval in intervals
    ]
    frame = chart.frame_of(begin_ns, end_ns, [dots], zero=True)
    return {
        "bars": chart.bars_of(dots, period_ns, frame),
        "x": chart.x_ticks(frame, zone),
        "y": chart.y_ticks(frame),
        "gaps": [(frame.x(dot.at_ns - period_ns), frame.x(dot.at_ns)) for dot in dots if dot.value is None],
    }
