"""bridge.workers.requests: in whose name a worker may ask, logins, refusals"""

import asyncio
from collections.abc import Coroutine

from bridge.core.command import Command, CommandResult, Origin, Outcome
from bridge.core.login import Admission, LoginResult
from bridge.core.ports import Grant, Needs
from bridge.core.rights import Right
from bridge.core.secret import Secret
from bridge.core.store import PointStore
from bridge.link import wire
from bridge.workers.requests import Requests, Services
from tests.support.policy_site import DONE, LoopClock
from tests.support.workers import FakeLines, definition

ADMITTED = LoginResult(Admission.ADMITTED, "viewer", (Right.READ,))


class Core:
    """CommandPort, Logins, Refusals and Notices that remember."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.logins: list[tuple[str, str, str, str]] = []
        self.refusals: list[tuple[str, int]] = []
        self.notices: list[tuple[str, str, bool]] = []

    async def submit(self, command: Command) -> CommandResult:
        self.commands.append(command)
        return DONE

    async def login(self, protocol: str, peer: str, user: str, password: Secret) -> LoginResult:
        self.logins.append((protocol, peer, user, password.reveal()))
        return ADMITTED

    async def refused_by_server(self, origin: Origin, target: str, reason: str, times: int) -> None:
        del origin, reason
        self.refusals.append((target, times))

    def noticed(self, server: str, text: str, fault: bool) -> None:
        self.notices.append((server, text, fault))


class Bench:
    def __init__(self, grants: Grant) -> None:
        self.core, self.answers, self.flushed = Core(), list[wire.Frame](), 0
        store = PointStore([definition(0)])
        core = self.core
        services = Services(store, core, FakeLines(), LoopClock(), logins=core, refusals=core, notices=core)
        self.requests = Requests(services, self._spawn, self.answers.append, lambda: None, self._flush)
        self.requests.grant(Needs(frozenset({0}), grants), "modbus")
        self.tasks: list[asyncio.Task[None]] = []

    def _spawn(self, request: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(request))

    def _flush(self) -> None:
        self.flushed += 1

    async def ask(self, frame: wire.Asking) -> wire.Frame | None:
        self.requests.ask(frame)
        await asyncio.gather(*self.tasks)
        return self.answers.pop() if self.answers else None


def command(protocol: str) -> wire.CommandRequest:
    return wire.CommandRequest(1, Command(0, 1.0, Origin(protocol, "192.0.2.1", ""), 10**12))


async def test_a_worker_asks_in_its_own_name_only() -> None:
    bench = Bench(Grant.COMMANDS)

    own, foreign = await bench.ask(command("modbus")), await bench.ask(command("cli"))

    assert own == wire.CommandDone(1, DONE)
    assert foreign == wire.CommandDone(1, CommandResult(Outcome.REFUSED_BY_POLICY))
    assert len(bench.core.commands) == 1


async def test_what_was_read_back_is_sent_before_the_answer() -> None:
    bench = Bench(Grant.COMMANDS)

    await bench.ask(command("modbus"))

    assert bench.flushed == 1


async def test_a_login_is_checked_under_the_name_of_the_worker() -> None:
    bench = Bench(Grant.LOGINS)

    answer = await bench.ask(wire.LoginRequest(5, "192.0.2.1", "anna", b"secret", 10**12))

    assert answer == wire.LoginDone(5, ADMITTED)
    assert bench.core.logins == [("modbus", "192.0.2.1", "anna", "secret")]


async def test_a_worker_without_the_grant_checks_no_passwords() -> None:
    bench = Bench(Grant.COMMANDS)

    answer = await bench.ask(wire.LoginRequest(5, "192.0.2.1", "anna", b"secret", 10**12))

    assert answer == wire.LoginDone(5, LoginResult(Admission.WRONG))
    assert bench.core.logins == []


async def test_a_refusal_of_the_server_reaches_the_audit_in_its_own_name_only() -> None:
    bench = Bench(Grant.NOTHING)

    await bench.ask(wire.WriteRefused(Origin("modbus", "192.0.2.1", ""), "unit 1", "exception 0x01", 3))
    await bench.ask(wire.WriteRefused(Origin("cli", "local", ""), "unit 1", "exception 0x01", 1))

    assert bench.core.refusals == [("unit 1", 3)]


async def test_a_server_with_the_grant_says_once_under_its_own_name_why_it_is_closed() -> None:
    bench, stranger = Bench(Grant.NOTICES), Bench(Grant.NOTHING)
    frame = wire.Notice("port closed: " + "x" * 1000, True)

    for _ in range(2):
        await bench.ask(frame)
        await stranger.ask(frame)

    ((server, text, fault),) = bench.core.notices
    assert (server, text[:14], len(text), fault) == ("modbus", "port closed: x", 400, True)
    assert stranger.core.notices == []


def test_a_login_frame_shows_no_password() -> None:
    frame = wire.LoginRequest(5, "192.0.2.1", "anna", b"canary", 1)

    assert "canary" not in f"{frame} {frame!r}"
