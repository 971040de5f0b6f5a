"""The register list an integrator types into the client, as CSV and as a page to print: made from the plan alone."""

import csv
import io
from collections.abc import Iterable, Mapping
from fractions import Fraction
from html import escape

from bridge.core.point import Kind, PointDef
from bridge.core.ports import SiteFacts
from bridge.projections.modbus.formats import FLOATS, Format
from bridge.projections.modbus.plan import TIME_REGISTERS, Block, Field, Item, Place, Plan

COLUMNS = (
    "table",
    "unit_id",
    "address",
    "registers",
    "type",
    "word_order",
    "scale",
    "unit",
    "point",
    "shows",
    "access",
)
_NUMBERS = frozenset(Format) - FLOATS - {Format.TEXT, Format.TIME}
Row = tuple[str | int, ...]
_PAGE_HEAD = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Modbus registers</title>
<style>
body { font: 12px/1.3 system-ui, sans-serif; margin: 1.5rem; }
table { border-collapse: collapse; } thead { display: table-header-group; }
th, td { border: 1px solid #999; padding: .1rem .4rem; text-align: left; }
@media print { section { break-after: page; } }
</style></head><body>
<h1>Modbus registers</h1>
<p>Addresses count from 0, as on the wire. Value = register * scale, in the unit beside it.</p>
"""


def register_list(plan: Plan, points: Iterable[PointDef]) -> str:
    """
    Return the CSV: one row per value, flag and time of every unit id, sorted by table, unit id and address.

    `address` is 0-based. value = register * `scale`, in `unit`. `shows`: value, quality, source time, validity.
    """
    known = {definition.index: definition for definition in points}
    rows = sorted(_rows(plan, known), key=lambda row: (row[0], row[1], row[2]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def register_page(plan: Plan, points: Iterable[PointDef]) -> str:
    """Return the same list as HTML: a table per unit id, each on a sheet of its own when printed."""
    known = {definition.index: definition for definition in points}
    of_unit: dict[str | int, list[Row]] = {}
    for row in sorted(_rows(plan, known), key=lambda row: (row[0], row[1], row[2])):
        of_unit.setdefault(row[1], []).append(row)
    shown = [at for at, name in enumerate(COLUMNS) if name != "unit_id"]
    head = "".join(f"<th>{COLUMNS[at].replace('_', ' ')}</th>" for at in shown)
    body = [_PAGE_HEAD]
    for unit, rows in sorted(of_unit.items()):
        body.append(f"<section><h2>Unit id {unit}</h2>\n<table><thead><tr>{head}</tr></thead>\n")
        body += [f"<tr>{''.join(f'<td>{escape(str(row[at]))}</td>' for at in shown)}</tr>\n" for row in rows]
        body.append("</table></section>\n")
    return "".join([*body, "</body></html>\n"])


def _rows(plan: Plan, points: Mapping[int, PointDef]) -> Iterable[Row]:
    for block in plan.blocks:
        for place in block.places:
            for item in block.items:
                yield from _registers(place, item, points[item.index])
                yield from _bits(place, item, points[item.index].id)
            yield from _constants(block, place)


def _registers(place: Place, item: Item, definition: PointDef) -> Iterable[Row]:
    access = "read-write" if item.writable else "read"
    for field in item.fields:
        address = place.registers + field.address
        head = ("registers", place.unit, address, field.registers, field.format.value, field.order.value)
        shows = "indicative" if field.format is Format.FLOAT32 and definition.kind is Kind.ACCUMULATOR else "value"
        unit = "UTC ms" if field.format is Format.TIME else definition.unit
        yield (*head, scale_of(definition, field), unit, definition.id, shows, access)
    if item.quality >= 0:
        head = ("registers", place.unit, place.registers + item.quality, 1, Format.UINT16.value, "ABCD")
        yield (*head, "1", "flags", definition.id, "quality", "read")
    if item.time >= 0:
        head = ("registers", place.unit, place.registers + item.time, TIME_REGISTERS, Format.TIME.value, "ABCD")
        yield (*head, "1", "UTC ms", definition.id, "source time", "read")


def _bits(place: Place, item: Item, point_id: str) -> Iterable[Row]:
    for table, address, shows in (
        ("inputs", place.inputs + item.state if item.state >= 0 else -1, "value"),
        ("inputs", place.inputs + item.valid if item.valid >= 0 else -1, "validity"),
        ("coils", place.coils + item.coil if item.coil >= 0 else -1, "value"),
    ):
        if address >= 0:
            access = "read-write" if item.writable and table == "coils" else "read"
            yield (table, place.unit, address, 1, "bit", "", "", "", point_id, shows, access)


def _constants(block: Block, place: Place) -> Iterable[Row]:
    for constant in block.constants:
        count = len(constant.data) // 2
        head = ("registers", place.unit, place.registers + constant.address, count, "constant", "ABCD")
        yield (*head, "", "", "", constant.data.hex(), "read")


def scale_of(definition: PointDef, field: Field) -> str:
    """Return the step of one register count in the unit of the point, as a decimal, '' where there is none."""
    if field.format not in _NUMBERS:
        return "1" if field.format in FLOATS or field.format is Format.TIME else ""
    step = Fraction(field.over, field.times)
    if definition.kind is Kind.ACCUMULATOR:
        step *= Fraction(10) ** definition.resolution
    if definition.kind is Kind.TIME:
        step /= 10**9
    return str(step.numerator) if step.denominator == 1 else f"{float(step):.12g}"


def _export_register_list(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    yield "modbus-registers.csv", register_list(plan, site.points)
    yield "modbus-registers.html", register_page(plan, site.points)


# name of `meterbridge export` -> generator of (file name, text)
EXPORTS = {"modbus-map": _export_register_list}
