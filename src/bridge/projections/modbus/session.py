"""
One client of the Modbus server (Messaging on TCP/IP V1.0b).

A read of registers, nearly all that a client ever asks, takes the first branch of `Session.data_received`: one
look-up of (protocol, length, unit id, function), one test of the marks, one slice. Everything else goes the long way.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import cast

from bridge.core.command import Origin
from bridge.core.peer import certificate_user
from bridge.modbus.frame import EXCEPTION_BIT, MAX_MBAP_LENGTH, MIN_MBAP_LENGTH, tcp_frame
from bridge.projections.modbus.requests import MOST_READ_REGISTERS, WRITES, Write
from bridge.projections.modbus.services import Services, carried_out

# Requests of one client answered in one turn of the loop; then the other clients have theirs.
REQUESTS_PER_TURN = 64
# MBAP header and the PDU of functions 1 to 4
_READ_LENGTH = 12
# the shortest frame: MBAP header and a function
_SHORTEST = 8
_unpack_read = struct.Struct(">HH").unpack_from
_unpack_head = struct.Struct(">HHHB").unpack_from


class Session(asyncio.Protocol):
    """Requests are answered in their order; a write holds up those that follow it on this connection."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._fast, self._counters = services.fast, services.counters
        self._buffer = b""
        # reasons not to take requests; empty = read on
        self._held: set[str] = set()
        self._transport: asyncio.Transport | None = None
        self._write: Callable[[bytes], None] = _nowhere
        self._alive: Callable[[], None] = _nothing
        self._origin = Origin("modbus", "", "")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        self._alive = transport.get_extra_info("alive") or _nothing
        peer = transport.get_extra_info("peername")
        user = certificate_user(transport.get_extra_info("peercert"))
        self._origin = Origin("modbus", str(peer[0]) if peer else "", user)
        self._counters["connections"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        # a write under way goes on: half a write must not be cut off, and its deadline is near
        self._transport, self._write, self._buffer = None, _nowhere, b""
        self._counters["connections"] -= 1

    def data_received(self, data: bytes) -> None:
        if len(data) == _READ_LENGTH and not self._buffer:
            fast = self._fast.get(data[2:8])
            if fast is not None and not self._held:
                address, count = _unpack_read(data, 8)
                end, table = address + count, fast.table
                if (
                    0 < count <= MOST_READ_REGISTERS
                    and end <= table.size
                    and table.marks.count(0, address, end) == count
                ):
                    self._write(b"".join((data[:4], fast.heads[count], table.memory[2 * address : 2 * end])))
                    self._alive()
                    counters = self._counters
                    counters["requests"] += 1
                    counters["bytes_in"] += _READ_LENGTH
                    counters["bytes_out"] += 9 + 2 * count
                    return
        self._counters["bytes_in"] += len(data)
        self._buffer += data
        if not self._held:
            self._pump()

    def pause_writing(self) -> None:
        self._hold("peer does not read")

    def resume_writing(self) -> None:
        self._go_on("peer does not read")

    async def carry_out(self, request: tuple[int, int, int], write: Write) -> None:
        transaction, unit_id, function = request
        reply = await carried_out(self._services, self._origin, function, write)
        self._send([self._frame(transaction, unit_id, reply)])
        self._go_on("write under way")

    def _pump(self) -> None:
        """Answer what is in hand, at most REQUESTS_PER_TURN; leave the rest in buffer and socket."""
        buffer, at, replies = self._buffer, 0, list[bytes]()
        for _ in range(REQUESTS_PER_TURN):
            if len(buffer) - at < _SHORTEST:
                break
            transaction, protocol, length, unit_id = _unpack_head(buffer, at)
            if protocol or not MIN_MBAP_LENGTH <= length <= MAX_MBAP_LENGTH:
                self._cut_off()
                return
            end = at + 6 + length
            if len(buffer) < end:
                break
            pdu, at = buffer[at + 7 : end], end
            self._counters["requests"] += 1
            reply = self._services.requests.reply(unit_id, pdu)
            if isinstance(reply, Write):
                self._hold("write under way")
                self._services.spawn(self.carry_out((transaction, unit_id, pdu[0]), reply))
                break
            if pdu[0] in WRITES:
                self._services.refuse(self._origin, unit_id, pdu, reply)
            replies.append(self._frame(transaction, unit_id, reply))
        else:
            self._hold("others' turn")
            asyncio.get_running_loop().call_soon(self._go_on, "others' turn")
        self._buffer = buffer[at:]
        if at:
            self._alive()
        if replies:
            self._send(replies)

    def _frame(self, transaction: int, unit_id: int, reply: bytes) -> bytes:
        if reply[0] & EXCEPTION_BIT:
            self._services.count_exception(self._origin, unit_id, reply)
        return tcp_frame(transaction, unit_id, reply)

    def _send(self, frames: list[bytes]) -> None:
        data = b"".join(frames)
        self._counters["bytes_out"] += len(data)
        self._write(data)

    def _cut_off(self) -> None:
        """Nothing after a bad header can be trusted."""
        self._counters["bad_frames"] += 1
        self._buffer = b""
        if self._transport is not None:
            self._transport.abort()

    def _hold(self, why: str) -> None:
        if not self._held and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        self._held.add(why)

    def _go_on(self, why: str) -> None:
        self._held.discard(why)
        if self._held or self._transport is None or self._transport.is_closing():
            return
        self._pump()
        if not self._held and not self._transport.is_closing():
            self._transport.resume_reading()


def _nowhere(_: bytes) -> None:
    """Where replies to a client that has left go."""


def _nothing() -> None:
    """A listener without a guard."""
