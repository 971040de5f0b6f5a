"""Rules of a mapping: ordered patterns over point ids, the first that matches decides."""

import fnmatch
import re
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar


class HasMatch(Protocol):
    @property
    def match(self) -> str:
        """A pattern over `device.point` with *, ? and [...]."""
        ...


R = TypeVar("R", bound=HasMatch)


class Rules(Generic[R]):
    """Compiled once per mapping; `find` is a pure function of the point id."""

    def __init__(self, rules: Sequence[R]) -> None:
        self._rules = [(re.compile(fnmatch.translate(rule.match)), rule) for rule in rules]

    def find(self, point_id: str) -> R | None:
        """Return the first rule whose pattern matches the whole id."""
        return next((rule for pattern, rule in self._rules if pattern.match(point_id)), None)
