"""One point of a meter file -> register, kind, unit, states and writes, independent of any device. Pure."""

import enum
from dataclasses import dataclass

from bridge.config.exact import power_of_ten
from bridge.config.faults import Wrong
from bridge.config.meter import Certainty, MeterFile, PointFile, PollClass, RegisterType
from bridge.config.model import Register, WriteTo
from bridge.config.registers import FLOATS, ordered, read_register, write_target
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
from bridge.core.ontology import brick_class, haystack_tags
from bridge.core.point import Kind, Role
from bridge.core.quantity import POINT_NAME, Meaning, Quantity, dimension_of, meaning_of
from bridge.core.units import UNITS, Dimension

MAX_NAME = 64

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
    read = read_register(point, meter, kind, given, resolution)
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
        limits=ordered(point.limits, "limits"),
        typical=ordered(point.typical, "typical"),
        deadband=point.deadband,
        read=read,
        write=write_target(point, meter, meaning, kind, states, unit, read),
        locked=Locked.ON_MID_DEVICE if _bills(point, meaning) else Locked.NEVER,
        own_order=point.order is not None,
        certainty=point.certainty,
        label=point.label,
        tags=point.tags or haystack_tags(meaning, role),
        brick=point.brick or brick_class(meaning, role),
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


def _modulus(point: PointFile, kind: Kind, read: Register | None) -> int:
    if point.modulus is not None:
        return point.modulus
    if kind is not Kind.ACCUMULATOR or read is None or read.scale_at is not None:
        return 0
    return int(_NATURAL_MODULUS.get(read.type, 0) * read.counts)
