"""Who has asked this worker: one row an address and listener, kept while it is not crowded out."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.client import CLIENTS_MOST, Census, Client
from bridge.core.point import Batch

# Batches whose delay is remembered, and ns between two that are looked at: looking costs 30 ns a sample
_DELAYS, _LOOK_NS = 64, 100_000_000


@dataclass(slots=True)
class Seen:
    """Times in seconds of the loop."""

    address: str
    port: int
    first: float
    last: float
    connections: int = 0
    messages: int = 0


class Clients:
    """Loop thread only. `now`: seconds of the loop."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._seen: dict[tuple[str, int], Seen] = {}

    def of(self, address: str, port: int) -> Seen:
        """Return the row of an address at a listener; a new one may crowd out the one that is silent longest."""
        row = self._seen.get((address, port))
        if row is None:
            if len(self._seen) >= CLIENTS_MOST:
                idle = [seen for seen in self._seen.values() if not seen.connections]
                silent = min(idle or self._seen.values(), key=lambda seen: seen.last)
                del self._seen[silent.address, silent.port]
            now = self.now()
            row = self._seen[address, port] = Seen(address, port, now, now)
        return row

    def rows(self) -> list[Client]:
        """Return everybody, who asked last first."""
        now = self.now()
        rows = [
            Client(s.address, s.port, s.connections, s.messages, round(now - s.first, 1), round(now - s.last, 1))
            for s in self._seen.values()
            if s.messages
        ]
        return sorted(rows, key=lambda row: row.quiet_s)


class Delays:
    """How old the newest reading of a batch is when it arrives here. Loop thread only."""

    def __init__(self) -> None:
        self._looked_ns = 0
        self._ms: deque[float] = deque(maxlen=_DELAYS)

    def arrived(self, batch: Batch, monotonic_ns: int, utc_ns: int) -> None:
        """Look at a batch, if none was looked at just before. `monotonic_ns`, `utc_ns`: now."""
        if monotonic_ns - self._looked_ns < _LOOK_NS or not batch:
            return
        self._looked_ns = monotonic_ns
        # a computed value is as old as its oldest input, a lost one as old as it is: the newest came just now
        newest_ns = max(sample.source_ns for _, sample in batch)
        if newest_ns:
            self._ms.append(max(utc_ns - newest_ns, 0) / 1e6)

    def census(self, clients: list[Client]) -> Census:
        """Return what the core is told."""
        if not self._ms:
            return Census(clients)
        ordered = sorted(self._ms)
        return Census(clients, round(ordered[len(ordered) // 2], 1), round(ordered[-1], 1))
