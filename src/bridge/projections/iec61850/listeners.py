"""
Who wants to hear of a change of value: what libiec61850 must be told of, and what may be written without telling.

Telling costs a search through every member of every BRCB, 60 us per change at 100 meters x 80 points, also for a value
in none of their data sets. A measurand that no report block with the trigger dchg (or dupd) can report is therefore
written straight into its place, 0.5 us; so is its quality while no block with the trigger qchg is enabled.
"""

from collections.abc import Callable, Iterator
from typing import Final

from bridge.projections.iec61850.lib61850 import Callback, Functions, Handle, ReportBlockHandler, fail_closed
from bridge.projections.iec61850.tree import LogicalNode, Model, ReportBlock

# TrgOps of libiec61850: data change and data update; quality change.
_ON_VALUE: Final = 1 | 4
_ON_QUALITY: Final = 2
# IedServer_RCBEventType of libiec61850.
_SET_PARAMETER, _UNRESERVED, _ENABLE, _DISABLE = 1, 2, 4, 5


def watches(block: ReportBlock) -> bool:
    """Tell whether a block looks for changes from the start, client or not."""
    return block.buffered and bool(block.triggers & (_ON_VALUE | _ON_QUALITY))


class Watched:
    """The members of the data sets that BRCBs look for; "M1/MMXU1.A" contains "M1/MMXU1.A.phsB", and its parts it."""

    def __init__(self, model: Model) -> None:
        self._members = frozenset(
            member for device in model.devices for node in device.nodes for member in _members(device.inst, node)
        )
        self._wholes = frozenset(whole for member in self._members for whole in _prefixes(member))

    def __contains__(self, reference: str) -> bool:
        return reference in self._wholes or not self._members.isdisjoint(_prefixes(reference))


def _prefixes(reference: str) -> list[str]:
    parts = reference.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _members(device: str, node: LogicalNode) -> Iterator[str]:
    sets = {data_set.name: data_set.members for data_set in node.data_sets}
    for block in node.reports:
        if watches(block):
            for member in sets.get(block.data_set, ()):
                inst, slash, rest = member.rpartition("/")
                name, _, *path = rest.split("$")
                yield ".".join((f"{inst if slash else device}/{name}", *path))


class Listeners:
    """The report blocks that a client has armed for changes of value. Written in the server thread, read in any."""

    def __init__(
        self, library: Functions, watched_blocks: frozenset[Handle], report: Callable[[BaseException], None]
    ) -> None:
        """`watched_blocks`: the BRCBs whose members are always told of."""
        self._library, self._watched_blocks = library, watched_blocks
        # for changes of value, for changes of quality
        self._armed: set[Handle] = set()
        self._qualified: set[Handle] = set()
        self._keep: Callback = fail_closed(ReportBlockHandler, None, self._happened, report)

    def install(self, server: Handle) -> None:
        """Call before the server starts."""
        self._library.IedServer_setRCBEventHandler(server, self._keep, None)

    @property
    def armed(self) -> int:
        """Blocks that wait for changes of value."""
        return len(self._armed)

    @property
    def qualified(self) -> int:
        """Blocks that wait for changes of quality."""
        return len(self._qualified)

    def _happened(
        self, _parameter: None, block: Handle, _connection: Handle | None, event: int, name: bytes | None, _error: int
    ) -> None:
        library = self._library
        if block in self._watched_blocks:
            return
        if event in (_DISABLE, _UNRESERVED):
            self._armed.discard(block)
            self._qualified.discard(block)
        # a BRCB buffers without a client: it is armed as soon as its triggers say so
        elif event == _ENABLE or (
            event == _SET_PARAMETER and name == b"TrgOps" and library.ReportControlBlock_isBuffered(block)
        ):
            triggers = library.ReportControlBlock_getTrgOps(block)
            (self._armed.add if triggers & _ON_VALUE else self._armed.discard)(block)
            (self._qualified.add if triggers & _ON_QUALITY else self._qualified.discard)(block)
