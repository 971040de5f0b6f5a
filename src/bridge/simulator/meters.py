"""
A simulated meter: true values of its points, the registers that hold them, and the faults it can have.

A pinned point stays at its value until it is released; a released energy index goes on from the pinned count, any
other point returns to its curve. Energy goes on to be integrated from the power the device shows, pinned or not.

The rule one must not break: registers and reported values come from one snapshot, remade only by a step, a pin or a
write, so that what `shown` tells is what a master reads until the next of these.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from bridge.config.meter import Table
from bridge.config.model import FieldDevice, FieldPoint
from bridge.core.point import Role, Value
from bridge.core.quantity import Quantity, Statistic
from bridge.simulator.cell import Cell, Shown
from bridge.simulator.registers import BITS, Holes, Refusal, background, scale_exponents
from bridge.simulator.sources import Index, Source, base_per_unit, source_of
from bridge.simulator.state import MeterState
from bridge.simulator.wanted import wanted_value
from bridge.simulator.words import Raw, raw_of

_POWERS = frozenset({Quantity.ACTIVE_POWER, Quantity.REACTIVE_POWER, Quantity.APPARENT_POWER})

# commands that act on the step from 0 to 1 and fall back to idle
_ON_THE_STEP = frozenset(
    {Quantity.RESET_DEMAND_PEAK, Quantity.RESET_MIN_MAX, Quantity.RESET_PARTIAL_ENERGY, Quantity.SYNC_CLOCK}
)


class Fault(enum.Enum):
    """What is wrong with a device. DEAD: never answers. LATE: after the master's time-out."""

    DEAD = "dead"
    NOISE = "noise"
    LATE = "late"
    EXCEPTION = "exception"


class KeptMeter(msgspec.Struct, frozen=True):
    """What a meter has counted: integrals by circuit and cell, offsets of its indexes by point, as text."""

    elapsed_ns: int
    circuits: dict[str, dict[str, str]]
    offsets: dict[str, str]


class UnknownPoint(KeyError):
    """The device has no readable point of that name."""


@dataclass(slots=True)
class _Entry:
    """One readable point. `raw`: what its register holds in the snapshot; `pinned`: what it is held at."""

    cell: Cell
    source: Source
    raw: Raw = 0
    pinned: Raw | None = None


class SimulatedMeter:
    """One device. `fault` None = healthy; `noise_rate` None = every reply is damaged, else the share of bytes."""

    def __init__(
        self, device: FieldDevice, seed: int, utc_ns: int, holes: Holes = Holes.FILLED, baud: int = 9600
    ) -> None:
        self.device = device
        self.fault: Fault | None = None
        self.noise_rate: float | None = None
        circuits = frozenset(point.definition.meaning.circuit for point in device.points)
        self.state = MeterState(device.definition, circuits, seed, utc_ns, baud)
        self._entries = self._make_entries()
        self._writes = [point for point in device.points if point.write is not None]
        self._static = background(device, self.state.serial, self._exponents, holes)
        self._tables = {table: dict(words) for table, words in self._static.items()}
        self._fresh = False
        # commands that were given since the last step and still read 1
        self._given: dict[str, Value] = {}
        self.functions = frozenset(
            {table.value for table in self._tables} | {f for p in self._writes if p.write for f in p.write.functions}
        )

    def step(self, utc_ns: int, elapsed_ns: int) -> None:
        """Go on by `elapsed_ns` to the time of day `utc_ns`."""
        self.state.step(utc_ns, elapsed_ns)
        self._given.clear()
        self._fresh = False

    def shown(self) -> dict[str, Shown]:
        """Return every readable point in its unit, energy with all its digits."""
        self._refresh()
        return {name: entry.cell.shown(entry.raw) for name, entry in self._entries.items()}

    def held(self) -> dict[str, Value]:
        """Return every readable point in the conventions of `core.point.Value`."""
        self._refresh()
        return {name: entry.cell.held(entry.raw) for name, entry in self._entries.items()}

    def shown_point(self, name: str) -> Shown:
        """Return one point. Raises: UnknownPoint."""
        self._refresh()
        entry = self._entry(name)
        return entry.cell.shown(entry.raw)

    def pin(self, name: str, given: object) -> None:
        """Hold a point at a JSON value. Raises: UnknownPoint, BadValue."""
        entry = self._entry(name)
        self._hold(entry, wanted_value(entry.cell.definition, given))

    def release(self, name: str) -> None:
        """Let a point go. Raises: UnknownPoint."""
        entry = self._entry(name)
        if entry.pinned is None:
            return
        held = entry.cell.held(entry.pinned)
        if isinstance(entry.source, Index) and isinstance(held, int):
            entry.source.set_to(held)
        entry.pinned = None
        self._force(entry, None)
        self._fresh = False

    def kept(self) -> KeptMeter:
        """Return what must outlive a restart."""
        circuits = {str(n): circuit.integrals.kept() for n, circuit in self.state.circuits.items()}
        offsets = {}
        for name, entry in self._entries.items():
            if isinstance(entry.source, Index):
                held = None if entry.pinned is None else entry.cell.held(entry.pinned)
                offset = entry.source.offset_at(held) if isinstance(held, int) else entry.source.offset
                offsets[name] = str(offset)
        return KeptMeter(self.state.elapsed_ns, circuits, offsets)

    def restore(self, kept: KeptMeter, gap_ns: int) -> None:
        """Go on from there, `gap_ns` later; what is not kept stays as it is. Raises: ValueError."""
        for n, circuit in self.state.circuits.items():
            circuit.integrals.restore(kept.circuits.get(str(n), {}))
            circuit.count(self.state.tariff, gap_ns)
        self.state.elapsed_ns = kept.elapsed_ns + gap_ns
        for name, entry in self._entries.items():
            if isinstance(entry.source, Index) and name in kept.offsets:
                entry.source.offset = int(kept.offsets[name])
        self._fresh = False

    def read(self, table: Table, address: int, count: int) -> list[int] | Refusal:
        """Return registers or bits (0 and 1), or why not."""
        words = self._tables.get(table)
        if words is None:
            return Refusal.FUNCTION
        if table not in BITS and count > self.device.limits.max_registers:
            return Refusal.VALUE
        self._refresh()
        try:
            return [words[at] for at in range(address, address + count)]
        except KeyError:
            return Refusal.ADDRESS

    def write(self, function: int, table: Table, address: int, words: Sequence[int]) -> Refusal | None:
        """Do what a master wrote, all of it or nothing; None = done."""
        todo: list[tuple[FieldPoint, Value]] = []
        at, end = address, address + len(words)
        while at < end:
            target = self._target(table, at)
            if target is None or target.write is None:
                mapped = at in self._tables.get(table, {})
                return Refusal.VALUE if mapped else Refusal.ADDRESS
            register = target.write.register
            if function not in target.write.functions:
                return Refusal.FUNCTION
            if at + register.count > end:
                return Refusal.ADDRESS
            value = _written(target, words[at - address : at - address + register.count])
            if value is None:
                return Refusal.VALUE
            todo.append((target, value))
            at += register.count
        for point, value in todo:
            self._carry_out(point, value)
        return None

    def _make_entries(self) -> dict[str, _Entry]:
        device = self.device
        sources = {p.definition.name: source_of(p, self.state, device.limits.pf_sign) for p in device.points}
        self._exponents = scale_exponents(
            (p.definition, p.read, sources[p.definition.name]()) for p in device.points if p.read is not None
        )
        entries: dict[str, _Entry] = {}
        for point in device.points:
            register = point.read
            if register is None:
                continue
            name = point.definition.name
            exponent = self._exponents.get((register.table, register.scale_at), 0)
            own = self._exponents.get((register.table, register.address))
            source = sources[name] if own is None else _constant(own)
            entries[name] = _Entry(Cell(point.definition, register, exponent), source)
        return entries

    def _entry(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise UnknownPoint(name)
        return entry

    def _hold(self, entry: _Entry, value: Value) -> None:
        entry.pinned = entry.cell.exact_raw(value)
        self._force(entry, entry.cell.held(entry.pinned))
        self._fresh = False

    def _force(self, entry: _Entry, value: Value) -> None:
        """Let a pinned power or tariff be what is integrated."""
        definition = entry.cell.definition
        meaning = definition.meaning
        if meaning.quantity is Quantity.ACTIVE_TARIFF:
            self.state.forced_tariff = value if value in (1, 2) and isinstance(value, int) else None
        circuit = self.state.circuits.get(meaning.circuit)
        if circuit is None or meaning.quantity not in _POWERS or meaning.statistic is not Statistic.PRESENT:
            return
        key = (meaning.quantity, meaning.phase)
        if isinstance(value, int | float):
            circuit.forced[key] = value * base_per_unit(definition.unit)
        else:
            circuit.forced.pop(key, None)

    def _refresh(self) -> None:
        """Make the snapshot of this step, if it is not made yet."""
        if self._fresh:
            return
        for table, still in self._static.items():
            self._tables[table].update(still)
        for entry in self._entries.values():
            cell = entry.cell
            entry.raw = cell.raw(entry.source()) if entry.pinned is None else entry.pinned
            if cell.definition.name in self._given:
                entry.raw = cell.exact_raw(self._given[cell.definition.name])
            register = cell.register
            table_words = self._tables[register.table]
            words = cell.words(entry.raw)
            if register.bit is not None and register.table not in BITS:
                table_words[register.address] |= words[0]
                continue
            for at, word in enumerate(words, register.address):
                table_words[at] = word
        self._fresh = True

    def _target(self, table: Table, address: int) -> FieldPoint | None:
        for point in self._writes:
            write = point.write
            if write is not None and (write.register.table, write.register.address) == (table, address):
                return point
        return None

    def _carry_out(self, point: FieldPoint, value: Value) -> None:
        state = self.state
        if point.definition.meaning.quantity in _ON_THE_STEP:
            if not value:
                return
            self._given[point.definition.name] = value
        match point.definition.meaning.quantity:
            case Quantity.RESET_DEMAND_PEAK:
                state.reset_demands()
            case Quantity.RESET_MIN_MAX:
                state.reset_extremes()
            case Quantity.RESET_PARTIAL_ENERGY:
                self._zero(
                    e for e in self._entries.values() if e.cell.definition.meaning.statistic is Statistic.PARTIAL
                )
            case Quantity.TARIFF_SELECT | Quantity.ACTIVE_TARIFF:
                state.forced_tariff = int(value) if isinstance(value, int | float) and value in (1, 2) else None
            case _:
                entry = self._entries.get(point.definition.name)
                if entry is not None and point.definition.role is not Role.COMMAND:
                    self._hold(entry, value)
        self._fresh = False

    def _zero(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            if isinstance(entry.source, Index):
                entry.source.set_to(0)
                entry.pinned = None


def _written(point: FieldPoint, words: Sequence[int]) -> Value:
    """Return what the registers say for the point; None where it is outside of what it takes."""
    write = point.write
    if write is None:
        return None
    register = write.register
    cell = Cell(point.definition, register)
    try:
        if register.bit is not None and register.table not in BITS:
            value = cell.held(words[0] >> register.bit & 1)
        elif register.table in BITS:
            value = cell.held(int(bool(words[0])))
        else:
            value = cell.held(raw_of(words, register.type, register.order))
        cell.exact_raw(value)
    except (ValueError, ArithmeticError):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if (write.low is not None and value < write.low) or (write.high is not None and value > write.high):
            return None
        if write.values and value not in write.values:
            return None
    return value


def _constant(value: Value) -> Source:
    return lambda: value
