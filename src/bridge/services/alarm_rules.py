"""Alarm keys of the site and of the preset -> conditions of points. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.config.alarm_keys import AlarmKey, AlarmsKey, Level
from bridge.config.alarm_preset import COMMUNICATION_LOSS, IDENTITY_CHANGED, PRESET, PRIORITIES
from bridge.core.alarm import Watched
from bridge.core.point import DeviceDef, Kind, PointDef, Wiring
from bridge.core.quantity import Phase, Quantity
from bridge.core.units import UNITS
from bridge.services.alarm_watch import Condition, Side
from bridge.services.arithmetic import exponent_of, scaled

Q = Quantity
_NS = 1_000_000_000
_BETWEEN_LINES = frozenset({Phase.L1_L2, Phase.L2_L3, Phase.L3_L1, Phase.AVERAGE_LL})
_POWERS = frozenset(
    {Q.ACTIVE_POWER, Q.REACTIVE_POWER, Q.APPARENT_POWER, Q.ACTIVE_DEMAND, Q.REACTIVE_DEMAND, Q.APPARENT_DEMAND}
)
# Condition of an alarm that the bridge itself tells
TOLD = Condition(Side.IS, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """
    One alarm of one device. `points`: what it watches, none where the bridge itself tells it, with `cause` as its text.
    `key`: its identity.
    """

    key: str
    name: str
    label: str
    device: str
    priority: int
    points: tuple[int, ...]
    condition: Condition
    cause: str = ""


HISTORY_FAILURE, HISTORY_DAMAGED = "history_failure", "history_damaged"
SERVER_CLOSED = "server_closed"
# Alarms of the bridge itself (A-01: unary), which no configuration takes away
SYSTEM = (
    AlarmRule(HISTORY_FAILURE, HISTORY_FAILURE, "history failure", "", 224, (), TOLD, "the history cannot be written"),
    AlarmRule(
        HISTORY_DAMAGED, HISTORY_DAMAGED, "history damaged", "", 224, (), TOLD, "the database was damaged and set aside"
    ),
    AlarmRule(
        SERVER_CLOSED,
        SERVER_CLOSED,
        "server closed",
        "",
        160,
        (),
        TOLD,
        "a server keeps its port closed; see the events",
    ),
)


@dataclass(frozen=True, slots=True)
class AlarmRules:
    """`useless`: alarm and point, for which a nominal value is missing."""

    rules: tuple[AlarmRule, ...]
    useless: tuple[str, ...]


def priority_of(level: Level) -> int:
    """Return the priority of a band's name, or the number given."""
    return level if isinstance(level, int) else PRIORITIES[level]


def enabled(key: AlarmsKey) -> dict[str, AlarmKey]:
    """Return the alarms of the preset that are on, and those of the site."""
    on: dict[str, AlarmKey] = {}
    if key.preset:
        for name, preset in PRESET.items():
            if (preset.on or name in key.enable) and name not in key.disable:
                on[name] = preset.key
    return on | key.rules


def rules_of(key: AlarmsKey, devices: Sequence[DeviceDef], points: Sequence[PointDef]) -> AlarmRules:
    """Return every alarm of a site."""
    by_id = {device.id: device for device in devices}
    rules: list[AlarmRule] = list(SYSTEM)
    useless: list[str] = []
    if key.preset and COMMUNICATION_LOSS not in key.disable:
        rules += [_communication(device) for device in devices if device.channel]
    if key.preset and IDENTITY_CHANGED not in key.disable:
        rules += [_identity_changed(device) for device in devices if device.channel]
    known = _Points(points)
    for name, alarm in enabled(key).items():
        found: dict[str, list[tuple[PointDef, Condition]]] = {}
        for point in known.matching(alarm.match):
            condition = _condition(alarm, point, by_id[point.device])
            if condition is None:
                useless.append(f"{name} {point.id}")
            else:
                found.setdefault(point.device if alarm.together else point.id, []).append((point, condition))
        rules += [_rule(name, alarm, watched) for watched in found.values()]
    return AlarmRules(tuple(rules), tuple(useless))


class _Points:
    """Points by patterns; one that leaves the device open is looked at once per name: 0.1 s for 80,000 points."""

    def __init__(self, points: Sequence[PointDef]) -> None:
        self._points = points
        self._by_name: dict[str, list[int]] = {}
        for position, point in enumerate(points):
            self._by_name.setdefault(point.name, []).append(position)

    def matching(self, patterns: Sequence[str]) -> list[PointDef]:
        """Return the points whose id matches one of the patterns, in the order of the site."""
        found: set[int] = set()
        for pattern in patterns:
            name_of = pattern.removeprefix("*.")
            # in "*.x" the star may stand for a dot too, which a name seldom has
            if name_of != pattern and not any("." in name for name in self._by_name):
                hits = (rows for name, rows in self._by_name.items() if fnmatchcase(name, name_of))
                found.update(*hits)
            else:
                found.update(n for n, point in enumerate(self._points) if fnmatchcase(point.id, pattern))
        return [self._points[position] for position in sorted(found)]


def watched_points(rules: Sequence[AlarmRule]) -> dict[int, Watched]:
    """Return what the rules say of each point, for those who show it."""
    found: dict[int, Watched] = {}
    for rule in rules:
        for index in rule.points:
            made = _watched(rule)
            found[index] = made if index not in found else _both(found[index], made)
    return found


def silent_devices(rules: Sequence[AlarmRule]) -> dict[str, int]:
    """Return the priority of the alarm that a device does not answer, by device."""
    return {rule.device: rule.priority for rule in rules if rule.name == COMMUNICATION_LOSS}


def _watched(rule: AlarmRule) -> Watched:
    condition = rule.condition
    return Watched(
        priority=rule.priority,
        high=condition.pickup if condition.side is Side.OVER else None,
        low=condition.pickup if condition.side is Side.UNDER else None,
        deadband=abs(condition.pickup - condition.dropout) if condition.side is not Side.IS else 0.0,
        states=(int(condition.pickup),) if condition.side is Side.IS else (),
        delay_s=condition.pickup_delay_ns / _NS,
        delay_normal_s=condition.dropout_delay_ns / _NS,
    )


def _both(one: Watched, other: Watched) -> Watched:
    highs = [w.high for w in (one, other) if w.high is not None]
    lows = [w.low for w in (one, other) if w.low is not None]
    return Watched(
        priority=max(one.priority, other.priority),
        high=min(highs, default=None),
        low=max(lows, default=None),
        deadband=max(one.deadband, other.deadband),
        states=tuple(sorted({*one.states, *other.states})),
        delay_s=min(one.delay_s, other.delay_s),
        delay_normal_s=min(one.delay_normal_s, other.delay_normal_s),
    )


def _rule(name: str, alarm: AlarmKey, watched: Sequence[tuple[PointDef, Condition]]) -> AlarmRule:
    first, condition = watched[0]
    return AlarmRule(
        key=f"{name} {first.device if alarm.together else first.id}",
        name=name,
        label=alarm.label or name,
        device=first.device,
        priority=priority_of(alarm.priority),
        points=tuple(point.index for point, _ in watched),
        condition=condition,
    )


def _communication(device: DeviceDef) -> AlarmRule:
    key = f"{COMMUNICATION_LOSS} {device.id}"
    cause = f"{device.id} does not answer"
    return AlarmRule(key, COMMUNICATION_LOSS, "communication loss", device.id, PRIORITIES["medium"], (), TOLD, cause)


def _identity_changed(device: DeviceDef) -> AlarmRule:
    key = f"{IDENTITY_CHANGED} {device.id}"
    cause = f"{device.id} says it is another device than before"
    return AlarmRule(key, IDENTITY_CHANGED, "device exchanged", device.id, PRIORITIES["medium"], (), TOLD, cause)


def _condition(alarm: AlarmKey, point: PointDef, device: DeviceDef) -> Condition | None:
    delays = round(alarm.pickup_delay_s * _NS), round(alarm.dropout_delay_s * _NS)
    if alarm.state is not None:
        return Condition(Side.IS, float(alarm.state), 0.0, *delays)
    side, level, percent = _level(alarm)
    end = level if alarm.dropout is None else alarm.dropout
    if not percent:
        return Condition(side, level, end, *delays)
    nominal = nominal_of(point, device)
    return Condition(side, nominal * level / 100, nominal * end / 100, *delays) if nominal else None


def _level(alarm: AlarmKey) -> tuple[Side, float, bool]:
    given: Mapping[tuple[Side, bool], float | None] = {
        (Side.OVER, False): alarm.over,
        (Side.UNDER, False): alarm.under,
        (Side.OVER, True): alarm.over_percent,
        (Side.UNDER, True): alarm.under_percent,
    }
    return next((side, level, percent) for (side, percent), level in given.items() if level is not None)


def nominal_of(point: PointDef, device: DeviceDef) -> float:
    """Return the nominal value of a point in its unit; 0 where there is none."""
    nominal, meaning = device.nominal, point.meaning
    if point.kind is not Kind.ANALOG or UNITS[point.unit].exponent is None:
        return 0.0
    value = 0.0
    if meaning.quantity is Q.VOLTAGE:
        value = nominal.voltage_v * (math.sqrt(3) if meaning.phase in _BETWEEN_LINES else 1.0)
    elif meaning.quantity in (Q.CURRENT, Q.CURRENT_DEMAND):
        value = nominal.current_a
    elif meaning.quantity is Q.FREQUENCY:
        value = nominal.frequency_hz
    elif meaning.quantity in _POWERS:
        phases = 3 if meaning.phase is Phase.TOTAL and device.wiring is not Wiring.SINGLE_PHASE else 1
        value = phases * nominal.voltage_v * nominal.current_a
    return scaled(value, -exponent_of(point))
