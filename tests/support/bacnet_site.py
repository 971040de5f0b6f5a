"""A synthetic site behind the BACnet server: in this process with its store, or in its real worker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from bridge.config.ledger import Ledger
from bridge.core.alarm import AlarmPort, NoAlarms
from bridge.core.clock import SystemClock
from bridge.core.command import Command, CommandResult, Origin, Outcome
from bridge.core.history import PAGE_MOST, HistoryPort, NoHistory, RecordPage
from bridge.core.point import Kind, PointDef, Sample
from bridge.core.ports import PointReader, Projected, ProjectionContext, SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.host.guard import Guard
from bridge.projections.bacnet.mapping import Mapping, project
from bridge.projections.bacnet.model import DeviceModel
from bridge.projections.bacnet.plan import Plan, unpack
from bridge.projections.bacnet.server import Server
from bridge.workers.worker import WorkerSpec
from tests.support.bacnet_client import Client
from tests.support.modbus_site import NOW_NS, FakeEvents, device, points_of, store_of
from tests.support.workers import FakeLines

SERVER = "bridge.projections.bacnet.server"
DEVICE_ID = 1001


def site(meters: int = 5, analogs: int = 0) -> SiteFacts:
    """The usual synthetic meters; `analogs`: further measurements of each."""
    points: list[PointDef] = []
    for number in range(1, meters + 1):
        points += points_of(number, len(points))
        for n in range(analogs):
            points.append(PointDef(len(points), f"m{number}.x{n}", Kind.ANALOG, "kW", stale_after_ns=10**12))
    return SiteFacts("tower", points, [device(number) for number in range(1, meters + 1)])


def mapping(port: int = 0, /, **more: object) -> Mapping:
    listener = {"port": port, "peer_rate": 60_000}
    return msgspec.convert({"listener": listener, "device_id": DEVICE_ID, **more}, Mapping)


def projected(facts: SiteFacts, port: int = 0, /, **more: object) -> Projected:
    return project(mapping(port, **more), facts, Ledger())


def plan_of(facts: SiteFacts, /, **more: object) -> Plan:
    plan = projected(facts, 0, **more).plan
    assert isinstance(plan, Plan)
    return plan


def spec_of(facts: SiteFacts, port: int, /, **more: object) -> WorkerSpec:
    made = projected(facts, port, **more)
    return WorkerSpec("bacnet", SERVER, msgspec.msgpack.encode(made.plan), made.needs)


def place_of(plan: Plan, facts: SiteFacts, point_id: str) -> tuple[int, int]:
    """Object type and instance of a point."""
    index = next(point.index for point in facts.points if point.id == point_id)
    number = unpack(plan.object_ids)[list(unpack(plan.indexes)).index(index)]
    return number >> 22, number & 0x3FFFFF


@dataclass
class Meters:
    """CommandPort: `outcome` for every command; DONE reaches the store."""

    store: PointStore
    outcome: Outcome = Outcome.DONE
    seen: list[Command] = field(default_factory=list)

    async def submit(self, command: Command) -> CommandResult:
        self.seen.append(command)
        await asyncio.sleep(0)
        if self.outcome is Outcome.DONE:
            self.store.publish([(command.index, Sample(command.value, Quality.GOOD, NOW_NS, 2))])
        return CommandResult(self.outcome)


@dataclass
class Refusals:
    """RefusalSink: (peer, target, reason) in the order they came."""

    seen: list[tuple[str, str, str]] = field(default_factory=list)

    def refused(self, origin: Origin, target: str, reason: str) -> None:
        self.seen.append((origin.peer, target, reason))


class Empty(NoHistory):
    """HistoryPort that answers, of a bridge that has recorded nothing yet."""

    async def records(self, index: int, first: int, most: int = PAGE_MOST, since_ns: int | None = None) -> RecordPage:
        del index, first, most, since_ns
        return RecordPage()


@dataclass
class Served:
    """The projection in this process."""

    facts: SiteFacts
    plan: Plan
    store: PointStore
    server: Server
    meters: Meters
    counters: dict[str, int]
    task: asyncio.Task[None]
    refusals: Refusals

    def place(self, point_id: str) -> tuple[int, int]:
        return place_of(self.plan, self.facts, point_id)

    def index(self, point_id: str) -> int:
        return next(point.index for point in self.facts.points if point.id == point_id)

    def publish(self, point_id: str, value: float | int | bool | str, quality: Quality = Quality.GOOD) -> None:
        self.store.publish([(self.index(point_id), Sample(value, quality, NOW_NS, 3))])

    async def slow(self, slow: bool) -> None:
        """Let the stack answer everything, or the model what it can."""
        stack = self.server.stack
        assert stack is not None
        if stack.network is not None:
            await stack.network.wake_all()
        stack.front.enabled = not slow
        for app in (stack.app, *stack.devices):
            app.asap.reader = None if slow else app.reads.answer

    @property
    def model(self) -> DeviceModel:
        assert self.server.stack is not None
        return self.server.stack.app.model


@asynccontextmanager
async def served(
    facts: SiteFacts,
    points: PointReader | None = None,
    alarms: AlarmPort | None = None,
    history: HistoryPort | None = None,
    /,
    **more: object,
) -> AsyncIterator[Served]:
    """`points`: what the projection reads instead of the store."""
    plan, store = plan_of(facts, **more), store_of(facts)
    ready, counters, meters = asyncio.Event(), dict[str, int](), Meters(store)
    refusals = Refusals()
    context = ProjectionContext(
        plan=plan,
        points=points or store,
        commands=meters,
        events=FakeEvents(),
        lines=FakeLines(),
        listeners=Guard(counters),
        clock=SystemClock(),
        state_dir="",
        counters=counters,
        ready=ready.set,
        alarms=alarms or NoAlarms(),
        history=history or Empty(),
        refusals=refusals,
    )
    server = Server()
    task = asyncio.ensure_future(server.run(context))
    try:
        async with asyncio.timeout(10):
            waiting = asyncio.ensure_future(ready.wait())
            await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        yield Served(facts, plan, store, server, meters, counters, task, refusals)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def asked(facts: SiteFacts, /, **more: object) -> AsyncIterator[tuple[Served, Client]]:
    """The projection in this process, and a client of it."""
    async with served(facts, **more) as it, Client.open(it.server.port) as client:
        yield it, client


def indexes_of(facts: SiteFacts, device_id: str) -> Sequence[int]:
    return [point.index for point in facts.points if point.device == device_id]
