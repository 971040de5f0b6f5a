"""HistoryRead as node-opcua asks it, from a database of the bridge through the real worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.app.past import Past
from bridge.core.clock import SystemClock
from bridge.core.quantity import meaning_of
from bridge.history.database import Database
from bridge.history.rows import IndexRow, Pending, SampleRow
from bridge.services.events import EventLog
from tests.support.modbus_site import site, store_of
from tests.support.opcua_site import NodeClient, needs_node, node_client, node_id, spec_of
from tests.support.workers import running, services

pytestmark = [pytest.mark.real_time, pytest.mark.slow, needs_node, pytest.mark.timeout(120)]
PORT = 24_040
VOLTAGE, ENERGY = "m1.voltage_l1", "m1.active_energy_import"
SYNTHETIC = site(1)
# an index by its meaning: only such have a load profile
FACTS = replace(
    SYNTHETIC,
    points=[
        msgspec.structs.replace(d, meaning=meaning_of(d.name)) for d in SYNTHETIC.points if d.id in (VOLTAGE, ENERGY)
    ],
)
BEGIN_MS = 1_700_000_000_000
COUNT = 1500
BIG = 2**53 + 1


def at(second: float) -> int:
    """Milliseconds, as JavaScript counts."""
    return BEGIN_MS + round(second * 1000)


def written(folder: Path) -> Path:
    path = folder / "history.db"
    voltages = [SampleRow(VOLTAGE, at(n) * 10**6, 230.0 + n, 0) for n in range(COUNT)]
    energies = [IndexRow(ENERGY, at(900 * n) * 10**6, BIG + n, 1, at(900 * n) * 10**6, 0) for n in range(4)]
    # the meter was away from there on
    outage = IndexRow(ENERGY, at(3600) * 10**6, None, 1, at(3600) * 10**6, 0)
    with Database(path) as database:
        database.commit(Pending(samples=voltages, profile=[*energies, outage]))
    return path


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[NodeClient]:
    store = store_of(FACTS)
    past = Past(store, EventLog(SystemClock()))
    past.open(written(tmp_path))
    core = replace(services(store), history=past)
    try:
        async with running(store, [spec_of(FACTS, PORT, tmp_path)], core=core), node_client(tmp_path) as client:
            await client.connect(PORT)
            yield client
    finally:
        past.close()


async def everything(client: NodeClient, **wanted: Any) -> list[list[Any]]:
    """Return the values of every answer, by continuation points to the end."""
    found, points = [], list[str]()
    while True:
        (one,) = await client.ask("history", nodeIds=[node_id(VOLTAGE)], points=points, **wanted)
        assert one["status"] == "Good", one["status"]
        found.append([value["value"] for value in one["values"]])
        if one["point"] is None:
            return found
        points = [one["point"]]


# O-01, issue 9: history
async def test_recorded_values_and_load_profiles_are_read_as_they_were_recorded(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        whole = await everything(client, start=at(0), end=at(COUNT))
        newest = await everything(client, end=at(COUNT), count=3)
        middle = await everything(client, start=at(10), end=at(5), count=2)
        around = await everything(client, start=at(2.5), end=at(4.5), bounds=True)
        names = [node_id(name) for name in (ENERGY, f"{ENERGY}.value", "m1", "m1.nothing")]
        several = await client.ask("history", nodeIds=names, start=at(0), end=at(7200))
        access = await client.read([VOLTAGE, ENERGY], attribute="AccessLevel")
        historizing = await client.read([VOLTAGE, ENERGY], attribute="Historizing")

    assert whole == [[230.0 + n for n in range(1000)], [230.0 + n for n in range(1000, COUNT)]]
    assert newest == [[1729.0, 1728.0, 1727.0]]
    assert middle == [[240.0, 239.0], [238.0, 237.0], [236.0]]
    assert around == [[232.0, 233.0, 234.0, 235.0]]
    counts, doubles, *others = several
    assert [one["value"] for one in counts["values"]] == [str(BIG + n) for n in range(4)] + [None]
    assert [one["type"] for one in counts["values"][:4]] == ["Int64"] * 4
    assert [one["statusName"] for one in counts["values"]] == ["Good"] * 4 + ["BadDataLost"]
    assert [one["source"] for one in counts["values"][:2]] == ["2023-11-14T22:13:20.000Z", "2023-11-14T22:28:20.000Z"]
    assert doubles["values"][0]["value"] == pytest.approx(BIG / 100)
    assert [one["status"] for one in others] == ["BadNodeIdUnknown"] * 2
    # CurrentRead and HistoryRead
    assert {one["value"] for one in access.values()} == {5}
    assert [historizing[name]["value"] for name in (VOLTAGE, ENERGY)] == [False, True]


async def test_a_released_continuation_point_is_gone_and_no_row_has_the_time_of_a_server(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        wanted = {"nodeIds": [node_id(VOLTAGE)], "start": at(0), "end": at(COUNT)}
        (first,) = await client.ask("history", **wanted)
        await client.ask("history", **wanted, points=[first["point"]], release=True)
        (after,) = await client.ask("history", **wanted, points=[first["point"]])
        server = await client.answer("history", **wanted, timestamps="Server")

    assert after["status"] == "BadContinuationPointInvalid"
    assert "BadTimestampNotSupported" in server["error"]
