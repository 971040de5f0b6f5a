"""
Marks points STALE that had no new reading for their `stale_after_ns`; value and source time stay as they are.

The rule one must not break: age is monotonic time since a reading with a new source time was heard; the source time
itself may jump with the wall clock, and a sample that only says why there is no reading makes nothing fresh.
"""

import asyncio
from collections.abc import Sequence

from bridge.core.clock import Clock
from bridge.core.point import Batch, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore, Published

# ns; how exact a point turns stale, and how often the service looks
_TICK_NS = 1_000_000_000
# Points marked in one go, so that a site that falls silent at once does not hold the loop.
_CHUNK = 500


class Staleness:
    """
    Loop thread only. A point is looked at once per `stale_after_ns`, not at every tick: it stands in the list of the
    tick at which it would be stale if nothing came, and moves on by what did come.
    """

    def __init__(self, store: PointStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._after: dict[int, int] = {}
        self._source: dict[int, int] = {}
        self._heard: dict[int, int] = {}
        # points to look at by tick; the tick a point waits for, so that none waits twice
        self._ticks: dict[int, list[int]] = {}
        self._waiting: dict[int, int] = {}
        self._stale: set[int] = set()
        self._lapsed: list[int] = []
        self._tick = self._clock.monotonic_ns() // _TICK_NS
        self.redefine()
        self._cancel = store.feed(self._hear)

    @property
    def stale(self) -> int:
        """How many points are stale."""
        return len(self._stale)

    def redefine(self) -> None:
        """Take the store's present definitions, after a reload; points that stay keep their age."""
        now = self._clock.monotonic_ns()
        self._after = {d.index: d.stale_after_ns for d in self._store.defs() if d.stale_after_ns}
        self._source = {i: self._source.get(i, self._store.get(i).source_ns) for i in self._after}
        self._heard = {i: self._heard.get(i, now) for i in self._after}
        self._stale &= self._after.keys()
        self._ticks, self._waiting = {}, {}
        for index in self._after.keys() - self._stale:
            self._wait(index)

    def close(self) -> None:
        """Stop listening."""
        self._cancel()

    async def run(self) -> None:
        """Look once a tick until cancelled."""
        while True:
            await asyncio.sleep(_TICK_NS / 1e9)
            due = self.due()
            for start in range(0, len(due), _CHUNK):
                self.mark(due[start : start + _CHUNK])
                await asyncio.sleep(0)

    def due(self) -> list[int]:
        """Return the points to look at now."""
        tick = self._clock.monotonic_ns() // _TICK_NS
        due = [index for index in self._lapsed if index in self._stale]
        self._lapsed = []
        if tick - self._tick > len(self._ticks):
            # the loop stood still, or the machine slept: fewer lists than ticks
            passed = sorted(at for at in self._ticks if at <= tick)
        else:
            passed = list(range(self._tick, tick + 1))
        for at in passed:
            for index in self._ticks.pop(at, ()):
                if self._waiting.get(index) == at:
                    del self._waiting[index]
                    due.append(index)
        self._tick = tick
        return due

    def mark(self, due: Sequence[int]) -> None:
        """Publish those of `due` that are stale; the others are looked at again when they would be."""
        now = self._clock.monotonic_ns()
        batch: Batch = []
        for index in due:
            after = self._after.get(index)
            if after is None:
                continue
            if now - self._heard[index] < after:
                self._wait(index)
                continue
            sample = self._store.get(index)
            self._stale.add(index)
            # without a value there is nothing to be old
            if sample.value is not None and not sample.quality & Quality.STALE:
                stale = Sample(sample.value, sample.quality | Quality.STALE, sample.source_ns, sample.seq)
                batch.append((index, stale))
        if batch:
            self._store.publish(batch)

    def _wait(self, index: int) -> None:
        if index in self._waiting:
            return
        at = max((self._heard[index] + self._after[index]) // _TICK_NS + 1, self._tick + 1)
        self._waiting[index] = at
        waiting = self._ticks.get(at)
        if waiting is None:
            self._ticks[at] = [index]
        else:
            waiting.append(index)

    def _hear(self, batch: Published) -> None:
        now, source, heard = self._clock.monotonic_ns(), self._source, self._heard
        for index, sample in batch:
            if sample.source_ns != source.get(index, sample.source_ns):
                source[index] = sample.source_ns
                heard[index] = now
                if index in self._stale:
                    self._stale.discard(index)
                    self._wait(index)
            elif index in self._stale and not sample.quality & Quality.STALE:
                # somebody said why there is no reading, and with that took the mark away
                self._lapsed.append(index)
