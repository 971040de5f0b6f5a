"""bridge.field.arbiter, in virtual time"""

import asyncio
import random

import pytest

from bridge.core.errors import LineBusy
from bridge.field.arbiter import LineArbiter, Others, Use


class Log:
    """Exchanges of 10 ms; who ran, and how many at once."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.running = self.most = 0

    async def run(self, who: str) -> bytes:
        self.order.append(who)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0.01)
        finally:
            self.running -= 1
        return who.encode()


def start(arbiter: LineArbiter, log: Log, use: Use, who: str) -> asyncio.Task[bytes]:
    return asyncio.create_task(arbiter.exchange(use, who, lambda: log.run(who)))


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_command_goes_first_then_poll_and_gateway_alternate() -> None:
    arbiter, log = LineArbiter(), Log()
    tasks = [start(arbiter, log, Use.POLL, "p0")]
    await settle()
    tasks += [start(arbiter, log, Use.GATEWAY, f"g{n % 2}") for n in range(4)]
    tasks += [start(arbiter, log, Use.POLL, f"p{n}") for n in (1, 2)]
    tasks += [start(arbiter, log, Use.COMMAND, "c")]
    await asyncio.gather(*tasks)

    assert log.order == ["p0", "c", "g0", "p1", "g1", "p2", "g0", "g1"]
    assert log.most == 1


async def test_as_many_run_at_once_as_there_are_slots() -> None:
    arbiter, log = LineArbiter(slots=3), Log()
    await asyncio.gather(*(start(arbiter, log, Use.POLL, str(n)) for n in range(10)))

    assert log.most == 3
    assert len(log.order) == 10


async def test_a_lease_waits_for_the_exchange_under_way_and_then_is_alone() -> None:
    arbiter, log = LineArbiter(), Log()
    first = start(arbiter, log, Use.POLL, "p0")
    await settle()
    waiting = start(arbiter, log, Use.COMMAND, "c")
    await settle()
    async with arbiter.lease(Others.WAIT):
        assert first.done()
        late = start(arbiter, log, Use.POLL, "p1")
        await asyncio.sleep(1.0)
        assert log.order == ["p0"]
        assert arbiter.leased
    await asyncio.gather(waiting, late)

    assert log.order == ["p0", "c", "p1"]
    assert not arbiter.leased


async def test_a_lease_that_refuses_tells_those_who_wait_and_those_who_come() -> None:
    arbiter, log = LineArbiter("riser-1"), Log()
    first = start(arbiter, log, Use.POLL, "p0")
    await settle()
    waiting = start(arbiter, log, Use.GATEWAY, "g")
    await settle()
    async with arbiter.lease():
        with pytest.raises(LineBusy, match="riser-1"):
            await waiting
        with pytest.raises(LineBusy):
            await start(arbiter, log, Use.COMMAND, "c")
    await first

    assert await start(arbiter, log, Use.POLL, "p1") == b"p1"


async def test_a_second_lease_is_refused() -> None:
    arbiter = LineArbiter()
    async with arbiter.lease():
        with pytest.raises(LineBusy):
            await arbiter.lease().__aenter__()


async def test_a_cancelled_lease_gives_the_line_back() -> None:
    arbiter, log = LineArbiter(), Log()
    first = start(arbiter, log, Use.POLL, "p0")
    await settle()

    async def lease() -> None:
        async with arbiter.lease(Others.WAIT):
            raise AssertionError("the line is not free yet")

    doomed = asyncio.create_task(lease())
    waiting = start(arbiter, log, Use.GATEWAY, "g")
    await settle()
    doomed.cancel()
    await asyncio.gather(doomed, return_exceptions=True)

    assert [await first, await waiting] == [b"p0", b"g"]


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("seed", range(5))
async def test_no_turn_is_lost_whoever_gives_up_and_whenever(slots: int, seed: int) -> None:
    arbiter, log, rng = LineArbiter(slots=slots), Log(), random.Random(seed)

    async def lease() -> bytes:
        async with arbiter.lease(rng.choice(list(Others))):
            assert log.running == 0
            await asyncio.sleep(rng.random() * 0.05)
            assert log.running == 0
        return b"lease"

    tasks: list[asyncio.Task[bytes]] = []
    for n in range(400):
        tasks.append(start(arbiter, log, rng.choice(list(Use)), f"u{n % 7}"))
        if rng.random() < 0.05:
            tasks.append(asyncio.create_task(lease()))
        if rng.random() < 0.3:
            rng.choice(tasks).cancel()
        await asyncio.sleep(rng.choice([0, 0, 0.004, 0.01]))
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)

    assert {type(one) for one in done} <= {bytes, asyncio.CancelledError, LineBusy}
    assert log.most == slots
    assert await arbiter.exchange(Use.POLL, "last", lambda: log.run("last")) == b"last"
