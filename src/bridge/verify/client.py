"""What a client of one protocol must be able to do for a verification."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.core.errors import BridgeError
from bridge.core.point import PointDef
from bridge.verify.compare import Shown


class ClientFailed(BridgeError):
    """A server could not be read at all."""


class VerifyClient(Protocol):
    """Blocking. Its code is not the server's wherever a library exists."""

    def read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        """Return what the server shows of each point, by point id; what it does not show is left out."""
        ...

    def close(self) -> None: ...
