"""Writes that a server refused by itself, on their way to the audit: the first at once, floods counted. Pure."""

from collections import OrderedDict

from bridge.core.command import Origin
from bridge.link.wire import WriteRefused

# Frames a second from one worker; less than what makes the core deaf to it for a second
REFUSALS_PER_S = 20
# Different refusals counted at once; more of them are counted as one
KEPT = 256
_SECOND_NS = 1_000_000_000
_Key = tuple[Origin, str]


class RefusalCounts:
    """Loop thread only."""

    def __init__(self) -> None:
        self._second_began_ns = 0
        self._told = 0
        self._waiting: OrderedDict[_Key, tuple[str, int]] = OrderedDict()

    def tell(self, origin: Origin, target: str, reason: str, now_ns: int) -> list[WriteRefused]:
        """Count a refusal; return what to send now: nothing while too much has been sent this second."""
        if now_ns - self._second_began_ns >= _SECOND_NS:
            self._second_began_ns, self._told = now_ns, 0
        key = (origin, target)
        if key not in self._waiting and len(self._waiting) >= KEPT:
            key = next(reversed(self._waiting))
        _, times = self._waiting.pop(key, ("", 0))
        self._waiting[key] = (reason, times + 1)
        frames: list[WriteRefused] = []
        while self._waiting and self._told < REFUSALS_PER_S:
            (origin, target), (reason, times) = self._waiting.popitem(last=False)
            frames.append(WriteRefused(origin, target, reason, times))
            self._told += 1
        return frames
