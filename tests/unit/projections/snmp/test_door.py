"""The socket's side: SETs that are answered later, who guesses is barred, faults end there."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Outcome
from bridge.projections.snmp.door import GUESSES, MAX_PEERS, MAX_WRITES, Credit, Door
from bridge.projections.snmp.pdu import GET, SET, ErrorStatus
from tests.support.snmp_agent import LIMIT, NAME, NULL, POWER, Bench, Reply, get, integer, pdu, v2c

GOOD = v2c(GET, [((*NAME, 1), NULL)])
GUESS = v2c(GET, [], community=b"guess")
HOME, AWAY = ("127.0.0.1", 5000), ("127.0.0.2", 5000)


class Socket:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        self.sent.append(data)


class Hand:
    """A clock that is moved by hand, a command port, and who hears of wrong communities."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.seen: list[Command] = []
        self.outcomes: Callable[[Command], Outcome] = lambda command: Outcome.DONE
        self.told: list[str] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def utc_ns(self) -> int:
        return self.now_ns

    async def submit(self, command: Command) -> CommandResult:
        self.seen.append(command)
        await asyncio.sleep(0.01)
        return CommandResult(self.outcomes(command))

    def wrong_community(self, peer: str) -> None:
        self.told.append(peer)


class Scene:
    def __init__(self, bench: Bench) -> None:
        self.hand, self.socket = Hand(), Socket()
        self.tasks: list[asyncio.Task[None]] = []
        self.door = Door(
            bench.agent,
            self.hand,
            cast("Clock", self.hand),
            5.0,
            lambda work: self.tasks.append(asyncio.ensure_future(work)),
            self.hand,
        )
        self.door.connection_made(cast("asyncio.DatagramTransport", self.socket))

    async def set(self, *varbinds: tuple[tuple[int, ...], bytes], community: bytes = b"private") -> Reply:
        self.door.datagram_received(v2c(SET, varbinds, community=community), HOME)
        for task in self.tasks:
            await task
        return Reply(self.socket.sent[-1])


@pytest.fixture
def scene(bench: Bench) -> Scene:
    return Scene(bench)


async def test_a_set_is_answered_when_the_command_is_done(scene: Scene) -> None:
    reply = await scene.set(((*LIMIT, 1), integer(5)))

    assert (reply.status, reply.values) == (0, [integer(5)])
    (command,) = scene.hand.seen
    assert (command.index, command.value, command.deadline_ns) == (1, 5, 5_000_000_000)
    assert (command.origin.protocol, command.origin.peer, command.origin.user) == ("snmp", "127.0.0.1", "writer")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.REFUSED_BY_POLICY, ErrorStatus.AUTHORIZATION_ERROR),
        (Outcome.NOT_WRITABLE, ErrorStatus.NOT_WRITABLE),
        (Outcome.OUT_OF_RANGE, ErrorStatus.WRONG_VALUE),
        (Outcome.BUSY, ErrorStatus.RESOURCE_UNAVAILABLE),
        (Outcome.TIMED_OUT, ErrorStatus.COMMIT_FAILED),
        (Outcome.DEVICE_REFUSED, ErrorStatus.COMMIT_FAILED),
    ],
)
async def test_what_becomes_of_a_command_is_said_in_the_terms_of_snmp(
    bench: Bench, scene: Scene, outcome: Outcome, status: ErrorStatus
) -> None:
    scene.hand.outcomes = lambda command: outcome
    reply = await scene.set(((*LIMIT, 1), integer(5)), ((*LIMIT, 2), integer(5)))

    assert (reply.status, reply.index) == (status, 1)
    assert len(scene.hand.seen) == bench.counters.writes_refused == 1


async def test_a_set_that_fails_half_way_says_that_it_cannot_be_undone(scene: Scene) -> None:
    scene.hand.outcomes = lambda command: Outcome.DONE if command.index == 1 else Outcome.TIMED_OUT
    reply = await scene.set(((*LIMIT, 1), integer(5)), ((*LIMIT, 2), integer(5)))

    assert (reply.status, reply.index) == (ErrorStatus.UNDO_FAILED, 0)


# BARS S1
async def test_a_set_that_no_policy_has_seen_is_counted_and_told_with_who_and_what(
    bench: Bench, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await scene.set(((*LIMIT, 1), integer(5)), community=b"public")
    assert reply.status == ErrorStatus.NO_ACCESS
    scene.door.datagram_received(bench.v3(b"ops", 3, pdu(SET, [((*NAME, 1), b"\x04\x01x")])), HOME)

    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("write_refused peer=127.0.0.1 user=reader oid=1.3.6.1.4.1.8072.9999.9999.7411.1.2.1.4.1")
    assert "user=ops" in said[1]
    assert "status=not_writable count=2" in said[1]
    assert scene.hand.seen == []


async def test_a_set_of_a_v3_user_is_sealed_when_it_is_answered(bench: Bench, scene: Scene) -> None:

    scene.door.datagram_received(bench.v3(b"ops", 3, pdu(SET, [((*LIMIT, 1), integer(5))])), HOME)
    assert scene.socket.sent == []
    for task in scene.tasks:
        await task
    header, reply = bench.open(scene.socket.sent[-1])

    assert (header.level, reply.status, scene.hand.seen[0].origin.user) == (3, 0, "ops")


async def test_more_sets_than_can_be_kept_are_refused(scene: Scene) -> None:
    for _ in range(MAX_WRITES + 1):
        scene.door.datagram_received(v2c(SET, [((*LIMIT, 1), integer(5))], community=b"private"), HOME)

    assert Reply(scene.socket.sent[0]).status == ErrorStatus.RESOURCE_UNAVAILABLE
    for task in scene.tasks:
        await task
    assert len(scene.socket.sent) == MAX_WRITES + 1


# S-03
async def test_who_guesses_communities_is_barred_for_a_while_and_told_of(bench: Bench, scene: Scene) -> None:
    for _ in range(50):
        scene.door.datagram_received(GUESS, HOME)
    scene.door.datagram_received(GOOD, HOME)
    assert scene.socket.sent == []
    assert bench.counters.in_bad_communities == len(scene.hand.told) == GUESSES
    assert bench.counters.limited == 51 - GUESSES

    scene.door.datagram_received(GOOD, AWAY)
    assert len(scene.socket.sent) == 1
    scene.hand.now_ns = 1_000_000_000
    scene.door.datagram_received(GOOD, HOME)
    assert len(scene.socket.sent) == 2


async def test_a_forged_address_cannot_bar_a_user_who_proves_who_it_is(bench: Bench, scene: Scene) -> None:
    for _ in range(50):
        scene.door.datagram_received(GUESS, HOME)
    scene.door.datagram_received(bench.v3(b"nobody", 0, get(NAME)), HOME)
    assert scene.socket.sent == []
    scene.door.datagram_received(bench.v3(b"ops", 3, get((*NAME, 1))), HOME)

    assert bench.open(scene.socket.sent[0])[1].values == [b"\x04\x02M1"]


def test_the_memory_of_guesses_is_bounded() -> None:
    credit = Credit()
    for number in range(5000):
        credit.charge(str(number), 0.0)

    assert len(credit) == MAX_PEERS


async def test_an_object_that_cannot_be_read_is_generr_and_the_others_are_answered(bench: Bench, scene: Scene) -> None:
    bench.powers[1] = cast("int", "no number")
    reply = bench.ask(GET, (*NAME, 1), (*POWER, 1))
    assert (reply.status, reply.index) == (ErrorStatus.GEN_ERR, 2)

    scene.door.datagram_received(GOOD, HOME)
    assert len(scene.socket.sent) == 1


async def test_a_fault_is_counted_logged_once_and_ends_there(
    bench: Bench, scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(data: bytes, peer: str, barred: bool) -> None:
        raise RuntimeError("a bug")

    scene.hand.now_ns = 10**12
    monkeypatch.setattr(bench.agent, "handle", broken)
    for _ in range(100):
        scene.door.datagram_received(GOOD, HOME)

    assert (bench.counters.faults, len(caplog.records)) == (100, 1)
