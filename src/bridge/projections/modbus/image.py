"""What a point's change does to the registers: every unit id of the plan, kept as it goes out."""

from collections.abc import Callable, Iterable

from bridge.core.point import Batch, PointDef, Sample, Value
from bridge.core.ports import PointReader
from bridge.core.quality import UNUSABLE
from bridge.projections.modbus.formats import Encode, decoder, encoder, sentinel_of
from bridge.projections.modbus.plan import SITE_UNIT, TIME_REGISTERS, Bad, Block, Field, Item, Plan
from bridge.projections.modbus.tables import UNREADABLE, Bits, Registers, Target, Unit


class _Spot:
    """One field of one point in every table it stands in."""

    __slots__ = ("encode", "length", "places", "sentinel", "unreadable")

    def __init__(self, definition: PointDef, field: Field, places: list[tuple[Registers, int]], bad: Bad) -> None:
        ratio = (field.times, field.over)
        self.encode: Encode = encoder(definition, field.format, field.registers, ratio, field.order)
        self.sentinel = sentinel_of(field.format, field.registers, field.order)
        self.length = 2 * field.registers
        self.places = places
        self.unreadable = bytes((UNREADABLE,)) * field.registers if bad is Bad.EXCEPTION else b""

    def put(self, sample: Sample) -> None:
        data = None if sample.quality & UNUSABLE else self.encode(sample.value)
        shown = self.sentinel if data is None else data
        for table, address in self.places:
            table.memory[2 * address : 2 * address + self.length] = shown
            if self.unreadable:
                marks = self.unreadable if data is None else bytes(len(self.unreadable))
                table.marks[address : address + len(marks)] = marks


class _QualitySpot:
    __slots__ = ("places",)

    def __init__(self, places: list[tuple[Registers, int]]) -> None:
        self.places = places

    def put(self, sample: Sample) -> None:
        shown = (int(sample.quality) & 0xFFFF).to_bytes(2, "big")
        for table, address in self.places:
            table.memory[2 * address : 2 * address + 2] = shown


class _BitSpot:
    """
    A bit has no reserved value: it holds the last state, and a second bit, `valid`, tells whether it is present.

    0 and not valid: never read.
    """

    __slots__ = ("places", "unreadable", "valid")

    def __init__(self, places: list[tuple[Bits, int]], valid: list[tuple[Bits, int]], bad: Bad) -> None:
        self.places, self.valid = places, valid
        self.unreadable = bad is Bad.EXCEPTION

    def put(self, sample: Sample) -> None:
        usable = not sample.quality & UNUSABLE and sample.value is not None
        for bits, address in self.places:
            bits.memory[address] = ord("1" if sample.value else "0")
            if self.unreadable:
                bits.marks[address] = 0 if usable else UNREADABLE
        for bits, address in self.valid:
            bits.memory[address] = ord("1" if usable else "0")


_Put = Callable[[Sample], None]


class Image:
    """Every unit id of the plan, and what to do when a point changes. Loop thread only."""

    def __init__(self, plan: Plan, points: PointReader) -> None:
        self.points = points
        # the bridge itself answers, whatever it has to show
        self.units: dict[int, Unit] = {SITE_UNIT: Unit()}
        self._puts: dict[int, list[_Put]] = {}
        for block in plan.blocks:
            self._add(block)
        for unit in self.units.values():
            unit.registers.finish(plan.holes)
            unit.inputs.finish(plan.holes)
            unit.coils.finish(plan.holes)
        self.update([(index, points.get(index)) for index in self._puts])

    def indexes(self) -> list[int]:
        return list(self._puts)

    def update(self, batch: Batch) -> None:
        """Show changed samples; also what the point image says when the core is lost."""
        for index, sample in batch:
            for put in self._puts[index]:
                put(sample)

    def _add(self, block: Block) -> None:
        for place in block.places:
            unit = self.units.setdefault(place.unit, Unit())
            unit.registers.grow(place.registers + block.registers)
            unit.inputs.grow(place.inputs + block.inputs)
            unit.coils.grow(place.coils + block.coils)
            for constant in block.constants:
                at, count = place.registers + constant.address, len(constant.data) // 2
                unit.registers.memory[2 * at : 2 * (at + count)] = constant.data
                unit.registers.claim(at, count)
        for item in block.items:
            self._puts.setdefault(item.index, []).extend(self._item(block, item))
        self._add_times(block)

    def _item(self, block: Block, item: Item) -> Iterable[_Put]:
        definition = self.points.definition(item.index)
        tables = [(self.units[p.unit].registers, p.registers) for p in block.places]
        for field in item.fields:
            places = [(table, base + field.address) for table, base in tables]
            ratio = (field.times, field.over)
            for table, address in places:
                table.claim(address, field.registers)
                if item.writable:
                    decode = decoder(definition, field.format, ratio, field.order)
                    table.targets[address] = Target(item.index, field.registers, decode)
            yield _Spot(definition, field, places, item.bad).put
        if item.quality >= 0:
            places = [(table, base + item.quality) for table, base in tables]
            for table, address in places:
                table.claim(address, 1)
            yield _QualitySpot(places).put
        yield from self._bits(block, item)

    def _bits(self, block: Block, item: Item) -> Iterable[_Put]:
        if item.state >= 0:
            inputs = [(self.units[p.unit].inputs, p.inputs) for p in block.places]
            state = [(bits, base + item.state) for bits, base in inputs]
            valid = [(bits, base + item.valid) for bits, base in inputs] if item.valid >= 0 else []
            for bits, address in state + valid:
                bits.claim(address, 1)
            yield _BitSpot(state, valid, item.bad).put
        if item.coil >= 0:
            coils = [(self.units[p.unit].coils, p.coils + item.coil) for p in block.places]
            for bits, address in coils:
                bits.claim(address, 1)
                if item.writable:
                    bits.targets[address] = Target(item.index, 1, _coil)
            yield _BitSpot(coils, [], item.bad).put

    def _add_times(self, block: Block) -> None:
        at = {item.time: item.index for item in block.items if item.time >= 0}
        if not at:
            return
        first, last = min(at), max(at)
        slots = [at.get(address, -1) for address in range(first, last + 1, TIME_REGISTERS)]
        for place in block.places:
            self.units[place.unit].registers.add_times(place.registers + first, slots)


def _coil(digit: bytes) -> Value:
    return digit == b"1"
