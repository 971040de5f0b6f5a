"""
One client of the Modbus server (Messaging on TCP/IP V1.0b).

A read of registers, nearly all that a client ever asks, takes the first branch of `Session.data_received`: one
look-up of (protocol, length, unit id, function), one test of the marks, one slice. Everything else goes the long way.
"""

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import cast

from bridge.core.clock import Clock
from bridge.core.command import Command, Origin
from bridge.core.peer import certificate_user
from bridge.core.ports import CommandPort, Nobody, RefusalSink
from bridge.modbus.frame import EXCEPTION_BIT, MAX_MBAP_LENGTH, MIN_MBAP_LENGTH, exception_pdu, tcp_frame
from bridge.projections.modbus.requests import (
    MOST_READ_REGISTERS,
    READ_HOLDING,
    READ_INPUT_REGISTERS,
    WRITES,
    Refused,
    Requests,
    Write,
    code_of,
)
from bridge.projections.modbus.tables import Registers, Unit

_log = logging.getLogger("bridge.modbus")
# Requests of one client answered in one turn of the loop; then the other clients have theirs.
REQUESTS_PER_TURN = 64
# MBAP header and the PDU of functions 1 to 4
_READ_LENGTH = 12
# the shortest frame: MBAP header and a function
_SHORTEST = 8
_KNOWN_CODES = (1, 2, 3, 4, 6, 10, 11)
COUNTERS = (
    "connections",
    "requests",
    "bytes_in",
    "bytes_out",
    "bad_frames",
    "writes_done",
    "writes_refused",
    *(f"exception_{code:02x}" for code in _KNOWN_CODES),
    "exception_other",
)
_unpack_read = struct.Struct(">HH").unpack_from
_unpack_head = struct.Struct(">HHHB").unpack_from


class Fast:
    """What the first branch needs of one (unit id, function)."""

    __slots__ = ("heads", "table")

    def __init__(self, unit_id: int, function: int, table: Registers) -> None:
        self.table = table
        # MBAP length, unit id, function and byte count of a reply, by the number of registers
        self.heads = [
            struct.pack(">HBBB", 3 + 2 * count, unit_id, function, 2 * count)
            for count in range(MOST_READ_REGISTERS + 1)
        ]


def fast_reads(units: dict[int, Unit]) -> dict[bytes, Fast]:
    """Return Fast by bytes 2 to 7 of a request: protocol 0, length 6, unit id, function."""
    return {
        bytes((0, 0, 0, 6, unit_id, function)): Fast(unit_id, function, unit.registers)
        for unit_id, unit in units.items()
        for function in (READ_HOLDING, READ_INPUT_REGISTERS)
    }


class Services:
    """What all sessions share."""

    def __init__(
        self,
        units: dict[int, Unit],
        requests: Requests,
        commands: CommandPort,
        clock: Clock,
        counters: dict[str, int],
        spawn: Callable[["Session", tuple[int, int, int], Write], object],
        write_timeout_ns: int,
        refusals: RefusalSink | None = None,
    ) -> None:
        self.refusals = refusals or Nobody()
        self.fast, self.requests, self.commands, self.clock = fast_reads(units), requests, commands, clock
        self.counters, self.spawn, self.write_timeout_ns = counters, spawn, write_timeout_ns
        counters.update(dict.fromkeys(COUNTERS, 0))


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
        self._peer = self._user = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        self._alive = transport.get_extra_info("alive") or _nothing
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        self._user = certificate_user(transport.get_extra_info("peercert"))
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
        """Do the commands one after the other; the first that is not done decides the reply."""
        services = self._services
        transaction, unit_id, function = request
        deadline_ns = services.clock.monotonic_ns() + services.write_timeout_ns
        origin = Origin("modbus", self._peer, self._user)
        code = 0
        for index, value in write.commands:
            result = await services.commands.submit(Command(index, value, origin, deadline_ns))
            code = code_of(result)
            if code:
                break
        if code == 0:
            self._counters["writes_done"] += 1
        try:
            reply = exception_pdu(function, code) if code else write.reply()
        except Refused as refused:
            reply = exception_pdu(function, refused.code)
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
                self._services.spawn(self, (transaction, unit_id, pdu[0]), reply)
                break
            if pdu[0] in WRITES:
                self._refused(unit_id, pdu, reply)
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
            name = f"exception_{reply[1]:02x}"
            self._counters[name if name in self._counters else "exception_other"] += 1
            function = reply[0] & ~EXCEPTION_BIT
            if function in WRITES:
                self._counters["writes_refused"] += 1
                _log.warning(
                    "write_refused peer=%s unit_id=%d function=%d code=%d", self._peer, unit_id, function, reply[1]
                )
        return tcp_frame(transaction, unit_id, reply)

    def _refused(self, unit_id: int, pdu: bytes, reply: bytes) -> None:
        """Have the core record a write that never became a command."""
        target = f"unit {unit_id} function {pdu[0]} address {int.from_bytes(pdu[1:3], 'big')}"
        self._services.refusals.refused(Origin("modbus", self._peer, self._user), target, f"exception {reply[-1]:#04x}")

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
