"""What the device profile says of points: implementation table, one entry per point."""

from collections.abc import Iterable, Sequence

from bridge.core.point import Kind, PointDef
from bridge.projections.dnp3.application import Function
from bridge.projections.dnp3.implementation import BARE_FUNCTIONS, Row, table
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Permit, Plan, Shown
from bridge.projections.dnp3.table import DEFAULT_EVENT, DEFAULT_STATIC

# Name of an element and what is in it: text, or further elements. An element without either stands for itself.
Node = tuple[str, "str | Sequence[Node]"]
_CLASS_WORDS = ("none", "one", "two", "three")
_VARIATION_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
_RESPONSE, _UNSOLICITED = "129", "130"
_SILENT = (Function.DIRECT_OPERATE_NR, Function.FREEZE_NR)
_DEFAULT = 2
# List of points and one point of it, by type.
_LISTS = {
    PointType.BINARY_INPUT: ("binaryInputPoints", "binaryInput"),
    PointType.DOUBLE_BIT: ("doubleBitInputPoints", "doubleBitInput"),
    PointType.BINARY_OUTPUT: ("binaryOutputPoints", "binaryOutput"),
    PointType.COUNTER: ("counterPoints", "counter"),
    PointType.ANALOG_INPUT: ("analogInputPoints", "analogInput"),
    PointType.ANALOG_OUTPUT: ("analogOutputPoints", "analogOutput"),
    PointType.OCTET_STRING: ("octetStringPoints", "octetString"),
}
_OUTPUTS = {
    PointType.BINARY_OUTPUT: ("PulseOn", "PulseOff", "LatchOn", "LatchOff", "Trip", "Close"),
    PointType.ANALOG_OUTPUT: (),
}


def value_now(name: str, value: object) -> Node:
    """Return a parameter with the value it has."""
    return name, [("currentValue", [("value", str(value))])]


def chosen(name: str, choice: str) -> Node:
    """Return a parameter with the choice it is set to."""
    return name, [("currentValue", [(choice, "")])]


def both(name: str, *choices: str | Node) -> Node:
    """Return a parameter whose capability and present setting are the same."""
    nodes = [choice if isinstance(choice, tuple) else (choice, "") for choice in choices]
    return name, [("capabilities", nodes), ("currentValue", nodes)]


def may(plan: Plan, permit: Permit) -> bool:
    """Return whether any master may do it."""
    return any(permit in master.permits for master in plan.masters)


def implementation() -> Iterable[Node]:
    """Return the implementation table, one entry for each function a row knows."""
    for row in table():
        functions = row.request[0] or (None,)
        for function in functions:
            yield "supportedVariation", list(_entry(row, function))
    for bare in BARE_FUNCTIONS:
        yield "supportedFunctionCode", [("request", [("functionCode", str(int(bare)))])]


def _entry(row: Row, function: int | None) -> Iterable[Node]:
    yield "objectGroup", str(row.group)
    yield "variation", str(row.variation)
    yield "description", row.description
    if function is not None:
        codes: list[Node] = [("functionCode", str(int(function)))]
        yield "request", codes + [("qualifierCode", str(int(one))) for one in row.request[1]]
    if row.response and function not in _SILENT:
        event = row.group in (2, 4, 11, 13, 22, 23, 32, 42, 43, 111)
        answers: list[Node] = [("functionCode", code) for code in (_RESPONSE, _UNSOLICITED)[: 1 + event]]
        yield "response", answers + [("qualifierCode", str(int(one))) for one in row.response]


def point_lists(plan: Plan, known: dict[int, PointDef]) -> Iterable[Node]:
    """Return every point by type and index."""
    for point_type, (name, one) in _LISTS.items():
        mine = sorted((place for place in plan.points if place.type is point_type), key=lambda place: place.number)
        if mine:
            points = [(one, _point(place, known[place.index], plan)) for place in mine]
            yield name, [("configuration", [("pointListDefinition", [("fixed", "")])]), ("dataPoints", points)]


def _point(place: Shown, definition: PointDef, plan: Plan) -> list[Node]:
    nodes: list[Node] = [("index", str(place.number)), ("name", definition.id)]
    if definition.label:
        nodes.append(("description", definition.label))
    if place.type is PointType.COUNTER:
        return [*nodes, *_counter(place, plan)]
    nodes.append(("changeEventClass", _CLASS_WORDS[place.event_class]))
    if place.type in _OUTPUTS:
        nodes.append(("commandEventClass", _CLASS_WORDS[plan.command_class]))
    nodes.append(("includedInClass0Response", "always"))
    if place.type in _OUTPUTS:
        nodes.append(("supportedControlOperations", _operations(place, plan)))
    if place.type is PointType.ANALOG_INPUT:
        static, event = _variations(place)
        nodes += [("defaultStaticVariation", static), ("defaultEventVariation", event)]
    if place.type in (PointType.BINARY_INPUT, PointType.BINARY_OUTPUT, PointType.DOUBLE_BIT):
        nodes += [(f"nameState{code}", text) for code, text in definition.states if 0 <= code <= 3]
    if place.type in (PointType.ANALOG_INPUT, PointType.ANALOG_OUTPUT):
        unit = "ms since 1970-01-01 UTC" if definition.kind is Kind.TIME else definition.unit
        nodes += [("units", unit)] if unit else []
    return nodes


def _variations(place: Shown) -> tuple[str, str]:
    """Return the words for what class polls are answered with: static and event."""
    static = place.static_variation or DEFAULT_STATIC.get(place.type, _DEFAULT)
    event = place.event_variation or DEFAULT_EVENT.get(place.type, _DEFAULT)
    return _VARIATION_WORDS[static], _VARIATION_WORDS[event]


def _counter(place: Shown, plan: Plan) -> Iterable[Node]:
    static, event = _variations(place)
    yield "defaultCounterStaticVariation", static
    yield "defaultCounterEventVariation", event
    yield "countersIncludedInClass0", "always"
    yield "counterEventClass", _CLASS_WORDS[place.event_class]
    yield "frozenCounterExists", "true" if plan.frozen else "false"
    if plan.frozen:
        yield "frozenCountersIncludedInClass0", "always"
        yield "frozenCounterEventClass", _CLASS_WORDS[place.frozen_class]


def _operations(place: Shown, plan: Plan) -> list[Node]:
    if not place.writable or not may(plan, Permit.CONTROL):
        return []
    ways = ("SelectOperate", "DirectOperate", "DirectOperateNoAck", *_OUTPUTS[place.type])
    return [(f"support{way}", "") for way in ways]
