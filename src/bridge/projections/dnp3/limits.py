"""What a DNP3 index can hold, and what a user can leave out of a site that is larger."""

from collections import Counter
from collections.abc import Sequence

from bridge.core.errors import ProjectionError
from bridge.projections.dnp3.layout import Choice
from bridge.projections.dnp3.objects import PointType

# Points of a type: an index has at most 16 bits on the wire (qualifiers 01 and 28).
MOST_POINTS = 65536
# Rules a message proposes.
_MOST_RULES = 4


def fits(choices: Sequence[Choice]) -> None:
    """Raises: ProjectionError at `rules`, with rules to add, for a type of more points than there are indexes."""
    found = Counter(choice.type for choice in choices)
    doubles = sum(choice.companion for choice in choices)
    found[PointType.ANALOG_INPUT] += doubles
    for point_type, count in found.items():
        if count > MOST_POINTS:
            analog = point_type is PointType.ANALOG_INPUT
            advice = _advice(point_type, choices, count - MOST_POINTS, doubles if analog else 0)
            message = f"expected at most 65,536 points of type {point_type.value}, found {count:,}; leave out {advice}"
            raise ProjectionError(("rules",), message)


def _advice(point_type: PointType, choices: Sequence[Choice], excess: int, doubles: int) -> str:
    """Name keys that leave out at least `excess` points: the doubles of energies, then what most meters have."""
    said: list[str] = []
    if doubles:
        said.append(f"`companion: none` ({doubles:,})")
    left = excess - doubles
    names = Counter(choice.definition.name for choice in choices if choice.type is point_type)
    # of names that are as common, the last of the site: a meter file begins with what matters most
    order = {name: at for at, name in enumerate(names)}
    for name, count in sorted(names.items(), key=lambda row: (-row[1], -order[row[0]])):
        if left <= 0 or len(said) == _MOST_RULES:
            break
        said.append(f'`- {{match: "*.{name}", skip: true}}` ({count:,})')
        left -= count
    more = " and more" if left > 0 else ""
    return f"at least {excess:,}, such as {', '.join(said)}{more}"
