"""`services.min_max` of site.yaml -> points for the least and greatest value, and the command to begin anew."""

from collections.abc import Iterator, Sequence

import msgspec

from bridge.config.own_points import Wish
from bridge.core.ontology import brick_class, haystack_tags
from bridge.core.point import Kind, PointDef, Role
from bridge.core.quantity import Quantity, Statistic, meaning_of

_LABELS = {
    Statistic.MAXIMUM: "Maximum",
    Statistic.MAXIMUM_TIME: "Time of the maximum",
    Statistic.MINIMUM: "Minimum",
    Statistic.MINIMUM_TIME: "Time of the minimum",
}
_TIMES = frozenset({Statistic.MAXIMUM_TIME, Statistic.MINIMUM_TIME})


def min_max(patterns: Sequence[str]) -> Wish:
    """Return what the site wishes for."""
    what, label = "a measured point", "Begin minimum and maximum anew"
    return Wish("min_max", patterns, what, _can_have, _made, Quantity.RESET_MIN_MAX, label)


def _can_have(point: PointDef) -> bool:
    """Tell whether a point may have a least and a greatest value."""
    return (
        point.kind is Kind.ANALOG
        and point.role is Role.MEASUREMENT
        and point.meaning.quantity is not Quantity.OTHER
        and point.meaning.statistic is Statistic.PRESENT
    )


def _made(point: PointDef) -> Iterator[PointDef]:
    for statistic in _LABELS:
        yield _statistic(point, statistic)


def _statistic(point: PointDef, statistic: Statistic) -> PointDef:
    name = f"{point.name}_{statistic.value}"
    meaning, time = meaning_of(name), statistic in _TIMES
    return msgspec.structs.replace(
        point,
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
