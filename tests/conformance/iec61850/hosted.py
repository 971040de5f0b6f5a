"""The real worker with a synthetic site behind it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.point import Sample
from bridge.core.ports import CommandPort, SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.workers.supervisor import Supervisor
from tests.support.mms_client import connect
from tests.support.mms_site import publish, site, spec_of, store_of
from tests.support.workers import running, services, spare_ports, status


@dataclass(frozen=True, slots=True)
class Hosted:
    facts: SiteFacts
    store: PointStore
    supervisor: Supervisor
    port: int
    notices: "FakeNotices"

    def put(self, name: str, value: Any, quality: Quality = Quality.GOOD, source_ns: int = 0) -> None:
        at = source_ns or time.time_ns()
        publish(self.store, self.facts, {name: Sample(value, quality, at, 2)})

    @property
    def counters(self) -> dict[str, int]:
        return status(self.supervisor, "iec61850").counters


@dataclass(slots=True)
class FakePolicy:
    """CommandPort: answers `outcome` after `delay_s`, None never."""

    outcome: Outcome | None = Outcome.DONE
    delay_s: float = 0.2
    seen: list[Command] = field(default_factory=list)

    async def submit(self, command: Command) -> CommandResult:
        self.seen.append(command)
        if self.outcome is None:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")
        outcome = self.outcome
        await asyncio.sleep(self.delay_s)
        return CommandResult(outcome)


@dataclass(slots=True)
class FakeNotices:
    """The events that the server's notices make."""

    seen: list[tuple[str, bool]] = field(default_factory=list)

    def noticed(self, server: str, text: str, fault: bool) -> None:
        assert server == "iec61850"
        self.seen.append((text, fault))


@asynccontextmanager
async def hosted(
    meters: int = 2, commands: CommandPort | None = None, state_dir: str = "", **settings: Any
) -> AsyncIterator[Hosted]:
    facts, port = site(meters), spare_ports(1)
    store = store_of(facts)
    notices = FakeNotices()
    core = replace(services(store, commands), notices=notices)
    async with running(store, [spec_of(facts, port, state_dir, **settings)], core=core) as supervisor:
        yield Hosted(facts, store, supervisor, port, notices)


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Any]:
    connection = await connect(port)
    try:
        yield connection
    finally:
        await connection.disconnect()
