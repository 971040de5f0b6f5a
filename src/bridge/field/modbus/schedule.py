"""The configured points of one device -> which blocks are read when. Pure: no clock, no I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from bridge.config.meter import PollClass, Table
from bridge.config.model import FieldDevice, FieldPoint, Register
from bridge.field.modbus.planner import Limits, ReadCost, Want, plan

# Modbus Application Protocol V1.1b3, 6.1: 1..2000 coils in one read
_MAX_BITS = 2000
# Key of the points that are read at start, after a write and when asked, in the place of a period.
ON_CHANGE = 0
BIT_TABLES = frozenset({Table.COIL, Table.DISCRETE_INPUT})
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class ReadBlock:
    """One read. `points`: positions in the device's points whose registers are inside, in address order."""

    table: Table
    address: int
    count: int
    points: tuple[int, ...]

    @property
    def data_bytes(self) -> int:
        """Length of the reply's data."""
        return (self.count + 7) // 8 if self.table in BIT_TABLES else 2 * self.count


@dataclass(frozen=True, slots=True)
class _BitCost(ReadCost):
    """A coil is a sixteenth of a register."""

    def read_s(self, registers: int) -> float:
        # explicit base: a zero-argument super() does not survive the new class that `slots` makes
        return ReadCost.read_s(self, (registers + 15) // 16)


class DevicePlan:
    """
    Blocks of one device, planned together for whatever is due together: where a 10 s block spans the 5 s one, a tick
    at which both are due reads the long one only.

    What the device refuses is learnt here: registers (their points are in `refused`), gaps, and a length.
    """

    def __init__(self, device: FieldDevice, cost: ReadCost) -> None:
        self._points = device.points
        self._limits = device.limits
        self._cost = cost
        self._max_registers = device.limits.max_registers
        self._forbidden: dict[Table, list[Span]] = {}
        self._plans: dict[frozenset[int], tuple[ReadBlock, ...]] = {}
        self.refused: set[int] = set()
        self.groups = groups_of(device)

    @property
    def byte_error(self) -> float:
        return self._cost.byte_error

    def blocks(self, periods: frozenset[int]) -> tuple[ReadBlock, ...]:
        """Return the reads for all points of these periods."""
        found = self._plans.get(periods)
        if found is None:
            found = self._plans[periods] = self.blocks_of(p for period in periods for p in self.groups[period])
        return found

    def blocks_of(self, positions: Iterable[int]) -> tuple[ReadBlock, ...]:
        """Return the reads for these points, without those the device has refused."""
        wants: dict[Table, list[Want]] = {}
        for position in positions:
            register = self._points[position].read
            if register is not None and position not in self.refused:
                address, count = self.span(position)
                wants.setdefault(register.table, []).append(Want(position, address, count))
        blocks: list[ReadBlock] = []
        for table, wanted in wants.items():
            cost, limits = self._terms(table)
            for block in plan(wanted, cost, limits):
                positions = tuple(want.index for want in block.wants)
                blocks.append(ReadBlock(table, block.address, block.count, positions))
        return tuple(blocks)

    def span(self, position: int) -> Span:
        """Return address and count of what one point reads; its scale register is read with it where both fit."""
        register = self._points[position].read
        assert register is not None
        return span_of(register, self._max_registers)

    def probe(self) -> ReadBlock | None:
        """Return the cheapest read there is, to see whether the device answers; None without any point."""
        blocks = [b for p in range(len(self._points)) if self._points[p].read for b in self.blocks_of([p])]
        return min(blocks, key=lambda block: block.count, default=None)

    def halves(self, block: ReadBlock) -> tuple[ReadBlock, ReadBlock]:
        """Split a block of several points in two, at the middle of its points."""
        middle = len(block.points) // 2
        return self._around(block.table, block.points[:middle]), self._around(block.table, block.points[middle:])

    def set_noise(self, byte_error: float) -> None:
        """Plan for a line that spoils this share of its bytes."""
        if byte_error != self._cost.byte_error:
            self._cost = replace(self._cost, byte_error=byte_error)
            self._plans.clear()

    def refuse(self, block: ReadBlock) -> None:
        """The device has no such register: never ask for these points, nor read through their registers."""
        self.refused.update(block.points)
        self._forbid(block.table, block.address, block.address + block.count - 1)

    def separate(self, left: ReadBlock, right: ReadBlock) -> None:
        """Both halves are read well, together they are refused: the gap between them, or else the length."""
        end = left.address + left.count
        if right.address > end:
            self._forbid(left.table, end, right.address - 1)
            return
        longest = max(self.span(p)[1] for p in range(len(self._points)) if self._points[p].read)
        self._max_registers = max(left.count, right.count, longest)
        self._plans.clear()

    def forget(self) -> None:
        """Forget what was refused: another device may stand there, or it has started up since."""
        self._max_registers = self._limits.max_registers
        self._forbidden.clear()
        self.refused.clear()
        self._plans.clear()

    def _forbid(self, table: Table, first: int, last: int) -> None:
        self._forbidden.setdefault(table, []).append((first, last))
        self._plans.clear()

    def _around(self, table: Table, positions: Sequence[int]) -> ReadBlock:
        spans = [self.span(position) for position in positions]
        start = min(address for address, _ in spans)
        return ReadBlock(table, start, max(a + c for a, c in spans) - start, tuple(positions))

    def _terms(self, table: Table) -> tuple[ReadCost, Limits]:
        learnt = tuple(self._forbidden.get(table, ()))
        if table in BIT_TABLES:
            bits = _BitCost(self._cost.timing, self._cost.turnaround_s, self._cost.byte_error)
            return bits, Limits(min(16 * self._max_registers, _MAX_BITS), self._limits.max_gap, learnt)
        return self._cost, Limits(self._max_registers, self._limits.max_gap, self._limits.forbidden + learnt)


def span_of(register: Register, max_registers: int) -> Span:
    """Return first address and count of a value with its scale register, if one read can have both."""
    first, end = register.address, register.address + register.count
    if register.scale_at is not None:
        low, high = min(first, register.scale_at), max(end, register.scale_at + 1)
        if high - low <= max_registers:
            return low, high - low
    return first, register.count


def groups_of(device: FieldDevice) -> dict[int, tuple[int, ...]]:
    """Return the positions of the points by period in ns (classes of one period are one group), ON_CHANGE = 0."""
    groups: dict[int, list[int]] = {}
    for position, point in enumerate(device.points):
        if point.read is not None:
            groups.setdefault(_period(device, point), []).append(position)
    return {period: tuple(positions) for period, positions in sorted(groups.items())}


def first_due_ns(start_ns: int, period_ns: int, shortest_ns: int, place: int, places: int) -> int:
    """
    Return when a group is due after the first read at `start_ns`. `place` of `places`: of the device on its channel.

    Devices are spread evenly over their shortest period, and each longer period over whole ticks of the shortest, so
    that never all meters are read at once and long blocks still fall on ticks of the short ones.
    """
    share = Fraction(place, places)
    ticks = int(share * period_ns) // shortest_ns
    return start_ns + int(share * shortest_ns) + ticks * shortest_ns + (0 if ticks else period_ns)


def next_due_ns(due_ns: int, period_ns: int, now_ns: int) -> int:
    """Return the next time on the group's own grid: what was missed is left out, not made up for."""
    return due_ns + period_ns * max(1, -((due_ns - now_ns) // period_ns))


def _period(device: FieldDevice, point: FieldPoint) -> int:
    return ON_CHANGE if point.poll is PollClass.ON_CHANGE else device.periods_ns[point.poll]
