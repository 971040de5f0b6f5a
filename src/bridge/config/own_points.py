"""Points that the bridge adds to devices because the site asks for them by a pattern, and their numbers."""

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from bridge.config.faults import Faults
from bridge.config.marked import Marked
from bridge.config.meter import Certainty, PollClass
from bridge.config.model import FieldDevice, FieldPoint
from bridge.config.vocabulary import STATES
from bridge.core.ontology import brick_class, haystack_tags
from bridge.core.point import Kind, PointDef, Role
from bridge.core.quantity import Quantity, meaning_of


@dataclass(frozen=True, slots=True)
class Wish:
    """
    `services.KEY` of site.yaml: `allowed` points that `patterns` match get what `made` yields, whatever its
    index; their device gets the command `reset` besides, called `label`. `what`: the allowed ones in words.
    """

    key: str
    patterns: Sequence[str]
    what: str
    allowed: Callable[[PointDef], bool]
    made: Callable[[PointDef], Iterable[PointDef]]
    reset: Quantity
    label: str


def with_own_points(
    field: tuple[FieldDevice, ...], wish: Wish, marked: Marked, faults: Faults
) -> tuple[FieldDevice, ...]:
    """Return the devices with the points that are wished for and that a meter does not have itself."""
    known = [p.definition.id for d in field for p in d.points if wish.allowed(p.definition)]
    for i, pattern in enumerate(wish.patterns):
        if not fnmatch.filter(known, pattern):
            message = f"expected a pattern that matches {wish.what}, found `{pattern}`"
            faults.at(marked, ("services", wish.key, i), message)
    index = sum(len(device.points) for device in field)
    grown: list[FieldDevice] = []
    for device in field:
        made = list(_points(device, wish, index))
        index += len(made)
        grown.append(dataclasses.replace(device, points=(*device.points, *made)) if made else device)
    return tuple(grown)


def _points(device: FieldDevice, wish: Wish, index: int) -> Iterator[FieldPoint]:
    names = {point.definition.name for point in device.points}
    wanted = [
        point.definition
        for point in device.points
        if wish.allowed(point.definition) and any(fnmatch.fnmatchcase(point.definition.id, p) for p in wish.patterns)
    ]
    for point in wanted:
        for made in wish.made(point):
            if made.name not in names:
                yield _field_point(msgspec.structs.replace(made, index=index))
                index += 1
    if wanted and wish.reset.value not in names:
        yield _field_point(_command(wanted[0], wish, index))


def _field_point(definition: PointDef) -> FieldPoint:
    return FieldPoint(definition, None, PollClass.ON_CHANGE, Certainty.CERTAIN)


def _command(point: PointDef, wish: Wish, index: int) -> PointDef:
    meaning = meaning_of(wish.reset.value)
    return PointDef(
        index=index,
        id=f"{point.device}.{wish.reset.value}",
        kind=Kind.BINARY,
        writable=True,
        declared_at=point.declared_at,
        role=Role.COMMAND,
        meaning=meaning,
        label=wish.label,
        states=STATES[wish.reset],
        tags=haystack_tags(meaning, Role.COMMAND),
        brick=brick_class(meaning, Role.COMMAND),
    )
