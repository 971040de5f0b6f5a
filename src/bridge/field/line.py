"""One serial line, many users: commands, gateway clients, the poller, an EtherGate session."""

import asyncio
import enum
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

from bridge.core.errors import ConnectionLost, FieldError, FramingError, Quarantined, ReplyTimeout
from bridge.field.modbus.master import RtuMaster


class Use(enum.Enum):
    """Who asks. COMMAND goes first; POLL and GATEWAY alternate while both wait."""

    COMMAND = "command"
    POLL = "poll"
    GATEWAY = "gateway"


Ticket = asyncio.Future[None]


class LineArbiter:
    """
    Serialise request/reply exchanges; share the line fairly.

    Fairness: while both wait, POLL and GATEWAY get one exchange each in turn, and inside a
    use each `user` (a TCP client, a poll class) gets one in turn. So 32 gateway clients
    cannot take more than half of the line from the poller, nor one client starve another.
    Silence between frames is the master's business: it alone knows when the last byte came.
    """

    def __init__(self) -> None:
        self._queues: dict[Use, OrderedDict[str, deque[Ticket]]] = {use: OrderedDict() for use in Use}
        self._busy = False
        self._last = Use.GATEWAY

    async def exchange(self, use: Use, user: str, transact: Callable[[], Awaitable[bytes]]) -> bytes:
        """Run `transact` alone on the line."""
        if self._busy:
            ticket: Ticket = asyncio.get_running_loop().create_future()
            self._queues[use].setdefault(user, deque()).append(ticket)
            try:
                await ticket
            except asyncio.CancelledError:
                if ticket.done() and not ticket.cancelled():
                    self._hand_over()
                raise
        else:
            self._last = self._last if use is Use.COMMAND else use
        self._busy = True
        try:
            return await transact()
        finally:
            self._hand_over()

    def _hand_over(self) -> None:
        second = Use.POLL if self._last is Use.GATEWAY else Use.GATEWAY
        for use in (Use.COMMAND, second, self._last):
            ticket = self._next_of(use)
            if ticket is not None:
                if use is not Use.COMMAND:
                    self._last = use
                ticket.set_result(None)
                return
        self._busy = False

    def _next_of(self, use: Use) -> Ticket | None:
        users = self._queues[use]
        while users:
            user, queue = users.popitem(last=False)
            while queue:
                ticket = queue.popleft()
                if not ticket.done():
                    if queue:
                        users[user] = queue
                    return ticket
        return None


def probe_pdu(pdu: bytes) -> bytes | None:
    """Return a shorter read inside the same registers, None if there is none."""
    if pdu[0] not in (3, 4) or len(pdu) != 5:
        return None
    count = int.from_bytes(pdu[3:5], "big")
    if count < 2:
        return None
    return pdu[:3] + (2 if count > 2 else 1).to_bytes(2, "big")


class Line:
    """Ask a device of a line: takes turns, retries, never mistakes a late reply.

    After a time-out a shorter read of the same block goes first: its own reply proves that no late one is
    left. Where that is not possible (one register, writes) the wait for it passes without holding the line.
    """

    def __init__(self, master: RtuMaster, arbiter: LineArbiter) -> None:
        self._master, self._arbiter = master, arbiter

    async def ask(self, use: Use, user: str, unit_id: int, pdu: bytes, timeout_s: float, attempts: int = 2) -> bytes:
        """Return the reply PDU (a device's exception included). Raises: FieldError after `attempts`."""
        failure: FieldError | None = None
        while attempts > 0:
            wait_s = self._master.quarantine_s(unit_id, pdu)
            if wait_s > 0 and not await self._proves_order(use, user, unit_id, pdu, timeout_s):
                await asyncio.sleep(self._master.quarantine_s(unit_id, pdu))
            try:
                return await self._arbiter.exchange(use, user, lambda: self._master.exchange(unit_id, pdu, timeout_s))
            except Quarantined:
                continue
            except (ReplyTimeout, FramingError, ConnectionLost) as exc:
                failure = exc
                attempts -= 1
        assert failure is not None
        raise failure

    async def _proves_order(self, use: Use, user: str, unit_id: int, pdu: bytes, timeout_s: float) -> bool:
        probe = probe_pdu(pdu)
        if probe is None or self._master.quarantine_s(unit_id, probe) > 0:
            return False
        try:
            await self._arbiter.exchange(use, user, lambda: self._master.exchange(unit_id, probe, timeout_s))
        except (ReplyTimeout, FramingError, Quarantined):
            return False
        return self._master.quarantine_s(unit_id, pdu) == 0
