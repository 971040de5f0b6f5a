"""What a client may fetch later: continuation points of one session."""

import secrets
from typing import Generic, TypeVar

T = TypeVar("T")
# Of one session, the newest.
MOST = 100
_POINT_BYTES = 8


class Rests(Generic[T]):
    """Each rest under a name that only this session knows, to be had once."""

    def __init__(self) -> None:
        self._kept: dict[bytes, T] = {}

    def put(self, rest: T) -> bytes:
        while len(self._kept) >= MOST:
            self._kept.pop(next(iter(self._kept)))
        point = secrets.token_bytes(_POINT_BYTES)
        self._kept[point] = rest
        return point

    def take(self, point: bytes) -> T | None:
        """Return None for a name that is not known, or no longer."""
        return self._kept.pop(point, None)
