"""
Event filters (OPC 10000-4, 7.22.3 and 7.7): which fields of an event a client wants, and of which events.

The where clause is a list of elements that may only refer to later ones, so it is worked out from the last to the
first, each once: no filter costs more than its length. Null is neither true nor false (7.7.3, three-valued logic).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua
from asyncua.ua.uaprotocol_auto import (
    ContentFilterElementResult,
    ElementOperand,
    EventFilter,
    EventFilterResult,
    LiteralOperand,
    SimpleAttributeOperand,
)

from bridge.projections.opcua.binary import EPOCH, I4
from bridge.projections.opcua.nodes import Localized
from bridge.projections.opcua.occurrences import Field, NodeName, Occurrence, Status, Ticks, variant
from bridge.projections.opcua.plan import NAMESPACE_INDEX

# Of one filter.
FIELDS_MOST, ELEMENTS_MOST, OPERANDS_MOST = 100, 32, 32
_codes, _operators = ua.StatusCodes, ua.FilterOperator
_NODE_ID, _VALUE = 1, 13
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

# What an operand is worth; values of unlike kinds cannot be compared
Plain = bool | int | float | str | bytes | tuple[str, object] | None
# (event, worth of the later elements)
Operand = Callable[[Occurrence, Sequence[Plain]], Plain]
Element = Callable[[Occurrence, Sequence[Plain]], bool | None]


class _Refused(Exception):
    def __init__(self, code: int, operands: Sequence[int] = ()) -> None:
        super().__init__(hex(code))
        self.code, self.operands = code, operands


@dataclass(frozen=True, slots=True)
class Filter:
    """`fields`: browse paths in the order of the client; None: one that no event here has."""

    fields: tuple[str | None, ...]
    elements: tuple[Element, ...]

    def passes(self, event: Occurrence) -> bool:
        worth: list[Plain] = [None] * len(self.elements)
        for at in range(len(self.elements) - 1, -1, -1):
            worth[at] = self.elements[at](event, worth)
        return not worth or worth[0] is True

    def encoded(self, event: Occurrence) -> bytes:
        """Return the EventFields of an event: count i32 | Variants."""
        found = [variant(None if path is None else event.field(path)) for path in self.fields]
        return I4.pack(len(found)) + b"".join(found)


def compiled(wanted: Any) -> tuple[Filter | None, EventFilterResult]:
    """Return the filter, None when it is refused, and what the client is told of it."""
    told = EventFilterResult()
    if not isinstance(wanted, EventFilter) or not 0 < len(wanted.SelectClauses or ()) <= FIELDS_MOST:
        return None, told
    fields = [_field(clause) for clause in wanted.SelectClauses]
    told.SelectClauseResults = [ua.StatusCode(code) for _, code in fields]
    elements: list[Element] = []
    sound, clauses = True, wanted.WhereClause.Elements or ()
    if len(clauses) > ELEMENTS_MOST:
        return None, told
    for at, clause in enumerate(clauses):
        result = ContentFilterElementResult()
        try:
            elements.append(_element(clause, at, len(clauses)))
        except _Refused as refused:
            sound = False
            result.StatusCode = ua.StatusCode(refused.code)
            result.OperandStatusCodes = [ua.StatusCode(code) for code in refused.operands]
        told.WhereClauseResult.ElementResults.append(result)
    if not sound:
        return None, told
    return Filter(tuple(path for path, _ in fields), tuple(elements)), told


def _field(clause: SimpleAttributeOperand) -> tuple[str | None, int]:
    names = clause.BrowsePath or ()
    if clause.IndexRange:
        return None, _codes.BadIndexRangeInvalid
    if clause.AttributeId != (_VALUE if names else _NODE_ID):
        return None, _codes.BadAttributeIdInvalid
    if any(name.NamespaceIndex or not name.Name for name in names):
        return None, _codes.BadNodeIdUnknown
    return "/".join(name.Name for name in names), 0


def _element(clause: Any, at: int, count: int) -> Element:
    """Raises: _Refused."""
    operands = clause.FilterOperands or ()
    if len(operands) > OPERANDS_MOST:
        raise _Refused(_codes.BadFilterOperandCountMismatch)
    operator = _OPERATORS.get(int(clause.FilterOperator))
    if operator is None:
        raise _Refused(_codes.BadFilterOperatorUnsupported)
    least, most, work = operator
    if not least <= len(operands) <= most:
        raise _Refused(_codes.BadFilterOperandCountMismatch)
    parts = [_operand(operand, at, count) for operand in operands]
    if None in parts:
        bad = [0 if part is not None else _codes.BadFilterOperandInvalid for part in parts]
        raise _Refused(_codes.BadFilterOperandInvalid, bad)
    sound = [part for part in parts if part is not None]
    return lambda event, worth: work(event, [part(event, worth) for part in sound])


def _operand(operand: Any, at: int, count: int) -> Operand | None:
    """Return None for what no operand may be."""
    match operand:
        case LiteralOperand():
            known = _literal(operand.Value)
            return lambda event, worth: known
        case ElementOperand():
            later = int(operand.Index)
            return (lambda event, worth: worth[later]) if at < later < count else None
        case SimpleAttributeOperand():
            path, code = _field(operand)
            return None if code or path is None else (lambda event, worth: _plain(event.field(path)))
        case _:
            return None


def _literal(value: ua.Variant | None) -> Plain:
    found = value.Value if value is not None and not value.is_array else None
    match found:
        case bool() | int() | float() | str() | bytes():
            return found
        case ua.NodeId():
            return ("node", (found.NamespaceIndex, found.Identifier))
        case ua.LocalizedText():
            return found.Text or ""
        case datetime():
            moment = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            return ("time", (moment - _EPOCH) // _MICROSECOND * 10 + EPOCH)
        case ua.StatusCode():
            return ("status", found.value)
        case _:
            return None


def _plain(field: Field) -> Plain:
    match field:
        case NodeName(identifier=identifier):
            named = (NAMESPACE_INDEX if isinstance(identifier, str) and identifier else 0, identifier or 0)
            return ("node", named)
        case Ticks(since_1601=count):
            return ("time", count)
        case Status(code=code):
            return ("status", code)
        case Localized(text=text):
            return text
        case _:
            return field


def _order(one: Plain, other: Plain) -> int | None:
    """Return -1, 0 or 1; None where there is no order."""
    if one is None or other is None:
        return None
    if isinstance(one, tuple) and isinstance(other, tuple) and one[0] == other[0]:
        if one[0] != "time":
            return None
        one, other = int(str(one[1])), int(str(other[1]))
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if not numbers and not (isinstance(one, str) and isinstance(other, str)):
        return None
    return (one > other) - (one < other)  # type: ignore[operator] # both numbers or both texts


def _equal(one: Plain, other: Plain) -> bool | None:
    return None if one is None or other is None else one == other


def _ordered(right: Callable[[int], bool]) -> Callable[[Occurrence, list[Plain]], bool | None]:
    def work(event: Occurrence, values: list[Plain]) -> bool | None:
        del event
        order = _order(values[0], values[1])
        return None if order is None else right(order)

    return work


def _truth(value: Plain) -> bool | None:
    return value if isinstance(value, bool) else None


def _not(event: Occurrence, values: list[Plain]) -> bool | None:
    truth = _truth(values[0])
    return None if truth is None else not truth


def _and(event: Occurrence, values: list[Plain]) -> bool | None:
    one, other = map(_truth, values)
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _or(event: Occurrence, values: list[Plain]) -> bool | None:
    one, other = map(_truth, values)
    if one is True or other is True:
        return True
    return None if one is None or other is None else False


def _between(event: Occurrence, values: list[Plain]) -> bool | None:
    low, high = _order(values[0], values[1]), _order(values[0], values[2])
    return None if low is None or high is None else low >= 0 >= high


def _in_list(event: Occurrence, values: list[Plain]) -> bool | None:
    return any(_equal(values[0], other) for other in values[1:])


def _of_type(event: Occurrence, values: list[Plain]) -> bool | None:
    match values[0]:
        case ("node", (0, int(number))):
            return number in event.types
        case _:
            return False


Work = Callable[[Occurrence, list[Plain]], bool | None]
# operator -> fewest and most operands, and what it does; Like, Cast, InView and RelatedTo are not offered
_OPERATORS: dict[int, tuple[int, int, Work]] = {
    _operators.Equals: (2, 2, lambda event, values: _equal(values[0], values[1])),
    _operators.IsNull: (1, 1, lambda event, values: values[0] is None),
    _operators.GreaterThan: (2, 2, _ordered(lambda order: order > 0)),
    _operators.LessThan: (2, 2, _ordered(lambda order: order < 0)),
    _operators.GreaterThanOrEqual: (2, 2, _ordered(lambda order: order >= 0)),
    _operators.LessThanOrEqual: (2, 2, _ordered(lambda order: order <= 0)),
    _operators.Not: (1, 1, _not),
    _operators.Between: (3, 3, _between),
    _operators.InList: (2, OPERANDS_MOST, _in_list),
    _operators.And: (2, 2, _and),
    _operators.Or: (2, 2, _or),
    _operators.OfType: (1, 1, _of_type),
}
