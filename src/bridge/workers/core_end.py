"""The core's end of one worker's link: what the worker must hear, in which order, and what it may ask."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from itertools import islice

from bridge.core.alarm import Alarm
from bridge.core.errors import FrameError
from bridge.core.point import Batch
from bridge.core.ports import Grant, Needs
from bridge.link import codec, wire
from bridge.link.pipe import Pipe
from bridge.workers.requests import Requests
from bridge.workers.requests import Services as Services
from bridge.workers.tunnels import TunnelDesk

# Events kept for a worker that does not read; our choice. The history has the rest by number.
EVENTS_KEPT = 1000
# Frames sent before the loop gets its turn again: 2 chunks of 1,000 points are 0.25 ms of CPU, and with eight
# workers starting at once it is 8 times that.
FRAMES_PER_TURN = 2
# Bytes read from a worker before the others get their turn: some 300 commands.
RECEIVE_BYTES = 16_384
# Answers kept for a worker that asks and does not read; with more it is not heard until it reads.
ANSWERS_KEPT = 4 * wire.REQUESTS_KEPT
# Seconds a worker that floods us with what is refused is not heard. Less than the silence that counts as hung.
FLOOD_PAUSE_S = 1.0


class CoreEnd:
    """
    Loop thread only. While the worker reads, shared frames go straight to its socket. When it stops
    reading, only the indexes of changed points are kept (at most one per point of its own); their newest
    samples are looked up when there is room again. Events are kept up to EVENTS_KEPT, then reported lost.
    """

    def __init__(
        self,
        pipe: Pipe,
        services: Services,
        spawn: Callable[[Coroutine[None, None, None]], object],
        on_frame: Callable[[wire.Answering], None],
        on_broken: Callable[[str], None],
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        """`flush`: send what was published so far; a client that has written reads its own value next."""
        self._pipe, self._services, self._spawn = pipe, services, spawn
        self._on_frame, self._on_broken = on_frame, on_broken
        self._decoder = codec.core_decoder()
        self._needs = Needs(frozenset())
        self._mine: frozenset[int] = frozenset()
        self._control: deque[bytes] = deque()
        self._events: deque[tuple[int, bytes]] = deque()
        self._lost: tuple[int, int] | None = None
        # newest state of each alarm the worker has not got yet; as many as there are alarms
        self._alarms: dict[int, Alarm] = {}
        self._parts: Iterator[bytes] | None = None
        self._dirty: dict[int, None] = {}
        self._pump_due = False
        self._requests = Requests(services, spawn, self.control, self._pause, flush)
        self._tunnels = TunnelDesk(services.lines, spawn, self.control)
        self._paused: asyncio.TimerHandle | None = None
        self._choked = False
        # times this worker was not heard for a while
        self.floods = 0
        pipe.open(self._received, self._pump, on_broken)

    @property
    def behind(self) -> int:
        """Points whose newest sample the worker has not got yet."""
        return len(self._dirty)

    def introduce(self, needs: Needs, name: str = "") -> None:
        """
        Send the point list and the whole image. Once: what means something else gets a new process. `name`: the
        protocol in whose name it may ask.
        """
        self._needs, self._mine = needs, needs.points
        self._requests.grant(needs, name)
        self._tunnels.grant(needs)
        if Grant.ALARMS in needs.grants:
            self._alarms = {alarm.id: alarm for alarm in self._services.alarms.alarms()}
        self._parts = self._introduction()
        self._pump()

    def silence(self) -> None:
        """Before the end: no more image, and no more requests, for a process whose points may be gone."""
        self._needs, self._mine = Needs(frozenset()), frozenset()
        self._requests.grant(self._needs)
        self._tunnels.grant(self._needs)
        self._dirty, self._parts = {}, None
        self._events.clear()
        self._alarms.clear()

    def control(self, frame: wire.Frame) -> None:
        """Ping, Stop and answers go first."""
        self._control.append(codec.encode(frame))
        self._pump()
        if len(self._control) >= ANSWERS_KEPT and not self._choked:
            self._choked = True
            self._pipe.pause()

    def published(self, frame: bytes, samples: Batch) -> None:
        """`frame` is `samples` encoded, shared by all workers."""
        if self._idle and self._pipe.has_room:
            if self._mine:
                self._pipe.send(frame)
        else:
            mine = self._mine
            self._dirty.update([(index, None) for index, _ in samples if index in mine])

    def happened(self, number: int, frame: bytes) -> None:
        if Grant.EVENTS not in self._needs.grants:
            return
        if len(self._events) >= EVENTS_KEPT:
            oldest, _ = self._events.popleft()
            self._lost = (self._lost[0] if self._lost else oldest, oldest)
        self._events.append((number, frame))
        self._pump()

    def alarm_changed(self, alarm: Alarm) -> None:
        if Grant.ALARMS in self._needs.grants:
            self._alarms[alarm.id] = alarm
            self._pump()

    def close(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
        self._tunnels.close()
        self._pipe.close()

    @property
    def _idle(self) -> bool:
        return not (self._control or self._events or self._alarms or self._dirty or self._lost) and self._parts is None

    def _pump(self) -> None:
        """Send what waits while there is room; give way to the loop every FRAMES_PER_TURN."""
        if self._pump_due:
            return
        for _ in range(FRAMES_PER_TURN):
            if not self._pipe.has_room:
                return
            frame = self._next()
            if frame is None:
                return
            self._pipe.send(frame)
        self._pump_due = True
        asyncio.get_running_loop().call_soon(self._pump_again)

    def _pump_again(self) -> None:
        self._pump_due = False
        self._pump()

    def _next(self) -> bytes | None:
        if self._control:
            if self._choked and len(self._control) <= wire.REQUESTS_KEPT:
                self._choked = False
                self._hear()
            return self._control.popleft()
        if self._lost is not None:
            (first, last), self._lost = self._lost, None
            return codec.encode(wire.EventsLost(first, last))
        if self._events:
            return self._events.popleft()[1]
        if self._alarms:
            some = list(islice(self._alarms, wire.CHUNK_ALARMS))
            return codec.encode(wire.Alarms([self._alarms.pop(id_) for id_ in some]))
        if self._parts is not None:
            part = next(self._parts, None)
            if part is not None:
                return part
            self._parts = None
        if self._dirty:
            chunk = list(islice(self._dirty, wire.CHUNK_POINTS))
            for index in chunk:
                del self._dirty[index]
            return codec.encode_samples(wire.Changes, [(i, self._services.points.get(i)) for i in chunk])
        return None

    def _introduction(self) -> Iterator[bytes]:
        """Encoded one chunk at a time, with the newest samples, when the worker has room for it."""
        points, order, size = self._services.points, sorted(self._mine), wire.CHUNK_POINTS
        mine = {points.definition(index).device for index in order}
        devices = [device for device in points.devices() if device.id in mine]
        chunks = [order[at : at + size] for at in range(0, len(order), size)] or [[]]
        for number, chunk in enumerate(chunks, start=1):
            remaining = max(len(order) - number * size, 0) + len(devices)
            yield codec.encode(wire.Definitions(remaining, [points.definition(i) for i in chunk], []))
        for at in range(0, len(devices), size):
            part = devices[at : at + size]
            yield codec.encode(wire.Definitions(len(devices) - at - len(part), [], part))
        for number, chunk in enumerate(chunks, start=1):
            remaining = max(len(order) - number * size, 0)
            yield codec.encode_samples(partial(wire.Snapshot, remaining), [(i, points.get(i)) for i in chunk])

    def _received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
        except FrameError as exc:
            self.close()
            self._on_broken(str(exc))
            return
        for frame in frames:
            if isinstance(frame, wire.Answering):
                self._on_frame(frame)
            elif isinstance(frame, wire.TunnelFrame):
                self._tunnels.take(frame)
            else:
                self._requests.ask(frame)

    def _pause(self) -> None:
        if self._paused is None:
            self.floods += 1
            self._pipe.pause()
            self._paused = asyncio.get_running_loop().call_later(FLOOD_PAUSE_S, self._pause_over)

    def _pause_over(self) -> None:
        self._paused = None
        self._hear()

    def _hear(self) -> None:
        if self._paused is None and not self._choked:
            self._pipe.resume()
