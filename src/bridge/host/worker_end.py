"""The worker's end of the link: keeps the image, carries commands, raw requests and events."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar

from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Origin, Outcome
from bridge.core.errors import FrameError, LinkError, OperationRefused, RawFailure, RawRefused
from bridge.core.event import Event
from bridge.core.login import BUSY, WRONG, LoginResult
from bridge.core.secret import Secret
from bridge.host.alarms import AlarmImage
from bridge.host.clients import Clients, Delays
from bridge.host.history import HistoryImage
from bridge.host.image import PointImage
from bridge.host.refusals import RefusalCounts
from bridge.host.tunnels import WorkerTunnels
from bridge.link import codec, wire
from bridge.link.pipe import Pipe

T = TypeVar("T")
# Bytes read per turn: one socket buffer.
RECEIVE_BYTES = 262_144
# Counters in a Health frame: 32 of the projection and ours.
COUNTERS_MOST = 48
# Seconds that the core may take to answer a question about itself; a check of 1,000 meters takes 3.
QUESTION_S = 15.0
# Seconds that a login may take; hashing is slow on purpose, and others may be before us.
LOGIN_S = 10.0
# Bytes of a password and characters of a name; nobody types more.
PASSWORD_BYTES = 1024
TARGET_LENGTH = 200
# Characters of a notice: a path and the first fault of a file.
NOTICE_LENGTH = 400
# Seconds per tick and ticks without any frame until the core counts as lost: it pings every second. Ticks,
# not elapsed time: a worker that was itself stopped must not blame the core.
_TICK_S = 1.0
_TICKS_LOST = 4
# who waits for an answer that nobody waits for any more
_NOBODY: tuple[None, int] = None, 0
# s; how late a raw request may be told that its time is over
_SWEEP_S = 0.25


class WorkerEnd:
    """Loop thread only. The CommandPort, EventStream and RawLinePort of a projection in its own process."""

    def __init__(self, pipe: Pipe, image: PointImage, clock: Clock) -> None:
        self._pipe, self._image, self._clock = pipe, image, clock
        self._loop = asyncio.get_running_loop()
        self._decoder = codec.worker_decoder()
        self._out: deque[bytes] = deque()
        self._next_id = 0
        self._commands: dict[int, asyncio.Future[CommandResult]] = {}
        # until answered: who waits, and how long at most
        self._raws: dict[int, tuple[asyncio.Future[bytes], int]] = {}
        self._raws_swept: asyncio.TimerHandle | None = None
        self._questions: dict[int, asyncio.Future[bytes]] = {}
        self._logins: dict[int, asyncio.Future[LoginResult]] = {}
        self._refusals = RefusalCounts()
        self._deliver: dict[int, tuple[Callable[[Event], None], Callable[[int, int], None]]] = {}
        self._quiet_ticks = 0
        self._tick: asyncio.TimerHandle | None = self._loop.call_later(_TICK_S, self._on_tick)
        self.counters: dict[str, int] = {}
        self.clients, self._delays = Clients(self._loop.time), Delays()
        self.alarms = AlarmImage(self._acknowledge, self._confirm)
        self.history = HistoryImage(self._send, self._new_id)
        self.hello: asyncio.Future[wire.Hello] = self._loop.create_future()
        self.loaded = asyncio.Event()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        tunnels = self._tunnels = WorkerTunnels(self._send, self._new_id)
        self.tunnel = tunnels.tunnel
        pipe.open(self._received, self._pump, self._broken)

    def ready(self, pid: int) -> None:
        self._send(wire.Ready(wire.WIRE_VERSION, pid))

    async def submit(self, command: Command) -> CommandResult:
        """CommandPort: BUSY beyond wire.REQUESTS_KEPT under way; TIMED_OUT also means "nobody knows"."""
        return await self._answered(lambda id_: wire.CommandRequest(id_, command), command.deadline_ns)

    async def _acknowledge(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        return await self._answered(lambda id_: wire.Acknowledge(id_, alarm, origin, deadline_ns), deadline_ns)

    async def _confirm(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        return await self._answered(lambda id_: wire.Confirm(id_, alarm, origin, deadline_ns), deadline_ns)

    async def _answered(self, request: Callable[[int], wire.Frame], deadline_ns: int) -> CommandResult:
        if len(self._commands) >= wire.REQUESTS_KEPT:
            return CommandResult(Outcome.BUSY)
        done: asyncio.Future[CommandResult] = self._loop.create_future()
        number = self._new_id()
        self._commands[number] = done
        try:
            self._send(request(number))
            return await self._until(done, deadline_ns)
        except (OverflowError, UnicodeEncodeError):
            # no frame carries such a value, and no register takes it
            return CommandResult(Outcome.OUT_OF_RANGE)
        except (TimeoutError, LinkError):
            return CommandResult(Outcome.TIMED_OUT)
        finally:
            del self._commands[number]

    async def exchange(
        self,
        channel: str,
        user: str,
        unit_id: int,
        pdu: bytes,
        deadline_ns: int,
        timeout_s: float = 0.0,
        identity: str = "",
    ) -> bytes:
        """RawLinePort. Raises: RawRefused."""
        if len(self._raws) >= wire.REQUESTS_KEPT:
            raise RawRefused(RawFailure.BUSY, f"{wire.REQUESTS_KEPT} requests under way")
        done: asyncio.Future[bytes] = self._loop.create_future()
        number = self._new_id()
        self._raws[number] = done, deadline_ns
        if self._raws_swept is None:
            self._raws_swept = self._loop.call_later(_SWEEP_S, self._sweep_raws)
        try:
            self._send(wire.RawRequest(number, channel, user, unit_id, pdu, deadline_ns, timeout_s, identity))
            return await done
        finally:
            del self._raws[number]

    def _sweep_raws(self) -> None:
        """One timer for all of them: one of its own for each costs a tenth of a request."""
        now_ns = self._clock.monotonic_ns()
        for done, deadline_ns in self._raws.values():
            if deadline_ns <= now_ns:
                fail(done, RawRefused(RawFailure.TIMED_OUT))
        self._raws_swept = self._loop.call_later(_SWEEP_S, self._sweep_raws) if self._raws else None

    async def ask(self, what: str, arguments: Mapping[str, str]) -> bytes:
        """OperationsPort. Raises: OperationRefused."""
        return await self._asked(lambda id_, until: wire.CoreRequest(id_, what, dict(arguments), until))

    async def order(self, what: str, arguments: Mapping[str, str], origin: Origin) -> bytes:
        """OperationsPort. Raises: OperationRefused."""
        return await self._asked(lambda id_, until: wire.OrderRequest(id_, what, dict(arguments), origin, until))

    async def _asked(self, request: Callable[[int, int], wire.Frame]) -> bytes:
        if len(self._questions) >= wire.REQUESTS_KEPT:
            raise OperationRefused(f"{wire.REQUESTS_KEPT} questions under way")
        done: asyncio.Future[bytes] = self._loop.create_future()
        number = self._new_id()
        self._questions[number] = done
        deadline_ns = self._clock.monotonic_ns() + round(QUESTION_S * 1e9)
        try:
            self._send(request(number, deadline_ns))
            return await self._until(done, deadline_ns)
        except UnicodeEncodeError as exc:
            raise OperationRefused("no Unicode text") from exc
        except TimeoutError as exc:
            raise OperationRefused("the core does not answer") from exc
        finally:
            del self._questions[number]

    async def login(self, peer: str, user: str, password: Secret) -> LoginResult:
        """Authenticator: BUSY beyond wire.REQUESTS_KEPT under way, after LOGIN_S, and without a core."""
        if len(self._logins) >= wire.REQUESTS_KEPT:
            return BUSY
        done: asyncio.Future[LoginResult] = self._loop.create_future()
        number = self._new_id()
        self._logins[number] = done
        deadline_ns = self._clock.monotonic_ns() + round(LOGIN_S * 1e9)
        try:
            text = password.reveal().encode("utf-8", "replace")
            if len(text) > PASSWORD_BYTES or len(user) > PASSWORD_BYTES:
                return WRONG
            self._send(wire.LoginRequest(number, peer, user, text, deadline_ns))
            return await self._until(done, deadline_ns)
        except UnicodeEncodeError:
            return WRONG
        except (TimeoutError, LinkError):
            return BUSY
        finally:
            del self._logins[number]

    def refused(self, origin: Origin, target: str, reason: str) -> None:
        """RefusalSink: at most REFUSALS_PER_S frames a second; more of them are counted into the next."""
        for frame in self._refusals.tell(origin, target[:TARGET_LENGTH], reason, self._clock.monotonic_ns()):
            try:
                self._send(frame)
            except UnicodeEncodeError:
                # half a surrogate pair in a name that a stranger chose
                continue

    def tell(self, text: str, fault: bool) -> None:
        """NoticeSink: at most NOTICE_LENGTH characters; a name of a file may be no Unicode."""
        plain = text[:NOTICE_LENGTH].encode("utf-8", "replace").decode()
        self._send(wire.Notice(plain, fault))

    def subscribe(self, deliver: Callable[[Event], None], lost: Callable[[int, int], None]) -> Callable[[], None]:
        key = self._new_id()
        self._deliver[key] = (deliver, lost)
        return lambda: void(self._deliver.pop(key, None))

    def close(self) -> None:
        for timer in (self._tick, self._raws_swept):
            if timer is not None:
                timer.cancel()
        self._tick = self._raws_swept = None
        self._pipe.close()

    async def _until(self, done: asyncio.Future[T], deadline_ns: int) -> T:
        async with asyncio.timeout(max(deadline_ns - self._clock.monotonic_ns(), 0) / 1e9):
            return await done

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _send(self, frame: wire.Frame) -> None:
        """Bounded by wire.REQUESTS_KEPT of each kind, one Health per Ping, and wire.TUNNEL_WINDOW per tunnel."""
        self._out.append(codec.encode(frame))
        self._pump()

    def _health(self, number: int) -> None:
        counters = {name[:32]: count for name, count in list(self.counters.items())[:COUNTERS_MOST]}
        self._send(wire.Health(number, counters))

    def _pump(self) -> None:
        while self._out and self._pipe.has_room:
            self._pipe.send(self._out.popleft())

    def _received(self, data: bytes) -> None:
        self._quiet_ticks = 0
        self._image.core_back()
        try:
            frames = self._decoder.feed(data)
        except FrameError as exc:
            self._pipe.close()
            self._broken(str(exc))
            return
        for frame in frames:
            self._take(frame)

    def _take(self, frame: wire.ToWorker) -> None:
        match frame:
            case wire.Changes():
                self._image.change(frame.samples)
                self._delays.arrived(frame.samples, self._clock.monotonic_ns(), self._clock.utc_ns())
            case wire.EventFrame():
                for deliver, _ in list(self._deliver.values()):
                    deliver(frame.event)
            case wire.EventsLost():
                for _, lost in list(self._deliver.values()):
                    lost(frame.first, frame.last)
            case wire.Alarms():
                self.alarms.change(frame.alarms)
            case wire.CommandDone():
                finish(self._commands.get(frame.id), frame.result)
            case wire.RawDone(reply=reply, failure=RawFailure.NONE):
                finish(self._raws.get(frame.id, _NOBODY)[0], reply)
            case wire.RawDone():
                fail(self._raws.get(frame.id, _NOBODY)[0], RawRefused(frame.failure, frame.message))
            case wire.TunnelTaken() | wire.TunnelBytes() | wire.TunnelOver():
                self._tunnels.take(frame)
            case wire.CoreAnswer(body=body, refused=""):
                finish(self._questions.get(frame.id), body)
            case wire.CoreAnswer():
                fail(self._questions.get(frame.id), OperationRefused(frame.refused))
            case wire.RecordsDone():
                self.history.answered_records(frame.id, frame.page)
            case wire.HistoryDone():
                self.history.answered(frame.id, frame.page)
            case wire.LoginDone():
                finish(self._logins.get(frame.id), frame.result)
            case wire.Ping():
                self._health(frame.number)
            case wire.CensusWanted():
                self._send(wire.CensusTaken(frame.id, self._delays.census(self.clients.rows())))
            case wire.Definitions():
                self._image.define(frame)
            case wire.Snapshot():
                self._image.load(frame)
                if self._image.complete:
                    self.loaded.set()
            case wire.Hello():
                finish(self.hello, frame)
            case wire.Stop():
                finish(self.ended, "stop")

    def _broken(self, why: str) -> None:
        self._image.core_lost()
        for command in self._commands.values():
            fail(command, LinkError(why))
        self.history.lost(why)
        for login in self._logins.values():
            fail(login, LinkError(why))
        for raw, _ in self._raws.values():
            fail(raw, RawRefused(RawFailure.CORE_LOST, why))
        for question in self._questions.values():
            fail(question, OperationRefused(why))
        self._tunnels.lost(RawRefused(RawFailure.CORE_LOST, why))
        finish(self.ended, why)

    def _on_tick(self) -> None:
        self._quiet_ticks += 1
        if self._quiet_ticks >= _TICKS_LOST:
            self._image.core_lost()
        self._tick = self._loop.call_later(_TICK_S, self._on_tick)


def finish(future: asyncio.Future[T] | None, value: T) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def fail(future: asyncio.Future[T] | None, error: LinkError) -> None:
    if future is not None and not future.done():
        future.set_exception(error)


def void(_: object) -> None:
    """Make an expression a statement."""
