"""A point's value as its attribute holds it: type, range and text form, checked before they reach the C library."""

import datetime
import math
from collections.abc import Callable
from typing import Final

from bridge.core.point import Kind
from bridge.core.point import Value as PointValue
from bridge.projections.iec61850.tree import INTEGER_RANGE, STRING_LIMIT, Binding, Value

# The largest finite FLOAT32.
_FLOAT32_MAX: Final = 3.4028234663852886e38
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def converter(kind: Kind, binding: Binding) -> Callable[[PointValue], Value | None]:
    """Return `attribute_value` for one attribute, with a short way for measurands, which are most of the traffic."""
    if binding.b_type != "FLOAT32":
        return lambda value: attribute_value(value, kind, binding)

    def measurand(value: PointValue) -> Value | None:
        if value.__class__ is float and -_FLOAT32_MAX <= value <= _FLOAT32_MAX:
            return value
        return attribute_value(value, kind, binding)

    return measurand


def attribute_value(value: PointValue, kind: Kind, binding: Binding) -> Value | None:
    """Return what to write, None for a point without a value. Raises: ValueError for what does not fit."""
    if value is None:
        return None
    if kind is Kind.TIME:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"expected nanoseconds, got {value!r}")
        return time_text(value)
    if kind is Kind.TEXT:
        return shown_text(str(value), binding.b_type)
    return checked(value, binding)


def time_text(utc_ns: int) -> str:
    """Return a time as RFC 3339 with milliseconds. Raises: ValueError outside the years 1 to 9999."""
    seconds, rest = divmod(utc_ns, 1_000_000_000)
    try:
        at = _EPOCH + datetime.timedelta(seconds=seconds)
    except OverflowError as exc:
        raise ValueError(f"{utc_ns} ns is no time of the calendar") from exc
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


def shown_text(text: str, b_type: str) -> str:
    """Return a text cut to its attribute; a VisString has the characters of ISO 646 only."""
    if b_type == "Unicode255":
        return text.encode()[: STRING_LIMIT[b_type]].decode(errors="ignore")
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)
    return plain[: STRING_LIMIT[b_type]]


def checked(value: Value, binding: Binding) -> Value:
    """Return the value as its attribute holds it. Raises: ValueError for another type or range."""
    b_type = binding.b_type
    if b_type == "BOOLEAN" and isinstance(value, bool):
        return value
    if isinstance(value, bool):
        raise ValueError(f"expected {b_type}, got a boolean")
    if b_type == "FLOAT32" and isinstance(value, int | float):
        if math.isfinite(value) and abs(value) <= _FLOAT32_MAX:
            return float(value)
    elif b_type == "Enum" and isinstance(value, int):
        if value in binding.ordinals:
            return value
    elif b_type in INTEGER_RANGE and isinstance(value, int):
        low, high = INTEGER_RANGE[b_type]
        if low <= value <= high:
            return value
    elif b_type in STRING_LIMIT and isinstance(value, str) and len(value.encode()) <= STRING_LIMIT[b_type]:
        return value
    raise ValueError(f"{value!r} does not fit {b_type}")
