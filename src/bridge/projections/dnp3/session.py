"""
One master's view of the outstation: frames in, bytes out, time by argument.

Owns this master's sequence numbers, event buffers and pending confirms over the shared point tables. A READ
that comes while an unsolicited response waits for its confirm is answered after it. Sequence numbers of fragments and
confirms: IEEE 1815-2012, 4.2.2.4.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bridge.projections.dnp3.application import (
    CON,
    FIN,
    FIR,
    NO_REPLY,
    SEQUENCE_MASK,
    UNS,
    Function,
    Iin,
    Request,
    RequestError,
    parse_read,
    parse_request,
    response,
)
from bridge.projections.dnp3.controls import CommandStatus
from bridge.projections.dnp3.events import EventBuffer
from bridge.projections.dnp3.functions import Backend, Functions
from bridge.projections.dnp3.link import BROADCAST, BROADCAST_SHALL_CONFIRM, LinkFrame
from bridge.projections.dnp3.link_station import LinkStation
from bridge.projections.dnp3.operations import Reply
from bridge.projections.dnp3.pieces import Piece, Writer
from bridge.projections.dnp3.plan import MasterPlan
from bridge.projections.dnp3.reader import ReadPlan
from bridge.projections.dnp3.replay import Replay
from bridge.projections.dnp3.tables import PointTables
from bridge.projections.dnp3.transport import Reassembler, Segmenter
from bridge.projections.dnp3.unsolicited import RESPONSE_HEADER, Unsolicited

_BROADCAST, _OVERFLOW = int(Iin.BROADCAST), int(Iin.OVERFLOW)
_RESTART, _NEED_TIME = int(Iin.RESTART), int(Iin.NEED_TIME)
# What a broadcast may do. Never a control: nobody would hear whether it worked.
_BROADCAST_ALLOWED = frozenset(
    (Function.WRITE, Function.FREEZE_NR, Function.RECORD_CURRENT_TIME, Function.DISABLE_UNSOLICITED)
)


class _Series(NamedTuple):
    """A response under way: fragment `sequence` waits for its confirm, `pieces` are still to come."""

    sequence: int
    until_s: float
    pieces: list[Piece]
    iin: int


class OutstationSession:
    """`receive` and `tick` return what to send. After `lost` turns True the connection should be closed."""

    def __init__(
        self, plan: MasterPlan, tables: PointTables, backend: Backend, about: Mapping[int, bytes] | None = None
    ) -> None:
        """`about`: device attributes, by variation."""
        self.plan = plan
        self.events = EventBuffer(plan.event_capacity)
        self.lost = False
        # requests, requests refused for their function, confirms that did not come in time
        self.requests = self.refused = self._timeouts = 0
        self._tables, self._backend, self._about = tables, backend, about or {}
        self._functions = Functions(plan, tables, backend)
        self._unsolicited = Unsolicited(plan, self.events, self._tell_indications)
        self._replay = Replay(tables, self.events)
        self._reset(0.0)
        self._connected = False
        tables.subscribe(self.events.add)

    @property
    def timeouts(self) -> int:
        return self._timeouts + self._unsolicited.timeouts

    def _reset(self, now_s: float) -> None:
        plan = self.plan
        self._link = LinkStation(plan.outstation, plan.address)
        self._reassembler = Reassembler(plan.fragment_bytes)
        self._segmenter = Segmenter()
        self._out: list[bytes] = []
        self._series: _Series | None = None
        self._unsolicited.reset()
        self._deferred: Request | None = None
        self._open_request: int | None = None
        self._last_request = b""
        self._last_response = b""
        self._broadcast = False
        self._broadcast_until_confirm = False
        self._heard_s = now_s
        self._asked_s: float | None = None
        self.lost = False

    # --- what the connection calls --------------------------------------------------------------

    def connected(self, now_s: float) -> list[bytes]:
        """Start afresh on a new connection."""
        self.disconnected()
        self._reset(now_s)
        self._connected = True
        return self.tick(now_s)

    def disconnected(self) -> None:
        """Keep the events; those that were sent and not confirmed are reported again."""
        self._connected = False
        self._series = self._deferred = None
        self._unsolicited.lost()
        self._functions.lost()
        self.events.release()

    def receive(self, frames: Sequence[LinkFrame], now_s: float) -> list[bytes]:
        """Take decoded frames; those between other stations are ignored."""
        for frame in frames:
            broadcast = frame.destination in BROADCAST
            if frame.source != self.plan.address:
                continue
            if frame.destination != self.plan.outstation and not broadcast:
                continue
            self._heard_s, self._asked_s = now_s, None
            data, answer = self._link.take(frame)
            if answer and not broadcast:
                self._out.append(answer)
            fragment = self._reassembler.feed(data, frame.destination) if data else None
            if fragment is None:
                continue
            if broadcast:
                self._on_broadcast(fragment, frame.destination, now_s)
            else:
                self._on_fragment(fragment, now_s)
        self._send_unsolicited(now_s)
        return self._take()

    def tick(self, now_s: float) -> list[bytes]:
        """Run what time brings: time-outs, retries, unsolicited, keep-alive. Call at least every 250 ms."""
        if not self._connected:
            return []
        series = self._series
        if series is not None and now_s >= series.until_s:
            self._timeouts += 1
            self._series = None
            self.events.release()
        if self._unsolicited.is_late(now_s):
            self._repeat_unsolicited(now_s)
        self._answer_late(self._functions.operations.expire(now_s))
        self._keep_alive(now_s)
        self._send_unsolicited(now_s)
        return self._take()

    def command_done(self, ticket: int, status: CommandStatus) -> list[bytes]:
        """Give the status of a command that `Backend.control` left open."""
        self._answer_late(self._functions.operations.done(ticket, status))
        return self._take()

    def _take(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def _send(self, fragment: bytes) -> None:
        self._out.append(self._link.data(self._segmenter.cut(fragment)))

    def _keep_alive(self, now_s: float) -> None:
        if not self.plan.keepalive_s or now_s - self._heard_s < self.plan.keepalive_s:
            return
        if self._asked_s is None:
            self._asked_s = now_s
            self._out.append(self._link.ask_status())
        elif now_s - self._asked_s >= self.plan.confirm_timeout_s:
            self.lost = True

    # --- requests -------------------------------------------------------------------------------

    def _on_fragment(self, fragment: bytes, now_s: float) -> None:
        request = parse_request(fragment)
        if request is None or request.function >= Function.RESPONSE:
            return
        self._unsolicited.heard()
        if request.function == Function.CONFIRM:
            self._on_confirm(request, now_s)
            return
        if request.control & UNS:
            return
        self.requests += 1
        if request.function == Function.READ and self._unsolicited.waits:
            self._deferred = request
            return
        self._deferred = None
        if request.function != Function.READ and fragment == self._last_request:
            # A repeat, its answer was lost: nothing is done twice.
            if self._last_response:
                self._send(self._last_response)
            return
        self._last_request, self._last_response = fragment, b""
        # The master went on: commands still running end without an answer.
        self._open_request = None
        if self._series is not None:
            self._series = None
            self.events.release()
        if request.function == Function.READ:
            self._read(request, now_s)
        else:
            self._execute(request, now_s)

    def _execute(self, request: Request, now_s: float) -> None:
        try:
            reply = self._functions.run(request, now_s)
        except RequestError as refusal:
            reply = Reply(refusal.iin)
        self.refused += reply is not None and Iin.NO_FUNCTION in reply.iin
        if request.function in NO_REPLY:
            return
        if reply is None:
            self._open_request = request.sequence
            return
        self._answer(request.sequence, reply)

    def _answer_late(self, reply: Reply | None) -> None:
        if reply is not None and self._open_request is not None:
            sequence, self._open_request = self._open_request, None
            self._answer(sequence, reply)

    def _answer(self, sequence: int, reply: Reply) -> None:
        control = FIR | FIN | sequence | (CON if self._broadcast_until_confirm else 0)
        self._last_response = response(control, self._tell_indications() | int(reply.iin), reply.body)
        self._send(self._last_response)

    def _on_broadcast(self, fragment: bytes, destination: int, now_s: float) -> None:
        request = parse_request(fragment)
        if request is None:
            return
        self._broadcast = True
        self._broadcast_until_confirm = destination == BROADCAST_SHALL_CONFIRM
        if request.function in _BROADCAST_ALLOWED:
            try:
                self._functions.run(request, now_s)
            except RequestError:
                return

    def _indications(self) -> int:
        # Plain integers: the `|` of an IntFlag is a Python call, and this runs for every fragment.
        iin = self.events.indications()
        if self._broadcast:
            iin |= _BROADCAST
        if self.events.overflow:
            iin |= _OVERFLOW
        if self._functions.restart:
            iin |= _RESTART
        if self._backend.needs_time():
            iin |= _NEED_TIME
        return iin

    def _tell_indications(self) -> int:
        """As `_indications`, for a response that is sent: a broadcast is told once, or until it is confirmed."""
        iin = self._indications()
        self._broadcast = self._broadcast_until_confirm
        return iin

    # --- reads and confirms -----------------------------------------------------------------------

    def _read(self, request: Request, now_s: float) -> None:
        again = self._replay.find(request.body)
        if again is not None:
            self._replay.begin(None, 0)
            self._send_fragment(_Series(request.sequence, 0.0, *again), FIR, now_s)
            return
        plan = ReadPlan(self._tables, self.events, self._about, self._backend.now_ms())
        try:
            pieces = plan.plan(parse_read(request.body), self._indications())
        except RequestError as refusal:
            self._answer(request.sequence, Reply(refusal.iin))
            return
        self._replay.begin(request.body if plan.is_repeatable else None, int(plan.iin))
        self._send_fragment(_Series(request.sequence, 0.0, pieces, int(plan.iin)), FIR, now_s)

    def _send_fragment(self, series: _Series, first: int, now_s: float) -> None:
        writer = Writer(self.plan.fragment_bytes - RESPONSE_HEADER)
        pieces = series.pieces
        done = 0
        while done < len(pieces) and pieces[done].write(writer):
            done += 1
        rest = pieces[done:]
        self.events.mark_written(writer.events)
        confirm = bool(rest or writer.events or self._broadcast_until_confirm)
        control = first | series.sequence | (0 if rest else FIN) | (CON if confirm else 0)
        body = b"".join(writer.parts)
        self._replay.add(body, not rest, bool(writer.events))
        self._send(response(control, self._tell_indications() | series.iin, body))
        until_s = now_s + self.plan.confirm_timeout_s
        self._series = series._replace(until_s=until_s, pieces=rest) if confirm else None

    def _on_confirm(self, request: Request, now_s: float) -> None:
        if request.control & UNS:
            if self._unsolicited.confirm(request.sequence):
                self._run_deferred(now_s)
            return
        series = self._series
        if series is None or request.sequence != series.sequence:
            return
        self._series = None
        self._broadcast = self._broadcast_until_confirm = False
        self.events.confirm()
        if series.pieces:
            sequence = (series.sequence + 1) & SEQUENCE_MASK
            self._send_fragment(series._replace(sequence=sequence), 0, now_s)

    # --- unsolicited ------------------------------------------------------------------------------

    def _repeat_unsolicited(self, now_s: float) -> None:
        if self._deferred is not None:
            # A master that reads but never confirms gets its answer now; the next unsolicited is a new one.
            self._unsolicited.give_up()
            self._run_deferred(now_s)
        elif (fragment := self._unsolicited.repeat(now_s)) is not None:
            self._send(fragment)

    def _run_deferred(self, now_s: float) -> None:
        request, self._deferred = self._deferred, None
        if request is not None:
            self._read(request, now_s)

    def _send_unsolicited(self, now_s: float) -> None:
        if self._connected and self._series is None:
            fragment = self._unsolicited.next(self._functions.unsolicited_classes, now_s)
            if fragment is not None:
                self._send(fragment)
