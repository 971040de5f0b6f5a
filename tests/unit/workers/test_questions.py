"""bridge.workers.requests: questions about the bridge are granted, bounded and answered in time."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace

import pytest

from bridge.core.command import Origin
from bridge.core.errors import OperationRefused
from bridge.core.operations import ANSWER_LIMIT
from bridge.core.ports import Grant, Needs
from bridge.core.store import PointStore
from bridge.link import wire
from bridge.workers.requests import Requests
from tests.support.workers import services

IN_A_SECOND = 10**9


class Slow:
    """Answers `big`, refuses `no`, and never ends with anything else."""

    async def ask(self, what: str, arguments: Mapping[str, str]) -> bytes:
        del arguments
        if what == "no":
            raise OperationRefused("not today")
        if what == "big":
            return b"x" * (ANSWER_LIMIT + 1)
        await asyncio.Event().wait()
        return b""

    async def order(self, what: str, arguments: Mapping[str, str], origin: Origin) -> bytes:
        self.ordered.append((what, arguments, origin))
        return b"done"

    def __init__(self) -> None:
        self.ordered: list[object] = []


class Bench:
    def __init__(self, grants: Grant = Grant.OPERATIONS) -> None:
        self.answers: list[wire.Frame] = []
        self.tasks: list[asyncio.Future[None]] = []
        self.slow = Slow()
        offered = replace(services(PointStore([], [])), operations=self.slow)
        self.requests = Requests(offered, self.spawn, self.answers.append, lambda: None)
        self.requests.grant(Needs(frozenset(), grants), "web")
        self.clock = offered.clock

    def spawn(self, doing: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.ensure_future(doing))

    def ask(self, number: int, what: str, in_ns: int = IN_A_SECOND) -> None:
        self.requests.ask(wire.CoreRequest(number, what, {}, self.clock.monotonic_ns() + in_ns))

    async def done(self) -> list[wire.Frame]:
        await asyncio.gather(*self.tasks)
        return self.answers


async def test_a_worker_without_the_grant_hears_nothing() -> None:
    bench = Bench(Grant.EVENTS | Grant.COMMANDS)
    bench.ask(1, "no")

    assert await bench.done() == [wire.CoreAnswer(1, b"", "not granted")]


async def test_a_refusal_is_told_in_its_words_and_a_huge_answer_is_none() -> None:
    bench = Bench()
    bench.ask(1, "no")
    bench.ask(2, "big")

    assert await bench.done() == [
        wire.CoreAnswer(1, b"", "not today"),
        wire.CoreAnswer(2, b"", f"the answer is longer than {ANSWER_LIMIT} bytes"),
    ]


async def test_a_late_answer_is_none_and_one_question_too_many_is_refused_at_once() -> None:
    bench = Bench()
    for number in range(wire.REQUESTS_KEPT + 1):
        bench.ask(number, "slow")
    assert bench.answers == [wire.CoreAnswer(wire.REQUESTS_KEPT, b"", f"{wire.REQUESTS_KEPT} requests under way")]

    answers = await bench.done()

    late = [answer for answer in answers if isinstance(answer, wire.CoreAnswer) and answer.refused == "timed out"]
    assert sorted(answer.id for answer in late) == list(range(wire.REQUESTS_KEPT))


# BARS S3
@pytest.mark.parametrize(
    ("grants", "protocol", "obeyed"),
    [
        (Grant.OPERATIONS | Grant.ORDERS, "web", True),
        (Grant.OPERATIONS, "web", False),
        (Grant.OPERATIONS | Grant.ORDERS, "cli", False),
    ],
    ids=["granted", "no grant", "in the name of another"],
)
async def test_an_order_needs_the_grant_and_the_servers_own_name(grants: Grant, protocol: str, obeyed: bool) -> None:
    bench, origin = Bench(grants), Origin(protocol, "10.0.0.7", "anna")
    until = bench.clock.monotonic_ns() + IN_A_SECOND
    bench.requests.ask(wire.OrderRequest(1, "reload", {"a": "b"}, origin, until))

    answers = await bench.done()

    assert answers == [wire.CoreAnswer(1, b"done", "") if obeyed else wire.CoreAnswer(1, b"", "not granted")]
    assert bench.slow.ordered == ([("reload", {"a": "b"}, origin)] if obeyed else [])


def test_what_an_order_carries_is_in_no_log() -> None:
    order = wire.OrderRequest(1, "user_add", {"password": "secret word"}, Origin("web", "10.0.0.7", "anna"), 5)

    assert "secret word" not in repr(order)
