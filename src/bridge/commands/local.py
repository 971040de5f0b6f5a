"""Commands that the bridge obeys itself: points without a register, such as its own demand."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from bridge.core.command import CommandResult
from bridge.core.point import PointDef, Value

# Carries out one permitted command; a value of the wrong kind or range is answered OUT_OF_RANGE
Obey = Callable[[PointDef, Value], Awaitable[CommandResult]]


class LocalCommands:
    """Point index -> who obeys. The services say all of theirs after every change of the configuration."""

    def __init__(self) -> None:
        self._obey: Mapping[int, Obey] = MappingProxyType({})

    def replace(self, obey: Mapping[int, Obey]) -> None:
        """Take over `obey` in the place of all there was."""
        self._obey = MappingProxyType(dict(obey))

    def find(self, index: int) -> Obey | None:
        return self._obey.get(index)
