"""What the running bridge answers to its own servers: questions, which change nothing; orders are obeyed elsewhere."""

import asyncio
import base64
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from bridge.app.bridge import Bridge
from bridge.app.check import check_site
from bridge.app.control import control_handlers
from bridge.app.export import NothingToExport, export_site, exports_of
from bridge.app.gateway_traffic import traffic_rows
from bridge.app.orders import Orders
from bridge.app.setup import findings
from bridge.app.traces import Traces
from bridge.config.ledger_file import LEDGER_FILE, read_ledger
from bridge.control.protocol import ControlError
from bridge.core.accumulator import decimal_text
from bridge.core.client import Census
from bridge.core.errors import ConfigErrors, OperationRefused
from bridge.services.billing import billed

log = logging.getLogger("bridge.app")
# Handlers of the control socket that a server may reach as well: they only read
_ALIKE = ("status", "registers")
# Events in one answer
_EVENTS_MOST = 1000
_EXPORT_MOST = 1 << 23

Arguments = Mapping[str, str]
Question = Callable[[Arguments], Awaitable[Any]]


class Operations:
    """OperationsPort of the core. Loop thread only."""

    def __init__(self, bridge: Bridge, orders: Orders) -> None:
        self._bridge, self.order = bridge, orders.order
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
            "clients": self._clients,
            "closings": self._closings,
            "recorded": self._recorded,
            "setup": self._setup,
        }

    async def ask(self, what: str, arguments: Arguments) -> bytes:
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

    async def _site(self, _: Arguments) -> Any:
        config = self._bridge.config
        return {
            "name": config.file.site.name,
            "location": config.file.site.location,
            "devices": {name: device.label for name, device in config.file.devices.items()},
        }

    async def _events(self, arguments: Arguments) -> Any:
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

    async def _numbers(self, _: Arguments) -> Any:
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

    async def _check(self, _: Arguments) -> Any:
        return msgspec.to_builtins(await asyncio.to_thread(check_site, self._bridge.site, self._bridge.clock.utc_ns()))

    async def _traffic(self, arguments: Arguments) -> Any:
        """Who asks what through the gateway, of one channel or all."""
        channel = arguments.get("channel", "")
        rows = await asyncio.to_thread(traffic_rows, self._bridge.config)
        return [row for row in rows if channel in ("", row["channel"])]

    async def _exports(self, _: Arguments) -> Any:
        return {face.name: sorted(exports_of(face)) for face in self._bridge.servers()}

    async def _export(self, arguments: Arguments) -> Any:
        what = arguments.get("what", "")
        files = await asyncio.to_thread(lambda: list(export_site(self._bridge.site, what)))
        if sum(len(text) for _, text in files) > _EXPORT_MOST:
            raise OperationRefused(f"{what} is longer than {_EXPORT_MOST} characters: use `meterbridge export`")
        return [{"name": name, "text": base64.b64encode(text.encode()).decode()} for name, text in files]

    async def _clients(self, _: Arguments) -> Any:
        """Who asks each server, and how old a reading is when it gets there."""
        supervisor = self._bridge.supervisor
        censuses = {} if supervisor is None else await supervisor.censuses()
        return {name: _census_row(census) for name, census in censuses.items()}

    async def _closings(self, arguments: Arguments) -> Any:
        """
        The readings that close the days and months of an index, without one the newest of each; counts are exact
        decimal text. `epoch_now`: of the index as it stands; readings of two epochs have no difference.
        """
        try:
            rows = await self._bridge.own.past.closings(arguments.get("point", ""))
        except sqlite3.Error as exc:
            raise OperationRefused(f"the history cannot be read: {exc}") from exc
        indexes = {definition.id: definition.index for definition in self._bridge.store.defs()}
        states = {id_: self._bridge.own.gate.state(indexes[id_]) for id_ in {r.point for r in rows} if id_ in indexes}
        return [
            {
                "point": row.point,
                "period": row.period,
                "reading": decimal_text(row.count, row.resolution),
                "unit": row.unit,
                "epoch": row.epoch,
                "epoch_now": state.epoch if (state := states.get(row.point)) is not None else row.epoch,
                "serial_number": row.serial,
                "read_ns": row.source_ns,
                "quality": row.quality,
            }
            for row in rows
        ]

    async def _recorded(self, _: Arguments) -> Any:
        """Which points have a past: indexes with a load profile, and values that are recorded."""
        config, records = self._bridge.config, self._bridge.own.records
        history = config.services.history
        return {
            "billed": [point.id for point in billed(history.billed, config.points)],
            "values": records.recorded(),
            "period_s": history.profile_period_s,
            "timezone": history.timezone,
        }

    async def _setup(self, _: Arguments) -> Any:
        return findings(self._bridge)


def _census_row(census: Census) -> dict[str, Any]:
    clients = [{name: getattr(row, name) for name in row.__struct_fields__} for row in census.clients]
    return {"clients": clients, "delay_ms": census.delay_ms, "delay_most_ms": census.delay_most_ms}


def _number(arguments: Arguments, name: str, default: int) -> int:
    text = arguments.get(name, "") or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise OperationRefused(f"{name}: expected a number, found {text[:40]}")
    return int(text)
