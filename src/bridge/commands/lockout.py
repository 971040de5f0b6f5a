"""Wrong tries per protocol and address: after so many, a time without any further try (X-05). Pure."""

from collections import OrderedDict
from dataclasses import dataclass

from bridge.config.access import Lockout

# Addresses remembered at once; of more, the one heard of longest ago is forgotten
KEPT = 4096
_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class _Tries:
    wrong: int
    last_ns: int


class Lockouts:
    """Times are CLOCK_MONOTONIC ns."""

    def __init__(self, settings: Lockout) -> None:
        self.settings = settings
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    def locked(self, protocol: str, peer: str, now_ns: int) -> bool:
        """Tell whether a try is refused unseen, the right password included."""
        tries = self._tries.get((protocol, peer))
        if tries is None:
            return False
        if now_ns - tries.last_ns >= self.settings.minutes * 60 * _SECOND_NS:
            del self._tries[protocol, peer]
            return False
        return tries.wrong >= self.settings.tries

    def wrong(self, protocol: str, peer: str, now_ns: int) -> bool:
        """Count a wrong try; tell whether it was the one that locks."""
        tries = self._tries.pop((protocol, peer), _Tries(0, now_ns))
        tries.wrong, tries.last_ns = tries.wrong + 1, now_ns
        self._tries[protocol, peer] = tries
        if len(self._tries) > KEPT:
            self._tries.popitem(last=False)
        return tries.wrong == self.settings.tries

    def right(self, protocol: str, peer: str) -> None:
        """Forget the wrong tries."""
        self._tries.pop((protocol, peer), None)
