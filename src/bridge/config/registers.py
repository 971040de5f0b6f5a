"""One point of a meter file -> the register it is read from and what it is written to, exact scales included. Pure."""

from fractions import Fraction

from bridge.config.addresses import BIT_TABLES, TABLE_NAMES, register_count, wire_address
from bridge.config.exact import exact
from bridge.config.faults import Wrong
from bridge.config.meter import MeterFile, PointFile, RegisterType, Table
from bridge.config.model import Register, WriteTo
from bridge.config.vocabulary import RANGES
from bridge.core.point import Kind
from bridge.core.quantity import Meaning, Quantity, Statistic

FLOATS = frozenset({RegisterType.FLOAT32, RegisterType.FLOAT64})


def read_register(
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


def write_target(
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
    # a clock is set by `sync_clock`; all other times are facts
    clock = meaning.quantity is Quantity.DEVICE_CLOCK and point.type is RegisterType.UNIX_TIME
    fixed = kind in (Kind.TEXT, Kind.TIME) and not clock
    if fixed or (read is None and point.write_at is None):
        why = f"a value of kind {kind.value}" if fixed else "a point without register"
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
        pair = ordered(point.range, "range")
        assert pair is not None
        return pair
    default = RANGES.get(meaning.quantity)
    if default is None or kind is not Kind.ANALOG or point.values or default[2] != unit:
        return None, None
    return default[0], default[1]


def ordered(pair: tuple[float, float] | None, key: str) -> tuple[float, float] | None:
    if pair is not None and pair[0] >= pair[1]:
        raise Wrong(key, f"expected the lower number first, found {pair[0]:g} and {pair[1]:g}")
    return pair
