"""
One channel as the clients see it: turns, joined and remembered reads, and a pause for units that do not answer.

The rule one must not break: a client that has been told that its write is done never gets a value from before it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from bridge.core.clock import Clock
from bridge.core.errors import RawFailure, RawRefused
from bridge.core.ports import RawLinePort
from bridge.gateway.modbus.plan import BROADCAST_UNIT, Plan, Route
from bridge.gateway.modbus.turns import Turns
from bridge.modbus.frame import EXCEPTION_BIT

# what may be joined and remembered: reads of the four tables (Modbus Application Protocol V1.1b3, 6.1 to 6.4)
SHARED_FUNCTIONS = frozenset({1, 2, 3, 4})
# replies remembered per line: 253 bytes each
_REMEMBERED = 256
_SECOND_NS = 1_000_000_000


class HoldOff:
    """A unit that has not answered is not asked again for a while, ever longer, so that it costs the others little."""

    def __init__(self, times_s: tuple[float, float], clock: Clock) -> None:
        self._first_ns, self._most_ns = (round(time_s * _SECOND_NS) for time_s in times_s)
        self._now = clock.monotonic_ns
        # unit -> until when, and how long that was
        self._silent: dict[int, tuple[int, int]] = {}

    def holds(self, unit: int) -> bool:
        return bool(self._silent) and unit in self._silent and self._now() < self._silent[unit][0]

    def silent(self, unit: int) -> None:
        pause_ns = min(max(self._first_ns, 2 * self._silent.get(unit, (0, 0))[1]), self._most_ns)
        self._silent[unit] = self._now() + pause_ns, pause_ns

    def answered(self, unit: int) -> None:
        if self._silent:
            self._silent.pop(unit, None)


class _UnderWay:
    """A read that has been sent. `joined`: what those wait for who ask the same; most reads nobody joins."""

    __slots__ = ("joined",)

    def __init__(self) -> None:
        self.joined: asyncio.Future[bytes] | None = None


class GatewayLine:
    """Loop thread only. The Turns and memories of one channel; `ask` raises RawRefused as RawLinePort does."""

    def __init__(self, channel: str, plan: Plan, port: RawLinePort, clock: Clock, count: Callable[[str], None]) -> None:
        self._channel, self._port, self._clock, self._count = channel, port, clock, count
        self._patience_ns = round(plan.patience_s * _SECOND_NS)
        self._cache_ns = plan.cache_ms * 1_000_000
        self._turns = Turns(plan.in_flight)
        self._hold_off = HoldOff(plan.hold_off_s, clock)
        self._running: dict[tuple[int, bytes], _UnderWay] = {}
        # oldest first; expired ones go when they are asked for or pushed out
        self._replies: OrderedDict[tuple[int, bytes], tuple[int, bytes]] = OrderedDict()
        # of each unit; a read begun before it must not be remembered after it
        self._writes: dict[int, int] = {}

    async def ask(self, client: str, route: Route, pdu: bytes, identity: str = "") -> bytes:
        """
        Return the reply PDU, a device's exception included. `identity`: of the client, for the core's policy; reads
        are judged alike whoever asks. Raises: RawRefused.
        """
        if pdu[0] not in SHARED_FUNCTIONS:
            self._forget(route.unit)
            try:
                return await self._exchange(client, route, pdu, identity)
            finally:
                self._forget(route.unit)
        key = route.unit, pdu
        if (known := self._remembered(key)) is not None:
            self._count("cached")
            return known
        while (running := self._running.get(key)) is not None:
            self._count("joined")
            if running.joined is None:
                running.joined = asyncio.get_running_loop().create_future()
            joined = running.joined
            await asyncio.wait((joined,))
            if not joined.cancelled():
                return joined.result()
        return await self._first(client, route, key)

    async def _first(self, client: str, route: Route, key: tuple[int, bytes]) -> bytes:
        running = self._running[key] = _UnderWay()
        writes = self._written(route.unit)
        try:
            reply = await self._exchange(client, route, key[1])
        except RawRefused as exc:
            if running.joined is not None:
                running.joined.set_exception(exc)
                running.joined.exception()  # seen: whoever waited may have left
            raise
        else:
            if running.joined is not None:
                running.joined.set_result(reply)
            if self._cache_ns and writes == self._written(route.unit) and not reply[0] & EXCEPTION_BIT:
                self._remember(key, reply)
            return reply
        finally:
            if self._running.get(key) is running:
                del self._running[key]
            if running.joined is not None:
                # the first client left before the answer: one of the others asks again
                running.joined.cancel()

    async def _exchange(self, client: str, route: Route, pdu: bytes, identity: str = "") -> bytes:
        unit = route.unit
        deadline_ns = self._clock.monotonic_ns() + self._patience_ns
        if self._hold_off.holds(unit):
            self._count("held_off")
            raise RawRefused(RawFailure.TIMED_OUT, "has not answered lately")
        if not self._turns.take():
            await self._enter(client)
        try:
            if self._hold_off.holds(unit):
                # it fell silent while this request waited
                self._count("held_off")
                raise RawRefused(RawFailure.TIMED_OUT, "has not answered lately")
            self._count("exchanges")
            reply = await self._port.exchange(self._channel, client, unit, pdu, deadline_ns, route.timeout_s, identity)
        except RawRefused as exc:
            if exc.failure is RawFailure.TIMED_OUT and unit != BROADCAST_UNIT:
                self._hold_off.silent(unit)
            raise
        finally:
            self._turns.leave()
        self._hold_off.answered(unit)
        return reply

    async def _enter(self, client: str) -> None:
        try:
            async with asyncio.timeout(self._patience_ns / _SECOND_NS):
                await self._turns.enter(client)
        except TimeoutError as exc:
            raise RawRefused(RawFailure.BUSY, "the line was not free in time") from exc

    def _remembered(self, key: tuple[int, bytes]) -> bytes | None:
        known = self._replies.get(key)
        if known is None:
            return None
        if known[0] <= self._clock.monotonic_ns():
            del self._replies[key]
            return None
        return known[1]

    def _remember(self, key: tuple[int, bytes], reply: bytes) -> None:
        self._replies[key] = self._clock.monotonic_ns() + self._cache_ns, reply
        self._replies.move_to_end(key)
        if len(self._replies) > _REMEMBERED:
            self._replies.popitem(last=False)

    def _written(self, unit: int) -> int:
        return self._writes.get(unit, 0) + self._writes.get(BROADCAST_UNIT, 0)

    def _forget(self, unit: int) -> None:
        """Something that may change the unit (0: every unit) begins or ends: what was read before is history."""
        self._writes[unit] = self._writes.get(unit, 0) + 1
        for memory in (self._replies, self._running):
            for key in [key for key in memory if unit in (BROADCAST_UNIT, key[0])]:
                del memory[key]
