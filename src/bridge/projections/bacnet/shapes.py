"""Which object a point is, and what the object says of it: from kind, role, meaning and unit."""

import math

from bridge.core.alarm import Watched
from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef, Role
from bridge.core.quantity import Direction, Quantity
from bridge.core.rules import Rules
from bridge.projections.bacnet.alarms import class_of_priority
from bridge.projections.bacnet.plan import BINARIES, MULTI_STATES, REALS, Intrinsic, ObjectType, Shape
from bridge.projections.bacnet.settings import Mapping, Override
from bridge.projections.bacnet.units import units_of

# What an Unsigned of four octets counts to; most clients know no larger one.
COUNTS_32 = 2**32
# COV increment of an analog by unit, where neither the meter nor the mapping states one.
_INCREMENTS = {"V": 0.5, "A": 0.05, "kW": 0.05, "kvar": 0.05, "kVA": 0.05, "Hz": 0.01, "%": 0.1, "degC": 0.2}
_TYPES = {
    Kind.ANALOG: ObjectType.ANALOG_INPUT,
    Kind.ACCUMULATOR: ObjectType.ACCUMULATOR,
    Kind.BINARY: ObjectType.BINARY_INPUT,
    Kind.MULTISTATE: ObjectType.MULTI_STATE_VALUE,
    Kind.TEXT: ObjectType.CHARACTERSTRING_VALUE,
    Kind.TIME: ObjectType.DATETIME_VALUE,
}
_OUTPUTS = {
    (Kind.ANALOG, Role.COMMAND): ObjectType.ANALOG_OUTPUT,
    (Kind.ANALOG, Role.SETTING): ObjectType.ANALOG_OUTPUT,
    (Kind.BINARY, Role.COMMAND): ObjectType.BINARY_OUTPUT,
    (Kind.BINARY, Role.SETTING): ObjectType.BINARY_OUTPUT,
    (Kind.MULTISTATE, Role.COMMAND): ObjectType.MULTI_STATE_OUTPUT,
}
# Types that report events by themselves with what the alarm service knows: limits or alarm values. An Accumulator would
# need pulses, an output a feedback (clauses 12.1, 12.7).
_REPORTING = REALS | {
    ObjectType.LARGE_ANALOG_VALUE,
    ObjectType.BINARY_INPUT,
    ObjectType.MULTI_STATE_INPUT,
    ObjectType.MULTI_STATE_VALUE,
}
_POSSIBLE = {
    Kind.ANALOG: REALS | {ObjectType.LARGE_ANALOG_VALUE},
    Kind.ACCUMULATOR: frozenset({ObjectType.ACCUMULATOR, ObjectType.LARGE_ANALOG_VALUE}),
    Kind.BINARY: BINARIES,
    Kind.MULTISTATE: MULTI_STATES,
    Kind.TEXT: frozenset({ObjectType.CHARACTERSTRING_VALUE}),
    Kind.TIME: frozenset({ObjectType.DATETIME_VALUE}),
}


class Shaper:
    """Decides for one mapping. Pure."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._rules = Rules(mapping.rules)

    def has_trend(self, point_id: str) -> bool:
        """Tell whether a recorded point shows its records."""
        rule = self._rules.find(point_id)
        override = self._mapping.overrides.get(point_id, Override())
        return bool(_first(override.trend, rule.trend if rule else None, True))

    def shape(self, definition: PointDef) -> Shape | None:
        """Return what the point looks like, None when it is not shown. Raises: ProjectionError."""
        override = self._mapping.overrides.get(definition.id, Override())
        rule = self._rules.find(definition.id)
        if override.skip if override.skip is not None else rule is not None and rule.skip:
            return None
        wanted = override.type or (rule.type if rule is not None else None)
        object_type = wanted.number if wanted is not None else type_of(definition)
        if object_type not in _POSSIBLE[definition.kind]:
            where = ("overrides", definition.id, "type") if override.type is not None else ("rules",)
            raise ProjectionError(where, f"expected an object for a {definition.kind.value}, found {object_type.word}")
        writable = _first(override.writable, rule.writable if rule else None, self._mapping.writable)
        increment = override.increment if override.increment is not None else rule.increment if rule else None
        units, factor = units_of(definition)
        if increment is None:
            increment = definition.deadband * factor or _INCREMENTS.get(definition.unit, 0.0)
        return Shape(
            object_type=object_type,
            description=(override.description or definition.label or definition.name)[:200],
            units=-1 if definition.kind in (Kind.BINARY, Kind.MULTISTATE, Kind.TEXT, Kind.TIME) else units,
            factor=factor if definition.kind is Kind.ANALOG else 1.0,
            texts=_texts(definition),
            codes=_codes(definition),
            resolution=definition.resolution if definition.kind is Kind.ACCUMULATOR else 0,
            maximum=min(definition.modulus or COUNTS_32, COUNTS_32) - 1 if definition.kind is Kind.ACCUMULATOR else 0,
            increment=float(increment) if object_type in REALS | {ObjectType.LARGE_ANALOG_VALUE} else 0.0,
            writable=bool(writable) and definition.writable and not definition.mid,
            low=definition.low,
            high=definition.high,
        )


def bears_alarms(shape: Shape, name: str) -> int:
    """Rank a point as the one that shows alarms of its whole meter; the least is best."""
    if name == Quantity.COMMUNICATION_STATUS.value:
        return 0
    return 1 if shape.object_type is ObjectType.ANALOG_INPUT else 2 if shape.object_type in _REPORTING else 3


def reporting(shape: Shape, watched: Watched | None, silence: int | None) -> Intrinsic | None:
    """
    Return the intrinsic reporting of an object. `silence`: priority of the alarm that its meter does not answer, for
    the object that shows it.
    """
    if shape.object_type not in _REPORTING or (watched is None and silence is None):
        return None
    watched = watched or Watched(0)
    numbers = {code: number + 1 for number, code in enumerate(shape.codes)}
    return Intrinsic(
        told_by=class_of_priority(max(watched.priority, silence or 0)).instance,
        is_fault=silence is not None,
        high=None if watched.high is None else watched.high * shape.factor,
        low=None if watched.low is None else watched.low * shape.factor,
        deadband=watched.deadband * shape.factor,
        states=tuple(numbers.get(state, 0) for state in watched.states) if numbers else watched.states,
        delay_s=math.ceil(watched.delay_s),
        delay_normal_s=math.ceil(watched.delay_normal_s),
    )


def type_of(definition: PointDef) -> ObjectType:
    """Return the object a point is unless the mapping says otherwise."""
    if definition.kind is Kind.ACCUMULATOR and definition.meaning.direction is Direction.NET:
        # import minus export may be negative, an Accumulator may not
        return ObjectType.LARGE_ANALOG_VALUE
    return _OUTPUTS.get((definition.kind, definition.role)) or _TYPES[definition.kind]


def _first(*wishes: object) -> object:
    return next((wish for wish in wishes if wish is not None), None)


def _texts(definition: PointDef) -> tuple[str, ...]:
    """A binary without texts has those of the standard; a multi-state object has at least one state (clause 12.18)."""
    if definition.kind is Kind.BINARY:
        known = dict(definition.states)
        return known.get(0, "Inactive"), known.get(1, "Active")
    if definition.kind is Kind.MULTISTATE:
        return tuple(text for _, text in definition.states) or ("unknown",)
    return ()


def _codes(definition: PointDef) -> tuple[int, ...]:
    return tuple(code for code, _ in definition.states) if definition.kind is Kind.MULTISTATE else ()
