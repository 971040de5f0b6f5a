"""Everything the store publishes, encoded once, to every worker."""

import asyncio
from collections.abc import Sequence

from bridge.core.alarm import Alarm
from bridge.core.event import Event
from bridge.core.point import Batch, Sample
from bridge.core.store import PointStore
from bridge.link import codec, wire
from bridge.workers.core_end import CoreEnd

# Seconds between two shared frames under load; after a pause the first one goes out at once. A send to a
# sleeping worker costs the core 4 to 6 us (tests/bench/workers.py), 100 times a sample's encoding: with
# eight workers 200 frames a second are at most 1 % of a core.
FEED_INTERVAL_S = 0.005


class Feed:
    """
    Loop thread only. Gathers at most CHUNK_POINTS samples; a publish never waits for a worker.

    All workers get all samples and skip what they do not know: encoding is shared (0.05 us a sample), while
    a filter per worker would cost the core more than decoding costs the worker.
    """

    def __init__(self, store: PointStore, interval_s: float = FEED_INTERVAL_S) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval_s = interval_s
        self._links: list[CoreEnd] = []
        self._waiting: Batch = []
        self._due: asyncio.Handle | None = None
        self._last = 0.0
        self._cancel = store.feed(self._published)

    def add(self, link: CoreEnd) -> None:
        """From now on; what was published before must come with the link's introduction."""
        self.flush()
        self._links.append(link)

    def remove(self, link: CoreEnd) -> None:
        if link in self._links:
            self._links.remove(link)

    def happened(self, event: Event) -> None:
        frame = codec.encode_event(event)
        for link in list(self._links):
            link.happened(event.number, frame)

    def alarm_changed(self, alarm: Alarm) -> None:
        for link in list(self._links):
            link.alarm_changed(alarm)

    def close(self) -> None:
        self._cancel()
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._links.clear()

    def flush(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        waiting, self._waiting = self._waiting, []
        self._last = self._loop.time()
        for at in range(0, len(waiting), wire.CHUNK_POINTS):
            chunk = waiting[at : at + wire.CHUNK_POINTS]
            frame = codec.encode_samples(wire.Changes, chunk)
            for link in list(self._links):
                link.published(frame, chunk)

    def _published(self, batch: Sequence[tuple[int, Sample]]) -> None:
        self._waiting.extend(batch)
        if len(self._waiting) >= wire.CHUNK_POINTS:
            self.flush()
        elif self._due is None:
            wait_s = self._last + self._interval_s - self._loop.time()
            if wait_s > 0:
                self._due = self._loop.call_later(wait_s, self.flush)
            else:
                self._due = self._loop.call_soon(self.flush)
