"""What a reload asks before it is done: devices that become other meters."""

import enum
from collections.abc import Sequence

from bridge.core.errors import BridgeError


class Confirmed(enum.Enum):
    """Whether somebody has said that the change is meant."""

    YES = "yes"
    NO = "no"


class ConfirmationWanted(BridgeError):
    """A reload would make other meters of devices. `changes`: which, in words."""

    def __init__(self, changes: Sequence[str]) -> None:
        super().__init__("; ".join(changes))
        self.changes = changes
