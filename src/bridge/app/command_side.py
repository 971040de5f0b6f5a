"""Everything about writing, put together: policy, router, audit, raw requests; reloaded together."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from pathlib import Path

from bridge.app.lines import FieldLines, Overheard, TimeoutOf
from bridge.commands.audit import Audit, OnRecord, utc_text
from bridge.commands.audit_files import AuditFiles
from bridge.commands.chain import Fact, Record
from bridge.commands.local import LocalCommands
from bridge.commands.logins import Logins
from bridge.commands.policy import Roles, WritePolicy, host_of
from bridge.commands.raw import raw_policy
from bridge.commands.resets import Resets, write_whole
from bridge.commands.router import CarrierOf, CommandRouter
from bridge.commands.users import SETUP, UserError, UserFile
from bridge.config.model import SiteConfig
from bridge.core.clock import Clock
from bridge.core.command import CommandResult, Origin
from bridge.core.ports import PointReader
from bridge.field.channel import FieldChannel

log = logging.getLogger("bridge.app")
# s for commands under way to end and be recorded
_END_S = 1.0
# Folder of the audit inside the state directory
AUDIT_FOLDER = "audit"


class CommandSide:
    """Loop thread only. `local`: where services say which commands they obey themselves."""

    def __init__(self, points: PointReader, config: SiteConfig, clock: Clock, carrier_of: CarrierOf) -> None:
        """Raises: OSError when the audit cannot be opened."""
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        limits = config.access.audit
        files = self._files = AuditFiles(audit_folder(config.state_dir), limits.file_bytes, limits.files)
        self._repaired = files.repaired
        self._clock = clock
        self.audit = Audit(lambda fact, time: asyncio.to_thread(files.append, fact, time), clock, self._told)
        self.local = LocalCommands()
        self._under_way: set[asyncio.Task[CommandResult]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.users = UserFile(config.state_dir)
        self.logins = Logins(self.users, self.audit, clock)
        resets = Resets(config.state_dir, lambda path, data: asyncio.to_thread(write_whole, path, data))
        self.router = CommandRouter(points, self.audit, self.local, resets, clock, carrier_of, self._spawn)
        self._lines: FieldLines | None = None
        # hears every record in order: the event log
        self.on_record: OnRecord = lambda record: None
        self.apply(config)

    def apply(self, config: SiteConfig) -> None:
        """Take over a configuration."""
        self._config = config
        policy = WritePolicy(config.access, self.logins.role_of)
        self.roles: Roles = policy.roles
        self.logins.apply(config.access.lockout, policy.roles)
        self.router.apply(policy, config.access.limits)
        self._raw = raw_policy(config, policy.roles)
        if self._lines is not None:
            self._lines.policy = self._raw

    def lines(self, channels: Mapping[str, FieldChannel], timeout_of: TimeoutOf, overheard: Overheard) -> FieldLines:
        """Return what the gateway's worker may ask of the lines. `overheard`: who sees what devices answer it."""
        self._lines = FieldLines(channels, self._clock, self._raw, self.audit, timeout_of, overheard)
        return self._lines

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin; commands are carried out as tasks of `group`."""
        self._group = group
        self._keeping = group.create_task(self._keep(), name="audit")

    async def stop(self) -> None:
        """End after the channels are closed, which ends the commands under way; then record what is left to record."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_END_S)
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        self._files.close()

    async def _keep(self) -> None:
        if self._repaired:
            log.error("audit_damaged %s", self._repaired)
            await self.note(Fact(kind="audit", result="damaged", reason=self._repaired))
        await self.audit.run()

    async def refused_by_server(self, origin: Origin, target: str, reason: str, times: int) -> None:
        """Record a write that a server refused by itself (`workers.requests.Refusals`)."""
        fact = Fact(
            kind="command",
            result="refused_by_server",
            target=target,
            protocol=origin.protocol,
            peer=host_of(origin.peer),
            user=origin.user,
            reason=reason,
        )
        await self.audit.refused(fact, times)

    def offer_token(self) -> None:
        """For a site with servers that have users, and no user yet: leave the token of the first run to the owner."""
        try:
            path = self.users.offer_token(self._clock.utc_ns())
        except (UserError, OSError) as exc:
            log.error("users_unreadable %s", exc)
            return
        if path is not None:
            log.warning("first_run user=%s token_file=%s: add users with `meterbridge user add`", SETUP, path)

    def has_users(self) -> bool:
        """Tell whether anybody but the token of the first run can log in; a file that cannot be read has nobody."""
        try:
            return bool(self.users.read().users)
        except UserError:
            return False

    async def done_locally(self, kind: str, action: str, target: str, by: str) -> None:
        """Record a change of the users or certificates that the command line has made."""
        await self.note(Fact(kind=kind, result=action, target=target, protocol="cli", peer="local", user=by))

    async def reloaded(self, fault: str, by: Origin) -> None:
        """Record a change of configuration, or why it was refused."""
        fact = Fact(
            kind="configuration",
            result="refused" if fault else "done",
            target="site",
            protocol=by.protocol,
            peer=host_of(by.peer),
            user=by.user,
            reason=fault,
        )
        await self.note(fact)

    def _told(self, record: Record) -> None:
        log.info(
            "audit n=%d kind=%s target=%s result=%s protocol=%s peer=%s user=%s reason=%s repeated=%d",
            record.n,
            record.kind,
            record.target,
            record.result,
            record.protocol,
            record.peer,
            record.user,
            record.reason,
            record.repeated,
        )
        self.on_record(record)

    async def note(self, fact: Fact) -> None:
        """Record what has been done; a disk that takes nothing is logged."""
        try:
            await self.audit.note(fact)
        except OSError as exc:
            log.error("audit_not_written kind=%s error=%s", fact.kind, exc.strerror)

    def _spawn(self, command: Coroutine[None, None, CommandResult]) -> asyncio.Task[CommandResult]:
        assert self._group is not None, "a command before `start`"
        task = self._group.create_task(command)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task


def audit_folder(state_dir: Path) -> Path:
    """Return where the audit of a bridge with this state directory is."""
    return state_dir / AUDIT_FOLDER


def record_offline(config: SiteConfig, kind: str, action: str, target: str, by: str, clock: Clock) -> None:
    """Record a change of the users or certificates while no bridge runs. Raises: OSError."""
    limits = config.access.audit
    files = AuditFiles(audit_folder(config.state_dir), limits.file_bytes, limits.files)
    try:
        fact = Fact(kind=kind, result=action, target=target, protocol="cli", peer="local", user=by)
        files.append(fact, utc_text(clock.utc_ns()))
    finally:
        files.close()
