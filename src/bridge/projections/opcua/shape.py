"""What a point is in OPC UA: data type, variable type, and how its value becomes a Variant."""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.point import Kind, PointDef, Value
from bridge.projections.opcua.binary import VariantType, localized_text, string, ticks

# Variable types (OPC 10000-8, 5.3)
BASE_DATA_VARIABLE, PROPERTY = 63, 68
ANALOG_UNIT, TWO_STATE, MULTI_STATE, MULTI_STATE_VALUE = 17497, 2373, 2376, 11238
# Data types that are no built-in type: UtcTime is a DateTime (OPC 10000-3, 8.38)
UTC_TIME = 294
_INT32 = (-(2**31), 2**31 - 1)
_UINT32 = (0, 2**32 - 1)
_INT64 = (-(2**63), 2**63 - 1)

# A Variant with its type byte; None: the type cannot hold the value.
Encoder = Callable[[Value], bytes | None]
_DOUBLE = struct.Struct("<Bd").pack
_PLAIN: dict[VariantType, tuple[struct.Struct, tuple[int, int]]] = {
    VariantType.INT32: (struct.Struct("<Bi"), _INT32),
    VariantType.UINT32: (struct.Struct("<BI"), _UINT32),
    VariantType.INT64: (struct.Struct("<Bq"), _INT64),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """`data_type`, `type_definition`: numeric ids of namespace 0. `companion`: a second variable beside the point."""

    variant: VariantType
    data_type: int
    type_definition: int
    companion: "Shape | None" = None


_DOUBLE_BESIDE = Shape(VariantType.DOUBLE, VariantType.DOUBLE, ANALOG_UNIT)
_TEXT_BESIDE = Shape(VariantType.LOCALIZED_TEXT, VariantType.LOCALIZED_TEXT, PROPERTY)
_ANALOG = Shape(VariantType.DOUBLE, VariantType.DOUBLE, ANALOG_UNIT)
_COUNT = Shape(VariantType.INT64, VariantType.INT64, ANALOG_UNIT, _DOUBLE_BESIDE)
_BINARY = Shape(VariantType.BOOLEAN, VariantType.BOOLEAN, TWO_STATE)
_ENUMERATED = Shape(VariantType.UINT32, VariantType.UINT32, MULTI_STATE)
_CODED = Shape(VariantType.INT32, VariantType.INT32, MULTI_STATE_VALUE, _TEXT_BESIDE)
_CODED_LONG = Shape(VariantType.INT64, VariantType.INT64, MULTI_STATE_VALUE, _TEXT_BESIDE)
_TEXT = Shape(VariantType.STRING, VariantType.STRING, BASE_DATA_VARIABLE)
_TIME = Shape(VariantType.DATE_TIME, UTC_TIME, BASE_DATA_VARIABLE)


def shape_of(definition: PointDef) -> Shape:
    """Return how a point is shown; codes 0, 1, 2, ... are a MultiStateDiscrete, others a MultiStateValueDiscrete."""
    match definition.kind:
        case Kind.ANALOG:
            return _ANALOG
        case Kind.ACCUMULATOR:
            return _COUNT
        case Kind.BINARY:
            return _BINARY
        case Kind.TEXT:
            return _TEXT
        case Kind.TIME:
            return _TIME
        case Kind.MULTISTATE:
            codes = sorted(code for code, _ in definition.states)
            if codes and codes == list(range(len(codes))):
                return _ENUMERATED
            fits = all(_INT32[0] <= code <= _INT32[1] for code in codes)
            return _CODED if fits else _CODED_LONG


def encoder_of(definition: PointDef) -> Encoder:
    """Return what encodes the point's value."""
    variant = shape_of(definition).variant
    match variant:
        case VariantType.DOUBLE:
            return _double
        case VariantType.BOOLEAN:
            return lambda value: b"\x01\x01" if value else b"\x01\x00"
        case VariantType.STRING | VariantType.LOCALIZED_TEXT:
            return lambda value: b"\x0c" + string(str(value))
        case VariantType.DATE_TIME:
            return _date_time
        case VariantType.INT32 | VariantType.UINT32 | VariantType.INT64:
            return _integer(variant)


def companion_encoder_of(definition: PointDef) -> Encoder:
    """Return what encodes the variable beside the point: the Double of a count, the text of a code."""
    if definition.kind is Kind.ACCUMULATOR:
        times = 10**definition.resolution if definition.resolution > 0 else 1
        over = 10**-definition.resolution if definition.resolution < 0 else 1
        return lambda value: _double(int(value or 0) * times / over)
    texts = {code: b"\x15" + localized_text(text) for code, text in definition.states}
    return lambda value: texts.get(value, b"\x15\0") if isinstance(value, int) else None


def _double(value: Value) -> bytes | None:
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return _DOUBLE(VariantType.DOUBLE, math.nan if math.isnan(number) else number)
    return None


def _date_time(value: Value) -> bytes | None:
    if not isinstance(value, int):
        return None
    count = ticks(value)
    return struct.pack("<Bq", VariantType.DATE_TIME, count) if 0 <= count <= _INT64[1] else None


def _integer(variant: VariantType) -> Encoder:
    packed, (low, high) = _PLAIN[variant]
    pack = packed.pack

    def encode(value: Value) -> bytes | None:
        return pack(variant, value) if isinstance(value, int) and low <= value <= high else None

    return encode
