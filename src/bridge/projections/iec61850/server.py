"""Point image -> IEC 61850: the projection's life in its worker."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import msgspec

from bridge.core.command import Command, Origin, Outcome
from bridge.core.listener import Listener
from bridge.core.point import Batch
from bridge.core.ports import Projection, ProjectionContext, Relaying
from bridge.projections.iec61850 import lib61850, probe, source
from bridge.projections.iec61850.cid import MODEL, VENDOR
from bridge.projections.iec61850.controls import Desk, Request
from bridge.projections.iec61850.ied_server import LIBRARY_CLIENTS, LOOPBACK, Identity, IedServer, ServerConfig
from bridge.projections.iec61850.lib61850 import LibraryError
from bridge.projections.iec61850.mms_writes import MmsWrites, is_recorded_elsewhere
from bridge.projections.iec61850.plan import Plan
from bridge.projections.iec61850.source import Loaded
from bridge.projections.iec61850.tpkt import is_whole_request
from bridge.projections.iec61850.tree import Model

log = logging.getLogger("bridge.iec61850")
# Tries to find a loopback port for the library before another process has it.
_PORT_TRIES = 5
# s between two looks at the library's counters
_COUNT_S = 1.0


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._relay: Relaying | None = None
        self._running: _Running | None = None
        self._listener: Listener | None = None

    async def run(self, ctx: ProjectionContext) -> None:
        """Return when the CID file has changed: another model is another process."""
        plan = ctx.plan
        assert isinstance(plan, Plan)
        self._listener = plan.listener
        folder = source.folder_of(plan, ctx.state_dir)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        kinds = {definition.id: definition.kind for definition in ctx.points.defs()}
        with _no_collection():
            loaded = await asyncio.to_thread(source.load, plan, folder, kinds)
        source.record(folder, loaded, ctx.clock.utc_ns())
        _tell(loaded, ctx)
        changed = asyncio.ensure_future(source.changed(folder, loaded.look))
        try:
            if loaded.model is None:
                # the port stays closed, and that is the state wanted: the counters and the log say why
                ctx.ready()
                await changed
            else:
                async with asyncio.TaskGroup() as group:
                    with _no_collection():
                        made = _Running(ctx, plan, loaded.model, group)
                    with made as running:
                        # the model stands in C now; what it was read from is not needed any more
                        loaded = replace(loaded, model=None)
                        lib61850.give_back_memory()
                        await self._serve(ctx, plan.listener, running, changed)
        finally:
            changed.cancel()
        log.info("cid_changed folder=%s", folder)

    async def _serve(
        self, ctx: ProjectionContext, listener: Listener, running: "_Running", changed: asyncio.Future[None]
    ) -> None:
        relay = await ctx.listeners.relay(listener, LOOPBACK, running.port, is_whole_request, running.watch)
        running.relay = self._relay = relay
        self._running = running
        try:
            ctx.ready()
            while not changed.done():
                await asyncio.wait([changed], timeout=_COUNT_S)
                running.count()
        finally:
            self._running = self._relay = None
            relay.close()
            running.cancel()

    @property
    def port(self) -> int:
        """The port of the listener. Raises: AssertionError while it is closed."""
        assert self._relay is not None
        return self._relay.port

    async def probe(self) -> None:
        """
        Raises: as `probe.ask`. A port that is closed for want of a CID has nothing to ask.

        A library that has all the clients it can have answers one more by closing it: its one thread is well.
        """
        if self._relay is None or self._listener is None:
            return
        try:
            await probe.ask(self._listener, self._relay.port)
        except EOFError:
            if self._running is None or not self._running.full:
                raise


class _Running:
    """The library's server, what feeds it and what it asks for. Loop thread only, but for `_asked` and `_failed`."""

    def __init__(self, ctx: ProjectionContext, plan: Plan, model: Model, group: asyncio.TaskGroup) -> None:
        self._ctx, self._plan, self._group = ctx, plan, group
        self._loop = asyncio.get_running_loop()
        self._points = {definition.id: definition for definition in ctx.points.defs()}
        self.relay: Relaying | None = None
        self._controls = frozenset(f"{model.ied}{binding.object}" for binding in model.bindings if binding.control)
        self._commands: set[asyncio.Task[None]] = set()
        desk = Desk(
            submit=self._asked,
            refused=self._refused,
            wrong_password=self._wrong_password,
            monotonic_ns=ctx.clock.monotonic_ns,
            utc_ns=ctx.clock.utc_ns,
            report=self._failed,
            timeout_ns=round(plan.control_timeout_s * 1e9),
        )
        config = ServerConfig(
            Identity(VENDOR, MODEL, own_version()),
            min(plan.listener.max_clients + 1, LIBRARY_CLIENTS),
            plan.reports.buffer_bytes,
            tuple(word.encode() for word in plan.passwords),
            {item.point: item.deadband for meter in plan.meters for item in meter.items if item.deadband},
        )
        self._server = IedServer(lib61850.load(), model, self._points, config, desk)
        self._unsubscribe: Callable[[], None] = _nothing
        self.port = 0

    def __enter__(self) -> "_Running":
        try:
            updates = self._server.updates
            indexes = updates.indexes()
            # before the port opens: no client ever reads a value that is not one
            updates.begin([(index, self._ctx.points.get(index)) for index in indexes])
            self._unsubscribe = self._ctx.points.subscribe(indexes, self._changed)
            self.port = _started(self._server)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._unsubscribe()
        self._server.close()

    def cancel(self) -> None:
        """Give up the commands under way: their deadline is known to the core."""
        for task in self._commands:
            task.cancel()

    @property
    def full(self) -> bool:
        return self._server.full

    def count(self) -> None:
        counters, counts = self._ctx.counters, self._server.updates.counts
        counters["clients"] = self._server.clients
        counters["values_written"], counters["values_unchanged"] = counts.written, counts.suppressed
        counters["values_refused"], counters["blocks_armed"] = counts.refused, self._server.armed

    def _changed(self, batch: Batch) -> None:
        self._server.updates.apply(batch)

    def _asked(self, request: Request) -> None:
        """Server thread."""
        self._loop.call_soon_threadsafe(self._command, request)

    def _refused(self, peer: str, point: str, reason: str) -> None:
        """Server thread."""
        self._loop.call_soon_threadsafe(self._record, peer, point, reason)

    def watch(self, address: str) -> MmsWrites:
        """Return who records what the library refuses a client by itself."""
        return MmsWrites(partial(self._refused_by_library, address))

    def _refused_by_library(self, address: str, item: str, reason: str) -> None:
        if not is_recorded_elsewhere(item, self._controls):
            self._count_up("refused_writes")
            self._ctx.refusals.refused(Origin("iec61850", address, ""), item, reason)

    def _record(self, peer: str, point: str, reason: str) -> None:
        self._ctx.refusals.refused(Origin("iec61850", self._client(peer), ""), point, reason)

    def _wrong_password(self) -> None:
        """Server thread."""
        self._loop.call_soon_threadsafe(self._count_up, "wrong_passwords")

    def _count_up(self, name: str) -> None:
        self._ctx.counters[name] = self._ctx.counters.get(name, 0) + 1

    def _client(self, peer: str) -> str:
        """Return the address of the client that the library sees as `peer`, "address:port" on the loopback."""
        port = int(peer.rpartition(":")[2] or 0)
        return self.relay.client_of(port) if self.relay is not None else ""

    def _failed(self, error: BaseException) -> None:
        """Server thread: what a callback raised."""
        self._loop.call_soon_threadsafe(self._note_failure, f"{type(error).__name__}: {error}")

    def _note_failure(self, text: str) -> None:
        self._count_up("callback_errors")
        log.error("callback_failed error=%s", text)

    def _command(self, request: Request) -> None:
        task = self._group.create_task(self._carry_out(request))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)

    async def _carry_out(self, request: Request) -> None:
        self._count_up("controls")
        origin = Origin("iec61850", self._client(request.peer), f"category {request.originator_category}")
        index = self._points[request.point].index
        result = await self._ctx.commands.submit(Command(index, request.value, origin, request.deadline_ns))
        if result.outcome is not Outcome.DONE:
            self._count_up("refused_controls")
        request.outcome = result.outcome


def _nothing() -> None:
    return


@contextmanager
def _no_collection() -> Iterator[None]:
    """What is made here stays: to look for garbage in it is a quarter of the start, and costs later on."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def _spare_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        yield int(sock.getsockname()[1])


def _started(server: IedServer) -> int:
    """Start on a free port of the loopback; the library cannot ask the kernel for one. Raises: LibraryError."""
    for attempt in range(_PORT_TRIES):
        with _spare_port() as port:
            pass
        try:
            server.start(port)
        except LibraryError:
            if attempt == _PORT_TRIES - 1:
                raise
        else:
            return port
    raise AssertionError("unreachable")


def _tell(loaded: Loaded, ctx: ProjectionContext) -> None:
    """What the bridge runs as, for health, metrics, events and alarms (seed 004, l.4029)."""
    counters, closed = ctx.counters, loaded.model is None
    ctx.notices.tell(f"{'port closed: ' if closed else 'serving '}{loaded.why}", closed)
    counters["serving"] = int(loaded.model is not None)
    counters["cid_faults"] = len(loaded.faults)
    if loaded.model is None:
        log.error("port_closed reason=%s", loaded.why)
    else:
        log.info("cid_loaded ied=%s from=%s values=%d", loaded.model.ied, loaded.why, len(loaded.model.bindings))


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


PROJECTION: type[Projection] = Server
