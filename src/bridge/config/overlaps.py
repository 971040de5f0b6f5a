"""Registers of a meter file that two points claim in different ways: one of the addresses is wrong. Pure."""

from collections.abc import Iterable, Iterator

from bridge.config.meter import RegisterType
from bridge.config.points import TEXTS, Facts


def overlapping(points: Iterable[Facts]) -> Iterator[tuple[str, str]]:
    """
    Yield (point, what is wrong with its address) for values that share only a part of their registers.

    The same registers may be read twice, and bits may lie in a register that is read whole.
    """
    numbers = [p for p in points if p.read is not None and p.read.type not in TEXTS | {RegisterType.BOOL}]
    ordered = sorted(numbers, key=_place)
    for i, point in enumerate(ordered):
        table, first, count = _place(point)
        for other in ordered[i + 1 :]:
            table_2, first_2, count_2 = _place(other)
            if table_2 != table or first_2 >= first + count:
                break
            if (first_2, count_2) != (first, count):
                yield (
                    other.name,
                    f"expected registers of its own, found {first_2}..{first_2 + count_2 - 1}, "
                    f"of which {point.name} has {first}..{first + count - 1} (wire addresses)",
                )


def _place(point: Facts) -> tuple[int, int, int]:
    assert point.read is not None
    return point.read.table.value, point.read.address, point.read.count
