"""The register list an integrator types into the client: CSV, made from the plan and nothing else."""

import csv
import io
from collections.abc import Iterable, Mapping
from fractions import Fraction

from bridge.core.point import Kind, PointDef
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
