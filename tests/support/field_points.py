"""Devices made of point names, as the loader would make them, without any file."""

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from bridge.config.derived import NO_LIMITS
from bridge.config.meter import Certainty, RegisterType, Table
from bridge.config.model import FieldDevice, FieldPoint, Register
from bridge.config.vocabulary import natural_kind, natural_poll, natural_role
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Wiring
from bridge.core.quantity import meaning_of

_UNITS = {"demand": "kW", "power_factor": "", "power": "kW", "voltage": "V", "current": "A", "energy": "kWh"}


def point(name: str, index: int, device: str = "m", **facts: object) -> PointDef:
    """Return the definition of a point with what its name says."""
    meaning = meaning_of(name)
    kind = natural_kind(meaning) or Kind.ANALOG
    unit = (
        next((u for word, u in _UNITS.items() if word in meaning.quantity.value), "") if kind is not Kind.BINARY else ""
    )
    made = PointDef(
        index=index,
        id=f"{device}.{name}",
        kind=kind,
        unit="" if kind in (Kind.TIME, Kind.MULTISTATE) else unit,
        meaning=meaning,
        role=natural_role(meaning, False),
        resolution=-2 if kind is Kind.ACCUMULATOR else 0,
        poll_ns=10**9,
    )
    return msgspec.structs.replace(made, **facts)


def device(
    measured: Sequence[PointDef], derived: Sequence[PointDef], nominal: Nominal | None = None, id_: str = "m"
) -> FieldDevice:
    """Return a device with these points, `measured` with a register each."""
    definition = DeviceDef(id_, "test", "", "", "line", 1, False, Wiring.FOUR_WIRE, nominal or Nominal(), {}, "")
    register = Register(Table.HOLDING, 0, 2, RegisterType.FLOAT32, scale=Fraction(1))
    points = [
        FieldPoint(d, read, natural_poll(d.meaning, d.kind, d.role), Certainty.CERTAIN)
        for some, read in ((measured, register), (derived, None))
        for d in some
    ]
    return FieldDevice(definition, NO_LIMITS, tuple(points), {})
