"""Which DNP3 points show a point: type by kind and role, class, variations and deadband by type."""

from dataclasses import dataclass

import msgspec

from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef, Role
from bridge.core.ports import Numbers
from bridge.core.rules import Rules
from bridge.projections.dnp3.objects import GROUPS, LAYOUTS, PointType
from bridge.projections.dnp3.plan import Shown
from bridge.projections.dnp3.settings import Access, Choices, Companion, Mapping, Override, Rule

# g30v6 and g32v8: an energy's value as a double.
_DOUBLE, _DOUBLE_WITH_TIME = 6, 8
# g30v1 and g32v3: codes are integers.
_INTEGER, _INTEGER_WITH_TIME = 1, 3
_CLASSES = {
    PointType.BINARY_INPUT: 1,
    PointType.DOUBLE_BIT: 1,
    PointType.ANALOG_INPUT: 2,
    PointType.COUNTER: 3,
}
_FITTING = {
    Kind.ANALOG: {PointType.ANALOG_INPUT, PointType.ANALOG_OUTPUT},
    Kind.ACCUMULATOR: {PointType.COUNTER, PointType.ANALOG_INPUT},
    Kind.BINARY: {PointType.BINARY_INPUT, PointType.BINARY_OUTPUT, PointType.ANALOG_INPUT},
    Kind.MULTISTATE: {
        PointType.ANALOG_INPUT,
        PointType.ANALOG_OUTPUT,
        PointType.DOUBLE_BIT,
        PointType.BINARY_INPUT,
        PointType.BINARY_OUTPUT,
    },
    Kind.TEXT: {PointType.OCTET_STRING},
    Kind.TIME: {PointType.ANALOG_INPUT},
}


# Highest code of a multistate that a type with few states can tell.
_MOST_CODE = {PointType.DOUBLE_BIT: 3, PointType.BINARY_INPUT: 1, PointType.BINARY_OUTPUT: 1}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the mapping says of one point; `path` of where it says so."""

    definition: PointDef
    type: PointType
    settings: Choices
    override: Override
    path: tuple[str | int, ...]
    writable: bool
    companion: bool


class Chooser:
    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._rules = Rules[Rule](mapping.rules)

    def choose(self, definition: PointDef) -> Choice | None:
        """Return None for a point that is not shown. Raises: ProjectionError."""
        override = self._mapping.overrides.get(definition.id)
        rule = self._rules.find(definition.id)
        skip = override.skip if override is not None and override.skip is not None else rule is not None and rule.skip
        if skip:
            return None
        said = _merged(override or Override(), rule)
        path: tuple[str | int, ...] = ("overrides", definition.id)
        if override is None and rule is not None:
            path = ("rules", self._mapping.rules.index(rule))
        point_type = PointType(said.as_.value) if said.as_ is not None else natural_type(definition)
        if point_type not in _FITTING[definition.kind]:
            fitting = ", ".join(sorted(one.value for one in _FITTING[definition.kind]))
            raise ProjectionError((*path, "as"), f"expected {fitting} for {definition.id}, found {point_type.value}")
        most = _MOST_CODE.get(point_type)
        if definition.kind is Kind.MULTISTATE and most is not None and not _codes_fit(definition, most):
            raise ProjectionError((*path, "as"), f"expected codes 0 to {most} for {point_type.value} {definition.id}")
        access = said.access or self._mapping.access
        companion = (said.companion or self._mapping.companion) is Companion.DOUBLE
        return Choice(
            definition,
            point_type,
            said,
            override or Override(),
            path,
            access is Access.READ_WRITE and definition.writable and not definition.mid,
            companion and point_type is PointType.COUNTER,
        )


def _codes_fit(definition: PointDef, most: int) -> bool:
    return bool(definition.states) and all(0 <= code <= most for code, _ in definition.states)


def natural_type(definition: PointDef) -> PointType:
    """
    Return the type that shows a point when no rule says another.

    Commands, and settings the meter lets be written, are outputs. A code is an integer analog: a double-bit has four
    states, a meter's codes are any numbers.
    """
    output = definition.role is Role.COMMAND or (
        definition.role is Role.SETTING and definition.writable and not definition.mid
    )
    match definition.kind:
        case Kind.BINARY:
            return PointType.BINARY_OUTPUT if output else PointType.BINARY_INPUT
        case Kind.ACCUMULATOR:
            return PointType.COUNTER
        case Kind.TEXT:
            return PointType.OCTET_STRING
        case Kind.TIME:
            return PointType.ANALOG_INPUT
        case Kind.ANALOG | Kind.MULTISTATE:
            return PointType.ANALOG_OUTPUT if output else PointType.ANALOG_INPUT


def primary(choice: Choice, numbers: Numbers) -> Shown:
    """Return the place of a point, numbered. Raises: ProjectionError."""
    definition, point_type, said = choice.definition, choice.type, choice.settings
    static, event = _variations(choice)
    deadband = _deadband(choice)
    if point_type is PointType.COUNTER:
        deadband /= 10.0**definition.resolution
    event_class = said.event_class if said.event_class is not None else _CLASSES.get(point_type, 0)
    number = _take(choice, point_type, choice.override.index, "index", numbers)
    frozen_class = said.frozen_class or 0
    return Shown(
        definition.index, point_type, number, event_class, static, event, deadband, choice.writable, frozen_class
    )


def companion(choice: Choice, numbers: Numbers) -> Shown:
    """Return the double beside an energy counter; the counter has the events, so that a change is told once."""
    number = _take(choice, PointType.ANALOG_INPUT, choice.override.companion_index, "companion_index", numbers)
    place = Shown(choice.definition.index, PointType.ANALOG_INPUT, number, 0, _DOUBLE, _DOUBLE_WITH_TIME)
    return msgspec.structs.replace(place, deadband=_deadband(choice))


def _deadband(choice: Choice) -> float:
    """Return it in the unit of the point."""
    said = choice.settings.deadband
    return said if said is not None else choice.definition.deadband


def _variations(choice: Choice) -> tuple[int, int]:
    """Return static and event variation, 0 = the default of the type."""
    groups, said = GROUPS[choice.type], choice.settings
    static, event = _natural_variations(choice.definition, choice.type)
    for key, group, variation in (
        ("static_variation", groups.static, said.static_variation),
        ("event_variation", groups.event, said.event_variation),
    ):
        if variation and (group, variation) not in LAYOUTS:
            known = ", ".join(str(v) for g, v in LAYOUTS if g == group) or "none"
            raise ProjectionError(
                (*choice.path, key), f"expected a variation of group {group} ({known}), found {variation}"
            )
    return said.static_variation or static, said.event_variation or event


def _natural_variations(definition: PointDef, point_type: PointType) -> tuple[int, int]:
    if point_type in (PointType.ANALOG_INPUT, PointType.ANALOG_OUTPUT):
        output = point_type is PointType.ANALOG_OUTPUT
        if definition.kind in (Kind.MULTISTATE, Kind.BINARY):
            return _INTEGER, _INTEGER_WITH_TIME
        if definition.kind in (Kind.TIME, Kind.ACCUMULATOR):
            return 4 if output else _DOUBLE, _DOUBLE_WITH_TIME
    return 0, 0


def _take(choice: Choice, point_type: PointType, pin: int | None, key: str, numbers: Numbers) -> int:
    try:
        number = numbers.take(f"dnp3.{point_type.value}", choice.definition.id, first=0, pin=pin)
    except ValueError as exc:
        raise ProjectionError((*choice.path, key), str(exc)) from exc
    if number > 0xFFFF:
        # the site fits, but its ledger has given numbers to points that are gone
        message = f"expected an index up to 65,535 for {choice.definition.id}, found {number} next in the ledger"
        raise ProjectionError((*choice.path, key), f"{message}: pin `{key}` to a free one, or begin a new ledger")
    return number


def _merged(override: Override, rule: Rule | None) -> Choices:
    """Return every choice of the override, the rule's where it is silent."""
    if rule is None:
        return override
    said = {
        name: value if (value := getattr(override, name)) is not None else getattr(rule, name)
        for name in Choices.__struct_fields__
    }
    return Choices(**said)
