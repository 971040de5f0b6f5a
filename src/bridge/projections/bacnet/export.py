"""
What an integrator takes home, made from the plan and nothing else: EDE with state texts, conformance statement.

EDE: "Engineering Data Exchange", B.I.G.-EU, layout 2.2: semicolons, sixteen columns, header lines that start with #.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping

from bridge.core.point import PointDef
from bridge.core.ports import SiteFacts
from bridge.projections.bacnet.alarms import CLASSES
from bridge.projections.bacnet.conformance import statement
from bridge.projections.bacnet.model import TREND_SUFFIX
from bridge.projections.bacnet.plan import (
    DEVICE,
    NETWORK_PORT,
    NOTIFICATION_CLASS,
    STRUCTURED_VIEW,
    TREND_LOG,
    Layout,
    Plan,
    Shape,
    View,
    unpack,
)

_COLUMNS = (
    "keyname",
    "device obj.-instance",
    "object-name",
    "object-type",
    "object-instance",
    "description",
    "present-value-default",
    "min-present-value",
    "max-present-value",
    "settable",
    "supports COV",
    "hi-limit",
    "low-limit",
    "state-text-reference",
    "unit-code",
    "vendor-specific-address",
)
_MANDATORY = 5
Row = tuple[str | int, ...]


def ede(plan: Plan, site: SiteFacts) -> str:
    """Return the object list: one row per object of every device."""
    lines = [
        "# Proposal_Engineering-Data-Exchange - B.I.G.-EU",
        f"PROJECT_NAME;{_clean(site.name)}",
        f"VERSION_OF_REFERENCEFILE;{plan.identity.revision}",
        # empty: the same list is the same file, whenever it is made; the version moves with the list
        "TIMESTAMP_OF_LAST_CHANGE;",
        "AUTHOR_OF_LAST_CHANGE;meterbridge",
        "VERSION_OF_LAYOUT;2.2",
        "#" + ";".join("mandatory" if n < _MANDATORY else "optional" for n in range(len(_COLUMNS))),
        "# " + ";".join(_COLUMNS),
    ]
    lines += [";".join(_clean(cell) for cell in row) for row in _rows(plan, site)]
    return "\n".join(lines) + "\n"


def state_texts(plan: Plan) -> str:
    """Return the texts the EDE refers to by number."""
    references = _references(plan)
    most = max((len(texts) for texts in references), default=2)
    names = ["Reference Number", "Text 1 or Inactive-Text", "Text 2 or Active-Text"]
    lines = ["#State Text Reference", "#" + ";".join(names + [f"Text {n}" for n in range(3, most + 1)])]
    lines += [";".join([str(number), *map(_clean, texts)]) for texts, number in references.items()]
    return "\n".join(lines) + "\n"


def _references(plan: Plan) -> dict[tuple[str, ...], int]:
    distinct = dict.fromkeys(shape.texts for shape in plan.shapes if shape.texts)
    return {texts: number for number, texts in enumerate(distinct, 1)}


def _rows(plan: Plan, site: SiteFacts) -> Iterator[Row]:
    identity = plan.identity
    yield _own(identity.instance, identity.name, DEVICE, identity.instance, identity.description)
    yield _own(identity.instance, "IP", NETWORK_PORT, 1, "")
    yield from _classes(identity.instance)
    virtual = plan.layout is Layout.DEVICE_PER_METER
    if virtual:
        yield _own(identity.instance, "meters", NETWORK_PORT, 2, "")
    known = {point.index: point for point in site.points}
    references = _references(plan)
    columns = (unpack(plan.indexes), unpack(plan.object_ids), unpack(plan.shape_of))
    for view in plan.views:
        device = view.instance if virtual else identity.instance
        if virtual:
            yield _own(device, view.device, DEVICE, device, view.description)
            yield _own(device, "port", NETWORK_PORT, 1, "")
            yield from _classes(device)
        else:
            yield _own(device, view.device, STRUCTURED_VIEW, view.instance, view.description)
        yield from _members(plan, view, device, known, columns, references)
        for trend in plan.trends:
            if view.first <= trend.position < view.first + view.count:
                name = plan.names.get(trend.position, known[columns[0][trend.position]].id)
                yield _own(device, name + TREND_SUFFIX, TREND_LOG, trend.instance, f"History of {name}")


def _members(
    plan: Plan,
    view: View,
    device: int,
    known: Mapping[int, PointDef],
    columns: tuple["array[int]", ...],
    references: Mapping[tuple[str, ...], int],
) -> Iterator[Row]:
    indexes, object_ids, shape_of = columns
    for at in range(view.first, view.first + view.count):
        point, shape = known[indexes[at]], plan.shapes[shape_of[at]]
        kind, instance = object_ids[at] >> 22, object_ids[at] & 0x3FFFFF
        name = plan.names.get(at, point.id)
        yield (
            f"{device}.{kind}.{instance}",
            device,
            name,
            kind,
            instance,
            shape.description,
            "",
            *_limits(shape),
            "Y" if shape.writable else "N",
            "Y",
            _limit(shape.event.high if shape.event else None),
            _limit(shape.event.low if shape.event else None),
            references.get(shape.texts, "") if shape.texts else "",
            shape.units if shape.units >= 0 else "",
            point.id,
        )


def _limits(shape: Shape) -> tuple[str, str]:
    if shape.maximum:
        return "0", str(shape.maximum)
    return _limit(shape.low), _limit(shape.high)


def _limit(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _own(device: int, name: str, kind: int, instance: int, description: str) -> Row:
    """An object of the device itself."""
    return (f"{device}.{kind}.{instance}", device, name, kind, instance, description, *[""] * 3, "N", "N", *[""] * 5)


def _classes(device: int) -> Iterator[Row]:
    for each in CLASSES:
        text = f"Alarms of {each.name} priority"
        yield _own(device, f"alarms-{each.name}", NOTIFICATION_CLASS, each.instance, text)


def _clean(cell: str | int) -> str:
    return str(cell).replace(";", ",").replace("\n", " ")


def _export_ede(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    yield "bacnet-EDE.csv", ede(plan, site)
    yield "bacnet-StateTexts.csv", state_texts(plan)


def _export_pics(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    del site
    yield "bacnet-PICS.md", statement(plan)


# name of `meterbridge export` -> generator of (file name, text)
EXPORTS = {"ede": _export_ede, "pics": _export_pics}
