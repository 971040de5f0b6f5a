"""Frames of channels that somebody looks at on a page."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from bridge.app.bridge import Bridge
from bridge.core.errors import OperationRefused
from bridge.field.channel import FieldChannel
from bridge.field.observe import FrameRing, Verdict

# Frames of a trace kept between two questions
_FRAMES_KEPT = 200
# s without a question after which a channel is not traced any more; channels traced at once
_TRACE_S, _TRACES_MOST = 15.0, 8


class Traces:
    """Frames of channels that somebody looks at now; a channel nobody asks about for a while costs nothing."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._watched: OrderedDict[str, _Watched] = OrderedDict()

    async def frames(self, arguments: Mapping[str, str]) -> Any:
        """The newest frames of a channel, oldest first; the first question begins to look."""
        name = arguments.get("channel", "")
        field = self._bridge.field
        channel = field.channels.get(name) if field is not None else None
        if channel is None:
            raise OperationRefused(f"expected a channel ({', '.join(self._bridge.config.channels)}), found {name}")
        watched = self._watched.get(name)
        if watched is None or watched.channel is not channel:
            if watched is not None:
                self._forget(name)
            elif len(self._watched) >= _TRACES_MOST:
                self._forget(next(iter(self._watched)))
            watched = self._watched[name] = _Watched(channel)
        loop = asyncio.get_running_loop()
        if watched.end is not None:
            watched.end.cancel()
        watched.end = loop.call_later(_TRACE_S, self._forget, name)
        self._watched.move_to_end(name)
        clock = self._bridge.clock
        shift_ns = clock.utc_ns() - clock.monotonic_ns()
        watched.kept = [*watched.kept, *watched.ring.take()][-_FRAMES_KEPT:]
        return [
            {
                "time_ns": frame.at_ns + shift_ns,
                "direction": "out" if frame.verdict is Verdict.SENT else "in",
                "verdict": frame.verdict.value,
                "bytes": frame.data.hex(" "),
            }
            for frame in watched.kept
        ]

    def _forget(self, name: str) -> None:
        watched = self._watched.pop(name, None)
        if watched is not None:
            watched.channel.ignore(watched.ring.append)
            if watched.end is not None:
                watched.end.cancel()


class _Watched:
    def __init__(self, channel: FieldChannel) -> None:
        self.channel, self.ring = channel, FrameRing(_FRAMES_KEPT)
        self.kept: list[Any] = []
        self.end: asyncio.TimerHandle | None = None
        channel.observe(self.ring.append)
