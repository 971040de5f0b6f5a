"""Modbus TCP client of one host: one connection, opened when needed, replies paired by transaction id.

      closed --request--> dialling --> open --EOF, reset, bytes that are no MBAP--> closed (back-off 0.2 .. 5 s)

The rule one must not break: a unit that does not answer closes nothing, for behind a gateway the others live
(pymodbus 3.16.1 closes after a few unanswered requests: 1 alive + 8 dead units gave 0 of 12 good reads).
Death is what the kernel finds (`dial`), or a connection that has said nothing at all for a minute of questions.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from bridge.core.clock import Clock
from bridge.core.errors import ConnectFailed, ConnectionLost, FieldError, FramingError, ReplyTimeout
from bridge.field.dial import BackOff
from bridge.field.observe import FrameTap, LineCounters, Verdict
from bridge.modbus.frame import ONLY_DEVICE, MbapError, MbapReader, TcpRequest, tcp_frame
from bridge.modbus.reply import mismatch

# the transaction id of the MBAP header has 16 bits
TRANSACTION_IDS = 0x10000
# frames in a row that answer nothing: a peer that floods is cut off
MAX_STRAY_FRAMES = 20

Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class TcpSettings:
    channel: str
    # s; a transaction id whose reply is missing is not used again for so long
    late_s: float = 60.0
    # s; a connection that says nothing for so long, though asked, is opened anew
    mute_s: float = 60.0
    # s; a frame that has begun must end within this
    partial_s: float = 1.0


@dataclass(slots=True)
class _Waiting:
    unit_id: int
    pdu: bytes
    reply: asyncio.Future[bytes]


class TcpMaster:
    """`connect` opens a connection for the protocol it is given. Raises: OSError."""

    def __init__(self, connect: Connect, settings: TcpSettings, clock: Clock, tap: FrameTap | None = None) -> None:
        self._connect, self.settings, self.clock = connect, settings, clock
        self._back_off = BackOff(clock)
        self._dialling = asyncio.Lock()
        self._link: _Link | None = None
        self._transaction = 0
        self._closed = False
        self.tap = tap or FrameTap()
        self.counters = LineCounters()

    def quarantine_s(self, _unit_id: int, _pdu: bytes) -> float:
        """Never any: a late reply carries the transaction id of its request."""
        return 0.0

    def hush(self) -> None:
        """Nothing to wait for: see `quarantine_s`."""

    async def exchange(self, unit_id: int, pdu: bytes, timeout_s: float) -> bytes:
        """Send one request; return the reply PDU, a device's exception included.

        Raises: ReplyTimeout, FramingError, ConnectFailed, ConnectionLost.
        """
        link = self._link
        if link is None or link.lost is not None:
            link = await self._open(unit_id)
        answer = await link.exchange(self._next_transaction(link), unit_id, pdu, timeout_s)
        self._back_off.worked()
        return answer

    def close(self) -> None:
        self._closed = True
        if self._link is not None:
            self._link.drop("closed")

    async def _open(self, unit_id: int) -> "_Link":
        async with self._dialling:
            if self._closed:
                raise ConnectionLost(self.settings.channel, unit_id, "closed")
            if self._link is not None and self._link.lost is None:
                return self._link
            if (wait_s := self._back_off.wait_s()) > 0:
                raise ConnectFailed(self.settings.channel, unit_id, f"next attempt to connect in {wait_s:.1f} s")
            self._back_off.begins()
            link = _Link(self)
            try:
                await self._connect(lambda: link)
            except OSError as exc:
                self._back_off.failed()
                raise ConnectFailed(self.settings.channel, unit_id, str(exc)) from exc
            if self._closed:
                link.drop("closed")
                raise ConnectionLost(self.settings.channel, unit_id, "closed")
            self.counters.opened += 1
            self._link = link
            return link

    def _next_transaction(self, link: "_Link") -> int:
        while True:
            self._transaction = (self._transaction + 1) % TRANSACTION_IDS
            if not link.knows(self._transaction):
                return self._transaction


class _Link(asyncio.Protocol):
    """One connection of a master."""

    def __init__(self, master: TcpMaster) -> None:
        self._settings, self._now = master.settings, master.clock.monotonic_ns
        self._counters, self._tap = master.counters, master.tap
        self._transport: asyncio.Transport | None = None
        self._reader = MbapReader()
        self._waiting: dict[int, _Waiting] = {}
        # transaction -> ns when it may be used again, oldest first
        self._late: dict[int, int] = {}
        self._stray = 0
        self._partial_at = 0
        # ns; first request since the peer was last heard, 0 = none
        self._asked_at = 0
        # why the connection is of no use any more
        self.lost: str | None = None

    def knows(self, transaction: int) -> bool:
        """Tell whether a reply to this id may still come."""
        return transaction in self._waiting or transaction in self._late

    async def exchange(self, transaction: int, unit_id: int, pdu: bytes, timeout_s: float) -> bytes:
        if self.lost is not None or self._transport is None:
            raise ConnectionLost(self._settings.channel, unit_id, self.lost or "not connected")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(unit_id, pdu, loop.create_future())
        self._waiting[transaction] = waiting
        frame = tcp_frame(transaction, unit_id, pdu)
        self._counters.requests += 1
        self._note(Verdict.SENT, frame)
        self._asked_at = self._asked_at or self._now()
        self._transport.write(frame)
        timer = loop.call_later(timeout_s, self._expire, waiting, timeout_s)
        try:
            return await waiting.reply
        finally:
            timer.cancel()
            if self._waiting.pop(transaction, None) is not None:
                self._remember_late(transaction)

    def drop(self, why: str) -> None:
        """Close at once; everybody who waits gets ConnectionLost."""
        if self._transport is not None:
            self._transport.abort()
        self._lose(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=TRANSACTION_IDS)

    def data_received(self, data: bytes) -> None:
        now = self._now()
        self._asked_at = 0
        if not len(self._reader):
            self._partial_at = now
        self._reader.feed(data)
        try:
            for frame in self._reader.requests():
                self._partial_at = now
                self._take(frame)
                if self.lost is not None:
                    return
        except MbapError as exc:
            self._note(Verdict.STRAY, data)
            self.drop(str(exc))

    def pause_writing(self) -> None:
        self.drop("the peer takes no more requests")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(str(exc) if exc else "closed by the peer")

    def _take(self, frame: TcpRequest) -> None:
        if self._stray >= MAX_STRAY_FRAMES:
            self.drop(f"{self._stray} frames in a row that answer no request")
            return
        waiting = self._waiting.get(frame.transaction)
        if waiting is None or waiting.reply.done():
            self._stray_frame(frame)
            return
        refusal = mismatch(waiting.pdu, frame.pdu)
        if frame.unit_id != waiting.unit_id and waiting.unit_id != ONLY_DEVICE:
            refusal = f"expected unit {waiting.unit_id}, found {frame.unit_id}"
        self._note(Verdict.MISMATCH if refusal else Verdict.OK, frame)
        del self._waiting[frame.transaction]
        if refusal:
            self._stray += 1
            self._counters.bad_crc += 1
            self._remember_late(frame.transaction)
            waiting.reply.set_exception(
                FramingError(self._settings.channel, waiting.unit_id, f"reply refused: {refusal}")
            )
            return
        self._stray = 0
        self._counters.replies += 1
        waiting.reply.set_result(frame.pdu)

    def _stray_frame(self, frame: TcpRequest) -> None:
        late = self._late.pop(frame.transaction, None) is not None
        self._counters.late += late
        self._counters.stray_bytes += 7 + len(frame.pdu)
        self._stray += not late
        self._note(Verdict.STRAY, frame)

    def _expire(self, waiting: _Waiting, timeout_s: float) -> None:
        if waiting.reply.done():
            return
        self._counters.timeouts += 1
        self._note(Verdict.TIMEOUT, b"")
        now = self._now()
        error: FieldError = ReplyTimeout(self._settings.channel, waiting.unit_id, f"no reply within {timeout_s} s")
        if len(self._reader) and now - self._partial_at > self._settings.partial_s * 1e9:
            self._counters.incomplete += 1
            error = FramingError(self._settings.channel, waiting.unit_id, "the reply stopped before its end")
            waiting.reply.set_exception(error)
            self.drop(str(error))
            return
        waiting.reply.set_exception(error)
        if self._asked_at and now - self._asked_at > self._settings.mute_s * 1e9:
            self.drop(f"not a byte within {self._settings.mute_s} s")

    def _remember_late(self, transaction: int) -> None:
        now = self._now()
        while self._late and (oldest := next(iter(self._late.items())))[1] <= now:
            del self._late[oldest[0]]
        self._late[transaction] = now + round(self._settings.late_s * 1e9)

    def _lose(self, why: str) -> None:
        if self.lost is not None:
            return
        self.lost = why
        for waiting in self._waiting.values():
            if not waiting.reply.done():
                waiting.reply.set_exception(ConnectionLost(self._settings.channel, waiting.unit_id, why))

    def _note(self, verdict: Verdict, frame: TcpRequest | bytes) -> None:
        if not self._tap.on:
            return
        if isinstance(frame, TcpRequest):
            frame = tcp_frame(frame.transaction, frame.unit_id, frame.pdu)
        self._tap.note(self._now(), verdict, frame)
