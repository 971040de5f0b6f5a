"""Event filters: what they choose, what they refuse, and that none of them costs more than its length. # O-01"""

from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.alarm import Alarm
from bridge.projections.opcua.event_filter import ELEMENTS_MOST, FIELDS_MOST, Filter, compiled
from bridge.projections.opcua.occurrences import (
    ConditionEvent,
    NodeName,
    Source,
    alarm_of,
    event_id,
    severity_of,
)

ALARM = Alarm(7, "over_voltage", "Voltage", "m1", 3, 200, 1_700_000_000 * 10**9, limit=250.0)
SOURCE = Source(NodeName("m1.voltage_l1"), "m1.voltage_l1", "m1", True)
EVENT = ConditionEvent(ALARM, SOURCE, 1_700_000_001 * 10**9, 0, branch=False, confirming=False, comment="")
_operators = ua.FilterOperator


def field(*names: str, attribute: int = 13) -> Any:
    path = [ua.QualifiedName(name, 0) for name in names]
    return ua.SimpleAttributeOperand(ua.NodeId(2041), path, attribute)


def literal(value: Any, kind: ua.VariantType | None = None) -> Any:
    return ua.LiteralOperand(ua.Variant(value, kind))


def at(index: int) -> Any:
    return ua.ElementOperand(index)


NOTHING = (_operators.IsNull, field("Nothing"))


def where(*elements: tuple[Any, ...]) -> tuple[Filter | None, Any]:
    clause = ua.ContentFilter([ua.ContentFilterElement(operator, list(operands)) for operator, *operands in elements])
    return compiled(ua.EventFilter(SelectClauses=[field("EventId")], WhereClause=clause))


def passes(*elements: tuple[Any, ...]) -> bool:
    found, _ = where(*elements)
    assert found is not None
    return found.passes(EVENT)


@pytest.mark.parametrize(
    ("elements", "wanted"),
    [
        ([], True),
        ([(_operators.OfType, literal(ua.NodeId(2915)))], True),
        ([(_operators.OfType, literal(ua.NodeId(2782)))], True),
        ([(_operators.OfType, literal(ua.NodeId(10637)))], False),
        ([(_operators.OfType, literal(ua.NodeId(2915, 2)))], False),
        ([(_operators.GreaterThanOrEqual, field("Severity"), literal(709, ua.VariantType.UInt16))], True),
        ([(_operators.GreaterThan, field("Severity"), literal(709, ua.VariantType.UInt16))], False),
        ([(_operators.LessThan, field("Severity"), literal(710.5))], True),
        ([(_operators.LessThanOrEqual, field("Severity"), literal(1, ua.VariantType.UInt16))], False),
        ([(_operators.Between, field("Severity"), literal(700.0), literal(710.0))], True),
        ([(_operators.Between, field("Severity"), literal(1.0), literal(2.0))], False),
        ([(_operators.Equals, field("SourceName"), literal("m1.voltage_l1"))], True),
        ([(_operators.Equals, field("SourceNode"), literal(ua.NodeId("m1.voltage_l1", 2)))], True),
        ([(_operators.Equals, field("Message"), literal(ua.LocalizedText("Voltage began")))], True),
        ([(_operators.Equals, field("ActiveState", "Id"), literal(True))], True),
        ([(_operators.GreaterThan, field("Time"), literal(datetime(2020, 1, 1, tzinfo=UTC)))], True),
        ([(_operators.InList, field("ConditionName"), literal("x"), literal("over_voltage"))], True),
        ([(_operators.InList, field("ConditionName"), literal("x"))], False),
        ([(_operators.IsNull, field("ConfirmedState", "Id"))], True),
        ([(_operators.IsNull, field("Severity"))], False),
        ([(_operators.Not, at(1)), (_operators.IsNull, field("Severity"))], True),
        ([(_operators.And, at(1), at(2)), NOTHING, (_operators.IsNull, field("Time"))], False),
        ([(_operators.Or, at(1), at(2)), NOTHING, (_operators.IsNull, field("Time"))], True),
        # null is neither: an unknown field compares to nothing, and not even its opposite holds
        ([(_operators.GreaterThan, field("Nothing"), literal(1.0))], False),
        ([(_operators.Not, at(1)), (_operators.GreaterThan, field("Nothing"), literal(1.0))], False),
        ([(_operators.GreaterThan, field("SourceName"), literal(1.0))], False),
    ],
)  # fmt: skip
def test_a_where_clause_chooses(elements: list[Any], wanted: bool) -> None:
    assert passes(*elements) is wanted


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ([(_operators.Like, field("Message"), literal("%x%"))], "BadFilterOperatorUnsupported"),
        ([(_operators.Equals, field("Message"))], "BadFilterOperandCountMismatch"),
        ([(_operators.Not, at(0))], "BadFilterOperandInvalid"),
        ([(_operators.Not, at(1))], "BadFilterOperandInvalid"),
        ([(_operators.IsNull, ua.AttributeOperand())], "BadFilterOperandInvalid"),
        ([(_operators.InList, *[literal(1)] * 40)], "BadFilterOperandCountMismatch"),
    ],
)
def test_a_where_clause_that_is_not_understood_is_refused_at_its_element(elements: list[Any], code: str) -> None:
    found, told = where(*elements)

    assert found is None
    assert [one.StatusCode.name for one in told.WhereClauseResult.ElementResults] == [code]


def test_a_field_that_no_event_has_is_null_and_one_that_cannot_be_is_said() -> None:
    clauses = [field("Severity"), field("Nothing"), field(attribute=1), field("Time", attribute=4)]
    found, told = compiled(ua.EventFilter(SelectClauses=clauses))

    assert found is not None
    # condition: namespace 2, a text; nulls are one byte
    condition = b"\x11\x03\x02\x00\x1a\x00\x00\x00m1.voltage_l1/over_voltage"
    assert found.encoded(EVENT) == b"\x04\0\0\0\x05\xc5\x02\0" + condition + b"\0"
    assert [one.name for one in told.SelectClauseResults] == ["Good", "Good", "Good", "BadAttributeIdInvalid"]


@pytest.mark.parametrize("count", [0, FIELDS_MOST + 1])
def test_no_field_and_too_many_are_refused(count: int) -> None:
    assert compiled(ua.EventFilter(SelectClauses=[field("Time")] * count))[0] is None
    assert compiled(None)[0] is None


# BARS I1: every element twice in the one before would be 2**32 evaluations
def test_the_deepest_filter_is_worked_out_element_by_element() -> None:
    elements: list[tuple[Any, ...]] = [(_operators.And, at(n + 1), at(n + 1)) for n in range(ELEMENTS_MOST - 1)]
    elements.append((_operators.IsNull, field("Nothing")))

    assert passes(*elements)
    assert where(*elements, elements[-1])[0] is None


@given(st.integers(0, 255), st.integers(0, 255))
def test_severity_grows_with_priority_and_keeps_its_band(one: int, other: int) -> None:
    low, high = sorted((one, other))

    assert 1 <= severity_of(low) <= severity_of(high) <= 1000
    assert (severity_of(one) > 666) is (one >= 192)
    assert (333 < severity_of(one) <= 666) is (128 <= one < 192)


def test_an_event_id_names_its_alarm_and_no_other_bytes_do() -> None:
    assert alarm_of(event_id(ALARM, branch=False)) == 7
    assert event_id(ALARM, branch=True) != event_id(ALARM, branch=False)
    assert alarm_of(b"") is None
    assert alarm_of(b"x" * 10) is None
