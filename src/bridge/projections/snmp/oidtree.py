"""
The MIB as sorted rows, none of which has a name of its own: a name is put together from its object and its instance.

A row's varbind is kept until `changed` is told, and then its name still serves the next; a live object is encoded at
every read. An instance whose object reads as None is absent: GET says noSuchInstance and GETNEXT passes it. A row that
nobody has asked for costs 12 bytes.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
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
    encoder,
    read_length,
    tlv,
)

# Names asked for of late, with their rows: some 3 MB. All are forgotten when there are so many.
_KNOWN_MOST = 20_000
# Stands in the cache for an instance that is absent, or that nobody has asked for.
ABSENT = b""
# Tag and length of a varbind, by length.
_HEADS = tuple(bytes((SEQUENCE, size)) for size in range(0x80))


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

    `has` tells which handles can ever have an instance (None: all). `writable` tells of which handles a SET may change;
    `change` turns what it brings into a Change. Without `change` the object is never writable, whatever a view says.
    """

    oid: Oid
    syntax: Syntax
    read: Callable[[int], Value | None]
    freshness: Freshness = Freshness.CACHED
    has: Callable[[int], bool] | None = None
    writable: Callable[[int], bool] = never
    change: Callable[[int, Value], Change | Unfit] | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """`suffix` follows the object's OID: (0,) of a scalar, the index values of a row."""

    suffix: Oid
    handle: int


SCALAR = (Instance((0,), 0),)


class Instances:
    """What tables of the same rows share: suffixes in order, plain and encoded, and the handles behind them."""

    def __init__(self, instances: Sequence[Instance] = SCALAR) -> None:
        """Raises: ValueError for an instance or a handle that is there twice."""
        ordered = sorted(instances, key=lambda instance: instance.suffix)
        self.suffixes = [instance.suffix for instance in ordered]
        self.encoded = [encode_subids(suffix) for suffix in self.suffixes]
        self.handles: Sequence[int] = [instance.handle for instance in ordered]
        self.positions: Sequence[int] | Mapping[int, int] = {handle: at for at, handle in enumerate(self.handles)}
        if self.handles == list(range(len(ordered))):
            # handles that count the rows, as nearly all do, need no memory
            self.handles = self.positions = range(len(ordered))
        self.by_suffix = {encoded: at for at, encoded in enumerate(self.encoded)}
        if len(self.by_suffix) != len(ordered) or len(self.positions) != len(ordered):
            raise ValueError("an instance or a handle is there twice")
        self.longest = max(map(len, self.suffixes), default=0)


class Table:
    """Columns that share their instances; a scalar is a table of one column and one instance."""

    def __init__(self, columns: Sequence[ObjectType], instances: Instances | None = None) -> None:
        """Raises: ValueError for names of more than 128 sub-identifiers."""
        self.columns = columns
        self.instances = _ONE if instances is None else instances
        if any(len(column.oid) + self.instances.longest > MAX_SUBIDS for column in columns):
            raise ValueError(f"{columns[0].oid}: name longer than {MAX_SUBIDS} sub-identifiers")


_ONE = Instances()


class Block:
    """The rows of one object: consecutive, in the order of the instances."""

    __slots__ = ("base", "encode", "handles", "instances", "is_live", "object", "prefix", "read", "stop")

    def __init__(self, kind: ObjectType, instances: Instances, base: int) -> None:
        self.object, self.instances, self.base = kind, instances, base
        self.handles = instances.handles
        self.stop = base + len(self.handles)
        self.prefix = encode_oid(kind.oid)
        self.read, self.encode = kind.read, encoder(kind.syntax)
        self.is_live = kind.freshness is Freshness.LIVE


class Tree:
    """Built once; rows never move. One thread only."""

    def __init__(self, tables: Sequence[Table]) -> None:
        """Raises: ValueError for an object twice or below another."""
        placed = sorted(
            ((column, table, at) for table in tables for at, column in enumerate(table.columns)),
            key=lambda place: place[0].oid,
        )
        for (one, _, _), (other, _, _) in pairwise(placed):
            if other.oid[: len(one.oid)] == one.oid:
                raise ValueError(f"{other.oid} is {one.oid} again or below it")
        self.blocks: list[Block] = []
        self._bases: dict[int, list[int]] = {id(table): [0] * len(table.columns) for table in tables}
        self.size = 0
        for column, table, at in placed:
            block = Block(column, table.instances, self.size)
            self.blocks.append(block)
            self._bases[id(table)][at] = block.base
            self.size = block.stop
        self.tables = tables
        self.varbinds: list[bytes] = [ABSENT] * self.size
        # 1: may be sent as it is
        self.ready = bytearray(self.size)
        # 0: known to be absent. A column of absent instances is passed in one step, not in thousands.
        self._present = bytearray(b"\1") * self.size
        self._oids = [block.object.oid for block in self.blocks]
        # of each row the number of its block
        self._numbers = array("H")
        for number, block in enumerate(self.blocks):
            self._numbers.extend([number] * len(block.handles))
        self._objects = {block.prefix: block for block in self.blocks}
        self._object_sizes = sorted({len(prefix) for prefix in self._objects})
        # rows of names asked for of late; who does not find one here asks `find`
        self.known: dict[bytes, int] = {}
        self._after: dict[bytes, int] = {}
        for block in self.blocks:
            self._leave_out(block)

    def changed(self, table: Table, handle: int, columns: Sequence[int] = ()) -> None:
        """
        Encode an instance anew when it is next asked for; `columns`: positions in the table, none = all.

        Raises: LookupError for a handle the table does not have.
        """
        at = table.instances.positions[handle]
        bases = self._bases[id(table)]
        ready, present = self.ready, self._present
        for column in columns or range(len(bases)):
            row = bases[column] + at
            ready[row], present[row] = 0, 1

    def block_of(self, row: int) -> Block:
        return self.blocks[self._numbers[row]]

    def name(self, row: int) -> bytes:
        """Return the name of a row with tag and length."""
        block = self.block_of(row)
        return tlv(OBJECT_ID, block.prefix + block.instances.encoded[row - block.base])

    def find(self, name: bytes) -> int:
        """Return the row of a name with tag and length, -1 if there is none."""
        row = self.known.get(name)
        if row is None:
            row = self._find(name[read_length(name, 1, len(name))[1] :])
            if row >= 0:
                if len(self.known) >= _KNOWN_MOST:
                    self.known.clear()
                self.known[name] = row
        return row

    def _find(self, contents: bytes) -> int:
        for size in self._object_sizes:
            block = self._objects.get(contents[:size])
            if block is not None:
                at = block.instances.by_suffix.get(contents[size:])
                if at is not None:
                    return block.base + at
        return -1

    def _leave_out(self, block: Block) -> None:
        """Mark the instances that can never be there."""
        has = block.object.has
        if has is None:
            return
        for at, handle in enumerate(block.handles):
            if not has(handle):
                self._present[block.base + at] = 0

    def varbind(self, row: int) -> bytes:
        """Return the encoded varbind, or ABSENT."""
        if self.ready[row]:
            return self.varbinds[row]
        return self._encode(self.blocks[self._numbers[row]], row) if self._present[row] else ABSENT

    def _encode(self, block: Block, row: int) -> bytes:
        at = row - block.base
        try:
            value = block.read(block.handles[at])
            encoded = ABSENT if value is None else block.encode(value)
        except Exception as exc:  # whatever is wrong with one object, the others are answered
            raise ReadFailed(f"{block.object.oid}: {exc}") from exc
        if encoded:
            before = self.varbinds[row]
            # SEQUENCE, length, OID, length of the name: the name is taken over where lengths have one byte
            if before and before[1] < 0x80 and (size := before[3] + 2 + len(encoded)) < 0x80:
                encoded = _HEADS[size] + before[2 : 4 + before[3]] + encoded
            else:
                encoded = _varbind(block.prefix + block.instances.encoded[at], encoded)
            self.varbinds[row] = encoded
        if block.is_live:
            return encoded
        self.ready[row] = self._present[row] = bool(encoded)
        return encoded

    def after(self, name: bytes) -> int:
        """Return the first row behind `name` (an OID with tag and length). Raises: BerError."""
        after = self._after.get(name)
        if after is None:
            contents = name[read_length(name, 1, len(name))[1] :]
            row = self._find(contents)
            after = row + 1 if row >= 0 else self._behind(decode_oid(contents))
            # names that anybody can make up are not kept
            if row >= 0 or contents in self._objects:
                if len(self._after) >= _KNOWN_MOST:
                    self._after.clear()
                self._after[name] = after
        return after

    def _behind(self, oid: Oid) -> int:
        """Return the first row whose name is greater than `oid`."""
        number = bisect_right(self._oids, oid)
        if not number:
            return 0
        block = self.blocks[number - 1]
        size = len(block.object.oid)
        if oid[:size] != block.object.oid:
            return block.stop
        return block.base + bisect_right(block.instances.suffixes, oid[size:])

    def below(self, oid: Oid) -> tuple[int, int]:
        """Return the rows from first to behind the last whose name is `oid` or begins with it."""
        number = bisect_left(self._oids, oid)
        first = self.blocks[number].base if number < len(self.blocks) else self.size
        if number:
            block = self.blocks[number - 1]
            size = len(block.object.oid)
            if oid[:size] == block.object.oid:
                first = block.base + bisect_left(block.instances.suffixes, oid[size:])
        # The greatest names are shorter than 128 sub-identifiers of 2^32-1.
        return first, self._behind(oid + (MAX_SUBID,) * (MAX_SUBIDS - len(oid)))

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
            if self.ready.find(0, row, stop) < 0:
                found += self.varbinds[row:stop]
                last = stop - 1
            else:
                last = max(last, self._take(row, stop, found))
            row = stop
        return found, last

    def _take(self, row: int, stop: int, found: list[bytes]) -> int:
        """Append the present rows of a range, encoded where they must be; return the last of them, -1 for none."""
        varbinds, ready, present, block, last = self.varbinds, self.ready, self._present, self.block_of(row), -1
        for at in range(row, stop):
            if ready[at]:
                found.append(varbinds[at])
                last = at
            elif present[at]:
                if at >= block.stop:
                    block = self.block_of(at)
                encoded = self._encode(block, at)
                if encoded:
                    found.append(encoded)
                    last = at
        return last


def _varbind(name: bytes, value: bytes) -> bytes:
    """Return SEQUENCE (name, value), most often with lengths of one byte."""
    size = len(name)
    length = size + 2 + len(value)
    if length < 0x80:
        return bytes((SEQUENCE, length, OBJECT_ID, size)) + name + value
    return tlv(SEQUENCE, tlv(OBJECT_ID, name) + value)
