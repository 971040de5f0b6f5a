"""One point of a meter file -> register, kind, unit, states and writes, independent of any device. Pure."""

import enum
from dataclasses import dataclass
from fractions import Fraction

from bridge.config.addresses import BIT_TABLES, TABLE_NAMES, register_count, wire_address
from bridge.config.exact import exact, power_of_ten
from bridge.config.faults import Wrong
from bridge.config.meter import Certainty, MeterFile, PointFile, PollClass, RegisterType, Table
from bridge.config.model import Register, WriteTo
from bridge.config.spelling import mistyped
from bridge.config.vocabulary import (
    MID_LOCKED,
    RANGES,
    STATES,
    is_energy,
    is_time,
    natural_kind,
    natural_poll,
    natural_role,
    only_unit,
)
from bridge.config.words import near
from bridge.core.point import Kind, Role
from bridge.core.quantity import POINT_NAME, Meaning, Quantity, Statistic, dimension_of, meaning_of
from bridge.core.units import UNITS, Dimension

MAX_NAME = 64

FLOATS = frozenset({RegisterType.FLOAT32, RegisterType.FLOAT64})
TEXTS = frozenset({RegisterType.STRING, RegisterType.STRING16})
TIMES = frozenset({RegisterType.UNIX_TIME, RegisterType.DATETIME4})
# Where an unsigned counter starts again when nobody says otherwise: it cannot do anything else
_NATURAL_MODULUS = {RegisterType.UINT16: 2**16, RegisterType.UINT32: 2**32, RegisterType.UM10K: 10_000 * 2**16}


class Locked(enum.Enum):
    """Whether a MID device lets nobody write the point."""

    NEVER = "never"
    ON_MID_DEVICE = "on a MID device"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the meter file decides about a point. `own_order`: the file states the word order for this point."""

    name: str
    meaning: Meaning
    kind: Kind
    role: Role
    poll: PollClass
    unit: str
    resolution: int
    modulus: int
    states: tuple[tuple[int, str], ...]
    limits: tuple[float, float] | None
    typical: tuple[float, float] | None
    deadband: float
    read: Register | None
    write: WriteTo | None
    locked: Locked
    own_order: bool
    certainty: Certainty
    label: str
    tags: tuple[str, ...]
    brick: str
    declared_at: str


def point_facts(name: str, point: PointFile, meter: MeterFile, given: frozenset[str], declared_at: str) -> Facts:
    """Return what the file says of a point. `given`: the keys that the user wrote. Raises: Wrong."""
    if len(name) > MAX_NAME or POINT_NAME.match(name) is None:
        raise Wrong("", f"expected a name of small letters, digits and single _, at most {MAX_NAME} long")
    meaning = meaning_of(name)
    _check_words(name, point, meaning)
    kind = _kind(point, meaning)
    role = point.role or natural_role(meaning, point.writable)
    unit = _unit(point, meaning, kind)
    resolution = _resolution(point, kind)
    states = _states(point, meaning, kind)
    read = _register(point, meter, kind, given, resolution)
    return Facts(
        name=name,
        meaning=meaning,
        kind=kind,
        role=role,
        poll=point.poll or natural_poll(meaning, kind, role),
        unit=unit,
        resolution=resolution,
        modulus=_modulus(point, kind, read),
        states=states,
        limits=_ordered(point.limits, "limits"),
        typical=_ordered(point.typical, "typical"),
        deadband=point.deadband,
        read=read,
        write=_write(point, meter, meaning, kind, states, unit, read),
        locked=Locked.ON_MID_DEVICE if _bills(point, meaning) else Locked.NEVER,
        own_order=point.order is not None,
        certainty=point.certainty,
        label=point.label,
        tags=point.tags,
        brick=point.brick,
        declared_at=declared_at,
    )


def _bills(point: PointFile, meaning: Meaning) -> bool:
    return point.mid or is_energy(meaning) or meaning.quantity in MID_LOCKED


def _check_words(name: str, point: PointFile, meaning: Meaning) -> None:
    if point.mid and point.writable:
        raise Wrong("writable", "expected no write to a point that is `mid: true`, found `true`: nobody may write it")
    if point.certainty is not Certainty.CERTAIN and not point.note:
        raise Wrong("certainty", f"expected a `note` saying why this is {point.certainty.value}, found none")
    if meaning.quantity is Quantity.OTHER and (meant := mistyped(name)):
        raise Wrong(
            "", f"expected a name of known words, or one quite of its own, found `{name}` (did you mean `{meant}`?)"
        )


def _kind(point: PointFile, meaning: Meaning) -> Kind:
    natural = natural_kind(meaning)
    kind = point.kind or natural or _kind_of_type(point, meaning)
    if natural in (Kind.TIME, Kind.ACCUMULATOR) and kind is not natural:
        raise Wrong("kind", f"expected {natural.value}, which the name says, found {kind.value}")
    fits = {
        Kind.TIME: point.type is None or point.type in TIMES,
        Kind.TEXT: point.type not in FLOATS,
        Kind.BINARY: point.type is None or point.type not in TEXTS | TIMES | FLOATS,
        Kind.MULTISTATE: point.type is None or point.type not in TEXTS | TIMES | FLOATS,
        Kind.ACCUMULATOR: point.type is None or point.type not in TEXTS | TIMES | {RegisterType.BOOL},
        Kind.ANALOG: point.type is None or point.type not in TEXTS | TIMES | {RegisterType.BOOL},
    }
    if not fits[kind]:
        found = point.type.value if point.type else "none"
        raise Wrong("type", f"expected a type that can hold a value of kind {kind.value}, found {found}")
    return kind


def _kind_of_type(point: PointFile, meaning: Meaning) -> Kind:
    if point.type in TIMES:
        return Kind.TIME
    if point.type in TEXTS:
        return Kind.TEXT
    if point.type is RegisterType.BOOL:
        return Kind.BINARY
    if point.resolution is not None:
        return Kind.ACCUMULATOR
    measured = dimension_of(meaning.quantity) is not Dimension.NONE
    return Kind.MULTISTATE if point.states and not measured else Kind.ANALOG


def _unit(point: PointFile, meaning: Meaning, kind: Kind) -> str:
    dimension = Dimension.NONE if is_time(meaning) else dimension_of(meaning.quantity)
    if kind in (Kind.BINARY, Kind.MULTISTATE, Kind.TEXT, Kind.TIME):
        if point.unit:
            raise Wrong("unit", f"expected no unit for a value of kind {kind.value}, found `{point.unit}`")
        return ""
    if not point.unit:
        if meaning.quantity in RANGES and point.at is None:
            return RANGES[meaning.quantity][2]
        unit = "" if dimension is Dimension.NONE else only_unit(dimension, own=point.at is None)
        if unit is None:
            choice = ", ".join(u.symbol for u in UNITS.values() if u.dimension is dimension)
            raise Wrong("unit", f"expected a unit of {dimension.value} ({choice}), found none")
        return unit
    if point.unit not in UNITS:
        hint = near(point.unit, UNITS)
        raise Wrong("unit", f"expected a known unit, found `{point.unit[:20]}`{hint if 'mean' in hint else ''}")
    if meaning.quantity is not Quantity.OTHER and UNITS[point.unit].dimension is not dimension:
        choice = ", ".join(u.symbol for u in UNITS.values() if u.dimension is dimension and u.symbol)
        expected = f"a unit of {dimension.value} ({choice})" if choice else "no unit"
        raise Wrong("unit", f"expected {expected} for {meaning.quantity.value}, found `{point.unit}`")
    return point.unit


def _resolution(point: PointFile, kind: Kind) -> int:
    if kind is not Kind.ACCUMULATOR:
        if point.resolution is not None:
            raise Wrong("resolution", f"expected it only for energies and other counters, found it on {kind.value}")
        if point.modulus is not None:
            raise Wrong("modulus", f"expected it only for energies and other counters, found it on {kind.value}")
        return 0
    if point.resolution is None:
        if point.at is None:
            return -2
        raise Wrong("resolution", "expected the size of one count in the unit, such as 0.01, found none")
    return power_of_ten(point.resolution)


def _states(point: PointFile, meaning: Meaning, kind: Kind) -> tuple[tuple[int, str], ...]:
    if kind not in (Kind.BINARY, Kind.MULTISTATE):
        if point.states:
            raise Wrong("states", f"expected states only for binary and multistate values, found them on {kind.value}")
        return ()
    states = tuple(sorted(point.states.items())) or STATES.get(meaning.quantity, ())
    if not states and kind is Kind.BINARY:
        states = ((0, "Off"), (1, "On"))
    if not states:
        raise Wrong("states", "expected the codes and their texts, such as {0: 3P4W, 1: 3P3W}, found none")
    codes, texts = [code for code, _ in states], [text for _, text in states]
    if (kind is Kind.BINARY or meaning.quantity is Quantity.ENERGY_DIRECTION) and codes != [0, 1]:
        raise Wrong("states", f"expected texts for 0 and 1, found {', '.join(map(str, codes))}")
    if min(codes) < 0 or max(codes) > 65535:
        raise Wrong("states", "expected codes from 0 to 65535, found one outside")
    if len(set(texts)) != len(texts) or not all(text.strip() for text in texts):
        raise Wrong("states", "expected a different text for each code, found one twice or empty")
    return states


def _register(
    point: PointFile, meter: MeterFile, kind: Kind, given: frozenset[str], resolution: int
) -> Register | None:
    if point.at is None and point.write_at is not None:
        return None
    if point.at is None:
        extra = sorted(given & {"type", "registers", "bit", "order", "scale", "offset", "scale_at", "invalid"})
        if extra:
            raise Wrong(extra[0], "expected `at` as well, found none (a point without `at` is computed by the bridge)")
        return None
    table, address = wire_address(point.at, meter.modbus.addressing, meter.modbus.table)
    type_ = point.type or (RegisterType.BOOL if table in BIT_TABLES else None)
    if type_ is None:
        raise Wrong("type", "expected the type of the register, such as uint16 or float32, found none")
    count = register_count(type_, point.registers, table, address)
    if point.bit is not None and (table in BIT_TABLES or type_ is not RegisterType.BOOL):
        raise Wrong("bit", f"expected it only for type bool in a register, found it on {type_.value}")
    scale, counts = _scales(point, type_, kind, given, resolution)
    return Register(
        table=table,
        address=address,
        count=count,
        type=type_,
        order=point.order or meter.modbus.word_order,
        bit=point.bit,
        scale=scale,
        offset=point.offset,
        counts=counts,
        scale_alternatives=_alternatives(point, kind),
        scale_at=_scale_at(point, meter, table),
        invalid=frozenset(point.invalid),
    )


def _scales(
    point: PointFile, type_: RegisterType, kind: Kind, given: frozenset[str], resolution: int
) -> tuple[Fraction, Fraction]:
    """Return unit per register step and counts per register step."""
    scale, step = exact(point.scale), Fraction(10) ** resolution
    if scale <= 0:
        raise Wrong("scale", f"expected a number above 0, found {point.scale:g}")
    if kind is not Kind.ACCUMULATOR:
        return scale, Fraction(1)
    if point.offset:
        raise Wrong("offset", f"expected none for a counter, found {point.offset:g}")
    if "scale" not in given and type_ not in FLOATS:
        scale = step
    counts = scale / step
    if type_ not in FLOATS and counts.denominator != 1:
        raise Wrong(
            "resolution", f"expected one that divides a register step of {point.scale}, found {point.resolution}"
        )
    return scale, counts


def _alternatives(point: PointFile, kind: Kind) -> tuple[Fraction, ...]:
    if not point.scale_alternatives:
        return ()
    if kind is not Kind.ANALOG:
        raise Wrong("scale_alternatives", f"expected them only for measured values, found them on {kind.value}")
    if point.limits is None:
        raise Wrong("scale_alternatives", "expected `limits` to decide by, found none")
    if any(scale <= 0 for scale in point.scale_alternatives):
        raise Wrong("scale_alternatives", "expected numbers above 0, found another")
    return tuple(exact(scale) for scale in point.scale_alternatives)


def _scale_at(point: PointFile, meter: MeterFile, table: Table) -> int | None:
    if point.scale_at is None:
        return None
    at, address = wire_address(point.scale_at, meter.modbus.addressing, meter.modbus.table, "scale_at")
    if at is not table:
        raise Wrong("scale_at", f"expected it among the {TABLE_NAMES[table]} as the value, found {TABLE_NAMES[at]}")
    return address


def _modulus(point: PointFile, kind: Kind, read: Register | None) -> int:
    if point.modulus is not None:
        return point.modulus
    if kind is not Kind.ACCUMULATOR or read is None or read.scale_at is not None:
        return 0
    return int(_NATURAL_MODULUS.get(read.type, 0) * read.counts)


def _ordered(pair: tuple[float, float] | None, key: str) -> tuple[float, float] | None:
    if pair is not None and pair[0] >= pair[1]:
        raise Wrong(key, f"expected the lower number first, found {pair[0]:g} and {pair[1]:g}")
    return pair


def _write(
    point: PointFile,
    meter: MeterFile,
    meaning: Meaning,
    kind: Kind,
    states: tuple[tuple[int, str], ...],
    unit: str,
    read: Register | None,
) -> WriteTo | None:
    if not point.writable:
        return None
    if kind in (Kind.TEXT, Kind.TIME) or (read is None and point.write_at is None):
        why = f"a value of kind {kind.value}" if kind in (Kind.TEXT, Kind.TIME) else "a point without register"
        raise Wrong("writable", f"expected no write to {why}, found `true`")
    if meaning.statistic is not Statistic.PRESENT and kind is not Kind.ACCUMULATOR:
        raise Wrong("writable", "expected no write to a statistic, found `true`")
    register = _write_register(point, meter, read)
    low, high = _range(point, meaning, kind, unit)
    values = point.values or (tuple(float(code) for code, _ in states) if kind is Kind.MULTISTATE else ())
    if kind is Kind.ANALOG and low is None and not values:
        raise Wrong("writable", "expected a `range` or `values` of what may be written, found none")
    return WriteTo(register, _functions(meter, register), low, high, values, point.broadcast)


def _write_register(point: PointFile, meter: MeterFile, read: Register | None) -> Register:
    if point.write_at is None and read is not None:
        register = read
    else:
        at = point.write_at if point.write_at is not None else 0
        table, address = wire_address(at, meter.modbus.addressing, meter.modbus.table, "write_at")
        type_ = point.type or (RegisterType.BOOL if table in BIT_TABLES else RegisterType.UINT16)
        if table in BIT_TABLES:
            type_ = RegisterType.BOOL
        count = register_count(type_, point.registers, table, address)
        order = point.order or meter.modbus.word_order
        register = Register(table, address, count, type_, order, scale=exact(point.scale), offset=point.offset)
    if register.table in (Table.INPUT, Table.DISCRETE_INPUT):
        raise Wrong(
            "writable", f"expected a coil or holding register (`write_at`), found {TABLE_NAMES[register.table]}"
        )
    if register.bit is not None:
        raise Wrong("writable", "expected a whole register or a coil, found one bit of a register")
    return register


def _functions(meter: MeterFile, register: Register) -> tuple[int, ...]:
    able = meter.modbus.writes
    if register.table is Table.COIL:
        fitting = tuple(f for f in able if f in (5, 15)) or ((5,) if set(able) <= {6, 16} else ())
    else:
        fitting = tuple(f for f in able if f == 16 or (f == 6 and register.count == 1))
    if not fitting:
        known = ", ".join(map(str, able)) or "none"
        raise Wrong("writable", f"expected a function of the device that can write this, found only {known}")
    return fitting


def _range(point: PointFile, meaning: Meaning, kind: Kind, unit: str) -> tuple[float | None, float | None]:
    if point.range is not None:
        pair = _ordered(point.range, "range")
        assert pair is not None
        return pair
    default = RANGES.get(meaning.quantity)
    if default is None or kind is not Kind.ANALOG or point.values or default[2] != unit:
        return None, None
    return default[0], default[1]
