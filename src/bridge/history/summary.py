"""Recorded values of a period as one: mean, least and greatest. Pure; what is left of values that are let go."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.core.quality import UNUSABLE, Quality


@dataclass(frozen=True, slots=True)
class Summary:
    """`at_ns`: end of the period. `count`: values it was made of. `quality`: all their doubts together."""

    at_ns: int
    mean: float
    least: float
    greatest: float
    count: int
    quality: int


def summaries(rows: Iterable[tuple[int, object, int]], period_ns: int, until_ns: int) -> Iterator[Summary]:
    """
    Yield a summary of every period up to `until_ns` that has a usable value. `rows`: (time, value, quality), oldest
    first; a value on the end of a period belongs to it.
    """
    end, values, doubts = 0, list[float](), 0
    for at_ns, value, quality in rows:
        mine = -(-at_ns // period_ns) * period_ns
        if mine > until_ns:
            break
        if mine != end:
            if values:
                yield _summary(end, values, doubts)
            end, values, doubts = mine, [], 0
        if isinstance(value, int | float) and not Quality(quality) & UNUSABLE:
            values.append(float(value))
            doubts |= quality
    if values:
        yield _summary(end, values, doubts)


def _summary(end: int, values: list[float], quality: int) -> Summary:
    return Summary(end, sum(values) / len(values), min(values), max(values), len(values), quality)
