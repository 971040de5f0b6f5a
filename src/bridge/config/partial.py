"""`services.partial` of site.yaml -> energies that count from the last time somebody zeroed them (M-28)."""

from collections.abc import Iterator, Sequence

import msgspec

from bridge.config.own_points import Wish
from bridge.config.vocabulary import is_energy
from bridge.core.ontology import brick_class, haystack_tags
from bridge.core.point import PointDef, Role
from bridge.core.quantity import Direction, Quantity, Statistic, meaning_of


def partial(patterns: Sequence[str]) -> Wish:
    """Return what the site wishes for."""
    label = "Zero the partial energies"
    return Wish("partial", patterns, "an energy", _can_have, _made, Quantity.RESET_PARTIAL_ENERGY, label)


def _can_have(point: PointDef) -> bool:
    """Tell whether a point is an index that a partial one can follow; a net energy goes both ways."""
    meaning = point.meaning
    present = meaning.statistic is Statistic.PRESENT and meaning.direction is not Direction.NET
    return present and is_energy(meaning) and point.role is Role.MEASUREMENT


def _made(point: PointDef) -> Iterator[PointDef]:
    name = f"{point.name}_{Statistic.PARTIAL.value}"
    meaning = meaning_of(name)
    yield msgspec.structs.replace(
        point,
        id=f"{point.device}.{name}",
        meaning=meaning,
        label=f"Partial: {point.label or point.name}",
        # nobody bills by what anybody may zero, and it is no register of the meter
        mid=False,
        modulus=0,
        stale_after_ns=0,
        poll_ns=0,
        writable=False,
        tags=haystack_tags(meaning, Role.MEASUREMENT),
        brick=brick_class(meaning, Role.MEASUREMENT),
    )
