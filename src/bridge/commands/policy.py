"""The write policy of a bridge nobody configured: every command is refused."""

from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.ports import PointReader


class DenyAll:
    """CommandPort. Says NOT_WRITABLE for what can never be written, REFUSED_BY_POLICY for the rest."""

    def __init__(self, points: PointReader) -> None:
        self._points = points

    async def submit(self, command: Command) -> CommandResult:
        definition = self._points.definition(command.index)
        if definition.mid or not definition.writable:
            return CommandResult(Outcome.NOT_WRITABLE)
        return CommandResult(Outcome.REFUSED_BY_POLICY)
