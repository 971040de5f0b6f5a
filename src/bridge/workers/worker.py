"""One server for the life of the core: its processes, one after the other, and its state."""

import asyncio
import math
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace

from bridge.core.client import Census
from bridge.core.ports import Needs
from bridge.link import wire
from bridge.link.pipe import END_OF_STREAM, Pipe
from bridge.workers.core_end import RECEIVE_BYTES, CoreEnd
from bridge.workers.feed import Feed
from bridge.workers.process import ChildProcess
from bridge.workers.requests import Services
from bridge.workers.status import State as State
from bridge.workers.status import Status as Status


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. The defaults are the product's; tests shorten them."""

    ready_s: float = 30.0
    ping_s: float = 1.0
    # A worker counts as hung, and is killed, when this many seconds' pings are unanswered. Pings, not time:
    # after a pause of the core itself nobody is to blame.
    hung_s: float = 5.0
    backoff_first_s: float = 0.2
    backoff_most_s: float = 30.0
    # A run this long forgives all failures before it.
    good_run_s: float = 10.0
    # From Stop to SIGTERM, and from SIGTERM to SIGKILL: together under the 5 s of a clean stop.
    stop_s: float = 2.0
    term_s: float = 1.5


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """`module` holds PROJECTION. `plan`: the resolved mapping, MessagePack. `state_dir`: a folder of its own."""

    name: str
    module: str
    plan: bytes
    needs: Needs
    state_dir: str = ""


def backoff_s(failures: int, timing: Timing) -> float:
    """Doubles with every failure in a row."""
    return float(min(timing.backoff_first_s * 2 ** min(failures - 1, 30), timing.backoff_most_s))


# s that a worker may take to say who its clients are
CENSUS_S = 1.0
_DIED = "died"
Spawn = Callable[[Coroutine[None, None, None]], object]
OnStatus = Callable[[Status], None]


class Worker:
    """
    Loop thread only. `spawn` runs the commands of this worker in the supervisor's task group: a command
    under way outlives the worker that asked for it, because half a write must not be cut off.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        services: Services,
        feed: Feed,
        timing: Timing,
        spawn: Spawn,
        on_status: OnStatus = lambda status: None,
    ) -> None:
        self._spec, self._on_status = spec, on_status
        self._services, self._feed, self._timing, self._spawn = services, feed, timing, spawn
        self._loop = asyncio.get_running_loop()
        self._link: CoreEnd | None = None
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._reloading = False
        self._broken = ""
        self._born_at = self._ready_at = self._probed_at = 0.0
        self._answered = 0
        self._censuses: dict[int, asyncio.Future[Census]] = {}
        self._status = Status(spec.name)

    @property
    def status(self) -> Status:
        """As it is now; `on_status` hears of every change of state, process or reason."""
        link, ready = self._link, self._status.state is State.READY
        return replace(
            self._status,
            points_behind=link.behind if link else 0,
            floods=link.floods if link else 0,
            probe_age_s=self._loop.time() - self._probed_at if ready else math.inf,
        )

    async def census(self) -> Census:
        """Ask the worker who its clients are; one that does not answer has none to tell of."""
        link = self._link
        if link is None or self._status.state is not State.READY:
            return Census()
        number = max(self._censuses, default=0) + 1
        taken: asyncio.Future[Census] = self._loop.create_future()
        self._censuses[number] = taken
        try:
            link.control(wire.CensusWanted(number))
            async with asyncio.timeout(CENSUS_S):
                return await taken
        except TimeoutError:
            return Census()
        finally:
            del self._censuses[number]

    async def run(self) -> None:
        while not self._stopping.is_set():
            why, ready_for_s = await self._one_life()
            if self._reloading:
                self._reloading = False
                self._set(State.WAITING, last_end="reload", failures=0)
                continue
            failures = 1 if ready_for_s >= self._timing.good_run_s else self._status.failures + 1
            self._set(State.WAITING, last_end=why, failures=failures)
            await wait(self._stopping, backoff_s(failures, self._timing))
        self._set(State.STOPPED)

    def stop(self) -> None:
        self._stopping.set()
        self._wind_down()

    def reload(self, spec: WorkerSpec, changed: frozenset[int]) -> None:
        """Keep the process if its mapping and its points mean the same; else start a new one."""
        same = spec == self._spec and changed.isdisjoint(spec.needs.points)
        self._spec = spec
        if not same and self._link is not None:
            self._reloading = True
            self._wind_down()

    async def _one_life(self) -> tuple[str, float]:
        """Return why it ended, and for how many seconds it was ready."""
        try:
            process, ours = self._start()
        except OSError as exc:
            # no descriptor, process or memory to be had: it may be there again later
            return f"cannot start: {exc.strerror}", 0.0
        process.exited.add_done_callback(lambda _: self._news.set())
        self._set(State.STARTING, pid=process.pid, starts=self._status.starts + 1)
        self._broken, self._answered, self._born_at = "", 0, self._loop.time()
        pipe = Pipe(ours, RECEIVE_BYTES)
        link = CoreEnd(pipe, self._services, self._spawn, self._heard, self._broke, self._feed.flush)
        self._link = link
        try:
            link.control(wire.Hello(wire.WIRE_VERSION, self._spec.name, self._spec.plan, self._spec.state_dir))
            self._feed.add(link)
            link.introduce(self._spec.needs, self._spec.name)
            why = await self._watch(process, link)
            if self._wanted_down:
                link.control(wire.Stop())
                await asyncio.wait([process.exited], timeout=self._timing.stop_s)
            elif why == _DIED:
                # it has closed its end and is about to exit: its code says more than our SIGTERM
                await asyncio.wait([process.exited], timeout=self._timing.term_s)
        finally:
            self._link = None
            self._feed.remove(link)
            link.close()
            code = await process.end(self._timing.term_s)
        ready_for_s = self._loop.time() - self._ready_at if self._status.state is State.READY else 0.0
        return f"{why}, exit {code}", ready_for_s

    def _start(self) -> tuple[ChildProcess, socket.socket]:
        """Raises: OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                return ChildProcess(self._spec.module, theirs, dict(os.environ)), ours
            except OSError:
                ours.close()
                raise

    async def _watch(self, process: ChildProcess, link: CoreEnd) -> str:
        number = 0
        while True:
            self._news.clear()
            if self._wanted_down:
                return "stop"
            if process.exited.done() or self._broken == END_OF_STREAM:
                return _DIED
            if self._broken:
                return self._broken
            age_s = self._loop.time() - self._born_at
            if self._status.state is State.STARTING and age_s >= self._timing.ready_s:
                return f"not ready after {self._timing.ready_s:g} s"
            if self._status.state is State.READY:
                if (number - self._answered) * self._timing.ping_s >= self._timing.hung_s:
                    return f"silent for {self._timing.hung_s:g} s"
                number += 1
                link.control(wire.Ping(number))
            await wait(self._news, self._timing.ping_s)

    def _wind_down(self) -> None:
        if self._link is not None:
            self._link.silence()
        self._news.set()

    @property
    def _wanted_down(self) -> bool:
        return self._stopping.is_set() or self._reloading

    def _heard(self, frame: wire.Answering) -> None:
        if isinstance(frame, wire.CensusTaken):
            taken = self._censuses.get(frame.id)
            if taken is not None and not taken.done():
                taken.set_result(frame.census)
        elif isinstance(frame, wire.Health):
            self._answered = frame.number
            if frame.counters.get("probe_ok") != self._status.counters.get("probe_ok"):
                self._probed_at = self._loop.time()
            self._status = replace(self._status, counters=frame.counters)
        elif frame.version != wire.WIRE_VERSION:
            self._broke(f"speaks version {frame.version}, not {wire.WIRE_VERSION}")
        else:
            self._ready_at = self._probed_at = self._loop.time()
            after_s = self._ready_at - self._born_at
            self._status = replace(self._status, state=State.READY, ready_after_s=after_s)
            self._news.set()
            self._on_status(self.status)

    def _broke(self, why: str) -> None:
        self._broken = why
        self._news.set()

    def _set(
        self,
        state: State,
        pid: int = 0,
        starts: int | None = None,
        failures: int | None = None,
        last_end: str | None = None,
    ) -> None:
        old = self._status
        self._status = replace(
            old,
            state=state,
            pid=pid,
            starts=old.starts if starts is None else starts,
            failures=old.failures if failures is None else failures,
            last_end=old.last_end if last_end is None else last_end,
        )
        self._on_status(self.status)


async def wait(event: asyncio.Event, timeout_s: float) -> None:
    """Return when the event is set or the time is over."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
