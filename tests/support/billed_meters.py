"""Meters that people are billed by, and one nobody is."""

from typing import Any

import msgspec

from bridge.config.meter import RegisterType
from bridge.config.model import FieldDevice, FieldPoint
from tests.support.sim_site import device, energy, point, register

# wire addresses of the MID meter: energy 3000 and 3001, CT 4100, a setting that may be written 4010
SETTING, ENERGY, CT = 4010, 3000, 4100


def billed_meters() -> list[FieldDevice]:
    """Unit 1 is a MID meter, unit 2 is not; unit 3 is on another channel."""
    setting = point("demand_interval", register(SETTING, RegisterType.UINT16))
    write = next(p.write for p in device().points if p.definition.name == "demand_interval")
    billed = energy("active_energy_import", ENERGY)
    ratio = point("ct_primary_rating", register(CT, RegisterType.UINT16))
    assert billed.read is not None
    assert ratio.read is not None
    points = [
        _with(setting, write=write),
        _with(billed, locked=(billed.read,)),
        _with(ratio, locked=(ratio.read,)),
    ]
    mid = device("mid", "line", 1, points)
    mid = FieldDevice(
        msgspec.structs.replace(mid.definition, mid=True), mid.limits, mid.points, mid.periods_ns, mid.serial
    )
    return [mid, device("plain", "line", 2), device("far", "lan", 3)]


def _with(point: FieldPoint, **more: Any) -> FieldPoint:
    facts = {name: getattr(point, name) for name in ("definition", "read", "poll", "certainty", "write", "locked")}
    return FieldPoint(**{**facts, **more})
