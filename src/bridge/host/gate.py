"""Who may come in and who must give way: allow-list and seats of one listener. Pure."""

import ipaddress
from collections import Counter
from collections.abc import Sequence
from typing import Generic, TypeVar

from bridge.core.listener import Listener

C = TypeVar("C")
# Connections that have not said anything whole yet. Apart from `max_clients`, so that silent ones never take a seat;
# beyond it the oldest of the address with the most of them gives way. Ours: 256 idle transports are under 1 MB.
WAITING_MOST = 256


class Networks:
    """Allow-list in CIDR notation; empty allows everybody. Raises: ValueError for what is no network."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def allows(self, host: str) -> bool:
        """`host`: as the socket gives it; an IPv4 address mapped into IPv6 counts as IPv4 (RFC 4291, 2.5.5.2)."""
        if not self._networks:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)


class Seats(Generic[C]):
    """A connection waits from its accept until its first whole message, then it sits until it leaves."""

    def __init__(self, listener: Listener) -> None:
        self._most, self._per_address = listener.max_clients, listener.max_per_address
        # in the order of their coming
        self._waiting: dict[C, str] = {}
        self._seated: dict[C, str] = {}
        # ourselves: no limit and no count
        self._visitors: dict[C, None] = {}
        self._waiting_of: Counter[str] = Counter()
        self._seated_of: Counter[str] = Counter()

    def everybody(self) -> list[C]:
        return [*self._waiting, *self._seated, *self._visitors]

    def has_room(self, address: str) -> bool:
        if len(self._seated) >= self._most:
            return False
        return not self._per_address or self._seated_of[address] < self._per_address

    def come(self, connection: C, address: str) -> C | None:
        """Wait; return who must give way for it."""
        gone: C | None = None
        if len(self._waiting) >= WAITING_MOST:
            crowd = max(self._waiting_of, key=self._waiting_of.__getitem__)
            gone = next(c for c, host in self._waiting.items() if host == crowd)
            self.leave(gone)
        self._waiting[connection] = address
        self._waiting_of[address] += 1
        return gone

    def visit(self, connection: C) -> None:
        """As `come`, for a probe of our own."""
        self._visitors[connection] = None

    def sit(self, connection: C) -> bool:
        """False: every seat is taken, or it has left already."""
        if connection in self._visitors:
            return True
        address = self._waiting.get(connection)
        if address is None or not self.has_room(address):
            return False
        self.leave(connection)
        self._seated[connection] = address
        self._seated_of[address] += 1
        return True

    def leave(self, connection: C) -> None:
        """May be called twice."""
        self._visitors.pop(connection, None)
        for rows, counts in ((self._waiting, self._waiting_of), (self._seated, self._seated_of)):
            address = rows.pop(connection, None)
            if address is not None:
                counts[address] -= 1
                if not counts[address]:
                    del counts[address]
