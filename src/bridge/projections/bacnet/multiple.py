"""
ReadPropertyMultiple from the model (clause 15.7).

Property lists are compiled once per shape; the request a BMS polls with is copied by columns.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, Protocol

from bridge.projections.bacnet import wire
from bridge.projections.bacnet.model import DeviceModel, Encoder, Entry, Recipe, Slow
from bridge.projections.bacnet.plan import DEVICE
from bridge.projections.bacnet.values import FLAGS_OF

# Compiled property lists kept per shape; a client asks for a handful.
RECIPES_MOST = 64
# Property list present-value, status-flags; and the row that answers it.
_POLL = b"\x1e\x09\x55\x09\x6f\x1f"
_POLL_ROW = b"\x0c\0\0\0\0\x1e\x29\x55\x4e\x44\0\0\0\0\x4f\x29\x6f\x4e\x82\x04\0\x4f\x1f"
_FLAG_OCTET = bytes(flags << 4 for flags in FLAGS_OF).ljust(256, b"\0")
WILDCARD_DEVICE = DEVICE << 22 | wire.WILDCARD
_GROUPS = (wire.ALL, wire.REQUIRED, wire.OPTIONAL)


# Octets of one reply beside the object list, which may be long: one datagram can ask for all of the device 140 times.
_REPLY_MOST = 100_000


class Failure(NamedTuple):
    """Error class and code instead of a reply."""

    octets: bytes


# None of the objects of a request is there: clause 15.7.3.1 wants an Error and not an empty list.
NOT_ONE = Failure(wire.UNKNOWN_OBJECT)
TOO_MUCH = Failure(wire.OUT_OF_MEMORY)
Result = bytes | Failure | None


class OwnProperties(Protocol):
    """The Device object, whose list of 80,000 objects the library would need seconds to encode."""

    def properties(self, group: int) -> list[int]:
        """Return the properties of wire.ALL, REQUIRED or OPTIONAL."""
        ...

    def octets(self, prop: int) -> bytes | None:
        """Return one property value, None if the object does not have it."""
        ...


class MultipleReads:
    """Answers for one device; None leaves the request to the stack."""

    def __init__(self, device: DeviceModel, entry: Callable[[int, int], Entry | None], own: OwnProperties) -> None:
        self._device, self._entry, self._own = device, entry, own
        self._catalogue = device.catalogue

    def answer(self, body: bytes) -> Result:
        """Return the octets of the ACK. Raises: OverflowError, ValueError for a value its datatype cannot carry."""
        if body[5:11] == _POLL:
            polled = self._polled(body)
            if polled is not None:
                return polled
        specifications = []
        offset, size = 0, len(body)
        while offset < size:
            if size - offset < 8 or body[offset] != 0x0C:
                return None
            end = _property_list_end(body, offset + 5)
            if end is None:
                return None
            specifications.append((int.from_bytes(body[offset + 1 : offset + 5], "big"), body[offset + 5 : end]))
            offset = end
        return self._results(specifications)

    def _polled(self, body: bytes) -> bytes | None:
        """
        Answer present-value and status-flags of Real points, the request a BMS polls with; None for anything else.

        The request is rows of 11 octets (0c, object id, property list), the reply rows of 23:
        0c, object id, 1e 29 55 4e 44, Real, 4f 29 6f 4e 82 04, flags, 4f 1f. Columns are copied by slices.
        """
        count, rest = divmod(len(body), 11)
        if rest or count < 2 or body[::11] != b"\x0c" * count or body[5::11] != b"\x1e" * count:
            return None
        if body.count(_POLL) != count:
            return None
        positions = list(map(self._device.by_object_id.get, _object_ids(count)(body)))
        if None in positions:
            return None
        catalogue = self._catalogue
        pick = itemgetter(*positions)
        if any(pick(catalogue.special)):
            return None
        values = _reals(count)(*pick(catalogue.value))
        out = bytearray(_POLL_ROW * count)
        out[1::23], out[2::23], out[3::23], out[4::23] = body[1::11], body[2::11], body[3::11], body[4::11]
        out[10::23], out[11::23], out[12::23], out[13::23] = values[::4], values[1::4], values[2::4], values[3::4]
        out[20::23] = bytes(pick(catalogue.condition)).translate(_FLAG_OCTET)
        return bytes(out)

    def _results(self, specifications: list[tuple[int, bytes]]) -> Result:
        points, get = self._catalogue.points, self._device.by_object_id.get
        out: list[bytes] = []
        found, room = False, _REPLY_MOST + len(self._device.object_list())
        for object_id, octets in specifications:
            room -= len(out[-1]) if out else 0
            if room < 0:
                return TOO_MUCH
            position = get(object_id)
            if object_id in (self._device.object_id, WILDCARD_DEVICE):
                out.append(self._own_result(octets))
                found = True
                continue
            if position is None:
                unknown = None if self._device.is_own(object_id) else _unknown_object(object_id, octets)
                if unknown is None:
                    return None
                out.append(unknown)
                continue
            found = True
            emit = points[position].recipes.get(octets) or self._compile(position, octets)
            if emit is None:
                return None
            out.append(emit(object_id, position))
        return b"".join(out) if found else NOT_ONE

    def _own_result(self, octets: bytes) -> bytes:
        body = b"\x0c" + self._device.object_id.to_bytes(4, "big") + b"\x1e"
        for wanted in _properties(octets):
            for prop in self._own.properties(wanted) if wanted in _GROUPS else (wanted,):
                value = self._own.octets(prop)
                shown = b"\x5e" + wire.UNKNOWN_PROPERTY + b"\x5f" if value is None else b"\x4e" + value + b"\x4f"
                body += wire.context_unsigned(2, prop) + shown
        return body + b"\x1f"

    def _compile(self, position: int, octets: bytes) -> Recipe | None:
        """Turn a property list into a function of (object id, position); None when one needs the built object."""
        pieces: list[tuple[bytes, Encoder]] = []
        fixed = b"\x1e"
        wanted = _properties(octets)
        point = self._catalogue.points[position]
        if wanted == [wire.ALL]:
            self._entry(position, wire.PRESENT_VALUE)
            wanted = [prop for prop in sorted(point.entries) if prop != wire.PROPERTY_LIST]
        for prop in wanted:
            if prop in _GROUPS:
                return None
            entry = self._entry(position, prop)
            fixed += wire.context_unsigned(2, prop)
            if entry is None:
                fixed += b"\x5e" + wire.UNKNOWN_PROPERTY + b"\x5f"
            elif isinstance(entry, bytes):
                fixed += b"\x4e" + entry + b"\x4f"
            elif isinstance(entry, Slow):
                return None
            else:
                pieces.append((fixed + b"\x4e", entry))
                fixed = b"\x4f"
        if len(point.recipes) >= RECIPES_MOST:
            point.recipes.clear()
        recipe = _in_pieces(pieces, fixed + b"\x1f")
        point.recipes[octets] = recipe
        return recipe


@lru_cache(maxsize=256)
def _object_ids(count: int) -> Callable[[bytes], tuple[int, ...]]:
    return struct.Struct(">" + "xI6x" * count).unpack


@lru_cache(maxsize=256)
def _reals(count: int) -> Callable[..., bytes]:
    return struct.Struct(f">{count}f").pack


def _in_pieces(pieces: list[tuple[bytes, Encoder]], after: bytes) -> Recipe:
    frozen = tuple(pieces)

    def emit(object_id: int, i: int) -> bytes:
        return b"\x0c%b%b%b" % (
            object_id.to_bytes(4, "big"),
            b"".join([before + encode(i) for before, encode in frozen]),
            after,
        )

    return emit


def _property_list_end(body: bytes, offset: int) -> int | None:
    """Return the offset after the closing tag of a list of plain property references, None for anything else."""
    size = len(body)
    if offset >= size or body[offset] != 0x1E:
        return None
    offset += 1
    start = offset
    while offset < size:
        tag = body[offset]
        if tag == 0x09:
            offset += 2
        elif tag == 0x0A:
            offset += 3
        elif tag == 0x1F and offset > start:
            return offset + 1
        else:
            return None
    return None


def _properties(octets: bytes) -> list[int]:
    found, offset = [], 1
    while octets[offset] != 0x1F:
        if octets[offset] == 0x09:
            found.append(octets[offset + 1])
            offset += 2
        else:
            found.append(octets[offset + 1] << 8 | octets[offset + 2])
            offset += 3
    return found


def _unknown_object(object_id: int, octets: bytes) -> bytes | None:
    """Answer every property of an absent object with unknown-object."""
    fixed = wire.context_object_id(0, object_id) + b"\x1e"
    for prop in _properties(octets):
        if prop in _GROUPS:
            return None
        fixed += wire.context_unsigned(2, prop) + b"\x5e" + wire.UNKNOWN_OBJECT + b"\x5f"
    return fixed + b"\x1f"
