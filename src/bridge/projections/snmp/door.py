"""
The UDP socket: hands datagrams to the agent, carries out SETs, bars those who guess; nothing is raised into the loop.

The peer rate is the guard's. Here only a wrong community or user costs: one whose credit is used up is answered no more
until it grows again, but for v3 messages with a good digest, because an address may be forged.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Origin, Outcome
from bridge.core.ports import CommandPort, Nobody, RefusalSink
from bridge.projections.snmp.agent import Agent
from bridge.projections.snmp.ber import oid_text
from bridge.projections.snmp.pdu import ErrorStatus
from bridge.projections.snmp.responder import RefusedSet, Sealed

# Peers remembered; the one not heard of for longest is forgotten for a new one.
MAX_PEERS = 1024
# Wrong communities or users a peer may send at once, and a second.
GUESSES, GUESSES_PER_S = 20.0, 2.0
# SETs under way; one more gets resourceUnavailable.
MAX_WRITES = 64
# Seconds between two log events about faults.
FAULT_LOG_S = 60.0

_log = logging.getLogger("bridge.snmp")
_STATUS = {
    Outcome.DONE: ErrorStatus.NO_ERROR,
    Outcome.REFUSED_BY_POLICY: ErrorStatus.AUTHORIZATION_ERROR,
    Outcome.NOT_WRITABLE: ErrorStatus.NOT_WRITABLE,
    Outcome.OUT_OF_RANGE: ErrorStatus.WRONG_VALUE,
    Outcome.BUSY: ErrorStatus.RESOURCE_UNAVAILABLE,
    Outcome.TIMED_OUT: ErrorStatus.COMMIT_FAILED,
    Outcome.DEVICE_REFUSED: ErrorStatus.COMMIT_FAILED,
}
Address = tuple[Any, ...]


class Watch(Protocol):
    def wrong_community(self, peer: str) -> None: ...


class Credit:
    """What is left of each peer's guesses. Bounded; a full credit needs no memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def barred(self, peer: str, now_s: float) -> bool:
        kept = self._kept.get(peer)
        return kept is not None and self._left(kept, now_s) < 1.0

    def charge(self, peer: str, now_s: float) -> None:
        kept = self._kept.pop(peer, (GUESSES, now_s))
        if len(self._kept) >= MAX_PEERS:
            self._kept.popitem(last=False)
        self._kept[peer] = max(self._left(kept, now_s) - 1.0, 0.0), now_s

    def __len__(self) -> int:
        return len(self._kept)

    @staticmethod
    def _left(kept: tuple[float, float], now_s: float) -> float:
        return min(GUESSES, kept[0] + (now_s - kept[1]) * GUESSES_PER_S)


class Door(asyncio.DatagramProtocol):
    """One socket, one agent. Loop thread only."""

    def __init__(
        self,
        agent: Agent,
        commands: CommandPort,
        clock: Clock,
        write_timeout_s: float,
        start: Callable[[Coroutine[Any, Any, None]], object],
        watch: Watch,
        refusals: RefusalSink | None = None,
    ) -> None:
        """`start`: runs a SET beside the loop. `watch`: hears of wrong communities."""
        self._agent, self._commands, self._clock = agent, commands, clock
        self._write_timeout_ns = round(write_timeout_s * 1e9)
        self._start, self._watch = start, watch
        self._refusals = refusals or Nobody()
        self._credit = Credit()
        self._writes = 0
        self._logged_s = -FAULT_LOG_S
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is no subclass of asyncio.DatagramTransport, so no isinstance here.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        try:
            self._serve(data, addr)
        except Exception:  # noqa: BLE001 - the last handler: one bad datagram must not stop the agent
            self._fault()

    def error_received(self, exc: Exception) -> None:
        """Take note of nothing: an ICMP error says only that a station has gone."""

    def _serve(self, data: bytes, addr: Address) -> None:
        peer: str = addr[0]
        counters, credit = self._agent.counters, self._credit
        # nobody in debt is the rule
        barred = bool(len(credit)) and credit.barred(peer, self._clock.monotonic_ns() / 1e9)
        communities, unproven = counters.in_bad_communities, counters.rejections()
        reply = self._agent.handle(data, peer, barred)
        if counters.rejections() != unproven:
            credit.charge(peer, self._clock.monotonic_ns() / 1e9)
            if counters.in_bad_communities != communities:
                self._watch.wrong_community(peer)
        refused = self._agent.take_refused()
        if refused is not None:
            self._refused(peer, refused)
        if isinstance(reply, Sealed):
            self._start_write(reply, addr)
        elif reply is not None:
            self._send(reply, addr)

    def _refused(self, peer: str, refused: RefusedSet) -> None:
        """Count a SET that no policy has seen; log at powers of two, for strangers may send as many as they like."""
        origin, target = Origin("snmp", peer, refused.user), f"oid {oid_text(refused.name)}"
        self._refusals.refused(origin, target, refused.status.name.lower())
        count = self._agent.counters.writes_refused = self._agent.counters.writes_refused + 1
        if count & (count - 1) == 0:
            _log.warning(
                "write_refused peer=%s user=%s oid=%s status=%s count=%d",
                peer,
                refused.user,
                oid_text(refused.name),
                refused.status.name.lower(),
                count,
            )

    def _send(self, reply: bytes | None, addr: Address) -> None:
        if reply is not None and self._transport is not None:
            self._agent.counters.out_packets += 1
            self._transport.sendto(reply, addr)

    def _start_write(self, sealed: Sealed, addr: Address) -> None:
        if self._writes >= MAX_WRITES:
            self._send(sealed.finish(ErrorStatus.RESOURCE_UNAVAILABLE, 1), addr)
            return
        self._writes += 1
        self._start(self._write(sealed, addr))

    async def _write(self, sealed: Sealed, addr: Address) -> None:
        try:
            status, index = await self._carry_out(sealed, str(addr[0]))
            self._send(sealed.finish(status, index), addr)
        finally:
            self._writes -= 1

    async def _carry_out(self, sealed: Sealed, peer: str) -> tuple[ErrorStatus, int]:
        """
        Submit the changes in order; the first that fails ends the SET.

        What was done before it stays done, which RFC 3416, 4.2.5 calls undoFailed.
        """
        counters = self._agent.counters
        deadline_ns = self._clock.monotonic_ns() + self._write_timeout_ns
        for at, change in enumerate(sealed.pending.changes):
            command = Command(change.index, change.value, Origin("snmp", peer, sealed.user), deadline_ns)
            result: CommandResult = await self._commands.submit(command)
            status = _STATUS[result.outcome]
            if status is ErrorStatus.NO_ERROR:
                counters.writes_done += 1
                continue
            counters.writes_refused += 1
            return (ErrorStatus.UNDO_FAILED, 0) if at else (status, 1)
        return ErrorStatus.NO_ERROR, 0

    def _fault(self) -> None:
        self._agent.counters.faults += 1
        now_s = self._clock.monotonic_ns() / 1e9
        if now_s - self._logged_s >= FAULT_LOG_S:
            self._logged_s = now_s
            _log.exception("snmp_fault count=%d", self._agent.counters.faults)
