"""Values as they change, by server-sent events: bounded in number, in size and in rate."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from bridge.core.point import Batch, PointDef
from bridge.projections.web.core import Core
from bridge.projections.web.shown import quality_class, quality_words, value_text
from bridge.projections.web.words import Words

# s between two messages of a page; a value that changes more often is shown every other time
_PAUSE_S = 0.5
# s after which the times of values that were read again and have not changed are told
_TIMES_S = 2.0
# s after which a stream is ended for the browser to come again
_LIFE_S = 600.0
# Points of one page
POINTS_MOST = 1000


class Live:
    """Loop thread only. `still_there`: tells the guard that a silent client is wanted."""

    def __init__(self, core: Core, most: int, still_there: Callable[[tuple[str, int]], None]) -> None:
        self._core, self._most, self._still_there = core, most, still_there
        self._open = 0

    def has_room(self) -> bool:
        return self._open < self._most

    async def stream(
        self, definitions: Sequence[PointDef], words: Words, client: tuple[str, int]
    ) -> AsyncIterator[bytes]:
        """Yield messages: first every point, then what has changed."""
        wanted = {definition.index: definition for definition in definitions}
        changed: dict[int, None] = dict.fromkeys(wanted)
        told: dict[int, int] = {}
        news = asyncio.Event()

        def take(batch: Batch) -> None:
            changed.update((index, None) for index, _ in batch if index in wanted)
            news.set()

        self._count(1)
        cancel = self._core.points.subscribe(list(wanted), take)
        loop = asyncio.get_running_loop()
        end = loop.time() + _LIFE_S
        try:
            yield b"retry: 2000\n\n"
            while loop.time() < end:
                rows = [row(self._core, wanted[index], words) for index in changed]
                for index, definition in wanted.items():
                    source_ns = self._core.sample(definition).source_ns
                    if told.get(index) != source_ns:
                        told[index] = source_ns
                        if index not in changed:
                            rows.append([definition.id, source_ns // 1_000_000])
                changed.clear()
                news.clear()
                self._still_there(client)
                yield b"data: " + msgspec.json.encode(rows) + b"\n\n" if rows else b": quiet\n\n"
                await asyncio.sleep(_PAUSE_S)
                try:
                    async with asyncio.timeout(_TIMES_S):
                        await news.wait()
                except TimeoutError:
                    continue
        finally:
            cancel()
            self._count(-1)

    def _count(self, step: int) -> None:
        self._open += step
        self._core.counters["live_pages"] = self._open


def row(core: Core, definition: PointDef, words: Words) -> list[Any]:
    """Return what a page needs to show a point: id, text, class and words of its quality, source time in ms."""
    sample = core.sample(definition)
    return [
        definition.id,
        value_text(definition, sample, words.language),
        quality_class(sample.quality),
        ", ".join(words(word) for word in quality_words(sample.quality)),
        sample.source_ns // 1_000_000,
    ]
