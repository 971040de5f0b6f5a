"""
Read and Browse requests, compiled from their bytes (OPC 10000-4, 5.11.2 and 5.9.2).

    Read:   MaxAge f64 | TimestampsToReturn i32 | count i32 | count x (NodeId | AttributeId u32 | IndexRange |
            DataEncoding)
    Browse: ViewId NodeId | view time i64 | view version u32 | most references u32 | count i32 | count x (NodeId |
            direction i32 | reference type NodeId | subtypes bool | node classes u32 | result mask u32)
Clients ask the same again and again, so the bytes behind the request header are the key of what was compiled. What is
not recognised is left to the library.
"""

import struct
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from bridge.projections.opcua.binary import I4, NULL_STRING, U4, node_id_end
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.plan import NAMESPACE_INDEX
from bridge.projections.opcua.references import reference_description

T = TypeVar("T")
_READ_HEAD = struct.Struct("<dIi")
_BROWSE_HEAD = struct.Struct("<qIIi")
# Operation limits the server states (MaxNodesPerRead, MaxNodesPerBrowse).
MOST_NODES = 10_000
# Bytes of request and reply that the caches may hold.
READ_CACHE, BROWSE_CACHE = 2 << 20, 4 << 20
# Requests seen once that are remembered, to know the second time.
_ONCE_MOST = 1024
_VALUE = 13
# AttributeId Value, no IndexRange, no DataEncoding: null and empty strings are the same.
_ITEM_ENDS = frozenset(
    U4.pack(_VALUE) + index_range + b"\0\0" + encoding
    for index_range in (NULL_STRING, b"\0\0\0\0")
    for encoding in (NULL_STRING, b"\0\0\0\0")
)
_ITEM_END = 14
_GOOD_NO_CONTINUATION = b"\0\0\0\0" + NULL_STRING
_OWN = bytes((3, NAMESPACE_INDEX, 0))
_FORWARD, _INVERSE, _BOTH = 0, 1, 2

# Reference types that a request for a type wants: None = every one.
Subtypes = Callable[[bytes, bool], "frozenset[int] | None"]


class Cache(dict[bytes, T], Generic[T]):
    """Bounded in bytes: emptied when it would hold more. What was asked for only once is not kept."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most, self._bytes = most, 0
        self._once = set[int]()

    def put(self, key: bytes, value: T, size: int) -> None:
        if size > self._most // 8 or not self._again(hash(key)):
            return
        if self._bytes + size > self._most:
            self.clear()
            self._bytes = 0
        self._bytes += size
        self[key] = value

    def _again(self, mark: int) -> bool:
        if mark in self._once:
            self._once.discard(mark)
            return True
        if len(self._once) >= _ONCE_MOST:
            self._once.clear()
        self._once.add(mark)
        return False


class Read(NamedTuple):
    slots: tuple[int, ...]
    timestamps: int
    encoded_count: bytes


class Reads:
    """Requests for values of points and nothing else."""

    def __init__(self, image: Image) -> None:
        self._find, self._known = image.find, Cache[Read](READ_CACHE)

    def get(self, key: bytes) -> Read | None:
        """Return None for what the library shall answer. Raises: IndexError, struct.error."""
        found = self._known.get(key)
        if found is None:
            found = self._compile(key)
            if found is not None:
                self._known.put(key, found, 2 * len(key) + 40 * len(found.slots))
        return found

    def _compile(self, body: bytes) -> Read | None:
        age, timestamps, count = _READ_HEAD.unpack_from(body)
        at = _READ_HEAD.size
        if not 0 < count <= MOST_NODES or timestamps > 3 or not age >= 0:
            return None
        slots = list[int]()
        for _ in range(count):
            end = node_id_end(body, at)
            slot = self._find(body[at:end])
            if slot is None or body[end : end + _ITEM_END] not in _ITEM_ENDS:
                return None
            slots.append(slot)
            at = end + _ITEM_END
        return Read(tuple(slots), timestamps, I4.pack(count)) if at == len(body) else None


class Browses:
    """Requests about nodes of the model and nothing else; the reply from the count of results on."""

    def __init__(self, model: Model, subtypes: Subtypes) -> None:
        self._model, self._subtypes = model, subtypes
        self._known = Cache[bytes](BROWSE_CACHE)

    def get(self, key: bytes) -> bytes | None:
        """Return None for what the library shall answer. Raises: IndexError, struct.error."""
        found = self._known.get(key)
        if found is None:
            found = self._compile(key)
            if found is not None:
                self._known.put(key, found, len(key) + len(found))
        return found

    def _compile(self, body: bytes) -> bytes | None:
        at = node_id_end(body, 0)
        if body[:at] != b"\0\0":
            # a view
            return None
        _, _, most, count = _BROWSE_HEAD.unpack_from(body, at)
        at += _BROWSE_HEAD.size
        if not 0 < count <= MOST_NODES:
            return None
        parts = [I4.pack(count)]
        for _ in range(count):
            end = node_id_end(body, at)
            identifier = body[at:end]
            (direction,) = U4.unpack_from(body, end)
            at = node_id_end(body, end + 4)
            wanted = self._subtypes(body[end + 4 : at], bool(body[at]))
            classes, result_mask = struct.unpack_from("<II", body, at + 1)
            at += 9
            if direction > _BOTH or result_mask & 63 != 63:
                return None
            found = self._result(identifier, direction, wanted, classes)
            if found is None or (most and len(found) > most):
                return None
            parts += [_GOOD_NO_CONTINUATION, I4.pack(len(found)), *found]
        parts.append(b"\0\0\0\0")
        return b"".join(parts) if at == len(body) else None

    def _result(
        self, identifier: bytes, direction: int, wanted: frozenset[int] | None, classes: int
    ) -> list[bytes] | None:
        if identifier[:3] != _OWN:
            return None
        references = self._model.references(identifier[7:].decode("utf-8", "replace"))
        if references is None:
            return None
        return [
            reference_description(reference)
            for reference in references
            if (direction == _BOTH or reference.forward == (direction == _FORWARD))
            and (wanted is None or reference.type in wanted)
            and (not classes or classes & reference.target.node_class)
        ]
