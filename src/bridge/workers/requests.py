"""What one worker asks of the core: commands and raw line exchanges, granted, bounded and throttled."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial

from bridge.core.alarm import AlarmPort, NoAlarms
from bridge.core.clock import Clock
from bridge.core.command import CommandResult, Outcome
from bridge.core.errors import OperationRefused, RawFailure, RawRefused
from bridge.core.operations import ANSWER_LIMIT, NoOperations, OperationsPort
from bridge.core.ports import CommandPort, Grant, Needs, PointReader, RawLinePort
from bridge.link import wire

# Refusals per second from which a worker is not heard for a second. It carries what strangers send it; each refusal
# costs the core and the audit, and an honest client learns from the first.
REFUSALS_PER_S = 200
_SECOND_NS = 1_000_000_000
_DEADLINE_CAP_NS = 60_000_000_000
Doing = Callable[[], Coroutine[None, None, CommandResult]]
_DONE_OR_TRIED = frozenset({Outcome.DONE, Outcome.TIMED_OUT, Outcome.DEVICE_REFUSED})


@dataclass(frozen=True, slots=True)
class Services:
    """What the core does for workers."""

    points: PointReader
    commands: CommandPort
    lines: RawLinePort
    clock: Clock
    alarms: AlarmPort = field(default_factory=NoAlarms)
    operations: OperationsPort = field(default_factory=NoOperations)


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
    ) -> None:
        self._services, self._spawn, self._answer, self._flooded = services, spawn, answer, flooded
        self._needs = Needs(frozenset())
        self._under_way = 0
        self._second_began_ns = 0
        self._refused = 0

    def grant(self, needs: Needs) -> None:
        self._needs = needs

    def ask(self, asked: wire.CommandRequest | wire.RawRequest | wire.Acknowledge | wire.CoreRequest) -> None:
        if isinstance(asked, wire.CommandRequest):
            command = asked.command
            granted = Grant.COMMANDS in self._needs.grants and command.index in self._needs.points
            self._command(asked.id, command.deadline_ns, granted, partial(self._services.commands.submit, command))
        elif isinstance(asked, wire.Acknowledge):
            granted = Grant.ALARMS | Grant.COMMANDS in self._needs.grants
            acknowledge = self._services.alarms.acknowledge
            doing = partial(acknowledge, asked.alarm, asked.origin, asked.deadline_ns)
            self._command(asked.id, asked.deadline_ns, granted, doing)
        elif isinstance(asked, wire.CoreRequest):
            self._question(asked)
        else:
            self._raw(asked)

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
        reply, failure, message = b"", RawFailure.TIMED_OUT, ""
        lines = self._services.lines
        try:
            remaining_s = self._remaining_s(asked.deadline_ns)
            if remaining_s > 0:
                async with asyncio.timeout(remaining_s):
                    reply = await lines.exchange(
                        asked.channel, asked.user, asked.unit_id, asked.pdu, asked.deadline_ns, asked.timeout_s
                    )
                    failure = RawFailure.NONE
        except TimeoutError:
            pass
        except RawRefused as exc:
            failure, message = exc.failure, str(exc)
        finally:
            self._under_way -= 1
        self._raw_done(asked, failure, reply, message)

    def _raw_done(self, asked: wire.RawRequest, failure: RawFailure, reply: bytes = b"", message: str = "") -> None:
        self._answer(wire.RawDone(asked.id, reply, failure, message))
        if failure in (RawFailure.NOT_GRANTED, RawFailure.REFUSED_BY_POLICY, RawFailure.BUSY):
            self._refuse()

    def _question(self, asked: wire.CoreRequest) -> None:
        if Grant.OPERATIONS not in self._needs.grants:
            self._refuse_question(asked, "not granted")
        elif self._under_way >= wire.REQUESTS_KEPT:
            self._refuse_question(asked, f"{wire.REQUESTS_KEPT} requests under way")
        else:
            self._under_way += 1
            self._spawn(self._run_question(asked))

    async def _run_question(self, asked: wire.CoreRequest) -> None:
        body, refused = b"", "timed out"
        try:
            remaining_s = self._remaining_s(asked.deadline_ns)
            if remaining_s > 0:
                async with asyncio.timeout(remaining_s):
                    body = await self._services.operations.ask(asked.what, asked.arguments)
                    refused = "" if len(body) <= ANSWER_LIMIT else f"the answer is longer than {ANSWER_LIMIT} bytes"
        except TimeoutError:
            pass
        except OperationRefused as exc:
            refused = str(exc)
        finally:
            self._under_way -= 1
        self._answer(wire.CoreAnswer(asked.id, b"" if refused else body, refused))

    def _refuse_question(self, asked: wire.CoreRequest, why: str) -> None:
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
