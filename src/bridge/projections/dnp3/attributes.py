"""
Device attributes (group 0): what the outstation is, for a master that asks.

    group 0 | variation | qualifier 00 | set 0 to 0 | data type | length | value

Data types: 1 printable text, 2 unsigned, 254 list of variations. Source: IEEE 1815-2012, Annex A, group 0.
"""

from collections.abc import Iterable, Mapping

from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Identity
from bridge.projections.dnp3.tables import PointTables

ALL, LIST = 254, 255
_TEXT, _UNSIGNED, _LIST = 1, 2, 254
# A read-only attribute in the list: bit 0 of its properties is clear.
_READ_ONLY = 0
_MAX_CONTROLS, _MAX_TRANSMIT, _MAX_RECEIVE = 216, 240, 241
# Variations with, in this order: event support, highest index, number of points.
_COUNTED = {
    PointType.ANALOG_OUTPUT: (219, 220, 221),
    PointType.BINARY_OUTPUT: (222, 223, 224),
    PointType.COUNTER: (227, 228, 229),
    PointType.ANALOG_INPUT: (231, 232, 233),
    PointType.DOUBLE_BIT: (234, 235, 236),
    PointType.BINARY_INPUT: (237, 238, 239),
}
_FROZEN_EVENTS, _FROZEN = 225, 226


def attributes(
    identity: Identity, version: str, tables: PointTables, max_controls: int, fragment_bytes: int
) -> dict[int, bytes]:
    """Return type, length and value of every attribute that has something to say, by variation."""
    found: dict[int, bytes] = {
        _MAX_CONTROLS: _unsigned(max_controls),
        _MAX_TRANSMIT: _unsigned(fragment_bytes),
        _MAX_RECEIVE: _unsigned(fragment_bytes),
        _FROZEN_EVENTS: _unsigned(1),
        _FROZEN: _unsigned(int(bool(tables[PointType.FROZEN_COUNTER].points))),
    }
    for point_type, (events, highest, count) in _COUNTED.items():
        points = tables[point_type].points
        found[events], found[count] = _unsigned(1), _unsigned(len(points))
        if points:
            found[highest] = _unsigned(max(points))
    texts = {
        242: identity.version or version,
        245: identity.location,
        246: identity.id_code,
        247: identity.name,
        248: identity.serial_number,
        250: identity.product,
        252: identity.vendor,
    }
    found.update({variation: _text(text) for variation, text in texts.items() if text})
    return dict(sorted(found.items()))


def objects(found: Mapping[int, bytes], variation: int) -> list[bytes] | None:
    """Return the objects that answer a READ of `variation`, None for one there is not."""
    if variation == ALL:
        return [_object(one, value) for one, value in found.items()]
    if variation == LIST:
        pairs = b"".join(bytes((one, _READ_ONLY)) for one in found)
        return [_object(LIST, bytes((_LIST, len(pairs))) + pairs)]
    value = found.get(variation)
    return None if value is None else [_object(variation, value)]


def _object(variation: int, value: bytes) -> bytes:
    return bytes((0, variation, 0, 0, 0)) + value


def _text(text: str) -> bytes:
    data = _printable(text)[:255]
    return bytes((_TEXT, len(data))) + data


def _printable(text: Iterable[str]) -> bytes:
    return "".join(c if " " <= c <= "~" else "?" for c in text).encode()


def _unsigned(number: int) -> bytes:
    size = 1 if number < 1 << 8 else 2 if number < 1 << 16 else 4
    return bytes((_UNSIGNED, size)) + number.to_bytes(size, "little")
