"""Modbus RTU master of one line: one exchange at a time, on callbacks, at the pace physics allows.

      resting --exchange()--> quiet (t3.5 since the last byte) --alarm--> sent --bytes--> complete --> resting
                                                                  \\--alarm--> ReplyTimeout / FramingError

The rule one must not break: after a time-out no question of the same shape is asked again until the late
reply can no longer come (`quarantine`).
"""

import asyncio
import enum
from collections.abc import Callable

from bridge.core.clock import Clock
from bridge.core.errors import (
    ConnectFailed,
    ConnectionLost,
    FieldError,
    FramingError,
    Quarantined,
    ReplyTimeout,
)
from bridge.field.alarm import Alarm
from bridge.field.modbus.master_settings import Echo, MasterSettings, Nap
from bridge.field.modbus.quarantine import Quarantine
from bridge.field.observe import FrameTap, LineCounters, Verdict
from bridge.field.serial_port import Port
from bridge.modbus.frame import EXCEPTION_LENGTH, FrameKind, ReplyReader, rtu_frame

BROADCAST = 0
# %; of the remaining transmission time; a device's clock may be 2 % fast (UART tolerance)
NAP_PERCENT = 97
# ns; below this two more system calls cost more than the wake-ups they save
WORTH_A_NAP_NS = 5_000_000
# ns; from here on we look again when the last byte is due, not before it: one wake-up less (125 registers at 9600
# baud: 660 instead of 950 us of CPU, 99.8 instead of 99.9 % of the limit); a fast device costs at most its 2 %
LONG_NAP_NS = 40_000_000
# ns; after the last byte is due
NAP_MARGIN_NS = 150_000
# ns; what a port may add to the turnaround; more is for the caller's time-out to know (networks)
START_SLACK_NS = 20_000_000
# bytes; more than an echo, noise and the longest reply: somebody babbles
MAX_HEARD = 1024
MakeAlarm = Callable[[Callable[[], None]], Alarm]


class _Phase(enum.Enum):
    RESTING = "resting"
    QUIET = "quiet"
    SENT = "sent"
    NAP = "nap"


class RtuMaster:
    def __init__(
        self, port: Port, settings: MasterSettings, clock: Clock, make_alarm: MakeAlarm, tap: FrameTap | None = None
    ) -> None:
        timing = settings.timing
        self._port, self._settings, self._now = port, settings, clock.monotonic_ns
        self._alarm = make_alarm(self._ring)
        # cached: in Python 3.11 get_running_loop is a system call
        self._loop: asyncio.AbstractEventLoop | None = None
        self._char_ns = round(timing.char_s * 1e9)
        self._quiet_ns = -int(-(timing.quiet_s + settings.transmit_delay_s) * 1e9 // 1)
        self._silence_ns = round(max(timing.gap_s, timing.quiet_s) * 1e9)
        self._gap_ns = round(timing.gap_s * 1e9)
        self._slack_ns = min(self._gap_ns, START_SLACK_NS)
        self._phase = _Phase.RESTING
        self._quiet_at = 0
        # no request before, whatever the line says (after a broadcast, after a lease)
        self._hold_until = 0
        self._reopen_at = 0
        # when a line that is never quiet is given up
        self._patience_at = 0
        self._closed = False
        self._unit_id = 0
        self._frame = b""
        self._timeout_ns = 0
        self._ends_at_silence = False
        # ns; when the reply that has started must be complete; 0 = not started
        self._due_at = 0
        self._reader = ReplyReader(0, b"\x00")
        self._reply: asyncio.Future[bytes] | None = None
        self._quarantine = Quarantine(round(settings.late_s * 1e9))
        self._heard = bytearray()
        # of the exchange under way: who begins to listen in its middle would get half a frame for a whole one
        self._traced = False
        self.tap = tap or FrameTap()
        self.counters = LineCounters()
        # who has the line under a lease
        self._raw: Callable[[bytes], None] | None = None

    def quarantine_s(self, unit_id: int, pdu: bytes) -> float:
        """Return how long a late reply could still be taken for the reply to this request."""
        return self._quarantine.wait_ns(unit_id, pdu, self._now()) / 1e9

    async def exchange(self, unit_id: int, pdu: bytes, timeout_s: float) -> bytes:
        """Send one request; return the reply PDU, a device's exception included (b"" after a broadcast).

        `timeout_s`: longest turnaround, from the end of the request to the start of the reply.
        Raises: ReplyTimeout, FramingError, Quarantined, ConnectFailed, ConnectionLost.
        """
        if self._reply is not None:
            raise RuntimeError("one exchange at a time: use the line arbiter")
        if self._quarantine and (wait_s := self.quarantine_s(unit_id, pdu)):
            raise Quarantined(self._settings.channel, unit_id, wait_s)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if not self._port.is_open():
            self._open(unit_id)
        self._unit_id = unit_id
        self._frame = rtu_frame(unit_id, pdu)
        self._timeout_ns = round(timeout_s * 1e9)
        self._patience_at = max(self._now(), self._hold_until) + self._timeout_ns + self._quiet_ns
        echo = self._frame if self._settings.echo is Echo.LOCAL else b""
        self._reader = ReplyReader(unit_id, pdu, echo)
        self._ends_at_silence = False
        self._due_at = 0
        reply = self._reply = self._loop.create_future()
        self._phase = _Phase.QUIET
        self._quiet_at = max(self._quiet_at, self._hold_until)
        if self._now() >= self._quiet_at:
            self._send()
        else:
            self._alarm.arm(self._quiet_at)
        try:
            answer: bytes = await reply
        except asyncio.CancelledError:
            if self._phase in (_Phase.SENT, _Phase.NAP):
                self._quarantine.suspect(unit_id, pdu, self._now())
            raise
        except ReplyTimeout:
            self._quarantine.suspect(unit_id, pdu, self._now())
            raise
        finally:
            self._rest()
        if self._quarantine and unit_id != BROADCAST and not self._quarantine.trusts(unit_id, answer, self._now()):
            self._quarantine.suspect(unit_id, pdu, self._now())
            raise FramingError(self._settings.channel, unit_id, "exception to an unknown request")
        return answer

    def begin_raw(self, received: Callable[[bytes], None]) -> float:
        """
        Hand the line to somebody else: `received` gets what comes, b"" when the port is gone. Under a lease only.

        Return the seconds of silence that are due before `write_raw`. Raises: ConnectFailed, ConnectionLost.
        """
        if not self._port.is_open():
            self._open(0)
        # stray bytes of before are nobody's
        self._read()
        if self._port.is_open():
            self._port.expect(1)
        self._raw = received
        return max(0, self._quiet_at - self._now(), self._hold_until - self._now()) / 1e9

    def write_raw(self, data: bytes) -> float:
        """Send bytes as they are; return the seconds they take. Raises: ConnectionLost."""
        try:
            self._port.write(data)
        except OSError as exc:
            raise ConnectionLost(self._settings.channel, 0, str(exc)) from exc
        if self.tap.on:
            self.tap.note(self._now(), Verdict.SENT, data)
        return len(data) * self._char_ns / 1e9

    def end_raw(self) -> None:
        self._raw = None

    def hush(self) -> None:
        """Send nothing until replies to somebody else's requests can no longer come."""
        self._hold_until = self._now() + round(self._settings.late_s * 1e9)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._alarm.close()
        self._fail(ConnectionLost(self._settings.channel, self._unit_id, "closed"))
        self._port.close()
        if self._raw is not None:
            self._raw(b"")

    def _open(self, unit_id: int) -> None:
        if self._closed:
            raise ConnectionLost(self._settings.channel, unit_id, "closed")
        now = self._now()
        if now < self._reopen_at:
            raise ConnectFailed(self._settings.channel, unit_id, "port is gone; next attempt is due later")
        self._reopen_at = now + round(self._settings.reopen_s * 1e9)
        try:
            self._port.open(self._readable)
        except OSError as exc:
            raise ConnectFailed(self._settings.channel, unit_id, str(exc)) from exc
        self.counters.opened += 1
        self._quiet_at = now + self._quiet_ns

    def _readable(self) -> None:
        data = self._read()
        if self._raw is not None:
            self._pass_on(data)
            return
        if not data:
            return
        now = self._now()
        self._quiet_at = max(now + self._quiet_ns, self._hold_until)
        if self._phase is not _Phase.SENT:
            self._stray(data)
            if self._phase is _Phase.QUIET:
                self._wait_for_quiet(now)
            return
        if self._traced:
            self._heard += data
        missing = self._reader.feed(data)
        if self._reader.received > MAX_HEARD:
            self._babble()
        elif missing == 0:
            self._complete()
        elif missing > 0:
            self._await_rest(now, missing)
        else:
            self._ends_at_silence = True
            self._port.expect(1)
            self._alarm.arm(now + self._silence_ns)

    def _pass_on(self, data: bytes) -> None:
        assert self._raw is not None
        if data and self.tap.on:
            self.tap.note(self._now(), Verdict.STRAY, data)
        if data or not self._port.is_open():
            self._raw(data)

    def _await_rest(self, now: int, missing: int) -> None:
        if not self._reader.sized():
            self._port.expect(missing)
            if self._reader.started():
                self._alarm.arm(now + missing * self._char_ns + self._gap_ns)
            return
        rest_ns = missing * self._char_ns
        nap_ns = rest_ns + NAP_MARGIN_NS if rest_ns >= LONG_NAP_NS else rest_ns * NAP_PERCENT // 100
        may_nap = not self._due_at and self._settings.nap is Nap.BETWEEN_BYTES
        if not self._due_at:
            self._due_at = now + rest_ns + self._gap_ns
        if may_nap and nap_ns >= WORTH_A_NAP_NS:
            # the rest cannot come faster than the line carries it: be woken once, not at every byte
            self._phase = _Phase.NAP
            self._port.mute()
            self._alarm.arm(now + nap_ns)
            return
        self._port.expect(missing)
        self._alarm.arm(self._due_at)

    def _ring(self) -> None:
        if self._phase is _Phase.QUIET:
            self._send()
        elif self._phase is _Phase.NAP:
            self._phase = _Phase.SENT
            self._alarm.arm(self._due_at)
            self._port.listen()
            self._readable()
        elif self._phase is _Phase.SENT:
            self._deadline()

    def _send(self) -> None:
        stale = self._read()
        now = self._now()
        if stale:
            self._stray(stale)
            self._quiet_at = max(now + self._quiet_ns, self._hold_until)
            self._wait_for_quiet(now)
            return
        if self._reply is None or self._reply.done():
            return
        self._phase = _Phase.SENT
        broadcast = self._unit_id == BROADCAST
        self._port.expect(EXCEPTION_LENGTH + (len(self._frame) if self._settings.echo is Echo.LOCAL else 0))
        try:
            self._port.write(self._frame)
        except OSError as exc:
            self._fail(ConnectionLost(self._settings.channel, self._unit_id, str(exc)))
            return
        self.counters.requests += 1
        self._traced = self.tap.on
        if self._traced:
            self._heard.clear()
            self.tap.note(now, Verdict.SENT, self._frame)
        sent_at = now + len(self._frame) * self._char_ns
        self._quiet_at = sent_at + self._quiet_ns
        if broadcast:
            self._quiet_at = self._hold_until = sent_at + round(self._settings.broadcast_s * 1e9)
            self._finish(b"\x00")
            return
        self._alarm.arm(sent_at + self._timeout_ns + EXCEPTION_LENGTH * self._char_ns + self._slack_ns)

    def _wait_for_quiet(self, now: int) -> None:
        if now < self._patience_at:
            self._alarm.arm(self._quiet_at)
        else:
            self._babble()

    def _babble(self) -> None:
        self.counters.incomplete += 1
        self._fail(FramingError(self._settings.channel, self._unit_id, "the line does not become quiet"))

    def _deadline(self) -> None:
        rest = self._read()
        if rest:
            self._quiet_at = self._now() + self._quiet_ns
            if self._traced:
                self._heard += rest
            if self._reader.feed(rest) == 0:
                self._complete()
                return
        if self._ends_at_silence or self._reader.bare():
            self._complete()
        elif self._reader.started():
            self.counters.incomplete += 1
            self._note(Verdict.INCOMPLETE)
            self._fail(FramingError(self._settings.channel, self._unit_id, "the reply stopped before its end"))
        else:
            self.counters.timeouts += 1
            self._note(Verdict.TIMEOUT)
            what = f"no reply ({self._reader.received} foreign bytes)"
            self._fail(ReplyTimeout(self._settings.channel, self._unit_id, what))

    def _complete(self) -> None:
        kind, pdu = self._reader.take()
        if kind is FrameKind.REPLY:
            self.counters.replies += 1
            self._note(Verdict.OK)
            self._finish(pdu)
            return
        self.counters.bad_crc += 1
        self._note(Verdict.MISMATCH if kind is FrameKind.NOT_OURS else Verdict.CRC)
        self._fail(FramingError(self._settings.channel, self._unit_id, f"reply refused: {kind.value}"))

    def _stray(self, data: bytes) -> None:
        self.counters.stray_bytes += len(data)
        if self.tap.on:
            self.tap.note(self._now(), Verdict.STRAY, data)

    def _note(self, verdict: Verdict) -> None:
        if self._traced:
            self.tap.note(self._now(), verdict, bytes(self._heard))

    def _read(self) -> bytes:
        try:
            return self._port.read()
        except OSError as exc:
            self._fail(ConnectionLost(self._settings.channel, self._unit_id, str(exc)))
            return b""

    def _finish(self, pdu: bytes) -> None:
        self._rest()
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(pdu)

    def _fail(self, error: FieldError) -> None:
        self._rest()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    def _rest(self) -> None:
        if self._phase is _Phase.NAP and self._port.is_open():
            self._port.listen()
        self._phase = _Phase.RESTING
        self._alarm.disarm()
        if self._reply is not None and self._reply.done():
            self._reply = None
        if self._port.is_open():
            # what is shorter than any reply wakes nobody; it is read before the next request
            self._port.expect(EXCEPTION_LENGTH)
