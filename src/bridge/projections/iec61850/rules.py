"""
What a CID must say beyond the SCL schema: mandatory parts, and units and steps that are those of the point.

Source of the mandatory parts: IEC 61850-7-4:2010, 6 (LLN0, LPHD, common LN); IEC 61850-7-3:2010, 7.3 to 7.5. A file
that calls a value by another unit or a counter by another step than the meter's makes every client compute wrong.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from bridge.core.point import Kind
from bridge.projections.iec61850.plan import Control, Plan
from bridge.projections.iec61850.tree import Attribute, DataObject

_NODE: Final = ("Beh",)
_NODES: Final = {"LLN0": ("Mod", "Beh", "Health", "NamPlt"), "LPHD": ("PhyNam", "PhyHealth", "Proxy")}
_PARTS: Final = {
    "SPS": ("stVal", "q", "t"), "INS": ("stVal", "q", "t"), "ENS": ("stVal", "q", "t"), "VSS": ("stVal", "q", "t"),
    "MV": ("mag", "q", "t"), "CMV": ("cVal", "q", "t"), "BCR": ("actVal", "q", "t", "pulsQty"),
    "SPC": ("ctlModel",), "INC": ("ctlModel",), "ENC": ("ctlModel",), "APC": ("ctlModel",),
    "LPL": ("vendor", "swRev"), "DPL": ("vendor",),
}  # fmt: skip
# What a point may be bound to: its whole range fits.
FITTING: Final = {
    Kind.ANALOG: frozenset({"FLOAT32"}),
    Kind.ACCUMULATOR: frozenset({"INT64"}),
    Kind.BINARY: frozenset({"BOOLEAN"}),
    Kind.MULTISTATE: frozenset({"INT32", "INT64", "Enum"}),
    Kind.TEXT: frozenset({"VisString255", "Unicode255"}),
    Kind.TIME: frozenset({"VisString255", "Unicode255"}),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A point that may be bound: `step` of one count of an accumulator in the unit, power of ten included."""

    kind: Kind
    si_unit: int
    multiplier: int
    step: Fraction
    commanded: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What the file is checked against: the points by id, and the ids of the devices."""

    points: Mapping[str, Shown]
    devices: frozenset[str]


def facts_of(plan: Plan, kinds: Mapping[str, Kind]) -> Facts:
    """Return what the plan lets be shown. `kinds`: of every point, by id."""
    points = {
        item.point: Shown(
            kinds[item.point],
            item.si_unit,
            item.multiplier,
            Fraction(item.pulse) * Fraction(10) ** item.multiplier,
            item.control is not Control.STATUS_ONLY,
        )
        for meter in plan.meters
        for item in meter.items
    }
    return Facts(points, frozenset(meter.device for meter in plan.meters))


def missing_objects(ln_class: str, names: frozenset[str]) -> list[str]:
    """Return the mandatory data objects that a logical node lacks."""
    return [name for name in _NODES.get(ln_class, _NODE) if name not in names]


def missing_parts(item: DataObject) -> list[str]:
    """Return the mandatory attributes that a data object lacks."""
    return [name for name in _PARTS.get(item.cdc, ()) if item.attribute(name) is None]


def disagreements(item: DataObject, point: str, shown: Shown) -> Iterator[str]:
    """Yield what an object says otherwise than the point it shows: unit, power of ten, step of a counter."""
    units = item.attribute("units")
    said = {part.name: part.value for part in units.children} if units is not None else {}
    si_unit, multiplier = said.get("SIUnit"), said.get("multiplier")
    if item.cdc == "BCR":
        pulse = _number(item.attribute("pulsQty"))
        power = multiplier if isinstance(multiplier, int) else 0
        if pulse is None or Fraction(pulse) * Fraction(10) ** power != shown.step:
            yield f"pulsQty {pulse} and multiplier {power} are not the step of {point!r}, {_decimal(shown.step)}"
    elif isinstance(multiplier, int) and multiplier != shown.multiplier:
        yield f"multiplier is 10^{multiplier}, but {point!r} is measured in 10^{shown.multiplier}"
    if isinstance(si_unit, int) and si_unit != shown.si_unit:
        yield f"SIUnit is {si_unit}, but {point!r} is measured in unit {shown.si_unit} of IEC 61850-7-3"


def _number(attribute: Attribute | None) -> float | int | None:
    value = None if attribute is None else attribute.value
    return value if isinstance(value, int | float) else None


def _decimal(step: Fraction) -> str:
    return f"{float(step):g}"
