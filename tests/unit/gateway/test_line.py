"""bridge.gateway.modbus.line and turns, in virtual time"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from bridge.core.errors import RawFailure, RawRefused
from bridge.core.ports import Tunnel
from bridge.gateway.modbus.line import GatewayLine
from bridge.gateway.modbus.plan import Plan, Route
from bridge.gateway.modbus.turns import Turns
from tests.support.fake_wire import LoopClock

READ = b"\x03\x00\x00\x00\x02"
OTHER = b"\x03\x00\x09\x00\x02"
WRITE = b"\x06\x00\x00\x00\x02"
ROUTE = Route("riser", 1)


class Core:
    """RawLinePort: one exchange takes 0.1 s; the reply is their number. Unit 9 never answers."""

    def __init__(self, fails: int = 0) -> None:
        self.asked: list[tuple[str, int, bytes]] = []
        self.fails, self.most, self._now = fails, 0, 0

    async def exchange(
        self,
        channel: str,
        user: str,
        unit_id: int,
        pdu: bytes,
        deadline_ns: int,
        timeout_s: float = 0.0,
        identity: str = "",
    ) -> bytes:
        self.asked.append((user, unit_id, pdu))
        number = len(self.asked)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(timeout_s or 0.1)
        finally:
            self._now -= 1
        if unit_id == 9:
            raise RawRefused(RawFailure.TIMED_OUT)
        if self.fails:
            self.fails -= 1
            raise RawRefused(RawFailure.BAD_REPLY)
        return pdu[:1] + b"%d" % number

    @contextlib.asynccontextmanager
    async def tunnel(
        self, channel: str, user: str, received: Callable[[bytes], None], idle_s: float
    ) -> AsyncIterator[Tunnel]:
        raise RawRefused(RawFailure.NOT_GRANTED)
        yield  # an asynchronous generator


class Line:
    """A GatewayLine in front of a Core; `counts` as the worker's counters."""

    def __init__(self, core: Core, **plan: object) -> None:
        self.counts: dict[str, int] = {}
        made = Plan(**{"doors": (), "cache_ms": 0, **plan})  # type: ignore[arg-type]
        self._line = GatewayLine("riser", made, core, LoopClock(), self._count)

    async def ask(self, client: str, pdu: bytes, unit: int = 1, timeout_s: float = 0.0) -> bytes:
        return await self._line.ask(client, Route("riser", unit, timeout_s), pdu)

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


async def test_ten_clients_with_one_question_cost_one_exchange() -> None:
    core = Core()
    line = Line(core)

    assert await asyncio.gather(*(line.ask(str(n), READ) for n in range(10))) == [b"\x031"] * 10
    assert await line.ask("late", READ) == b"\x032"
    assert line.counts["joined"] == 9


async def test_writes_and_other_units_are_never_joined() -> None:
    core = Core()
    line = Line(core)
    await asyncio.gather(line.ask("a", WRITE), line.ask("b", WRITE), line.ask("a", READ), line.ask("b", READ, unit=2))

    assert len(core.asked) == 4


async def test_a_client_that_leaves_does_not_take_the_others_with_it() -> None:
    core = Core()
    line = Line(core)
    first = asyncio.create_task(line.ask("a", READ))
    await asyncio.sleep(0.01)
    others = asyncio.gather(line.ask("b", READ), line.ask("c", READ))
    await asyncio.sleep(0.01)
    first.cancel()

    assert list(await others) == [b"\x032", b"\x032"]
    assert [client for client, _, _ in core.asked] == ["a", "b"]


async def test_a_failure_reaches_everyone_who_waited_and_nobody_else() -> None:
    line = Line(Core(fails=1))
    results = await asyncio.gather(*(line.ask(str(n), READ) for n in range(3)), return_exceptions=True)

    assert all(isinstance(result, RawRefused) for result in results)
    assert await line.ask("later", READ) == b"\x032"


async def test_a_reply_serves_whoever_asks_the_same_soon_after() -> None:
    line = Line(Core(), cache_ms=200)
    await line.ask("a", READ)
    await asyncio.sleep(0.15)

    assert await line.ask("b", READ) == b"\x031"
    await asyncio.sleep(0.06)
    assert await line.ask("b", READ) == b"\x032"
    assert line.counts["cached"] == 1


async def test_after_a_write_nobody_gets_a_value_from_before() -> None:
    line = Line(Core(), cache_ms=10_000)
    await line.ask("a", READ)
    await line.ask("a", WRITE)

    assert await line.ask("b", READ) == b"\x033"


async def test_a_read_under_way_while_a_write_is_answered_is_not_remembered_nor_joined() -> None:
    core = Core()
    line = Line(core, cache_ms=10_000, in_flight=2)
    slow = asyncio.create_task(line.ask("a", READ, timeout_s=1.0))
    await asyncio.sleep(0.01)
    await line.ask("b", WRITE)
    after = await line.ask("b", READ)
    await slow

    assert after == b"\x033"
    assert await line.ask("c", READ) == after


async def test_a_broadcast_makes_every_unit_be_read_again() -> None:
    core = Core()
    line = Line(core, cache_ms=10_000)
    await line.ask("a", READ, unit=1)
    await line.ask("a", READ, unit=2)
    await line.ask("a", WRITE, unit=0)
    await line.ask("a", READ, unit=1)
    await line.ask("a", READ, unit=2)

    assert [unit for _, unit, _ in core.asked] == [1, 2, 0, 1, 2]


async def test_exceptions_of_a_device_are_not_remembered() -> None:
    class Refuser(Core):
        async def exchange(
            self,
            channel: str,
            user: str,
            unit_id: int,
            pdu: bytes,
            deadline_ns: int,
            timeout_s: float = 0.0,
            identity: str = "",
        ) -> bytes:
            self.asked.append((user, unit_id, pdu))
            return b"\x83\x06"

    core = Refuser()
    line = Line(core, cache_ms=10_000)
    await line.ask("a", READ)
    await line.ask("a", READ)

    assert len(core.asked) == 2


async def test_memory_of_replies_is_bounded() -> None:
    line = Line(Core(), cache_ms=10_000, in_flight=60)
    await asyncio.gather(*(line.ask("a", b"\x03" + n.to_bytes(2, "big") + b"\0\1") for n in range(2000)))

    assert len(line._line._replies) <= 256


async def test_a_silent_unit_is_left_alone_for_ever_longer_times() -> None:
    core, loop = Core(), asyncio.get_running_loop()
    line = Line(core, hold_off_s=(0.5, 2.0))
    begun = loop.time()
    while loop.time() < begun + 10:
        with contextlib.suppress(RawRefused):
            await line.ask("a", READ, unit=9)
        await asyncio.sleep(0.05)

    # 0.5, 1, 2, 2, 2 s of rest after questions of 0.1 s

    assert len(core.asked) == 6
    assert line.counts["held_off"] > 100


async def test_a_unit_that_answers_again_is_served_at_once() -> None:
    core = Core()
    line = Line(core)
    with pytest.raises(RawRefused):
        await line.ask("a", READ, unit=9)
    await asyncio.sleep(0.6)
    core_answers = line.ask("a", READ, unit=1)

    assert (await core_answers).startswith(b"\x03")
    assert await line.ask("a", OTHER, unit=1)


async def test_waiting_for_the_line_ends() -> None:
    line = Line(Core(), patience_s=1.0, in_flight=1)
    blocking = asyncio.create_task(line.ask("a", READ, timeout_s=5.0))
    await asyncio.sleep(0.01)

    with pytest.raises(RawRefused, match="busy"):
        await line.ask("b", OTHER)
    await blocking


async def test_clients_get_equal_turns_whatever_they_have_waiting() -> None:
    core = Core()
    line = Line(core, in_flight=2)

    async def client(name: str, requests: int) -> None:
        await asyncio.gather(*(line.ask(name, bytes((3, 0, n)) + name.encode()) for n in range(requests)))

    greedy = asyncio.create_task(client("greedy", 100))
    await asyncio.sleep(0.01)
    await asyncio.gather(client("a", 5), client("b", 5))
    served = [name for name, _, _ in core.asked]
    greedy.cancel()

    assert core.most == 2
    assert served.count("greedy") <= 10


async def test_a_turn_that_was_given_up_goes_to_the_next() -> None:
    turns = Turns(1)
    await turns.enter("a")
    gave_up = asyncio.create_task(turns.enter("b"))
    waiting = asyncio.create_task(turns.enter("c"))
    await asyncio.sleep(0)
    gave_up.cancel()
    turns.leave()
    await waiting
    turns.leave()

    assert turns.waiting == 0
    await turns.enter("d")
