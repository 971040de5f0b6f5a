"""What the running bridge answers to its own servers: questions that change nothing."""

import asyncio
import base64
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from bridge.app.bridge import Bridge
from bridge.app.check import check_site
from bridge.app.control import control_handlers
from bridge.app.export import NothingToExport, export_site, exports_of
from bridge.app.gateway_traffic import traffic_rows
from bridge.config.ledger_file import LEDGER_FILE, read_ledger
from bridge.control.protocol import ControlError
from bridge.core.errors import ConfigErrors, OperationRefused
from bridge.field.channel import FieldChannel
from bridge.field.observe import FrameRing, Verdict

log = logging.getLogger("bridge.app")
# Handlers of the control socket that a server may reach as well: they only read
_ALIKE = ("status", "registers")
# Events in one answer, frames of a trace kept between two questions
_EVENTS_MOST, _FRAMES_KEPT = 1000, 200
# s without a question after which a channel is not traced any more; channels traced at once
_TRACE_S, _TRACES_MOST = 15.0, 8
_EXPORT_MOST = 1 << 23

Question = Callable[[Mapping[str, str]], Awaitable[Any]]


class Operations:
    """OperationsPort of the core. Loop thread only."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        handlers = control_handlers(bridge)
        self._alike = {name: handlers[name] for name in _ALIKE}
        self._traces = Traces(bridge)
        self._questions: Mapping[str, Question] = {
            "site": self._site,
            "events": self._events,
            "numbers": self._numbers,
            "check": self._check,
            "frames": self._traces.frames,
            "traffic": self._traffic,
            "exports": self._exports,
            "export": self._export,
        }

    async def ask(self, what: str, arguments: Mapping[str, str]) -> bytes:
        """Raises: OperationRefused."""
        try:
            if what in self._alike:
                return msgspec.json.encode(await self._alike[what](dict(arguments)))
            question = self._questions.get(what)
            if question is None:
                raise OperationRefused(f"expected one of {', '.join([*self._alike, *self._questions])}, found {what}")
            return msgspec.json.encode(await question(arguments))
        except OperationRefused:
            raise
        except (ControlError, NothingToExport) as exc:
            raise OperationRefused(str(exc)) from exc
        except ConfigErrors as exc:
            raise OperationRefused(f"the files of the site have {len(exc.errors)} mistakes: {exc.errors[0]}") from exc
        except Exception as exc:
            log.error("question_failed what=%s error=%s: %s", what, type(exc).__name__, exc)
            raise OperationRefused(f"{what}: the bridge has a fault, see its log") from exc

    async def _site(self, _: Mapping[str, str]) -> Any:
        config = self._bridge.config
        return {
            "name": config.file.site.name,
            "location": config.file.site.location,
            "devices": {name: device.label for name, device in config.file.devices.items()},
        }

    async def _events(self, arguments: Mapping[str, str]) -> Any:
        """The newest events after a number, oldest first."""
        log = self._bridge.own.events
        most = min(_number(arguments, "most", 200), _EVENTS_MOST)
        kind, device = arguments.get("kind", ""), arguments.get("device", "")
        found = [
            event
            for event in log.events(_number(arguments, "after", 0))
            if (not kind or event.kind.value == kind) and (not device or event.device == device)
        ]
        rows = [
            {
                "number": event.number,
                "time_ns": event.time_ns,
                "kind": event.kind.value,
                "priority": event.priority,
                "device": event.device,
                "index": event.index,
                "text": event.text,
                "user": event.user,
            }
            for event in found[len(found) - min(len(found), most) :]
        ]
        return {"last": log.last, "events": rows}

    async def _numbers(self, _: Mapping[str, str]) -> Any:
        """The public numbers of every point, by point and space."""
        bridge = self._bridge
        spaces = await asyncio.to_thread(read_ledger, bridge.config.directory / LEDGER_FILE)
        known = {definition.id for definition in bridge.store.defs()}
        found: dict[str, dict[str, str]] = {}
        for name, space in spaces.items():
            parts = name.split(".")
            for key, block in space.live.items():
                owner = key if key in known else f"{parts[1]}.{key}" if len(parts) > 2 else ""
                if owner in known:
                    found.setdefault(owner, {})[name] = str(block)
        return found

    async def _check(self, _: Mapping[str, str]) -> Any:
        return msgspec.to_builtins(await asyncio.to_thread(check_site, self._bridge.site, self._bridge.clock.utc_ns()))

    async def _traffic(self, arguments: Mapping[str, str]) -> Any:
        """Who asks what through the gateway, of one channel or all."""
        channel = arguments.get("channel", "")
        rows = await asyncio.to_thread(traffic_rows, self._bridge.config)
        return [row for row in rows if channel in ("", row["channel"])]

    async def _exports(self, _: Mapping[str, str]) -> Any:
        return {face.name: sorted(exports_of(face)) for face in self._bridge.servers()}

    async def _export(self, arguments: Mapping[str, str]) -> Any:
        what = arguments.get("what", "")
        files = await asyncio.to_thread(lambda: list(export_site(self._bridge.site, what)))
        if sum(len(text) for _, text in files) > _EXPORT_MOST:
            raise OperationRefused(f"{what} is longer than {_EXPORT_MOST} characters: use `meterbridge export`")
        return [{"name": name, "text": base64.b64encode(text.encode()).decode()} for name, text in files]


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


def _number(arguments: Mapping[str, str], name: str, default: int) -> int:
    text = arguments.get(name, "") or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise OperationRefused(f"{name}: expected a number, found {text[:40]}")
    return int(text)
