"""Point list (CSV) and device profile (XML), made from the plan and nothing else."""

import csv
import io
from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version

from bridge.core.point import Kind, PointDef
from bridge.core.ports import SiteFacts
from bridge.projections.dnp3.objects import GROUPS, PointType
from bridge.projections.dnp3.plan import Plan, Shown
from bridge.projections.dnp3.profile import device_profile
from bridge.projections.dnp3.table import DEFAULT_EVENT, DEFAULT_STATIC

COLUMNS = (
    "type",
    "group",
    "index",
    "static_variation",
    "event_group",
    "event_variation",
    "class",
    "deadband",
    "scale",
    "unit",
    "point",
    "states",
    "access",
)
_DEFAULT = 2


def point_list(plan: Plan, points: Iterable[PointDef]) -> str:
    """
    Return the CSV: one row per point of the outstation, by type and index.

    value in `unit` = DNP3 value * `scale`. Counters count modulo 2**32. `deadband` as g34 tells it.
    """
    known = {definition.index: definition for definition in points}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    order = {point_type: at for at, point_type in enumerate(GROUPS)}
    rows = [row for place in plan.points for row in _rows(place, known, plan)]
    writer.writerows(cells for _, _, cells in sorted(rows, key=lambda row: (order[row[0]], row[1])))
    return text.getvalue()


def _rows(
    place: Shown, known: Mapping[int, PointDef], plan: Plan
) -> Iterable[tuple[PointType, int, tuple[str | int | float, ...]]]:
    definition = known[place.index]
    yield place.type, place.number, _cells(place, definition)
    if place.type is PointType.COUNTER and plan.frozen:
        frozen = Shown(place.index, PointType.FROZEN_COUNTER, place.number, place.frozen_class)
        yield frozen.type, frozen.number, _cells(frozen, definition)


def _cells(place: Shown, definition: PointDef) -> tuple[str | int | float, ...]:
    groups = GROUPS[place.type]
    string = place.type is PointType.OCTET_STRING
    static = place.static_variation or DEFAULT_STATIC.get(place.type, _DEFAULT)
    event = place.event_variation or DEFAULT_EVENT.get(place.type, _DEFAULT)
    return (
        place.type.value,
        groups.static,
        place.number,
        "length" if string else static,
        groups.event,
        "length" if string else event,
        place.event_class,
        place.deadband,
        scale_of(place, definition),
        "UTC ms" if definition.kind is Kind.TIME else definition.unit,
        definition.id,
        "; ".join(f"{code} = {text}" for code, text in definition.states),
        "read-write" if place.writable else "read",
    )


def scale_of(place: Shown, definition: PointDef) -> str:
    """Return what one count of the DNP3 value is in the unit of the point, as a decimal; '' for a text."""
    if place.type is PointType.OCTET_STRING:
        return ""
    if place.type in (PointType.COUNTER, PointType.FROZEN_COUNTER):
        return f"{Decimal(1).scaleb(definition.resolution):f}"
    return "1"


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


def _export_profile(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    yield "dnp3-device-profile.xml", device_profile(plan, site.points, own_version())


def _export_points(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    yield "dnp3-points.csv", point_list(plan, site.points)


# name of `meterbridge export` -> generator of (file name, text)
EXPORTS = {"dnp3-profile": _export_profile, "dnp3-points": _export_points}
