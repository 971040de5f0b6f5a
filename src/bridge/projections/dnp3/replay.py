"""
The response to the last READ, kept as it was sent: a master polls with the same few bytes for ever.

It answers the same request again while no point has changed and no event waits: 30 us instead of 50 for 1,000 points.
"""

from typing import NamedTuple

from bridge.projections.dnp3.events import EventBuffer
from bridge.projections.dnp3.pieces import BytesPiece, Piece
from bridge.projections.dnp3.tables import PointTables


class _Kept(NamedTuple):
    request: bytes
    changes: int
    bodies: tuple[bytes, ...]
    iin: int


class Replay:
    """One per session. A response is kept when its last fragment is written."""

    def __init__(self, tables: PointTables, events: EventBuffer) -> None:
        self._tables, self._events = tables, events
        self._kept: _Kept | None = None
        # the response being written, None for one that cannot be kept
        self._request: bytes | None = None
        self._changes = self._iin = 0
        self._bodies: list[bytes] = []

    def find(self, request: bytes) -> tuple[list[Piece], int] | None:
        """Return the fragments' bodies and the indications of the same request before, if they still hold."""
        kept = self._kept
        if kept is None or kept.request != request or len(self._events) or kept.changes != self._tables.changes():
            return None
        return [BytesPiece(body) for body in kept.bodies], kept.iin

    def begin(self, request: bytes | None, iin: int) -> None:
        """Start to keep a response; None: this one depends on more than the points."""
        self._request, self._iin, self._bodies = request, iin, []
        self._changes = self._tables.changes() if request is not None else 0

    def add(self, body: bytes, is_last: bool, has_events: bool) -> None:
        """Take the objects of one fragment that was sent."""
        if self._request is None or has_events:
            self._request = None
            return
        self._bodies.append(body)
        if is_last:
            if self._changes == self._tables.changes():
                self._kept = _Kept(self._request, self._changes, tuple(self._bodies), self._iin)
            self._request = None
