"""Values as they change, by server-sent events: bounded in number, in size and in rate."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from bridge.core.point import Batch, PointDef
from bridge.projections.web.core import Core
from bridge.projections.web.shown import quality_class, quality_words, value_text

# s between two messages of a page; a value that changes more often is shown every other time
_PAUSE_S = 0.5
# s after which a quiet stream says that it is alive, and a stream is ended for the browser to come again
_QUIET_S, _LIFE_S = 15.0, 600.0
# Points of one page
POINTS_MOST = 2000


class TooManyPages(Exception):
    """Every seat for live pages is taken."""


class Live:
    """Loop thread only."""

    def __init__(self, core: Core, most: int, still_there: Callable[[tuple[str, int]], None]) -> None:
        self._core, self._most, self._still_there = core, most, still_there
        self._open = 0

    @property
    def open(self) -> int:
        """Streams under way."""
        return self._open

    def has_room(self) -> bool:
        return self._open < self._most

    async def stream(
        self, definitions: Sequence[PointDef], language: str, client: tuple[str, int]
    ) -> AsyncIterator[bytes]:
        """Yield messages: first every point, then what has changed. Ends after ten minutes; the browser comes again."""
        changed: dict[int, None] = dict.fromkeys(d.index for d in definitions)
        news = asyncio.Event()
        news.set()

        def take(batch: Batch) -> None:
            changed.update((index, None) for index, _ in batch if index in wanted)
            news.set()

        wanted = {definition.index: definition for definition in definitions}
        self._open += 1
        self._core.counters["live_pages"] = self._open
        cancel = self._core.points.subscribe(list(wanted), take)
        loop = asyncio.get_running_loop()
        end = loop.time() + _LIFE_S
        try:
            yield b"retry: 2000\n\n"
            while loop.time() < end:
                try:
                    async with asyncio.timeout(_QUIET_S):
                        await news.wait()
                except TimeoutError:
                    self._still_there(client)
                    yield b": quiet\n\n"
                    continue
                news.clear()
                due = list(changed)
                changed.clear()
                self._still_there(client)
                rows = [row(self._core, wanted[index], language) for index in due]
                yield b"data: " + msgspec.json.encode(rows) + b"\n\n"
                await asyncio.sleep(_PAUSE_S)
        finally:
            cancel()
            self._open -= 1
            self._core.counters["live_pages"] = self._open


def row(core: Core, definition: PointDef, language: str) -> list[Any]:
    """Return what a page needs to show a point: id, text, class and words of its quality, source time in ms."""
    sample = core.sample(definition)
    return [
        definition.id,
        value_text(definition, sample, language),
        quality_class(sample.quality),
        " ".join(quality_words(sample.quality)),
        sample.source_ns // 1_000_000,
    ]
