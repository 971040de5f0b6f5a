"""
One master's view of the outstation: bytes in, bytes out, time by argument.

Owns this master's sequence numbers, event buffers and pending confirms over the shared point tables. A READ
that comes while an unsolicited response waits for its confirm is answered after it.
"""

from collections.abc import Sequence
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
from bridge.projections.dnp3.events import CLASSES, EventBuffer
from bridge.projections.dnp3.functions import Backend, Functions, Reply
from bridge.projections.dnp3.link import BROADCAST, BROADCAST_SHALL_CONFIRM, LinkDecoder, LinkFrame
from bridge.projections.dnp3.link_station import LinkStation
from bridge.projections.dnp3.plan import MasterPlan
from bridge.projections.dnp3.reader import EventPiece, Piece, ReadPlan, Writer
from bridge.projections.dnp3.tables import PointTables
from bridge.projections.dnp3.transport import Reassembler, Segmenter

# Bytes of control, function and IIN in front of a response's objects.
_RESPONSE_HEADER = 4
_CLASS_BITS = {1: int(Iin.CLASS_1), 2: int(Iin.CLASS_2), 3: int(Iin.CLASS_3)}
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


class _Unsolicited(NamedTuple):
    sequence: int
    until_s: float
    fragment: bytes
    empty: bool


class OutstationSession:
    """`feed` and `tick` return what to send. After `lost` turns True the connection should be closed."""

    def __init__(self, config: MasterPlan, tables: PointTables, backend: Backend) -> None:
        self.config = config
        self.events = EventBuffer(config.event_capacity)
        self.lost = False
        self._tables = tables
        self._backend = backend
        self._functions = Functions(config, tables, backend)
        self._unsolicited_sequence = 0
        self._reset(LinkDecoder(), 0.0)
        self._connected = False
        tables.subscribe(self.events.add)

    def _reset(self, decoder: LinkDecoder, now_s: float) -> None:
        config = self.config
        self._decoder = decoder
        self._link = LinkStation(config.outstation, config.address)
        self._reassembler = Reassembler(config.fragment_bytes)
        self._segmenter = Segmenter()
        self._out: list[bytes] = []
        self._series: _Series | None = None
        self._unsolicited: _Unsolicited | None = None
        self._null_confirmed = False
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

    def connected(self, now_s: float, decoder: LinkDecoder | None = None) -> list[bytes]:
        """Start afresh on a new connection; `decoder` may hold bytes that already came."""
        self.disconnected()
        self._reset(decoder or LinkDecoder(), now_s)
        self._connected = True
        return self.tick(now_s)

    def disconnected(self) -> None:
        """Keep the events; those that were sent and not confirmed are reported again."""
        self._connected = False
        self._series = self._unsolicited = self._deferred = None
        self._functions.lost()
        self.events.release()

    def feed(self, data: bytes, now_s: float) -> list[bytes]:
        return self.receive(self._decoder.feed(data), now_s)

    def receive(self, frames: Sequence[LinkFrame], now_s: float) -> list[bytes]:
        """Take decoded frames; those between other stations are ignored."""
        for frame in frames:
            broadcast = frame.destination in BROADCAST
            if frame.source != self.config.address:
                continue
            if frame.destination != self.config.outstation and not broadcast:
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
        series, unsolicited = self._series, self._unsolicited
        if series is not None and now_s >= series.until_s:
            self._series = None
            self.events.release()
        if unsolicited is not None and now_s >= unsolicited.until_s:
            self._repeat_unsolicited(unsolicited, now_s)
        self._answer_late(self._functions.expire(now_s))
        self._keep_alive(now_s)
        self._send_unsolicited(now_s)
        return self._take()

    def command_done(self, ticket: int, status: CommandStatus) -> list[bytes]:
        """Give the status of a command that `Backend.operate` left open."""
        self._answer_late(self._functions.command_done(ticket, status))
        return self._take()

    def _take(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def _send(self, fragment: bytes) -> None:
        self._out.append(self._link.data(self._segmenter.cut(fragment)))

    def _keep_alive(self, now_s: float) -> None:
        if now_s - self._heard_s < self.config.keepalive_s:
            return
        if self._asked_s is None:
            self._asked_s = now_s
            self._out.append(self._link.ask_status())
        elif now_s - self._asked_s >= self.config.confirm_timeout_s:
            self.lost = True

    # --- requests -------------------------------------------------------------------------------

    def _on_fragment(self, fragment: bytes, now_s: float) -> None:
        request = parse_request(fragment)
        if request is None or request.function >= Function.RESPONSE:
            return
        if request.function == Function.CONFIRM:
            self._on_confirm(request, now_s)
            return
        if request.control & UNS:
            return
        if request.function == Function.READ and self._unsolicited is not None:
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
        self._last_response = response(control, self._indications() | int(reply.iin), reply.body)
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
        iin = 0
        if self._broadcast:
            iin |= _BROADCAST
            self._broadcast = self._broadcast_until_confirm
        for event_class in CLASSES:
            if self.events.waiting(event_class):
                iin |= _CLASS_BITS[event_class]
        if self.events.overflow:
            iin |= _OVERFLOW
        if self._functions.restart:
            iin |= _RESTART
        if self._backend.needs_time():
            iin |= _NEED_TIME
        return iin

    # --- reads and confirms -----------------------------------------------------------------------

    def _read(self, request: Request, now_s: float) -> None:
        plan = ReadPlan(self._tables, self.events, self._backend.now_ms(), self._indications())
        try:
            pieces = plan.plan(parse_read(request.body))
        except RequestError as refusal:
            self._answer(request.sequence, Reply(refusal.iin))
            return
        self._send_fragment(_Series(request.sequence, 0.0, pieces, int(plan.iin)), FIR, now_s)

    def _send_fragment(self, series: _Series, first: int, now_s: float) -> None:
        writer = Writer(self.config.fragment_bytes - _RESPONSE_HEADER)
        pieces = series.pieces
        done = 0
        while done < len(pieces) and pieces[done].write(writer):
            done += 1
        rest = pieces[done:]
        self.events.mark_written(writer.events)
        confirm = bool(rest or writer.events or self._broadcast_until_confirm)
        control = first | series.sequence | (0 if rest else FIN) | (CON if confirm else 0)
        self._send(response(control, self._indications() | series.iin, b"".join(writer.parts)))
        until_s = now_s + self.config.confirm_timeout_s
        self._series = series._replace(until_s=until_s, pieces=rest) if confirm else None

    def _on_confirm(self, request: Request, now_s: float) -> None:
        if request.control & UNS:
            self._on_unsolicited_confirm(request, now_s)
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

    def _on_unsolicited_confirm(self, request: Request, now_s: float) -> None:
        waiting = self._unsolicited
        if waiting is None or request.sequence != waiting.sequence:
            return
        self._unsolicited = None
        self._unsolicited_sequence = (waiting.sequence + 1) & SEQUENCE_MASK
        self._null_confirmed = True
        if not waiting.empty:
            self.events.confirm()
        self._run_deferred(now_s)

    def _repeat_unsolicited(self, waiting: _Unsolicited, now_s: float) -> None:
        if self._deferred is None:
            self._unsolicited = waiting._replace(until_s=now_s + self.config.confirm_timeout_s)
            self._send(waiting.fragment)
            return
        # A master that reads but never confirms gets its answer now; the next unsolicited is a new one.
        self._unsolicited = None
        self._unsolicited_sequence = (waiting.sequence + 1) & SEQUENCE_MASK
        self.events.release()
        self._run_deferred(now_s)

    def _run_deferred(self, now_s: float) -> None:
        request, self._deferred = self._deferred, None
        if request is not None:
            self._read(request, now_s)

    def _send_unsolicited(self, now_s: float) -> None:
        if not self.config.unsolicited or not self._connected:
            return
        if self._unsolicited is not None or self._series is not None:
            return
        writer = Writer(self.config.fragment_bytes - _RESPONSE_HEADER)
        if self._null_confirmed:
            classes = sorted(self._functions.unsolicited_classes)
            if not any(self.events.waiting(event_class) for event_class in classes):
                return
            EventPiece(self.events.select(classes, None, len(self.events)), 0).write(writer)
            self.events.mark_written(writer.events)
        control = FIR | FIN | CON | UNS | self._unsolicited_sequence
        body = b"".join(writer.parts)
        fragment = response(control, self._indications(), body, Function.UNSOLICITED_RESPONSE)
        until_s = now_s + self.config.confirm_timeout_s
        self._unsolicited = _Unsolicited(self._unsolicited_sequence, until_s, fragment, not writer.events)
        self._send(fragment)
