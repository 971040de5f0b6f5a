"""What stands in a device's tables besides its points: holes, scale factors, serial number, signatures. Pure."""

import enum
import itertools
from collections.abc import Iterable, Mapping
from fractions import Fraction

from bridge.config.meter import RegisterType, Table
from bridge.config.model import FieldDevice, Register
from bridge.core.point import Kind, PointDef, Value
from bridge.simulator.words import INTEGER_RANGE, words_of

BITS = frozenset({Table.COIL, Table.DISCRETE_INPUT})
# What an unmapped register inside a block reads as (seed 004, "invalid read responses").
HOLE = 0x8000
# Power of ten of a scale factor register (SunSpec: sunssf, -10 to 10); finer than 0.001 nobody needs.
_FINEST, _COARSEST = -3, 10
# Part of the register's range that the largest expected value may take.
_HEADROOM = Fraction(1, 4)


class Holes(enum.Enum):
    """What a read over unmapped registers gets. FILLED: a gap of the meter file's `max_gap` is read through."""

    FILLED = "filled"
    REFUSED = "refused"


class Refusal(enum.IntEnum):
    """Exception codes of the Modbus Application Protocol V1.1b3, 7."""

    FUNCTION = 1
    ADDRESS = 2
    VALUE = 3
    FAILURE = 4


Tables = dict[Table, dict[int, int]]
Exponents = Mapping[tuple[Table, int | None], int]


def background(device: FieldDevice, serial: str, exponents: Exponents, holes: Holes) -> Tables:
    """Return every table of the device with all its readable addresses and what stands there before the points."""
    tables: Tables = {}
    for register in _registers(device):
        words = tables.setdefault(register.table, {})
        span = 1 if register.table in BITS else register.count
        words.update(dict.fromkeys(range(register.address, register.address + span), 0))
    for (table, address), exponent in exponents.items():
        if address is not None:
            tables.setdefault(table, {})[address] = exponent & 0xFFFF
    if device.serial is not None:
        for at, word in enumerate(_identity_words(device.serial, serial), device.serial.address):
            tables[device.serial.table][at] = word
    for signature in device.signatures:
        words = tables.setdefault(signature.register.table, {})
        for at, word in enumerate(_identity_words(signature.register, signature.text), signature.register.address):
            words[at] = word
    if holes is Holes.FILLED:
        for table, words in tables.items():
            if table not in BITS:
                _fill(words, device.limits.max_gap, device.limits.forbidden)
    return tables


def scale_exponents(points: Iterable[tuple[PointDef, Register, Value]]) -> Exponents:
    """Choose the power of ten of every scale factor register: the finest that fits all points it scales."""
    chosen: dict[tuple[Table, int | None], int] = {}
    for definition, register, value in points:
        if register.scale_at is not None:
            key = (register.table, register.scale_at)
            chosen[key] = max(chosen.get(key, _FINEST), _exponent(definition, register, value))
    return chosen


def _registers(device: FieldDevice) -> Iterable[Register]:
    for point in device.points:
        if point.read is not None:
            yield point.read
        if point.write is not None:
            yield point.write.register
    if device.serial is not None:
        yield device.serial


def _exponent(definition: PointDef, register: Register, value: Value) -> int:
    if definition.kind is Kind.ACCUMULATOR:
        # one raw step is one count
        for exponent in range(-10, 11):
            if register.counts * Fraction(10) ** exponent >= 1:
                return exponent
        return 0
    largest = max((abs(x) for x in (definition.typical or ()) if x), default=0.0)
    if isinstance(value, int | float):
        largest = max(largest, 3 * abs(float(value)))
    room = INTEGER_RANGE.get(register.type, (0, 1))[1]
    for exponent in range(_FINEST, _COARSEST):
        if Fraction(largest) <= abs(register.scale) * Fraction(10) ** exponent * room * _HEADROOM:
            return exponent
    return _COARSEST


def _identity_words(register: Register, text: str) -> tuple[int, ...]:
    if register.type in (RegisterType.STRING, RegisterType.STRING16):
        room = register.count * (1 if register.type is RegisterType.STRING16 else 2)
        return words_of(text[:room], register.type, register.order, register.count)
    low, high = INTEGER_RANGE.get(register.type, (0, 0))
    number = low + int(text) % (high - low + 1)
    return words_of(number, register.type, register.order, register.count)


def _fill(words: dict[int, int], max_gap: int, forbidden: tuple[tuple[int, int], ...]) -> None:
    refused = {at for first, last in forbidden for at in range(first, last + 1)}
    mapped = sorted(words)
    for before, after in itertools.pairwise(mapped):
        if after - before - 1 <= max_gap:
            for at in range(before + 1, after):
                if at not in refused:
                    words[at] = HOLE
