"""`services.min_max` of site.yaml -> points for the least and greatest value, and the command to begin anew."""

import dataclasses
import fnmatch
from collections.abc import Iterator, Sequence

import msgspec

from bridge.config.faults import Faults
from bridge.config.marked import Marked
from bridge.config.meter import Certainty, PollClass
from bridge.config.model import FieldDevice, FieldPoint
from bridge.config.vocabulary import STATES
from bridge.core.ontology import brick_class, haystack_tags
from bridge.core.point import Kind, PointDef, Role
from bridge.core.quantity import Quantity, Statistic, meaning_of

RESET = Quantity.RESET_MIN_MAX
_LABELS = {
    Statistic.MAXIMUM: "Maximum",
    Statistic.MAXIMUM_TIME: "Time of the maximum",
    Statistic.MINIMUM: "Minimum",
    Statistic.MINIMUM_TIME: "Time of the minimum",
}
_TIMES = frozenset({Statistic.MAXIMUM_TIME, Statistic.MINIMUM_TIME})


def with_min_max(
    field: tuple[FieldDevice, ...], patterns: Sequence[str], marked: Marked, faults: Faults
) -> tuple[FieldDevice, ...]:
    """Return the devices with the points that the patterns ask for and that a meter does not have itself."""
    analog = [p.definition.id for d in field for p in d.points if _can_have(p.definition)]
    for i, pattern in enumerate(patterns):
        if not fnmatch.filter(analog, pattern):
            message = f"expected a pattern that matches a measured point, found `{pattern}`"
            faults.at(marked, ("services", "min_max", i), message)
    index = sum(len(device.points) for device in field)
    grown: list[FieldDevice] = []
    for device in field:
        made = list(_points(device, patterns, index))
        index += len(made)
        grown.append(dataclasses.replace(device, points=(*device.points, *made)) if made else device)
    return tuple(grown)


def _can_have(point: PointDef) -> bool:
    """Tell whether a point may have a least and a greatest value."""
    return (
        point.kind is Kind.ANALOG
        and point.role is Role.MEASUREMENT
        and point.meaning.quantity is not Quantity.OTHER
        and point.meaning.statistic is Statistic.PRESENT
    )


def _points(device: FieldDevice, patterns: Sequence[str], index: int) -> Iterator[FieldPoint]:
    names = {point.definition.name for point in device.points}
    wanted = [
        point.definition
        for point in device.points
        if _can_have(point.definition) and any(fnmatch.fnmatchcase(point.definition.id, p) for p in patterns)
    ]
    for point in wanted:
        for statistic in _LABELS:
            name = f"{point.name}_{statistic.value}"
            if name not in names:
                yield _field_point(_statistic(point, name, statistic, index))
                index += 1
    if wanted and RESET.value not in names:
        yield _field_point(_reset(wanted[0], index))


def _field_point(definition: PointDef) -> FieldPoint:
    return FieldPoint(definition, None, PollClass.ON_CHANGE, Certainty.CERTAIN)


def _statistic(point: PointDef, name: str, statistic: Statistic, index: int) -> PointDef:
    meaning, time = meaning_of(name), statistic in _TIMES
    return msgspec.structs.replace(
        point,
        index=index,
        id=f"{point.device}.{name}",
        kind=Kind.TIME if time else Kind.ANALOG,
        unit="" if time else point.unit,
        meaning=meaning,
        label=f"{_LABELS[statistic]}: {point.label or point.name}",
        typical=None if time else point.typical,
        low=None if time else point.low,
        high=None if time else point.high,
        deadband=0.0,
        stale_after_ns=0,
        poll_ns=0,
        writable=False,
        tags=haystack_tags(meaning, Role.MEASUREMENT),
        brick=brick_class(meaning, Role.MEASUREMENT),
    )


def _reset(point: PointDef, index: int) -> PointDef:
    meaning = meaning_of(RESET.value)
    return PointDef(
        index=index,
        id=f"{point.device}.{RESET.value}",
        kind=Kind.BINARY,
        writable=True,
        declared_at=point.declared_at,
        role=Role.COMMAND,
        meaning=meaning,
        label="Begin minimum and maximum anew",
        states=STATES[RESET],
        tags=haystack_tags(meaning, Role.COMMAND),
        brick=brick_class(meaning, Role.COMMAND),
    )
