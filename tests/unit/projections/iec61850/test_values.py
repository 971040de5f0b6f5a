"""What reaches an attribute is of its type and range, or nothing does."""

import pytest

from bridge.core.point import Kind, Value
from bridge.projections.iec61850.tree import Binding
from bridge.projections.iec61850.values import attribute_value, shown_text, time_text


def binding(b_type: str, *ordinals: int) -> Binding:
    return Binding("m1.x", "m1", "m1/GGIO1.X1", "stVal", b_type, frozenset(ordinals), None)


@pytest.mark.parametrize(
    ("value", "kind", "b_type"),
    [
        ("text", Kind.ANALOG, "FLOAT32"),
        (True, Kind.ANALOG, "FLOAT32"),
        (float("nan"), Kind.ANALOG, "FLOAT32"),
        (1e300, Kind.ANALOG, "FLOAT32"),
        (1.5, Kind.ACCUMULATOR, "INT64"),
        (1 << 63, Kind.ACCUMULATOR, "INT64"),
        (1 << 31, Kind.MULTISTATE, "INT32"),
        (1, Kind.BINARY, "BOOLEAN"),
        (3, Kind.MULTISTATE, "Enum"),
        (1.5, Kind.TIME, "VisString255"),
        (10**30, Kind.TIME, "VisString255"),
    ],
)
def test_a_value_of_another_type_or_range_is_refused(value: Value, kind: Kind, b_type: str) -> None:
    with pytest.raises(ValueError, match=r"fit|boolean|nanoseconds|calendar"):
        attribute_value(value, kind, binding(b_type, 1, 2))


@pytest.mark.parametrize(
    ("value", "kind", "b_type", "expected"),
    [
        (None, Kind.ANALOG, "FLOAT32", None),
        (7, Kind.ANALOG, "FLOAT32", 7.0),
        (2**62 + 1, Kind.ACCUMULATOR, "INT64", 2**62 + 1),
        (2, Kind.MULTISTATE, "Enum", 2),
        ("Zähler", Kind.TEXT, "VisString255", "Z?hler"),
        ("Zähler", Kind.TEXT, "Unicode255", "Zähler"),
        (1_700_000_000_123_999_999, Kind.TIME, "VisString255", "2023-11-14T22:13:20.123Z"),
    ],
)
def test_a_value_that_fits_is_kept_exactly(value: Value, kind: Kind, b_type: str, expected: Value) -> None:
    assert attribute_value(value, kind, binding(b_type, 1, 2)) == expected


def test_a_long_text_is_cut_at_a_whole_character() -> None:
    assert shown_text("x" * 300, "VisString255") == "x" * 255
    assert shown_text("x" + "ä" * 200, "Unicode255") == "x" + "ä" * 127


def test_a_time_before_1970_is_a_time() -> None:
    assert time_text(-1) == "1969-12-31T23:59:59.999Z"
