"""
How often the core has said no lately. It stops hearing a worker that brings it 200 refusals a second
(`bridge.workers.requests`), and with it every client: so one that insists is told no here.
"""

from collections import Counter

from bridge.core.clock import Clock

# refusals of the core per second: of one address, and of all
OF_ONE, OF_ALL = 20, 100
_SECOND_NS = 1_000_000_000


class Refusals:
    """Loop thread only."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic_ns
        self._began_ns = 0
        self._of: Counter[str] = Counter()
        self._all = 0

    def note(self, address: str) -> None:
        """The core has refused something of `address`."""
        self._turn()
        self._of[address] += 1
        self._all += 1

    def too_many(self, address: str) -> bool:
        """Tell whether what may be refused must wait for the next second."""
        if not self._all:
            return False
        self._turn()
        return self._all >= OF_ALL or self._of[address] >= OF_ONE

    def _turn(self) -> None:
        now_ns = self._now()
        if now_ns - self._began_ns >= _SECOND_NS:
            self._began_ns, self._all = now_ns, 0
            self._of.clear()
