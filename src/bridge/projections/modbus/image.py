"""What a point's change does to the registers: every unit id of the plan, kept as it goes out."""

from collections.abc import Sequence

from bridge.core.point import Batch, Kind, Sample, Value
from bridge.core.ports import PointReader
from bridge.core.quality import UNUSABLE
from bridge.projections.modbus.formats import Encode, decoder, encoder, sentinel_of
from bridge.projections.modbus.plan import SITE_UNIT, TIME_REGISTERS, Bad, Block, Field, Item, Place, Plan
from bridge.projections.modbus.tables import UNREADABLE, Bits, Registers, Target, Unit

_ONE, _ZERO = ord("1"), ord("0")


class _Site:
    """One place of a block: its tables and where it begins in them. Shared by all points of the block."""

    __slots__ = ("coil_base", "coils", "input_base", "inputs", "register_base", "registers")

    def __init__(self, unit: Unit, place: Place) -> None:
        self.registers: Registers = unit.registers
        self.inputs: Bits = unit.inputs
        self.coils: Bits = unit.coils
        self.register_base, self.input_base, self.coil_base = place.registers, place.inputs, place.coils


# encode, reserved value, address inside the block, registers
_Shown = tuple[Encode, bytes, int, int]


class _Spot:
    """
    One point in one block, at all its places. 80,000 of them: what can be shared is shared.

    A bit has no reserved value: it holds the last state, and a second bit, `valid`, tells whether it is present.
    """

    __slots__ = ("_fields", "_item", "_sites")

    def __init__(self, item: Item, fields: tuple[_Shown, ...], sites: Sequence[_Site]) -> None:
        self._item, self._fields, self._sites = item, fields, sites

    def put(self, sample: Sample) -> None:
        item, value = self._item, sample.value
        usable = not sample.quality & UNUSABLE
        for encode, sentinel, address, count in self._fields:
            data = encode(value) if usable else None
            shown = sentinel if data is None else data
            for site in self._sites:
                at = site.register_base + address
                site.registers.memory[2 * at : 2 * (at + count)] = shown
                if item.bad is Bad.EXCEPTION:
                    site.registers.marks[at : at + count] = bytes((UNREADABLE * (data is None),)) * count
        if item.quality >= 0:
            flags = (int(sample.quality) & 0xFFFF).to_bytes(2, "big")
            for site in self._sites:
                at = 2 * (site.register_base + item.quality)
                site.registers.memory[at : at + 2] = flags
        if item.state >= 0 or item.coil >= 0:
            self._put_bits(bool(value), usable and value is not None)

    def _put_bits(self, state: bool, usable: bool) -> None:
        item = self._item
        digit, mark = _ONE if state else _ZERO, UNREADABLE if item.bad is Bad.EXCEPTION and not usable else 0
        for site in self._sites:
            for bits, base, at in ((site.inputs, site.input_base, item.state), (site.coils, site.coil_base, item.coil)):
                if at >= 0:
                    bits.memory[base + at] = digit
                    if item.bad is Bad.EXCEPTION:
                        bits.marks[base + at] = mark
            if item.valid >= 0:
                site.inputs.memory[site.input_base + item.valid] = _ONE if usable else _ZERO


class Image:
    """Every unit id of the plan, and what to do when a point changes. Loop thread only."""

    def __init__(self, plan: Plan, points: PointReader) -> None:
        self.points = points
        # the bridge itself answers, whatever it has to show
        self.units: dict[int, Unit] = {SITE_UNIT: Unit()}
        self._spots: dict[int, tuple[_Spot, ...]] = {}
        self._encoders: dict[tuple[Kind, Field], tuple[Encode, bytes]] = {}
        for block in plan.blocks:
            self._add(block)
        for unit in self.units.values():
            unit.registers.finish(plan.holes)
            unit.inputs.finish(plan.holes)
            unit.coils.finish(plan.holes)
        for index in self._spots:
            self.update([(index, points.get(index))])

    def indexes(self) -> list[int]:
        return list(self._spots)

    def update(self, batch: Batch) -> None:
        """Show changed samples; also what the point image says when the core is lost."""
        for index, sample in batch:
            for spot in self._spots[index]:
                spot.put(sample)

    def _add(self, block: Block) -> None:
        sites = []
        for place in block.places:
            unit = self.units.setdefault(place.unit, Unit())
            unit.registers.grow(place.registers + block.registers)
            unit.inputs.grow(place.inputs + block.inputs)
            unit.coils.grow(place.coils + block.coils)
            sites.append(_Site(unit, place))
            for constant in block.constants:
                at, count = place.registers + constant.address, len(constant.data) // 2
                unit.registers.memory[2 * at : 2 * (at + count)] = constant.data
                unit.registers.claim(at, count)
        for item in block.items:
            fields = tuple(self._shown(item.index, field) for field in item.fields)
            self._spots[item.index] = (*self._spots.get(item.index, ()), _Spot(item, fields, sites))
            for site in sites:
                _claim(item, site)
                if item.writable:
                    self._open(item, site)
        _add_times(block, sites)

    def _shown(self, index: int, field: Field) -> _Shown:
        definition = self.points.definition(index)
        key = (definition.kind, Field(0, field.format, field.registers, field.times, field.over, field.order))
        known = self._encoders.get(key)
        if known is None:
            encode = encoder(definition, field.format, field.registers, (field.times, field.over), field.order)
            known = self._encoders[key] = encode, sentinel_of(field.format, field.registers, field.order)
        return (*known, field.address, field.registers)

    def _open(self, item: Item, site: _Site) -> None:
        """Let writes in to a writable point."""
        definition = self.points.definition(item.index)
        for field in item.fields:
            decode = decoder(definition, field.format, (field.times, field.over), field.order)
            site.registers.targets[site.register_base + field.address] = Target(item.index, field.registers, decode)
        if item.coil >= 0:
            site.coils.targets[site.coil_base + item.coil] = Target(item.index, 1, _coil)


def _claim(item: Item, site: _Site) -> None:
    for field in item.fields:
        site.registers.claim(site.register_base + field.address, field.registers)
    if item.quality >= 0:
        site.registers.claim(site.register_base + item.quality, 1)
    for at in (item.state, item.valid):
        if at >= 0:
            site.inputs.claim(site.input_base + at, 1)
    if item.coil >= 0:
        site.coils.claim(site.coil_base + item.coil, 1)


def _add_times(block: Block, sites: Sequence[_Site]) -> None:
    at = {item.time: item.index for item in block.items if item.time >= 0}
    if not at:
        return
    first, last = min(at), max(at)
    slots = [at.get(address, -1) for address in range(first, last + 1, TIME_REGISTERS)]
    for site in sites:
        site.registers.add_times(site.register_base + first, slots)


def _coil(digit: bytes) -> Value:
    return digit == b"1"
