"""What one worker asks of the core: commands and raw line exchanges, granted, bounded and throttled."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from bridge.core.alarm import AlarmPort, NoAlarms
from bridge.core.clock import Clock
from bridge.core.command import CommandResult, Origin, Outcome
from bridge.core.errors import OperationRefused, RawFailure, RawRefused
from bridge.core.history import HistoryPage, HistoryPort, NoHistory, RecordPage
from bridge.core.login import BUSY, WRONG, Admission, LoginResult
from bridge.core.operations import ANSWER_LIMIT, NoOperations, OperationsPort
from bridge.core.ports import CommandPort, Grant, Needs, PointReader, RawLinePort
from bridge.core.secret import Secret
from bridge.link import wire

# Refusals per second from which a worker is not heard for a second. It carries what strangers send it; each refusal
# costs the core and the audit, and an honest client learns from the first.
REFUSALS_PER_S = 200
_SECOND_NS = 1_000_000_000
# Characters of a notice that go into the event log.
_NOTICE_LENGTH = 400
_DEADLINE_CAP_NS = 60_000_000_000
Doing = Callable[[], Coroutine[None, None, CommandResult]]
Answering = Callable[[], Coroutine[None, None, bytes]]
_DONE_OR_TRIED = frozenset({Outcome.DONE, Outcome.TIMED_OUT, Outcome.DEVICE_REFUSED})


class Logins(Protocol):
    """Who checks passwords in the core. `protocol`: the name of the worker, not its own word."""

    async def login(self, protocol: str, peer: str, user: str, password: Secret) -> LoginResult: ...


class Refusals(Protocol):
    """Who records what a server refused by itself."""

    async def refused_by_server(self, origin: Origin, target: str, reason: str, times: int) -> None: ...


class Notices(Protocol):
    """Who hears why a server serves, or not. `server`: the name of the worker, not its own word."""

    def noticed(self, server: str, text: str, fault: bool) -> None: ...


class NoAccess:
    """Logins, Refusals and Notices of a core without users and audit (tests)."""

    async def login(self, protocol: str, peer: str, user: str, password: Secret) -> LoginResult:
        del protocol, peer, user, password
        return WRONG

    async def refused_by_server(self, origin: Origin, target: str, reason: str, times: int) -> None:
        """Forget it."""

    def noticed(self, server: str, text: str, fault: bool) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the core does for workers."""

    points: PointReader
    commands: CommandPort
    lines: RawLinePort
    clock: Clock
    alarms: AlarmPort = field(default_factory=NoAlarms)
    history: HistoryPort = field(default_factory=NoHistory)
    logins: Logins = field(default_factory=NoAccess)
    refusals: Refusals = field(default_factory=NoAccess)
    operations: OperationsPort = field(default_factory=NoOperations)
    notices: Notices = field(default_factory=NoAccess)


class Requests:
    """
    Loop thread only. `answer` sends a frame; `flooded` is told when this worker should be left unheard for a while.

    A request under way outlives its link: half a write must not be cut off.
    """

    def __init__(
        self,
        services: Services,
        spawn: Callable[[Coroutine[None, None, None]], object],
        answer: Callable[[wire.Frame], None],
        flooded: Callable[[], None],
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self._services, self._spawn, self._answer, self._flooded = services, spawn, answer, flooded
        self._flush = flush
        self._needs = Needs(frozenset())
        self._name = ""
        self._under_way = 0
        self._noticed: wire.Notice | None = None
        self._second_began_ns = 0
        self._refused = 0

    def grant(self, needs: Needs, name: str = "") -> None:
        """`name`: the protocol in whose name this worker may ask; "" = any (tests)."""
        self._needs, self._name = needs, name or self._name

    def ask(self, asked: wire.Asking) -> None:
        if isinstance(asked, wire.RawRequest):
            # nearly all that is ever asked
            self._raw(asked)
            return
        match asked:
            case wire.CommandRequest(id=id_, command=command):
                granted = Grant.COMMANDS in self._needs.grants and command.index in self._needs.points
                doing = partial(self._services.commands.submit, command)
                self._command(id_, command.deadline_ns, granted and self._is_own(command.origin), doing)
            case wire.Acknowledge() | wire.Confirm():
                granted = Grant.ALARMS | Grant.COMMANDS in self._needs.grants and self._is_own(asked.origin)
                alarms = self._services.alarms
                note = alarms.acknowledge if isinstance(asked, wire.Acknowledge) else alarms.confirm
                doing = partial(note, asked.alarm, asked.origin, asked.deadline_ns)
                self._command(asked.id, asked.deadline_ns, granted, doing)
            case wire.LoginRequest():
                self._login(asked)
            case wire.HistoryRequest() | wire.RecordsRequest():
                self._history(asked)
            case wire.WriteRefused():
                self._write_refused(asked)
            case wire.CoreRequest():
                granted = Grant.OPERATIONS in self._needs.grants
                self._question(asked, granted, partial(self._services.operations.ask, asked.what, asked.arguments))
            case wire.Notice():
                self._notice(asked)
            case wire.OrderRequest():
                granted = Grant.ORDERS in self._needs.grants and self._is_own(asked.origin)
                order = self._services.operations.order
                self._question(asked, granted, partial(order, asked.what, asked.arguments, asked.origin))

    def _history(self, asked: wire.HistoryRequest | wire.RecordsRequest) -> None:
        events = isinstance(asked, wire.HistoryRequest) and asked.index < 0
        needed = Grant.HISTORY | (Grant.EVENTS if events else Grant.NOTHING)
        if needed not in self._needs.grants or not (events or asked.index in self._needs.points):
            self._answer(_no_history(asked, "not granted"))
            self._refuse()
        elif self._under_way >= wire.REQUESTS_KEPT:
            self._answer(_no_history(asked, "busy"))
        else:
            self._under_way += 1
            self._spawn(self._run_history(asked))

    async def _run_history(self, asked: wire.HistoryRequest | wire.RecordsRequest) -> None:
        answer, history = _no_history(asked, "stopped"), self._services.history
        try:
            if isinstance(asked, wire.RecordsRequest):
                records = await history.records(asked.index, asked.first, asked.most, asked.since_ns)
                answer = wire.RecordsDone(asked.id, records)
            elif asked.index < 0:
                answer = wire.HistoryDone(asked.id, await history.events(asked.after, asked.most))
            else:
                page = await history.samples(asked.index, asked.after, asked.before, asked.most)
                answer = wire.HistoryDone(asked.id, page)
        finally:
            self._under_way -= 1
        self._answer(answer)

    def _is_own(self, origin: Origin) -> bool:
        """A worker speaks for its own clients only: otherwise one broken server could do what any other may."""
        return self._name in ("", origin.protocol)

    def _command(self, id_: int, deadline_ns: int, granted: bool, doing: Doing) -> None:
        if not granted:
            self._command_done(id_, CommandResult(Outcome.REFUSED_BY_POLICY))
        elif self._under_way >= wire.REQUESTS_KEPT:
            self._command_done(id_, CommandResult(Outcome.BUSY))
        else:
            self._under_way += 1
            self._spawn(self._run_command(id_, deadline_ns, doing))

    async def _run_command(self, id_: int, deadline_ns: int, doing: Doing) -> None:
        result = CommandResult(Outcome.TIMED_OUT)
        try:
            remaining_s = self._remaining_s(deadline_ns)
            if remaining_s > 0:
                async with asyncio.timeout(remaining_s):
                    result = await doing()
        except TimeoutError:
            pass
        finally:
            self._under_way -= 1
        self._command_done(id_, result)

    def _command_done(self, id_: int, result: CommandResult) -> None:
        if result.outcome is Outcome.DONE:
            self._flush()
        self._answer(wire.CommandDone(id_, result))
        if result.outcome not in _DONE_OR_TRIED:
            self._refuse()

    def _raw(self, asked: wire.RawRequest) -> None:
        if Grant.RAW_LINES not in self._needs.grants:
            self._raw_done(asked, RawFailure.NOT_GRANTED)
        elif self._under_way >= wire.REQUESTS_KEPT:
            self._raw_done(asked, RawFailure.BUSY)
        else:
            self._under_way += 1
            self._spawn(self._run_raw(asked))

    async def _run_raw(self, asked: wire.RawRequest) -> None:
        """No time-out of ours: the line sends nothing after the deadline, and a device's own time-out ends the rest."""
        reply, failure, message = b"", RawFailure.TIMED_OUT, ""
        try:
            if asked.deadline_ns > self._services.clock.monotonic_ns():
                reply = await self._services.lines.exchange(
                    asked.channel,
                    asked.user,
                    asked.unit_id,
                    asked.pdu,
                    asked.deadline_ns,
                    asked.timeout_s,
                    asked.identity,
                )
                failure = RawFailure.NONE
        except RawRefused as exc:
            failure, message = exc.failure, str(exc)
        finally:
            self._under_way -= 1
        self._raw_done(asked, failure, reply, message)

    def _raw_done(self, asked: wire.RawRequest, failure: RawFailure, reply: bytes = b"", message: str = "") -> None:
        self._answer(wire.RawDone(asked.id, reply, failure, message))
        if failure in (RawFailure.NOT_GRANTED, RawFailure.REFUSED_BY_POLICY, RawFailure.BUSY):
            self._refuse()

    def _login(self, asked: wire.LoginRequest) -> None:
        if Grant.LOGINS not in self._needs.grants:
            self._login_done(asked, WRONG)
        elif self._under_way >= wire.REQUESTS_KEPT:
            self._login_done(asked, BUSY)
        else:
            self._under_way += 1
            self._spawn(self._run_login(asked))

    async def _run_login(self, asked: wire.LoginRequest) -> None:
        result = BUSY
        try:
            remaining_s = self._remaining_s(asked.deadline_ns)
            if remaining_s > 0:
                async with asyncio.timeout(remaining_s):
                    password = Secret(asked.password.decode("utf-8", "replace"))
                    result = await self._services.logins.login(self._name, asked.peer, asked.user, password)
        except TimeoutError:
            pass
        finally:
            self._under_way -= 1
        self._login_done(asked, result)

    def _login_done(self, asked: wire.LoginRequest, result: LoginResult) -> None:
        self._answer(wire.LoginDone(asked.id, result))
        if result.admission is not Admission.ADMITTED:
            self._refuse()

    def _write_refused(self, asked: wire.WriteRefused) -> None:
        self._refuse()
        if self._is_own(asked.origin) and self._under_way < wire.REQUESTS_KEPT:
            self._under_way += 1
            self._spawn(self._record(asked))

    async def _record(self, asked: wire.WriteRefused) -> None:
        try:
            await self._services.refusals.refused_by_server(asked.origin, asked.target, asked.reason, asked.times)
        finally:
            self._under_way -= 1

    def _notice(self, asked: wire.Notice) -> None:
        """What says the same again costs an event of the ring: it counts as a refusal."""
        if Grant.NOTICES in self._needs.grants and asked != self._noticed:
            self._noticed = asked
            self._services.notices.noticed(self._name, asked.text[:_NOTICE_LENGTH], asked.fault)
        else:
            self._refuse()

    def _question(self, asked: wire.CoreRequest | wire.OrderRequest, granted: bool, answer: Answering) -> None:
        if not granted:
            self._refuse_question(asked, "not granted")
        elif self._under_way >= wire.REQUESTS_KEPT:
            self._refuse_question(asked, f"{wire.REQUESTS_KEPT} requests under way")
        else:
            self._under_way += 1
            self._spawn(self._run_question(asked, answer))

    async def _run_question(self, asked: wire.CoreRequest | wire.OrderRequest, answer: Answering) -> None:
        body, refused = b"", "timed out"
        try:
            remaining_s = self._remaining_s(asked.deadline_ns)
            if remaining_s > 0:
                async with asyncio.timeout(remaining_s):
                    body = await answer()
                    refused = "" if len(body) <= ANSWER_LIMIT else f"the answer is longer than {ANSWER_LIMIT} bytes"
        except TimeoutError:
            pass
        except OperationRefused as exc:
            refused = str(exc)
        finally:
            self._under_way -= 1
        self._answer(wire.CoreAnswer(asked.id, b"" if refused else body, refused))

    def _refuse_question(self, asked: wire.CoreRequest | wire.OrderRequest, why: str) -> None:
        self._answer(wire.CoreAnswer(asked.id, b"", why))
        self._refuse()

    def _refuse(self) -> None:
        now_ns = self._services.clock.monotonic_ns()
        if now_ns - self._second_began_ns >= _SECOND_NS:
            self._second_began_ns, self._refused = now_ns, 0
        self._refused += 1
        if self._refused == REFUSALS_PER_S:
            self._flooded()

    def _remaining_s(self, deadline_ns: int) -> float:
        return min(deadline_ns - self._services.clock.monotonic_ns(), _DEADLINE_CAP_NS) / 1e9


def _no_history(asked: wire.HistoryRequest | wire.RecordsRequest, why: str) -> wire.HistoryDone | wire.RecordsDone:
    if isinstance(asked, wire.RecordsRequest):
        return wire.RecordsDone(asked.id, RecordPage(failure=why))
    return wire.HistoryDone(asked.id, HistoryPage(failure=why))
