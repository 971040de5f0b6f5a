"""`services.derived` of site.yaml -> points and formulas, checked against the points of the meters."""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence

from bridge.config.faults import Faults, Wrong
from bridge.config.marked import Marked, Path
from bridge.config.meter import Certainty, PfSign
from bridge.config.model import DeviceLimits, FieldDevice, FieldPoint, Formula, Operation
from bridge.config.names import ID
from bridge.config.points import MAX_NAME
from bridge.config.services import DerivedKey
from bridge.config.site import SiteFile
from bridge.config.vocabulary import is_energy, natural_poll, only_unit
from bridge.config.words import near
from bridge.core.ontology import brick_class, haystack_tags
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Role, Wiring
from bridge.core.quantity import POINT_NAME, Meaning, Quantity, dimension_of, meaning_of
from bridge.core.units import UNITS, Dimension

# Points one formula may have; a pattern finds more by mistake
MAX_INPUTS = 2000
# The `meter` of a device that consists of derived points only
DERIVED_METER = "derived"
_NUMBERS = frozenset({Kind.ANALOG, Kind.ACCUMULATOR})
NO_LIMITS = DeviceLimits(125, 0, (), 1.0, 0.0, 0.0, PfSign.UNSIGNED)


def with_derived(
    field: tuple[FieldDevice, ...], marked: Marked, file: SiteFile, faults: Faults
) -> tuple[tuple[FieldDevice, ...], tuple[Formula, ...]]:
    """Return the devices with the points that the site derives, and the formulas of these; note every mistake."""
    measured = {p.definition.id: p.definition for device in field for p in device.points}
    known = dict(measured)
    made: dict[str, list[PointDef]] = {}
    formulas: list[Formula] = []
    for id_, key in file.services.derived.items():
        path: Path = ("services", "derived", id_)
        try:
            formula = _formula(id_, key, known, measured)
            definition = _definition(id_, key, formula, known, len(known), marked.place(path))
        except Wrong as exc:
            faults.at(marked, (*path, exc.key) if exc.key else path, exc.message)
            continue
        known[id_] = definition
        formulas.append(formula)
        made.setdefault(definition.device, []).append(definition)
    return _placed(field, made), tuple(formulas)


def _placed(field: Sequence[FieldDevice], made: Mapping[str, Sequence[PointDef]]) -> tuple[FieldDevice, ...]:
    old = {device.definition.id for device in field}
    grown = [_grown(device, made.get(device.definition.id, ())) for device in field]
    return (*grown, *(_device(id_, definitions) for id_, definitions in made.items() if id_ not in old))


def _grown(device: FieldDevice, definitions: Sequence[PointDef]) -> FieldDevice:
    return dataclasses.replace(device, points=(*device.points, *map(_point, definitions)))


def _device(id_: str, definitions: Sequence[PointDef]) -> FieldDevice:
    definition = DeviceDef(
        id=id_,
        meter=DERIVED_METER,
        vendor="",
        model="",
        channel="",
        unit_id=0,
        mid=False,
        wiring=Wiring.FOUR_WIRE,
        nominal=Nominal(),
        labels={},
        declared_at=definitions[0].declared_at,
    )
    return FieldDevice(definition, NO_LIMITS, tuple(map(_point, definitions)), {})


def _point(definition: PointDef) -> FieldPoint:
    poll = natural_poll(definition.meaning, definition.kind, definition.role)
    return FieldPoint(definition, None, poll, Certainty.CERTAIN)


def _formula(id_: str, key: DerivedKey, known: Mapping[str, PointDef], measured: Mapping[str, PointDef]) -> Formula:
    device, _, name = id_.partition(".")
    if ID.match(device) is None or POINT_NAME.match(name) is None or len(name) > MAX_NAME:
        raise Wrong("", f"expected device.point, such as building.active_power_total, found `{id_[:60]}`")
    if id_ in known:
        raise Wrong("", f"expected a point of its own, found one at {known[id_].declared_at} as well")
    given = [word for word in ("sum", "difference", "average", "ratio", "unbalance") if getattr(key, word)]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise Wrong("", f"expected one of sum, difference, average, ratio and unbalance, found {found}")
    (word,) = given
    if key.minus and word != "sum":
        raise Wrong("minus", f"expected it with `sum` only, found it with `{word}`")
    inputs = _found(id_, word, getattr(key, word), known, measured)
    least = {"difference": 2, "ratio": 2, "unbalance": 2}.get(word, 1)
    if len(inputs) < least or (word == "ratio" and len(inputs) != least):
        raise Wrong(
            word, f"expected {'exactly ' if word == 'ratio' else 'at least '}{least} points, found {len(inputs)}"
        )
    if word == "difference":
        return Formula(id_, Operation.SUM, inputs[:1], inputs[1:])
    return Formula(id_, Operation(word), inputs, _found(id_, "minus", key.minus, known, measured))


def _found(
    id_: str, word: str, patterns: Sequence[str], known: Mapping[str, PointDef], measured: Mapping[str, PointDef]
) -> tuple[str, ...]:
    """Return the points meant, each once, in order."""
    inputs: dict[str, None] = {}
    for pattern in patterns:
        matched = [pattern] if pattern in known else fnmatch.filter(measured, pattern)
        if not matched:
            hint = near(pattern, list(known))
            raise Wrong(word, f"expected a point of the site, or a pattern of some, found `{pattern}`{hint}")
        for point in matched:
            if known[point].kind not in _NUMBERS:
                raise Wrong(word, f"expected numbers, found `{point}` of kind {known[point].kind.value}")
        inputs |= dict.fromkeys(matched)
    if len(inputs) > MAX_INPUTS:
        raise Wrong(word, f"expected at most {MAX_INPUTS} points, found {len(inputs)}")
    return tuple(inputs)


def _definition(
    id_: str, key: DerivedKey, formula: Formula, known: Mapping[str, PointDef], index: int, declared_at: str
) -> PointDef:
    meaning = meaning_of(id_.partition(".")[2])
    inputs = [known[point] for point in (*formula.inputs, *formula.minus)]
    dimensions = {UNITS[point.unit].dimension for point in inputs}
    if formula.operation is not Operation.RATIO and len(dimensions) > 1:
        names = ", ".join(sorted(dimension.value for dimension in dimensions))
        raise Wrong("", f"expected points of one dimension, found {names}")
    counts = is_energy(meaning) or (
        meaning.quantity is Quantity.OTHER and all(point.kind is Kind.ACCUMULATOR for point in inputs)
    )
    kind = Kind.ACCUMULATOR if counts and formula.operation is Operation.SUM else Kind.ANALOG
    if is_energy(meaning) and kind is not Kind.ACCUMULATOR:
        raise Wrong("", "expected energy as a sum or difference, which keep it an exact count")
    if kind is Kind.ACCUMULATOR and any(point.kind is not Kind.ACCUMULATOR for point in inputs):
        raise Wrong("", "expected energies that are counts, found a point that is none")
    unit = _unit(key, meaning, formula.operation, inputs)
    return PointDef(
        index=index,
        id=id_,
        kind=kind,
        unit=unit,
        declared_at=declared_at,
        role=Role.MEASUREMENT,
        meaning=meaning,
        label=key.label,
        resolution=_resolution(unit, inputs) if kind is Kind.ACCUMULATOR else 0,
        typical=key.typical,
        deadband=key.deadband,
        poll_ns=max(point.poll_ns for point in inputs),
        tags=haystack_tags(meaning, Role.MEASUREMENT),
        brick=brick_class(meaning, Role.MEASUREMENT),
    )


def _unit(key: DerivedKey, meaning: Meaning, operation: Operation, inputs: Sequence[PointDef]) -> str:
    of_inputs = UNITS[inputs[0].unit].dimension
    computed = {Operation.UNBALANCE: Dimension.RATIO, Operation.RATIO: Dimension.NONE}.get(operation, of_inputs)
    named = dimension_of(meaning.quantity)
    unit = key.unit
    if not unit and operation in (Operation.SUM, Operation.AVERAGE):
        unit = inputs[0].unit
    elif not unit:
        unit = only_unit(named if named is not Dimension.NONE else computed, own=True) or ""
    if unit not in UNITS:
        raise Wrong("unit", f"expected a known unit, found `{unit[:20]}`{near(unit, list(UNITS))}")
    allowed = {computed, Dimension.RATIO} if operation is Operation.RATIO else {computed}
    if UNITS[unit].dimension not in allowed or UNITS[unit].exponent is None:
        raise Wrong("unit", f"expected a unit of {computed.value}, found `{unit}`")
    if meaning.quantity is not Quantity.OTHER and UNITS[unit].dimension is not named:
        raise Wrong("", f"expected a name that means {computed.value}, found `{meaning.quantity.value}`")
    return unit


def _resolution(unit: str, inputs: Sequence[PointDef]) -> int:
    """Return the exponent of a count that holds the finest of the inputs exactly."""
    finest = min(point.resolution + (UNITS[point.unit].exponent or 0) for point in inputs)
    return finest - (UNITS[unit].exponent or 0)
