"""
Who did what, from where, and what came of it: one sealed record each, on the disk before it counts.

The rule one must not break: a write that cannot be recorded is not carried out.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from bridge.commands.chain import Fact, Record
from bridge.core.clock import Clock

# s; the same refusal again within this time is counted, not recorded (A-15: the event time-out of the ION)
REPEAT_S = 1800.0
# s between two looks at what has been counted for long enough
SWEEP_S = 60.0
# Different refusals of one origin recorded per window; more of them are counted together
MOST_PER_ORIGIN = 50
# Refusals remembered at once; a flood from many addresses ends the windows of the oldest early
KEPT = 2048
_SECOND_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# (fact, time) -> the record, once it is on the disk. Raises: OSError
Append = Callable[[Fact, str], Awaitable[Record]]
OnRecord = Callable[[Record], None]


@dataclass(slots=True)
class _Repeats:
    fact: Fact
    since_ns: int
    times: int = 0


class Audit:
    """Loop thread only; one record is written after the other."""

    def __init__(self, append: Append, clock: Clock, on_record: OnRecord = lambda record: None) -> None:
        """`on_record` hears every record in order: for the event log and syslog."""
        self._append, self._clock, self._on_record = append, clock, on_record
        self._turn = asyncio.Lock()
        self._repeats: OrderedDict[tuple[str, ...], _Repeats] = OrderedDict()
        self._kinds: dict[tuple[str, str], int] = {}
        # records that could not be written, for health and metrics
        self.lost = 0

    async def note(self, fact: Fact) -> Record:
        """Record `fact`; return when it is on the disk. Raises: OSError."""
        async with self._turn:
            time = utc_text(self._clock.utc_ns())
            try:
                record = await self._append(fact, time)
            except OSError:
                self.lost += 1
                raise
        self._on_record(record)
        return record

    async def refused(self, fact: Fact, times: int = 1) -> None:
        """
        Record a refusal; the same again within REPEAT_S is counted, and so are the others of an origin with too many.
        `times`: so often it happened already.

        A full disk keeps nobody waiting here: what is refused is refused, and `lost` says so.
        """
        now_ns = self._clock.monotonic_ns()
        for due in self._over(now_ns):
            await self._try(due)
        origin = (fact.protocol, fact.peer)
        key = (*origin, fact.user, fact.kind, fact.target, fact.result)
        if key not in self._repeats and self._kinds.get(origin, 0) >= MOST_PER_ORIGIN:
            fact = Fact(
                kind=fact.kind, result=fact.result, protocol=fact.protocol, peer=fact.peer, reason="many others"
            )
            key = (*origin, "", fact.kind, "", "")
        known = self._repeats.get(key)
        if known is not None:
            known.times += times
            return
        self._repeats[key] = _Repeats(fact, now_ns, times - 1)
        self._kinds[origin] = self._kinds.get(origin, 0) + 1
        await self._try(fact)

    async def run(self) -> None:
        """Record what was counted when its time is over, until cancelled; then what is left."""
        try:
            while True:
                await asyncio.sleep(SWEEP_S)
                for due in self._over(self._clock.monotonic_ns()):
                    await self._try(due)
        finally:
            for key in list(self._repeats):
                counted = self._forget(key)
                if counted is not None:
                    await self._try(counted)

    def _over(self, now_ns: int) -> list[Fact]:
        """Take out what has been counted for long enough, or must make room."""
        due: list[Fact] = []
        for key, repeats in list(self._repeats.items()):
            if now_ns - repeats.since_ns < REPEAT_S * _SECOND_NS and len(self._repeats) <= KEPT:
                break
            counted = self._forget(key)
            if counted is not None:
                due.append(counted)
        return due

    def _forget(self, key: tuple[str, ...]) -> Fact | None:
        repeats = self._repeats.pop(key)
        origin = (key[0], key[1])
        self._kinds[origin] -= 1
        if not self._kinds[origin]:
            del self._kinds[origin]
        return msgspec.structs.replace(repeats.fact, repeated=repeats.times) if repeats.times else None

    async def _try(self, fact: Fact) -> None:
        try:
            await self.note(fact)
        except OSError:
            # counted in `lost`
            return


def utc_text(utc_ns: int) -> str:
    """Return a time as ISO 8601 with microseconds."""
    moment = _EPOCH + timedelta(microseconds=utc_ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
