"""bridge.projections.modbus.server: the projection in one process with its store"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.core.clock import SystemClock
from bridge.core.errors import ProjectionError
from bridge.core.point import PointDef
from bridge.core.ports import PointReader, ProjectionContext
from bridge.core.quality import Quality
from bridge.host.guard import Guard
from bridge.host.image import PointImage
from bridge.link.wire import Definitions, Snapshot
from bridge.projections.modbus import probe
from bridge.projections.modbus.image import Image
from bridge.projections.modbus.plan import Plan
from bridge.projections.modbus.server import Server
from tests.support.certificates import Authority
from tests.support.modbus_site import FakeEvents, good, projected, site, store_of
from tests.support.workers import FakeLines, StoreWriter

FACTS = site(1)


class Peer:
    """A listener that is not ours: answers every connection with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._talk, "127.0.0.1", 0)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(self.answer)
        writer.close()


@asynccontextmanager
async def served(**listener: object) -> AsyncIterator[Server]:
    plan, store = projected(FACTS, listener={"port": 0, **listener}).plan, store_of(FACTS)
    ready, counters = asyncio.Event(), dict[str, int]()
    context = ProjectionContext(
        plan=plan,
        points=store,
        commands=StoreWriter(store),
        events=FakeEvents(),
        lines=FakeLines(),
        listeners=Guard(counters),
        clock=SystemClock(),
        state_dir="",
        counters=counters,
        ready=ready.set,
    )
    server = Server()
    task = asyncio.ensure_future(server.run(context))
    try:
        async with asyncio.timeout(5):
            await ready.wait()
        yield server
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# S10
@pytest.mark.real_time
async def test_the_probe_asks_the_own_listener() -> None:
    async with served() as server:
        await server.probe()
        stopped = server
    with pytest.raises(OSError, match="Connect"):
        await stopped.probe()


# L2: three failed probes would end the worker and with it every client
@pytest.mark.real_time
@pytest.mark.parametrize(("seats", "networks"), [(1, []), (32, ["10.0.0.0/8"])])
async def test_a_listener_that_must_refuse_the_probe_is_well(seats: int, networks: list[str]) -> None:
    async with served(max_clients=seats, networks=networks) as server:
        await server.probe()
        if not networks:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(bytes.fromhex("000100000006010300000001"))
            assert await asyncio.wait_for(reader.readexactly(11), 5)
            await server.probe()
            writer.close()


# S5, S10
@pytest.mark.real_time
@pytest.mark.parametrize("with_client_ca", ["", "ca"])
async def test_the_probe_speaks_tls_to_a_listener_behind_tls(with_client_ca: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("bridge")
    tls = {"certificate": str(certificate), "key": str(key), "client_ca": str(authority.file) if with_client_ca else ""}
    async with served(tls=tls) as server:
        await server.probe()


@pytest.mark.real_time
@pytest.mark.parametrize("answer", [bytes.fromhex("000100000003ffab010000"), b"HTTP/1.1 400 Bad Request\r\n"])
async def test_the_probe_takes_nothing_but_an_identification(answer: bytes) -> None:
    plan = projected(FACTS).plan
    assert isinstance(plan, Plan)
    async with await Peer(answer).serve() as other:
        with pytest.raises(ProjectionError, match="expected an identification"):
            await probe.ask(plan.listener, other.sockets[0].getsockname()[1], 255)


def test_a_lost_core_turns_every_register_into_no_value_and_back() -> None:
    points = PointImage()
    points.define(Definitions(0, list(FACTS.points), list(FACTS.devices)))
    points.load(Snapshot(0, [(p.index, good(p)) for p in FACTS.points]))
    plan = projected(FACTS).plan
    assert isinstance(plan, Plan)
    image = Image(plan, points)
    points.subscribe(image.indexes(), image.update)
    registers = image.units[1].registers
    present = bytes(registers.memory)

    points.core_lost()
    assert registers.memory[:20].hex() == "8000000000000000" + "fff8000000000000" + "ffc00000"
    quality = plan.blocks[0].items[0].quality
    assert registers.memory[2 * quality : 2 * quality + 2] == int(Quality.STALE | Quality.COMM_LOST).to_bytes(2, "big")
    assert image.units[1].inputs.memory[1] == ord("0")
    points.core_back()
    assert registers.memory == present


def test_a_replica_and_the_store_give_the_same_registers() -> None:
    plan = projected(FACTS).plan
    assert isinstance(plan, Plan)
    replica = PointImage()
    replica.define(Definitions(0, list(FACTS.points), list(FACTS.devices)))
    replica.load(Snapshot(0, [(p.index, good(p)) for p in FACTS.points]))
    readers: list[PointReader] = [store_of(FACTS), replica]

    first, second = (Image(plan, reader).units[255].registers.memory for reader in readers)

    assert first == second


def test_a_point_that_is_in_two_maps_changes_in_both() -> None:
    entries = [{"unit": 9, "address": 0, "source": "m1.active_energy_import"}]
    plan = projected(FACTS, map={"mode": "modified", "entries": entries}).plan
    assert isinstance(plan, Plan)
    store = store_of(FACTS)
    image = Image(plan, store)
    definition: PointDef = FACTS.points[0]
    image.update([(definition.index, good(definition))])

    assert image.units[9].registers.memory[:8] == image.units[1].registers.memory[:8]
