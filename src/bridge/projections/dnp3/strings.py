"""
Octet strings: the one type whose size changes from point to point.

    group 110 or 111 | variation = bytes of the string, 1 to 255 | qualifier | range | strings ...

No flags: a string cannot tell that its meter is lost. Source: IEEE 1815-2012, Annex A.
"""

from collections.abc import Iterable
from typing import NamedTuple

# Bytes; a variation is one octet, and 0 is no length.
MAX_STRING = 255
NO_STRING = b"\0"


def octets(text: str) -> bytes:
    """Return UTF-8, cut at a character's end; one zero byte for no text at all."""
    data = text.encode()
    if len(data) > MAX_STRING:
        data = data[:MAX_STRING].decode(errors="ignore").encode()
    return data or NO_STRING


class StringRun(NamedTuple):
    """Strings `start` to `stop` (exclusive) of one size."""

    start: int
    stop: int
    size: int


class StringTable:
    """All octet strings: index -> bytes, with the class of each."""

    def __init__(self, classes: dict[int, int]) -> None:
        self.values = dict.fromkeys(sorted(classes), NO_STRING)
        self.classes = classes
        self.changes = 0

    def runs_between(self, start: int, stop: int) -> list[StringRun]:
        """Return the existing strings of `start` to `stop` (exclusive), neighbours of one size together."""
        return _joined((index, len(self.values[index])) for index in self.values if start <= index < stop)

    def update(self, index: int, data: bytes) -> bool:
        """Keep a string; tell whether it is an event. Raises: KeyError."""
        changed = self.values[index] != data
        self.values[index] = data
        self.changes += changed
        return changed and self.classes[index] > 0

    def assign_class(self, start: int, stop: int, event_class: int) -> int:
        """Return how many strings there are from `start` to `stop` (exclusive)."""
        found = [index for index in self.values if start <= index < stop]
        self.classes.update(dict.fromkeys(found, event_class))
        return len(found)


def _joined(sizes: Iterable[tuple[int, int]]) -> list[StringRun]:
    runs: list[StringRun] = []
    for index, size in sizes:
        last = runs[-1] if runs else None
        if last is not None and last.stop == index and last.size == size:
            runs[-1] = StringRun(last.start, index + 1, size)
        else:
            runs.append(StringRun(index, index + 1, size))
    return runs
