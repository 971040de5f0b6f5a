"""
The MIB as sorted rows: the encoded name of each row, and its whole varbind once somebody asked for it.

A row's varbind is kept until `changed` is told; a live object is encoded at every read. An instance whose
object reads as None is absent: GET says noSuchInstance and GETNEXT passes it.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from bridge.core.point import Value as PointValue
from bridge.projections.snmp.ber import (
    MAX_SUBID,
    MAX_SUBIDS,
    OBJECT_ID,
    SEQUENCE,
    Oid,
    Syntax,
    Value,
    decode_oid,
    encode_oid,
    encode_subids,
    encode_value,
    read_length,
    tlv,
)

# Rows between two names kept decoded for the search; 5 names are decoded per search inside.
_MARK_ROWS = 32
# Stands in the cache for an instance that is absent.
ABSENT = b""


class Freshness(Enum):
    """CACHED: the owner tells `changed`. LIVE: read at each request."""

    CACHED = "cached"
    LIVE = "live"


class Unfit(Enum):
    """Why a value cannot be written to an instance that can be."""

    LENGTH = "length"
    VALUE = "value"


class ReadFailed(Exception):
    """An object's `read` raised, or returned what its syntax cannot carry: our fault, answered by genErr."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a SET wants of the bridge: a point's index and the value as the point table has it."""

    index: int
    value: PointValue


def never(_: int) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ObjectType:
    """
    A scalar or a column. `read` gets the instance's handle and returns its value or None (absent).

    `writable` tells of which handles a SET may change; `change` turns what it brings into a Change. Without `change`
    the object is never writable, whatever a view says.
    """

    oid: Oid
    syntax: Syntax
    read: Callable[[int], Value | None]
    freshness: Freshness = Freshness.CACHED
    writable: Callable[[int], bool] = never
    change: Callable[[int, Value], Change | Unfit] | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """`suffix` follows the object's OID: (0,) of a scalar, the index values of a row."""

    suffix: Oid
    handle: int


SCALAR = (Instance((0,), 0),)


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one object: consecutive, in the order of the instances."""

    object: ObjectType
    base: int
    handles: Sequence[int]


class Table:
    """Columns that share their instances; a scalar is a table of one column and one instance."""

    def __init__(self, columns: Sequence[ObjectType], instances: Sequence[Instance] = SCALAR) -> None:
        ordered = sorted(instances, key=lambda instance: instance.suffix)
        self.columns = columns
        self.suffixes = [encode_subids(instance.suffix) for instance in ordered]
        self.handles = [instance.handle for instance in ordered]
        self.positions = {handle: at for at, handle in enumerate(self.handles)}
        if len(set(self.suffixes)) != len(ordered) or len(self.positions) != len(ordered):
            raise ValueError(f"{columns[0].oid}: instance or handle twice")
        if any(len(column.oid) + len(instance.suffix) > 128 for column in columns for instance in ordered):
            raise ValueError(f"{columns[0].oid}: name longer than 128 sub-identifiers")


class Tree:
    """Built once; rows never move. One thread only."""

    def __init__(self, tables: Sequence[Table]) -> None:
        """Raises: ValueError for an object twice or below another."""
        placed = sorted(((column, table) for table in tables for column in table.columns), key=lambda p: p[0].oid)
        for (one, _), (other, _) in pairwise(placed):
            if other.oid[: len(one.oid)] == one.oid:
                raise ValueError(f"{other.oid} is {one.oid} again or below it")
        self.names: list[bytes] = []
        self.blocks: list[Block] = []
        self.distinct_blocks: list[Block] = []
        self._bases: dict[int, list[int]] = {id(table): [] for table in tables}
        for column, table in placed:
            base = len(self.names)
            block = Block(column, base, table.handles)
            prefix = encode_oid(column.oid)
            self.names += [tlv(OBJECT_ID, prefix + suffix) for suffix in table.suffixes]
            self.blocks += [block] * len(table.suffixes)
            self.distinct_blocks.append(block)
            self._bases[id(table)].append(base)
        self.tables = tables
        self.size = len(self.names)
        self.rows = {name: row for row, name in enumerate(self.names)}
        self.varbinds: list[bytes | None] = [None] * self.size
        # 0: known to be absent. A column of absent instances is passed in one step, not in thousands.
        self._present = bytearray(b"\1") * self.size
        self._objects = {encode_oid(block.object.oid): block for block in self.distinct_blocks}
        self._object_sizes = sorted({len(prefix) for prefix in self._objects})
        self._marks = [_name_oid(name) for name in self.names[::_MARK_ROWS]]

    def changed(self, table: Table, handle: int) -> None:
        """Forget the varbinds of an instance. Raises: KeyError for a handle the table does not have."""
        at = table.positions[handle]
        varbinds = self.varbinds
        for base in self._bases[id(table)]:
            varbinds[base + at] = None
            self._present[base + at] = 1

    def varbind(self, row: int) -> bytes:
        """Return the encoded varbind, or ABSENT."""
        kept = self.varbinds[row]
        if kept is not None:
            return kept
        block = self.blocks[row]
        kind = block.object
        try:
            value = kind.read(block.handles[row - block.base])
            encoded = ABSENT if value is None else tlv(SEQUENCE, self.names[row] + encode_value(kind.syntax, value))
        except Exception as exc:  # whatever is wrong with one object, the others are answered
            raise ReadFailed(f"{kind.oid}: {exc}") from exc
        if kind.freshness is Freshness.CACHED:
            self.varbinds[row] = encoded
            self._present[row] = bool(encoded)
        return encoded

    def after(self, name: bytes) -> int:
        """Return the first row behind `name` (an OID with tag and length). Raises: BerError."""
        row = self.rows.get(name)
        if row is not None:
            return row + 1
        return self._behind(_name_oid(name))

    def _behind(self, oid: Oid) -> int:
        low = max(0, bisect_right(self._marks, oid) - 1) * _MARK_ROWS
        return bisect_right(self.names, oid, low, min(low + _MARK_ROWS, self.size), key=_name_oid)

    def below(self, oid: Oid) -> tuple[int, int]:
        """Return the rows from first to behind the last whose name is `oid` or begins with it."""
        # The greatest names are shorter than 128 sub-identifiers of 2^32-1.
        return self._first(oid), self._behind(oid + (MAX_SUBID,) * (MAX_SUBIDS - len(oid)))

    def _first(self, oid: Oid) -> int:
        row = self._behind(oid)
        return row - 1 if row and _name_oid(self.names[row - 1]) == oid else row

    def has_object(self, name: bytes, mask: bytes) -> bool:
        """Tell whether `name` is below an object that `mask` shows: noSuchInstance, else noSuchObject."""
        contents = name[read_length(name, 1, len(name))[1] :]
        for size in self._object_sizes:
            block = self._objects.get(contents[:size])
            if block is not None:
                rows = len(block.handles)
                return not rows or mask.find(1, block.base, block.base + rows) >= 0
        return False

    def following(self, mask: bytes, row: int) -> int:
        """Return the first present row from `row` on that `mask` shows, or -1."""
        row = self._shown(mask, row)
        while row >= 0 and self.varbind(row) is ABSENT:
            row = self._shown(mask, row + 1)
        return row

    def _shown(self, mask: bytes, row: int) -> int:
        """Return the first row from `row` on that is in `mask` and not known to be absent, or -1."""
        row = mask.find(1, row)
        while row >= 0 and not self._present[row]:
            row = self._present.find(1, row)
            if row >= 0:
                row = mask.find(1, row)
        return row

    def run(self, mask: bytes, row: int, count: int) -> tuple[list[bytes], int]:
        """Return up to `count` varbinds of present rows from `row` on, and the last row taken (-1: none)."""
        found: list[bytes] = []
        last = -1
        while len(found) < count:
            row = self._shown(mask, row)
            if row < 0:
                break
            stop = mask.find(0, row, row + count - len(found))
            if stop < 0:
                stop = min(row + count - len(found), self.size)
            part = self.varbinds[row:stop]
            whole = [v for v in part if v] if None not in part else self._encoded(row, stop)
            if whole:
                found += whole
                last = stop - 1
            row = stop
        while last >= 0 and self.varbind(last) is ABSENT:
            last -= 1
        return found, last

    def _encoded(self, row: int, stop: int) -> list[bytes]:
        return [encoded for at in range(row, stop) if (encoded := self.varbind(at))]


def _name_oid(name: bytes) -> Oid:
    return decode_oid(name[read_length(name, 1, len(name))[1] :])
