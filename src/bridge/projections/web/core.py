"""What the console knows: the point image, and the core's answers about itself, kept for a moment."""

import asyncio
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import msgspec

from bridge.core.command import Origin
from bridge.core.errors import OperationRefused
from bridge.core.point import DeviceDef, PointDef, Role, Sample
from bridge.core.ports import ProjectionContext
from bridge.core.quality import UNUSABLE
from bridge.projections.web.rows import (
    Checked,
    Closing,
    EventsAnswer,
    Finding,
    Recorded,
    ServerClients,
    SiteAnswer,
    StatusAnswer,
)

T = TypeVar("T")
# s; any number of browsers ask the core at most that often
_STATUS_S, _SITE_S, _NUMBERS_S, _CHECK_S = 0.8, 30.0, 10.0, 2.0
_CLIENTS_S, _SETUP_S, _CLOSINGS_S = 2.0, 2.0, 5.0


class Core:
    """Loop thread only."""

    def __init__(self, ctx: ProjectionContext) -> None:
        self._ctx = ctx
        self.clock = ctx.clock
        self.counters = ctx.counters
        self.points = ctx.points
        self.alarms = ctx.alarms
        self.history = ctx.history
        self.defs: Mapping[str, PointDef] = {definition.id: definition for definition in ctx.points.defs()}
        self.devices: Mapping[str, DeviceDef] = {device.id: device for device in ctx.points.devices()}
        self.by_device: dict[str, list[PointDef]] = {}
        for definition in self.defs.values():
            self.by_device.setdefault(definition.device, []).append(definition)
        self._kept: dict[str, tuple[float, Any]] = {}
        self._asking = asyncio.Lock()

    async def status(self) -> StatusAnswer:
        """Raises: OperationRefused."""
        return await self._recent("status", _STATUS_S, StatusAnswer)

    async def site(self) -> SiteAnswer:
        """Raises: OperationRefused."""
        return await self._recent("site", _SITE_S, SiteAnswer)

    async def numbers(self) -> dict[str, dict[str, str]]:
        """Return the public numbers of each point. Raises: OperationRefused."""
        return await self._recent("numbers", _NUMBERS_S, dict[str, dict[str, str]])

    async def check(self) -> Checked:
        """Raises: OperationRefused."""
        return await self._recent("check", _CHECK_S, Checked)

    async def exports(self) -> dict[str, list[str]]:
        """Return what each server can export. Raises: OperationRefused."""
        return await self._recent("exports", _SITE_S, dict[str, list[str]])

    async def recorded(self) -> Recorded:
        """Return which points have a past. Raises: OperationRefused."""
        return await self._recent("recorded", _SITE_S, Recorded)

    async def clients(self) -> dict[str, ServerClients]:
        """Return who asks each server. Raises: OperationRefused."""
        return await self._recent("clients", _CLIENTS_S, dict[str, ServerClients])

    async def setup(self) -> list[Finding]:
        """Return what should be seen to. Raises: OperationRefused."""
        return await self._recent("setup", _SETUP_S, list[Finding])

    async def last_closings(self) -> list[Closing]:
        """Return the newest daily and monthly reading of every index. Raises: OperationRefused."""
        return await self._recent("closings", _CLOSINGS_S, list[Closing])

    async def closings(self, point: str) -> list[Closing]:
        """Return every daily and monthly reading of an index. Raises: OperationRefused."""
        return await self.ask("closings", list[Closing], point=point)

    async def order(self, what: str, kind: type[T], origin: Origin, /, **arguments: str) -> T:
        """Have the core do something, as far as it lets this user. Raises: OperationRefused."""
        return _decoded(what, await self._ctx.operations.order(what, arguments, origin), kind)

    async def events(self, **arguments: str) -> EventsAnswer:
        """Raises: OperationRefused."""
        return await self.ask("events", EventsAnswer, **arguments)

    async def ask(self, what: str, kind: type[T], /, **arguments: str) -> T:
        """Raises: OperationRefused."""
        return _decoded(what, await self._ctx.operations.ask(what, arguments), kind)

    def sample(self, definition: PointDef) -> Sample:
        return self.points.get(definition.index)

    def age_s(self, sample: Sample) -> float | None:
        """Return how old a value is; None if there never was one."""
        return max(self.clock.utc_ns() - sample.source_ns, 0) / 1e9 if sample.source_ns else None

    def usable_share(self, device: str) -> tuple[int, int]:
        """Return how many of the device's points have a usable value, of how many; a command has none to have."""
        found = [definition for definition in self.by_device.get(device, []) if definition.role is not Role.COMMAND]
        return sum(not self.sample(d).quality & UNUSABLE for d in found), len(found)

    async def _recent(self, what: str, age_s: float, kind: type[T]) -> T:
        async with self._asking:
            now = self.clock.monotonic_ns() / 1e9
            kept = self._kept.get(what)
            if kept is None or now - kept[0] >= age_s:
                kept = self._kept[what] = now, await self.ask(what, kind)
            found: T = kept[1]
            return found


def _decoded(what: str, body: bytes, kind: type[T]) -> T:
    """Raises: OperationRefused."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as exc:
        raise OperationRefused(f"the core answers {what} in words of another version: {exc}") from exc


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"
