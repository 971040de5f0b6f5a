"""bridge.host.probe, in virtual time"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import msgspec
import pytest

from bridge.core.ports import ProjectionContext
from bridge.host.probe import ProbeTiming, Probing, watch
from bridge.host.visits import OwnVisits

OK, FAILS, HANGS = "ok", "fails", "hangs"


class Plan(msgspec.Struct, frozen=True): ...


class Answers:
    """A projection whose listener answers as told, the last way for ever."""

    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self, ways: Sequence[str]) -> None:
        self._ways = list(ways)
        self.asked_at: list[float] = []

    async def run(self, ctx: ProjectionContext) -> None: ...

    async def probe(self) -> None:
        self.asked_at.append(asyncio.get_running_loop().time())
        way = self._ways.pop(0) if len(self._ways) > 1 else self._ways[0]
        if way == HANGS:
            await asyncio.Event().wait()
        if way == FAILS:
            raise ConnectionRefusedError("nobody there")


async def run(ways: Sequence[str], until_s: float = 1000) -> tuple[Answers, float | None, float | None, dict[str, int]]:
    """Return also when it became ready and when it gave up."""
    projection, opened, counters = Answers(ways), asyncio.Event(), dict[str, int]()
    loop, ready_at = asyncio.get_running_loop(), list[float]()
    loop.call_later(10, opened.set)
    watching = watch(
        projection, Probing(opened, OwnVisits()), lambda: ready_at.append(loop.time()), counters, ProbeTiming()
    )
    try:
        async with asyncio.timeout(until_s):
            await watching
    except TimeoutError:
        return projection, ready_at[0] if ready_at else None, None, counters
    return projection, ready_at[0], loop.time(), counters


async def test_nobody_is_ready_before_the_first_answer() -> None:
    projection, ready_at, ended_at, counters = await run([FAILS, HANGS, FAILS, FAILS, OK], until_s=100)

    assert ready_at == pytest.approx(10 + 4 * 0.2 + 3)
    assert ended_at is None
    assert counters["probe_failed"] == 4
    assert counters["probe_ok"] == len(projection.asked_at) - 4


async def test_it_never_gives_up_before_the_first_answer() -> None:
    _, ready_at, ended_at, _ = await run([FAILS], until_s=500)

    assert (ready_at, ended_at) == (None, None)


async def test_the_listener_is_asked_every_five_seconds() -> None:
    projection, *_ = await run([OK], until_s=31)

    assert projection.asked_at == pytest.approx([10, 15, 20, 25, 30])


@pytest.mark.parametrize("way", [FAILS, HANGS])
async def test_three_failures_in_a_row_are_the_end(way: str) -> None:
    _, _, ended_at, counters = await run([OK, FAILS, HANGS, OK, way])

    assert counters["probe_failed"] == 5
    assert ended_at == pytest.approx(10 + 6 * 5 + 3 + (9 if way == HANGS else 0))


async def test_two_failures_are_forgiven() -> None:
    _, _, ended_at, counters = await run([OK, FAILS, FAILS, OK, FAILS, FAILS, OK])

    assert ended_at is None
    assert counters["probe_failed"] == 4
