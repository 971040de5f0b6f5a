"""
Which rule computes a point that a meter file declares without a register: chosen by the point's meaning. Pure.

Points without a rule here are demand (`services.demand`), the communication status, the bridge's own settings, or
cannot be known: `unknown` names those.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from bridge.config.model import FieldDevice, FieldPoint
from bridge.core.point import Nominal, PointDef
from bridge.core.quantity import ENERGIES, Direction, Meaning, Phase, Quantity, Statistic
from bridge.services.arithmetic import (
    apparent_power_of,
    average_of,
    power_factor_of,
    sum_of,
    unbalance_of,
)
from bridge.services.rules import Compute, Rule
from bridge.services.states import (
    StateThresholds,
    energy_direction,
    overload,
    phase_loss,
    phase_sequence_reversed,
    unbalance_alarm,
)

Q = Quantity
Found = tuple[Sequence[PointDef], Compute]

_LINES = (Phase.L1, Phase.L2, Phase.L3)
_LINE_TO_NEUTRAL = (Phase.L1_N, Phase.L2_N, Phase.L3_N)
_LINE_TO_LINE = (Phase.L1_L2, Phase.L2_L3, Phase.L3_L1)
# The two voltages between lines that a phase has a part in
_ADJACENT: Mapping[Phase, tuple[Phase, Phase]] = {
    Phase.L1: (Phase.L1_L2, Phase.L3_L1),
    Phase.L2: (Phase.L1_L2, Phase.L2_L3),
    Phase.L3: (Phase.L2_L3, Phase.L3_L1),
}
_TO_NEUTRAL: Mapping[Phase, Phase] = dict(zip(_LINES, _LINE_TO_NEUTRAL, strict=True))
_POWERS = frozenset({Q.ACTIVE_POWER, Q.REACTIVE_POWER, Q.APPARENT_POWER})
_AVERAGES: Mapping[Phase, tuple[Phase, ...]] = {
    Phase.AVERAGE_LN: _LINE_TO_NEUTRAL,
    Phase.AVERAGE_LL: _LINE_TO_LINE,
    Phase.AVERAGE: _LINES,
}
# Settings that the bridge keeps for a device (P-06), and the state that obeys each
SETTINGS: Mapping[Quantity, Quantity] = {
    Q.OVERLOAD_THRESHOLD: Q.OVERLOAD_ALARM,
    Q.VOLTAGE_UNBALANCE_THRESHOLD: Q.VOLTAGE_UNBALANCE_ALARM,
    Q.CURRENT_UNBALANCE_THRESHOLD: Q.CURRENT_UNBALANCE_ALARM,
}
# Share of the nominal voltage that the mean must reach for an unbalance to be one
_VOLTAGE_FLOOR = 0.3
_OBEYS = {alarm: setting for setting, alarm in SETTINGS.items()}


class DeviceRules:
    """The rules of one device."""

    def __init__(self, device: FieldDevice, thresholds: StateThresholds) -> None:
        self._nominal: Nominal = device.definition.nominal
        self._limits = thresholds
        self._points = device.points
        # a rule takes measured points, and derived ones that come before it in the file
        self._known: dict[Meaning, PointDef] = {}
        for point in device.points:
            if point.read is not None or point.definition.meaning.quantity in SETTINGS:
                self._known.setdefault(point.definition.meaning, point.definition)

    def rules(self) -> list[Rule]:
        """Return a rule for every point that can be computed."""
        rules: list[Rule] = []
        for point in self._points:
            rule = self._rule(point) if point.read is None else None
            if rule is not None:
                rules.append(rule)
                self._known.setdefault(point.definition.meaning, point.definition)
        return rules

    def _rule(self, point: FieldPoint) -> Rule | None:
        out = point.definition
        make = _MAKERS.get(out.meaning.quantity)
        found = make(self, out) if make is not None else None
        if found is None:
            return None
        inputs, compute = found
        setting = self._setting(out.meaning)
        settings = (setting.index,) if setting is not None else ()
        return Rule(out.index, tuple(definition.index for definition in inputs), compute, settings)

    def _setting(self, meaning: Meaning) -> PointDef | None:
        quantity = _OBEYS.get(meaning.quantity)
        return self._known.get(Meaning(quantity, circuit=meaning.circuit)) if quantity is not None else None

    def _all(self, like: Meaning, phases: Sequence[Phase]) -> list[PointDef]:
        """Return the points of the same kind on these phases, none unless there is one for each."""
        return self._each([_changed(like, phase=phase) for phase in phases])

    def _each(self, meanings: Sequence[Meaning]) -> list[PointDef]:
        found = [self._known[meaning] for meaning in meanings if meaning in self._known]
        return found if len(found) == len(meanings) else []

    def power(self, out: PointDef) -> Found | None:
        if out.meaning.phase is not Phase.TOTAL or out.meaning.statistic is not Statistic.PRESENT:
            return self._apparent(out)
        if out.meaning.quantity is Q.APPARENT_POWER and (found := self._apparent(out)):
            return found
        phases = self._all(out.meaning, _LINES)
        return (phases, sum_of(out, phases)) if phases else None

    def _apparent(self, out: PointDef) -> Found | None:
        if out.meaning.quantity is not Q.APPARENT_POWER:
            return None
        parts = self._each([_changed(out.meaning, quantity=q) for q in (Q.ACTIVE_POWER, Q.REACTIVE_POWER)])
        return (parts, apparent_power_of(out, *parts)) if parts else None

    def power_factor(self, out: PointDef) -> Found | None:
        parts = self._each([_changed(out.meaning, quantity=q) for q in (Q.ACTIVE_POWER, Q.APPARENT_POWER)])
        return (parts, power_factor_of(*parts)) if parts else None

    def average(self, out: PointDef) -> Found | None:
        phases = self._all(out.meaning, _AVERAGES.get(out.meaning.phase, ()))
        return (phases, average_of(out, phases)) if phases else None

    def energy(self, out: PointDef) -> Found | None:
        """Net = import - export, sum = import + export (E-01, M-26); a total over tariffs is the sum of the tariffs."""
        meaning = out.meaning
        if meaning.direction in (Direction.NET, Direction.SUM):
            both = self._directions(meaning)
            if both is not None:
                plus, minus = both
                if meaning.direction is Direction.SUM:
                    plus, minus = [*plus, *minus], []
                return [*plus, *minus], sum_of(out, plus, minus)
        parts = self._tariffs(meaning) or (
            self._all(meaning, _LINES) if meaning.phase is Phase.TOTAL and not meaning.tariff else []
        )
        return (parts, sum_of(out, parts)) if parts else None

    def _directions(self, meaning: Meaning) -> tuple[list[PointDef], list[PointDef]] | None:
        plus, minus = (_changed(meaning, direction=d) for d in (Direction.IMPORT, Direction.EXPORT))
        both = [self._each([one]) or self._tariffs(one) for one in (plus, minus)]
        return (both[0], both[1]) if all(both) else None

    def _tariffs(self, meaning: Meaning) -> list[PointDef]:
        if meaning.tariff:
            return []
        return [known for m, known in self._known.items() if m.tariff and _changed(m, tariff=0) == meaning]

    def voltage_unbalance(self, out: PointDef) -> Found | None:
        voltages = self._voltages(out.meaning.circuit)
        return (voltages, unbalance_of(out, voltages)) if voltages else None

    def current_unbalance(self, out: PointDef) -> Found | None:
        currents = self._currents(out.meaning.circuit)
        return (currents, unbalance_of(out, currents)) if len(currents) == len(_LINES) else None

    def voltage_unbalance_alarm(self, out: PointDef) -> Found | None:
        voltages, limits = self._voltages(out.meaning.circuit), self._limits
        # a meter without voltage is a matter of phase loss
        floor = self._nominal.voltage_v * _VOLTAGE_FLOOR
        compute = unbalance_alarm(voltages, limits.voltage_unbalance, limits.unbalance_hysteresis, floor)
        return (voltages, compute) if voltages else None

    def current_unbalance_alarm(self, out: PointDef) -> Found | None:
        currents, limits = self._currents(out.meaning.circuit), self._limits
        floor = self._nominal.current_a * limits.current_floor / 100
        compute = unbalance_alarm(currents, limits.current_unbalance, limits.unbalance_hysteresis, floor)
        return (currents, compute) if len(currents) == len(_LINES) else None

    def phase_loss(self, out: PointDef) -> Found | None:
        phase = out.meaning.phase
        if phase not in _TO_NEUTRAL or not self._nominal.voltage_v:
            return None
        like = Meaning(Q.VOLTAGE, circuit=out.meaning.circuit)
        voltages = self._all(like, [_TO_NEUTRAL[phase]]) or self._all(like, _ADJACENT[phase])
        return (voltages, phase_loss(voltages, self._nominal, self._limits)) if voltages else None

    def overload(self, out: PointDef) -> Found | None:
        currents = self._currents(out.meaning.circuit)
        if not currents or not self._nominal.current_a:
            return None
        return currents, overload(currents, self._nominal, self._limits)

    def energy_direction(self, out: PointDef) -> Found | None:
        powers = self._each([Meaning(Q.ACTIVE_POWER, circuit=out.meaning.circuit)])
        return (powers, energy_direction) if powers else None

    def phase_sequence(self, out: PointDef) -> Found | None:
        angles = self._all(Meaning(Q.PHASE_ANGLE, circuit=out.meaning.circuit), _LINE_TO_NEUTRAL)
        return (angles, phase_sequence_reversed) if angles else None

    def _voltages(self, circuit: int) -> list[PointDef]:
        like = Meaning(Q.VOLTAGE, circuit=circuit)
        return self._all(like, _LINE_TO_LINE) or self._all(like, _LINE_TO_NEUTRAL)

    def _currents(self, circuit: int) -> list[PointDef]:
        """Return the currents of the phases that there are."""
        wanted = [Meaning(Q.CURRENT, phase, circuit=circuit) for phase in _LINES]
        return [self._known[meaning] for meaning in wanted if meaning in self._known]


def _changed(meaning: Meaning, **facts: object) -> Meaning:
    return msgspec.structs.replace(meaning, **facts)


_Maker = Callable[[DeviceRules, PointDef], Found | None]
_MAKERS: Mapping[Quantity, _Maker] = {
    **dict.fromkeys(_POWERS, DeviceRules.power),
    **dict.fromkeys(ENERGIES, DeviceRules.energy),
    **dict.fromkeys((Q.VOLTAGE, Q.CURRENT), DeviceRules.average),
    Q.POWER_FACTOR: DeviceRules.power_factor,
    Q.VOLTAGE_UNBALANCE: DeviceRules.voltage_unbalance,
    Q.CURRENT_UNBALANCE: DeviceRules.current_unbalance,
    Q.VOLTAGE_UNBALANCE_ALARM: DeviceRules.voltage_unbalance_alarm,
    Q.CURRENT_UNBALANCE_ALARM: DeviceRules.current_unbalance_alarm,
    Q.PHASE_LOSS: DeviceRules.phase_loss,
    Q.OVERLOAD_ALARM: DeviceRules.overload,
    Q.ENERGY_DIRECTION: DeviceRules.energy_direction,
    Q.REVERSE_PHASE_SEQUENCE: DeviceRules.phase_sequence,
}
