"""One running site: configuration, meters, point table, servers, and their life together."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.app.audit_events import access_priorities, told_of
from bridge.app.command_side import CommandSide
from bridge.app.confirm import ConfirmationWanted, Confirmed
from bridge.app.faces import Face, missing_extra, number_and_project
from bridge.app.field_side import FieldSide
from bridge.app.indexes import Indexes
from bridge.app.notices import ServerNotices
from bridge.app.own import OwnServices
from bridge.app.tls_files import tls_faults
from bridge.commands.chain import Record
from bridge.commands.router import Carrier
from bridge.config.ledger_file import LEDGER_FILE, read_ledger, write_ledger
from bridge.config.load import load_site
from bridge.config.model import SiteConfig
from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Origin, Outcome
from bridge.core.errors import ConfigErrors
from bridge.core.operations import NoOperations, OperationsPort
from bridge.core.point import DeviceDef, PointDef, Value
from bridge.core.ports import Grant
from bridge.core.quantity import Quantity, meaning_of
from bridge.core.store import PointStore
from bridge.field.modbus.notice import Notice
from bridge.services.followers import Followers
from bridge.services.identity import exchanged
from bridge.services.staleness import Staleness
from bridge.workers.requests import Services
from bridge.workers.status import State, Status
from bridge.workers.supervisor import Supervisor
from bridge.workers.systemd import Notifier
from bridge.workers.worker import WorkerSpec

log = logging.getLogger("bridge.app")
# who a command comes from that the policy has let through
_ITSELF = Origin("bridge", "", "")
_SECOND_NS = 1_000_000_000
# ns that setting the clock of a meter may take
_SET_NS = 5 * _SECOND_NS
# who a reload by signal or command line comes from
_NOBODY = Origin("", "", "")
# ns without any request to any device after which the poll loop counts as hung; the longest back-off is 300 s
_UNASKED_NS = 400_000_000_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be run, with the servers it makes."""

    config: SiteConfig
    faces: Sequence[Face]


class Bridge:
    """Main thread, loop thread only. `run` returns after `stop`."""

    def __init__(self, site: Path, clock: Clock) -> None:
        self._site, self._clock = site, clock
        self._indexes = Indexes()
        loaded = self._load()
        self.config, self.faces = loaded.config, loaded.faces
        self.store = PointStore(self.config.points, self.config.devices, on_fault=_subscriber_failed)
        self.own = OwnServices(self.store, clock)
        self.commands = CommandSide(self.store, self.config, clock, self._writer_of)
        self._notices = ServerNotices(self.own.events, self.own.alarms)
        self._stopping = asyncio.Event()
        self._reload_wanted = asyncio.Event()
        self._all_ready = asyncio.Event()
        self._on_ready: Callable[[Bridge], None] = lambda bridge: None
        self._reloading = asyncio.Lock()
        # requests to devices so far, and when their number last moved
        self._asked = 0, clock.monotonic_ns()
        self._staleness: Staleness | None = None
        self._followers: Followers | None = None
        self.field: FieldSide | None = None
        self.supervisor: Supervisor | None = None
        # what answers the questions of servers about the bridge; before `run`
        self.operations: OperationsPort = NoOperations()

    @property
    def pid(self) -> int:
        """Of the core process."""
        return os.getpid()

    @property
    def clock(self) -> Clock:
        return self._clock

    def when_ready(self, call: Callable[["Bridge"], None]) -> None:
        """Call `call` once, when every enabled server answers."""
        self._on_ready = call

    def stop(self) -> None:
        """End within 5 s. May be called from a signal handler of the loop."""
        self._stopping.set()

    def reload_soon(self) -> None:
        """Reload from a signal handler; faults go to the log."""
        self._reload_wanted.set()

    async def run(self) -> None:
        """Poll and serve until `stop`."""
        async with asyncio.TaskGroup() as group:
            await self._serve(group)

    async def reload(self, confirmed: Confirmed = Confirmed.NO, by: Origin | None = None) -> Sequence[Face]:
        """
        Take over the files of the site as they are now; return the servers. `confirmed`: that devices become other
        meters, which changes what is billed by them. `by`: who asked for it, for the audit.

        Raises: ConfigErrors, ConfirmationWanted; then everything stays as it was.
        """
        by = by or _NOBODY
        async with self._reloading:
            assert self.field is not None
            assert self.supervisor is not None
            try:
                loaded = await asyncio.to_thread(self._load, self.config.devices, confirmed)
            except ConfigErrors as exc:
                fault = f"{len(exc.errors)} mistakes, the first: {exc.errors[0]}"
                self.own.reloaded(fault)
                await self.commands.reloaded(fault, by)
                raise
            except ConfirmationWanted as exc:
                self.own.reloaded(f"not confirmed: {exc}")
                raise
            self.config, self.faces = loaded.config, loaded.faces
            await self.field.apply(self.config, self._swap)
            self.supervisor.reload(self._specs())
            self._notices.servers([face.name for face in self.faces])
            self.own.reloaded("")
            await self.commands.reloaded("", by)
            return self.faces

    def statuses(self) -> list[Status]:
        """Of every server, in the order of the configuration."""
        lacking = [(face.name, missing_extra(face)) for face in self.faces]
        absent = [Status(name, State.NOT_INSTALLED, last_end=why) for name, why in lacking if why]
        return [*(self.supervisor.statuses() if self.supervisor is not None else []), *absent]

    def servers(self) -> Sequence[Face]:
        """The servers that this installation can run."""
        return [face for face in self.faces if not missing_extra(face)]

    def _specs(self) -> list[WorkerSpec]:
        return [face.spec(self.config.state_dir) for face in self.servers()]

    def _load(self, before: Sequence[DeviceDef] = (), confirmed: Confirmed = Confirmed.NO) -> Loaded:
        """`before`: the devices of the configuration in force. Raises: ConfigErrors, ConfirmationWanted."""
        config = self._indexes.settle(load_site(self._site))
        ledger_path = config.directory / LEDGER_FILE
        faces, spaces = number_and_project(config, read_ledger(ledger_path))
        faults = tls_faults(faces, self._clock.utc_ns())
        if faults:
            raise ConfigErrors(faults)
        changes = exchanged(before, config.devices)
        if changes and confirmed is Confirmed.NO:
            raise ConfirmationWanted(changes)
        write_ledger(ledger_path, spaces)
        for warning in config.warnings:
            log.warning("config %s", warning)
        for face in faces:
            if lacking := missing_extra(face):
                log.warning("server %s not started: %s", face.name, lacking)
        return Loaded(config, faces)

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        staleness = Staleness(self.store, self._clock)
        field = self.field = FieldSide(self.own.gate, self._clock, self._noticed, group, self.own.gate.registers)
        self._followers = Followers(self.store, field.refresh)
        self._staleness = staleness
        self.commands.start(group)
        lines = self.commands.lines(field.channels, field.timeout_s, field.overheard)
        services = Services(
            self.store,
            self.commands.router,
            lines,
            self._clock,
            self.own.alarms,
            history=self.own.past,
            logins=self.commands.logins,
            refusals=self.commands,
            notices=self._notices,
            operations=self.operations,
        )
        if any(Grant.LOGINS in face.projected.needs.grants for face in self.faces):
            self.commands.offer_token()
        supervisor = self.supervisor = Supervisor(self.store, services, on_status=self._server_changed)
        self.own.events.subscribe(supervisor.happened)
        self.own.commands.set_clock = self._set_clock
        self.commands.on_record = self._audited
        self.own.alarms.subscribe(supervisor.alarm_changed)
        notifier = Notifier.from_environment(os.environ, os.getpid())
        await self.own.start(self.config)
        self._offer_own()
        helpers = [
            group.create_task(notifier.watch(self.polling), name="watchdog"),
            group.create_task(staleness.run(), name="staleness"),
            group.create_task(self.own.run(), name="services"),
            group.create_task(self._tell_when_ready(notifier), name="ready"),
            group.create_task(self._reload_when_asked(), name="reload"),
        ]
        serving = group.create_task(supervisor.run(self._specs()), name="supervisor")
        if not self.faces:
            # no server will ever say so
            self._all_ready.set()
        await field.apply(self.config, lambda: None)
        await self._stopping.wait()
        notifier.stopping()
        for helper in helpers:
            helper.cancel()
        supervisor.stop()
        await field.stop()
        await self.commands.stop()
        await serving
        await self.own.stop()
        notifier.close()

    async def _tell_when_ready(self, notifier: Notifier) -> None:
        await self._all_ready.wait()
        log.info("ready servers=%d points=%d", len(self.servers()), len(self.config.points))
        notifier.ready(f"{len(self.servers())} servers, {len(self.config.points)} points")
        self._on_ready(self)

    @property
    def site(self) -> Path:
        """The site file."""
        return self._site

    def polling(self) -> bool:
        """Whether the meters are still being asked: what the service manager's watchdog hangs on."""
        assert self.field is not None
        requests = self.field.requests()
        now_ns = self._clock.monotonic_ns()
        # a line that somebody has for himself may be the only one
        leased = any(channel.leased for channel in self.field.channels.values())
        if requests != self._asked[0] or not self.config.field or leased:
            self._asked = requests, now_ns
        return now_ns - self._asked[1] < _UNASKED_NS

    @property
    def ready(self) -> bool:
        """Whether every enabled server answers."""
        statuses = [status for status in self.statuses() if status.state is not State.NOT_INSTALLED]
        return len(statuses) == len(self.servers()) and all(s.state is State.READY for s in statuses)

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                await self.reload()
            except ConfigErrors as exc:
                for error in exc.errors:
                    log.error("reload refused %s", error)
            except ConfirmationWanted as exc:
                log.error("reload refused %s: confirm it with `meterbridge reload`", exc)
            else:
                log.info("reload done servers=%d points=%d", len(self.faces), len(self.config.points))

    def _server_changed(self, status: Status) -> None:
        log.info("server %s state=%s pid=%d %s", status.name, status.state.value, status.pid, status.last_end)
        if self.ready:
            self._all_ready.set()

    def _swap(self) -> None:
        self.store.redefine(self.config.points, self.config.devices)
        for service in (self._staleness, self._followers):
            if service is not None:
                service.redefine()
        self.own.apply(self.config)
        self._offer_own()
        self.commands.apply(self.config)

    def _audited(self, record: Record) -> None:
        told = told_of(record, access_priorities(self.config.services.events))
        if record.kind == "command" and record.result == "done":
            self._carried_out(record.target)
        if told is not None:
            self.own.events.record(told.kind, told.priority, told.text, device=told.device, user=told.user)

    def _offer_own(self) -> None:
        self.commands.local.replace(dict.fromkeys(self.own.commands.points(), self._obey))

    async def _obey(self, definition: PointDef, value: Value) -> CommandResult:
        return await self.own.commands.submit(Command(definition.index, value, _ITSELF, 0))

    def _carried_out(self, target: str) -> None:
        device, _, name = target.partition(".")
        if meaning_of(name).quantity is Quantity.SYNC_CLOCK:
            self.own.device_clocks.was_set(device)

    async def _set_clock(self, device: str) -> CommandResult:
        """T-06: write the time into the register of the meter's clock, which it shows when it is read back."""
        writer = self._writer_of(device)
        clocks = [d.index for d in self.store.defs() if d.device == device and d.writable and _is_clock(d)]
        if writer is None or not clocks:
            return CommandResult(Outcome.NOT_WRITABLE)
        # meters count whole seconds
        utc_ns = (self._clock.utc_ns() + _SECOND_NS // 2) // _SECOND_NS * _SECOND_NS
        return await writer.write(Command(clocks[0], utc_ns, _ITSELF, self._clock.monotonic_ns() + _SET_NS))

    def _writer_of(self, device: str) -> Carrier | None:
        return self.field.writer_of(device) if self.field is not None else None

    def _noticed(self, notice: Notice) -> None:
        log.info("field %s device=%s %s", notice.kind.value, notice.device, notice.text)
        self.own.noticed(notice)


def _is_clock(definition: PointDef) -> bool:
    return definition.meaning.quantity is Quantity.DEVICE_CLOCK


def _subscriber_failed(exc: Exception) -> None:
    log.error("a subscriber of the point table failed", exc_info=exc)
