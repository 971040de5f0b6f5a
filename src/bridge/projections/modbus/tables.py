"""
The memory of the server: per unit id a table of registers and two of bits.

The rule one must not break: a value is written by one slice assignment and read by one slice, in one thread, so that
no reply ever carries half of an old and half of a new value.

`marks` has one byte per register or bit: 0 = the memory is right as it stands. Only a read that meets another mark
costs more than a slice.
"""

from bisect import bisect_right

from bridge.core.point import Sample
from bridge.core.ports import PointReader
from bridge.projections.modbus.formats import Decode
from bridge.projections.modbus.plan import TIME_REGISTERS, Holes

# what an unmapped register between mapped ones says (seed 004, l.3240); an unmapped bit is 0
UNMAPPED_REGISTER, UNMAPPED_BIT = b"\x80\x00", b"0"
# marks: a source time that moves without a change, a value that is answered by exception 0x0B, an unmapped register
TIME, UNREADABLE, HOLE = 1, 2, 3
ILLEGAL_ADDRESS, NO_REPLY = 0x02, 0x0B
_NS_PER_MS = 1_000_000
_NO_TIME = b"\x80\x00\x00\x00\x00\x00\x00\x00"


class Target:
    """Where a write goes: one field, or one coil, of a writable point."""

    __slots__ = ("decode", "index", "registers")

    def __init__(self, index: int, registers: int, decode: Decode) -> None:
        self.index, self.registers, self.decode = index, registers, decode


class Cells:
    """Registers or bits of one unit id. `size`: one more than the last that may be mapped. `memory`: as sent."""

    __slots__ = ("_fill", "mapped", "marks", "memory", "size", "targets")

    def __init__(self, fill: bytes) -> None:
        self._fill = fill
        self.size = 0
        self.memory = bytearray()
        self.marks = bytearray()
        self.mapped = bytearray()
        self.targets: dict[int, Target] = {}

    def grow(self, size: int) -> None:
        """Make room for addresses 0 .. size - 1, all unmapped."""
        more = size - self.size
        if more > 0:
            self.memory += self._fill * more
            self.marks += bytes(more)
            self.mapped += bytes(more)
            self.size = size

    def claim(self, address: int, count: int) -> None:
        self.mapped[address : address + count] = b"\1" * count

    def are_mapped(self, address: int, count: int) -> bool:
        return self.mapped.count(1, address, address + count) == count

    def finish(self, holes: Holes) -> None:
        """Call once when everything is claimed."""
        if holes is Holes.EXCEPTION:
            pairs = zip(self.marks, self.mapped, strict=True)
            self.marks = bytearray(mark or (0 if owned else HOLE) for mark, owned in pairs)

    def refusal(self, address: int, count: int) -> int:
        """Return the exception code for a read that met a mark, 0 for none."""
        marks = self.marks[address : address + count]
        if HOLE in marks:
            return ILLEGAL_ADDRESS
        return NO_REPLY if UNREADABLE in marks else 0


class Registers(Cells):
    """`memory`: two bytes per register, high byte first."""

    __slots__ = ("_time_starts", "_times")

    def __init__(self) -> None:
        super().__init__(UNMAPPED_REGISTER)
        self._times: list[tuple[int, list[int]]] = []
        self._time_starts: list[int] = []

    def add_times(self, start: int, slots: list[int]) -> None:
        """`slots`: point index per record of the time area at `start`, -1 for a free record."""
        self._times.append((start, slots))
        for slot, index in enumerate(slots):
            if index >= 0:
                at = start + slot * TIME_REGISTERS
                self.claim(at, TIME_REGISTERS)
                self.marks[at : at + TIME_REGISTERS] = bytes((TIME,)) * TIME_REGISTERS

    def finish(self, holes: Holes) -> None:
        super().finish(holes)
        self._times.sort(key=lambda area: area[0])
        self._time_starts = [start for start, _ in self._times]

    def renew_times(self, first: int, end: int, points: PointReader) -> None:
        """Bring the source times of registers `first` .. `end` - 1 up to date."""
        at = max(bisect_right(self._time_starts, first) - 1, 0)
        for start, slots in self._times[at:]:
            if start >= end:
                return
            low = max(first - start, 0) // TIME_REGISTERS
            high = min(-(-(end - start) // TIME_REGISTERS), len(slots))
            for slot in range(low, high):
                if slots[slot] >= 0:
                    record = 2 * (start + slot * TIME_REGISTERS)
                    self.memory[record : record + 2 * TIME_REGISTERS] = time_of(points.get(slots[slot]))


class Bits(Cells):
    """`memory`: one ASCII digit per bit, so that int(digits, 2) packs them."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(UNMAPPED_BIT)

    def packed(self, address: int, count: int) -> bytes:
        """Return `count` bits, the first in the lowest bit of the first byte (V1.1b3, 6.1)."""
        digits = bytes(self.memory[address : address + count][::-1])
        return int(digits, 2).to_bytes((count + 7) // 8, "little")


class Unit:
    """What one unit id shows."""

    __slots__ = ("coils", "inputs", "registers")

    def __init__(self) -> None:
        self.registers, self.inputs, self.coils = Registers(), Bits(), Bits()


def time_of(sample: Sample) -> bytes:
    """Return a record of the time area: UTC milliseconds of the reading, the reserved value if there was none."""
    if sample.source_ns <= 0:
        return _NO_TIME
    return (sample.source_ns // _NS_PER_MS).to_bytes(8, "big", signed=True)
