"""
The built-in map: one block per device, every address from the ledger.

    0 .. B/2        values      each point's formats one after the other
    B/2 .. 6B/10    quality     one register per point: the Quality flags
    6B/10 .. B      time        four registers per point: source time, int64, UTC milliseconds since 1970

B is decided when a device is first numbered, with room to grow by a quarter, and is itself a number of the ledger.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef, Role
from bridge.core.ports import Numbers
from bridge.core.rules import Rules
from bridge.projections.modbus.formats import FLOATS, Format, registers_of, unit_ratio
from bridge.projections.modbus.plan import (
    ADDRESSES,
    SITE_UNIT,
    TIME_REGISTERS,
    Bad,
    Block,
    Field,
    Item,
    Place,
)
from bridge.projections.modbus.settings import Access, Mapping, Override, Rule

# Registers: blocks are multiples of it, so that addresses are easy to tell by eye.
BLOCK_STEP = 500
# Registers from one meter to the next that shares its unit id: room to grow, and not memory for nothing.
MOST_STRIDE = 5000
# Discrete inputs per device: state and validity of up to 128 binaries.
INPUT_BITS = 256
COIL_BITS = 64
# More than there are devices of one size.
_SIZE_SHIFT = 50_000
# Device unit ids (Modbus over Serial Line V1.02, 2.2).
LAST_UNIT = 247
# A multistate whose codes all lie below stands in one register; 0xFFFF is the reserved value.
_MOST_UINT16 = 0xFFFE

_FORMATS = {
    Kind.ACCUMULATOR: (Format.INT64, Format.FLOAT64, Format.FLOAT32),
    Kind.ANALOG: (Format.FLOAT32,),
    Kind.BINARY: (Format.BOOLEAN,),
    Kind.MULTISTATE: (Format.UINT16,),
    Kind.TEXT: (Format.TEXT,),
    Kind.TIME: (Format.TIME,),
}
_NUMERIC = frozenset(Format) - {Format.TEXT, Format.TIME}
_ALLOWED = {
    Kind.ACCUMULATOR: _NUMERIC - {Format.BOOLEAN},
    Kind.ANALOG: _NUMERIC - {Format.BOOLEAN},
    Kind.BINARY: _NUMERIC,
    Kind.MULTISTATE: _NUMERIC - {Format.BOOLEAN},
    Kind.TEXT: frozenset({Format.TEXT}),
    Kind.TIME: frozenset({Format.TIME, Format.UINT32, Format.INT64, Format.UINT64, Format.FLOAT64}),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What rule and override decided for one point. `path`: of the key to blame."""

    definition: PointDef
    access: Access
    bad: Bad
    formats: tuple[Format, ...]
    scale: Fraction | None
    pin: int | None
    path: tuple[str | int, ...]

    @property
    def writable(self) -> bool:
        return self.access is Access.READ_WRITE and self.definition.writable and not self.definition.mid

    @property
    def registers(self) -> int:
        return sum(registers_of(form) for form in self.formats)


class Chooser:
    """Pure: point -> Choice, None for a point that is skipped."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._rules = Rules(mapping.rules)
        self._rule_at = {id(rule): at for at, rule in enumerate(mapping.rules)}

    def choose(self, definition: PointDef) -> Choice | None:
        mapping = self._mapping
        override = mapping.overrides.get(definition.id, Override())
        rule = self._rules.find(definition.id) or Rule(match="*")
        if override.skip if override.skip is not None else rule.skip:
            return None
        path: tuple[str | int, ...] = ("overrides", definition.id)
        if definition.id not in mapping.overrides:
            path = ("rules", self._rule_at[id(rule)]) if id(rule) in self._rule_at else ()
        formats = override.formats or rule.formats or default_formats(definition)
        check_formats(definition, formats, (*path, "formats"))
        return Choice(
            definition,
            override.access or rule.access or mapping.access,
            override.bad or rule.bad or mapping.bad,
            formats,
            exact(override.scale or rule.scale),
            override.address,
            path,
        )


def exact(scale: float | None) -> Fraction | None:
    """Return the decimal the user wrote: 0.1 is 1/10, not the nearest float."""
    return None if scale is None else Fraction(str(scale))


def default_formats(definition: PointDef) -> tuple[Format, ...]:
    """Return what the built-in map shows of a point; wide codes of a multistate take two registers."""
    codes = [code for code, _ in definition.states]
    if definition.kind is Kind.MULTISTATE and codes and not 0 <= min(codes) <= max(codes) <= _MOST_UINT16:
        return (Format.INT32,)
    return _FORMATS[definition.kind]


def check_formats(definition: PointDef, formats: Iterable[Format], path: tuple[str | int, ...]) -> None:
    """Raises: ProjectionError for a format that cannot carry the kind."""
    for form in formats:
        if form not in _ALLOWED[definition.kind]:
            allowed = ", ".join(sorted(f.value for f in _ALLOWED[definition.kind]))
            raise ProjectionError(
                path, f"{definition.id} is {definition.kind.value}: expected {allowed}, found {form.value}"
            )


def ratio_of(definition: PointDef, form: Format, scale: Fraction | None) -> tuple[int, int]:
    """
    Return (times, over) of a field. Floats show the value in the unit; `scale` is for integers.

    An INT64 of an accumulator without a scale of its own shows the count itself.
    """
    if form in (Format.TEXT, Format.TIME, Format.BOOLEAN):
        return 1, 1
    if form is Format.INT64 and definition.kind is Kind.ACCUMULATOR and scale is None:
        return 1, 1
    if scale is None or form in FLOATS:
        scale = Fraction(1)
    return unit_ratio(definition, scale.numerator, scale.denominator)


def block_size(points: int, registers: int) -> int:
    """Return B for a device: the tenth part holds its points, the half its values, both with a quarter to spare."""
    needed = max(10 * points, 2 * registers) * 5 // 4
    return max(-(-needed // BLOCK_STEP), 1) * BLOCK_STEP


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the block of a device begins in the numbers of the ledger, and how big it is."""

    device: str
    size: int
    registers: int
    inputs: int
    coils: int
    ordinal: int


def frame_of(device: str, choices: Sequence[Choice], mapping: Mapping, numbers: Numbers) -> Frame:
    wanted = mapping.blocks.get(device) or block_size(len(choices), sum(c.registers for c in choices))
    # The ledger keeps numbers, not sizes: the size is the leading part of a number, the rest tells devices apart.
    size = numbers.take("modbus.sizes", device, wanted * _SIZE_SHIFT) // _SIZE_SHIFT
    ordinal = numbers.take("modbus.devices", device, 0)
    base = numbers.take("modbus.blocks", device, 0, size)
    return Frame(device, size, base, ordinal * INPUT_BITS, ordinal * COIL_BITS, ordinal)


def device_block(device: str, choices: Sequence[Choice], mapping: Mapping, numbers: Numbers) -> Block:
    """Raises: ProjectionError for a pin that collides, and for a device that has outgrown its block."""
    frame = frame_of(device, choices, mapping, numbers)
    # Pins first: the ledger takes no number back. Hidden points too: the others stay where they are.
    order = sorted(choices, key=lambda choice: choice.pin is None)
    items = {choice.definition.index: _item(frame, choice, numbers) for choice in order}
    shown = tuple(items[c.definition.index] for c in choices if c.access is not Access.NONE)
    places = tuple(_places(frame, mapping, numbers))
    return Block(device, places, frame.size, INPUT_BITS, COIL_BITS, shown)


def _item(frame: Frame, choice: Choice, numbers: Numbers) -> Item:
    definition, size = choice.definition, frame.size
    # values and points count through the whole site, so that a device may be renamed in the ledger
    fields: list[Field] = []
    for form in choice.formats:
        registers, key = registers_of(form), f"{definition.id}/{form.value}"
        pin = None if fields or choice.pin is None else frame.registers + choice.pin
        try:
            number = numbers.take("modbus.values", key, frame.registers, registers, pin)
        except ValueError as exc:
            raise ProjectionError((*choice.path, "address"), str(exc)) from exc
        address = number - frame.registers
        _fits(choice, address + registers, size // 2, "value registers")
        times, over = ratio_of(definition, form, choice.scale)
        fields.append(Field(address, form, registers, times, over))
    slot = numbers.take("modbus.points", definition.id, frame.registers // 10) - frame.registers // 10
    _fits(choice, slot + 1, size // 10, "points")
    state = coil = -1
    if definition.kind is Kind.BINARY:
        state = numbers.take("modbus.inputs", definition.id, frame.inputs, 2) - frame.inputs
        _fits(choice, state + 2, INPUT_BITS, "discrete inputs")
        if definition.role is Role.COMMAND or definition.writable:
            coil = numbers.take("modbus.coils", definition.id, frame.coils) - frame.coils
            _fits(choice, coil + 1, COIL_BITS, "coils")
    return Item(
        definition.index,
        tuple(fields),
        quality=size // 2 + slot,
        time=size * 6 // 10 + TIME_REGISTERS * slot,
        state=state,
        valid=state + 1 if state >= 0 else -1,
        coil=coil,
        writable=choice.writable,
        bad=choice.bad,
    )


def _places(frame: Frame, mapping: Mapping, numbers: Numbers) -> Iterable[Place]:
    device, share = frame.device, mapping.meters_per_unit
    if share == 1:
        unit, at = unit_of(device, mapping, numbers), 0
    else:
        unit, at = 1 + frame.ordinal // share, frame.ordinal % share
    if unit > LAST_UNIT:
        raise ProjectionError(
            ("meters_per_unit",), f"{device} gets unit id {unit}: expected at most {LAST_UNIT}, with {share} each"
        )
    stride = ADDRESSES if share == 1 else min(ADDRESSES // share // BLOCK_STEP * BLOCK_STEP, MOST_STRIDE)
    if frame.size > stride:
        raise ProjectionError(("meters_per_unit",), f"{device} takes {frame.size} registers: expected at most {stride}")
    yield Place(unit, at * stride, at * INPUT_BITS, at * COIL_BITS)
    # a large site does not fit behind one unit id: the rest has its own unit ids only
    ends = (frame.registers + frame.size, frame.inputs + INPUT_BITS, frame.coils + COIL_BITS)
    if max(ends) <= ADDRESSES:
        yield Place(SITE_UNIT, frame.registers, frame.inputs, frame.coils)


def unit_of(device: str, mapping: Mapping, numbers: Numbers) -> int:
    """Return the unit id of a device. Raises: ProjectionError for a pin that is another's."""
    try:
        return numbers.take("modbus.units", device, 1, 1, mapping.units.get(device))
    except ValueError as exc:
        raise ProjectionError(("units", device), str(exc)) from exc


def _fits(choice: Choice, end: int, limit: int, what: str) -> None:
    device = choice.definition.device
    if not 0 < end <= limit:
        raise ProjectionError(
            choice.path or ("blocks", device),
            f"{choice.definition.id} needs {end} {what}: expected at most {limit} in the block of {device}",
        )
