"""Which points show which demand of which power: read out of the meanings of a device's points. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bridge.config.model import FieldDevice
from bridge.config.services import DemandKey, DemandLimits
from bridge.core.point import PointDef
from bridge.core.quantity import Direction, Meaning, Phase, Quantity, Statistic
from bridge.core.rules import Rules
from bridge.services.arithmetic import exponent_of
from bridge.services.demand import DemandSettings

Q = Quantity

_SOURCES: Mapping[Quantity, Quantity] = {
    Q.ACTIVE_DEMAND: Q.ACTIVE_POWER,
    Q.REACTIVE_DEMAND: Q.REACTIVE_POWER,
    Q.APPARENT_DEMAND: Q.APPARENT_POWER,
    Q.CURRENT_DEMAND: Q.CURRENT,
}
_STATISTICS = frozenset(
    {Statistic.PRESENT, Statistic.PREDICTED, Statistic.PEAK, Statistic.PEAK_TIME, Statistic.COINCIDENT}
)
# ns; a power read this seldom or not at all stands for this long
_LEAST_HOLD_NS = 10_000_000_000
# Periods for which one reading stands for the power
_HOLD_PERIODS = 3


@dataclass(frozen=True, slots=True)
class DemandPoints:
    """
    One power and the points that show its demand. `direction`: IMPORT and EXPORT count only their part of a signed
    power, all others its sign. `id`: of this demand, for what is kept over a restart. A point is (index, exponent).
    """

    id: str
    device: str
    circuit: int
    source: int
    exponent: int
    direction: Direction
    hold_ns: int
    quantity: Quantity
    values: dict[Statistic, tuple[int, int]] = field(default_factory=dict)

    @property
    def leads(self) -> bool:
        """Whether coincident demands of the circuit are those of this one's peak: active power, import less export."""
        return self.quantity is Q.ACTIVE_DEMAND and self.direction in (Direction.NONE, Direction.NET)

    def counted(self, power: float) -> float:
        """Return the part of `power` that this demand is about."""
        if self.direction is Direction.IMPORT:
            return max(power, 0.0)
        return max(-power, 0.0) if self.direction is Direction.EXPORT else power


def settings_of(key: DemandKey, device: str) -> DemandSettings:
    """Return what the site says for a device, over what it says for all, over the defaults."""
    settings = DemandSettings()
    for limits in (key, Rules(key.devices).find(device)):
        settings = _with(settings, limits)
    return settings


def _with(settings: DemandSettings, limits: DemandLimits | None) -> DemandSettings:
    if limits is None:
        return settings
    return DemandSettings(
        limits.interval_min or settings.interval_min,
        limits.subintervals or settings.subintervals,
        settings.lockout_days if limits.lockout_days is None else limits.lockout_days,
    )


def demands_of(device: FieldDevice) -> list[DemandPoints]:
    """Return the demands that the device's points without a register ask for, and that its powers allow."""
    powers: dict[Meaning, PointDef] = {}
    for point in device.points:
        powers.setdefault(point.definition.meaning, point.definition)
    demands: dict[Meaning, DemandPoints] = {}
    for point in device.points:
        found = _demand(point.definition.meaning) if point.read is None else None
        if found is None:
            continue
        wanted, statistic = found
        power = _power(wanted, powers)
        if power is None:
            continue
        if wanted not in demands:
            demands[wanted] = _points(device, wanted, power)
        out = point.definition
        demands[wanted].values.setdefault(statistic, (out.index, 0 if out.unit == "" else exponent_of(out)))
    return list(demands.values())


def _points(device: FieldDevice, wanted: Meaning, power: PointDef) -> DemandPoints:
    hold_ns = max(power.stale_after_ns, _HOLD_PERIODS * power.poll_ns, _LEAST_HOLD_NS)
    direction = wanted.direction
    id_ = f"{power.id}/{direction.value}"
    place = device.definition.id, wanted.circuit, power.index, exponent_of(power)
    return DemandPoints(id_, *place, direction, hold_ns, wanted.quantity)


def _demand(meaning: Meaning) -> tuple[Meaning, Statistic] | None:
    """Return which demand a point is about, as the meaning of its present value, and what of it."""
    if meaning.quantity is Q.DEMAND_PEAK_CURRENT:
        return Meaning(Q.ACTIVE_DEMAND, circuit=meaning.circuit), Statistic.PEAK
    if meaning.quantity is Q.DEMAND_PEAK_TIMESTAMP:
        return Meaning(Q.ACTIVE_DEMAND, circuit=meaning.circuit), Statistic.PEAK_TIME
    if meaning.quantity not in _SOURCES or meaning.statistic not in _STATISTICS or meaning.tariff:
        return None
    return msgspec.structs.replace(meaning, statistic=Statistic.PRESENT), meaning.statistic


def _power(wanted: Meaning, powers: Mapping[Meaning, PointDef]) -> PointDef | None:
    quantity = _SOURCES[wanted.quantity]
    phases: Sequence[Phase] = [wanted.phase]
    if quantity is Q.CURRENT and wanted.phase is Phase.TOTAL:
        # the demand of the current is that of its average, with one phase that of the phase
        phases = [Phase.AVERAGE, Phase.L1]
    for phase in phases:
        found = powers.get(Meaning(quantity, phase, circuit=wanted.circuit))
        if found is not None:
            return found
    return None
