"""
The configured masters and which connection is whose.

The first valid frame from a master binds a connection to its session; a newer connection of the same master replaces
the older. When every master is connected, one more connection has a second to show that it is one of them.
"""

import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from bridge.projections.dnp3.controls import CommandStatus
from bridge.projections.dnp3.functions import Backend
from bridge.projections.dnp3.link import LinkFrame
from bridge.projections.dnp3.plan import MasterPlan, connected_counter
from bridge.projections.dnp3.session import OutstationSession
from bridge.projections.dnp3.tables import PointTables

_log = logging.getLogger("bridge.dnp3")
# Seconds between calls of `tick`.
TICK_S = 0.25
# Seconds that a connection has to show whose it is when every master has one: BARS L2 asks for a refusal within one.
FULL_HOUSE_S = 0.7

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Carrier(Protocol):
    """A connection or serial port, as its master sees it."""

    def send(self, chunks: Sequence[bytes]) -> None: ...
    def close(self) -> None: ...


class Master:
    """One configured master: its session and, while it has one, its carrier."""

    def __init__(
        self, plan: MasterPlan, tables: PointTables, backend: Backend, about: Mapping[int, bytes] | None = None
    ) -> None:
        self.plan = plan
        self.networks: list[Network] = [ipaddress.ip_network(text, strict=False) for text in plan.networks]
        self.session = OutstationSession(plan, tables, backend, about)
        self.carrier: Carrier | None = None
        self.peer = ""
        # refused requests that the log has heard of
        self.told_refused = 0

    def admits(self, peer: str) -> bool:
        if not self.networks:
            return True
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self.networks)

    def is_asked_by(self, frame: LinkFrame) -> bool:
        return frame.source == self.plan.address and frame.destination == self.plan.outstation

    def bind(self, carrier: Carrier, peer: str) -> None:
        """Take a new carrier; the one there was is closed."""
        old, self.carrier, self.peer = self.carrier, carrier, peer
        if old is not None:
            old.close()

    def left(self, carrier: Carrier) -> None:
        if self.carrier is carrier:
            self.carrier = None
            self.session.disconnected()

    def send(self, chunks: Sequence[bytes]) -> None:
        if chunks and self.carrier is not None:
            self.carrier.send(chunks)

    def command_done(self, ticket: int, status: CommandStatus) -> None:
        self.send(self.session.command_done(ticket, status))


class Waiting(Protocol):
    """A connection that has not said whose it is."""

    opened_s: float

    def turn_away(self) -> None: ...


class Masters:
    """All of them. Loop thread only."""

    def __init__(self, masters: Iterable[Master], probe: Master, now_s: Callable[[], float]) -> None:
        self.all = list(masters)
        self._probe = probe
        # local ports of our own questions under way
        self.own_ports: set[int] = set()
        self.now_s = now_s
        self.waiting: set[Waiting] = set()

    def on_tcp(self) -> list[Master]:
        return [master for master in self.all if master.plan.serial is None]

    def is_full(self) -> bool:
        """Also with no master on TCP at all: then nobody has a place there but our own probe."""
        return all(master.carrier is not None for master in self.on_tcp())

    def candidates(self, peer: str, port: int) -> list[Master]:
        """Return the masters that may come from this address."""
        if port in self.own_ports:
            return [self._probe]
        return [master for master in self.on_tcp() if master.admits(peer)]

    def tick(self) -> None:
        now_s = self.now_s()
        if self.waiting and self.is_full():
            for connection in [one for one in self.waiting if now_s - one.opened_s >= FULL_HOUSE_S - TICK_S]:
                connection.turn_away()
        for master in self.all:
            if master.carrier is None:
                continue
            master.send(master.session.tick(now_s))
            if master.session.lost:
                master.carrier.close()

    def count(self, counters: dict[str, int]) -> None:
        """Sum up what the sessions have seen; log what was refused."""
        sessions = [master.session for master in self.all]
        counters["requests"] = sum(session.requests for session in sessions)
        counters["refused_functions"] = sum(session.refused for session in sessions)
        counters["confirm_timeouts"] = sum(session.timeouts for session in sessions)
        counters["events_lost"] = sum(session.events.lost for session in sessions)
        for master in self.all:
            counters[connected_counter(master.plan)] = int(master.carrier is not None)
            if master.session.refused != master.told_refused:
                master.told_refused = master.session.refused
                _log.warning(
                    "function_refused master=%d peer=%s count=%d", master.plan.address, master.peer, master.told_refused
                )

    def changed(self) -> None:
        """Points changed: send unsolicited responses at once."""
        for master in self.all:
            if master.plan.unsolicited and master.carrier is not None:
                master.send(master.session.tick(self.now_s()))
