"""node-opcua reads the whole demo: what the simulated meters hold, energy to the last count."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.support.demo import Demo, running_demo
from tests.support.opcua_site import NodeClient, needs_node, node_client

pytestmark = [pytest.mark.real_time, pytest.mark.slow, needs_node, pytest.mark.timeout(180)]
PORT_BASE = 26_200
# slowest poll class of the demo that holds a moving value, and a little
SETTLED_S = 15.0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), PORT_BASE) as running:
        yield running


async def open_client(client: NodeClient, demo: Demo) -> None:
    await client.ask("connect", url=demo.server("opcua")["url"])


# O-01, P-01
async def test_the_whole_demo_is_read_as_the_meters_hold_it(demo: Demo) -> None:
    held = demo.pin_everything()
    await asyncio.sleep(SETTLED_S)
    names = [f"{device}.{point}" for device, points in held.items() for point in points]
    async with node_client(demo.folder) as client:
        await open_client(client, demo)
        tree = await client.ask("tree", nodeId="ns=2;s=/Meters")
        values = await client.read(names)
        steps = await client.read([f"{name}.Resolution" for name in names])

    wrong = []
    for name in names:
        device, _, point = name.partition(".")
        assert f"ns=2;s={name}" in tree
        if not same(held[device][point], values[name], steps[f"{name}.Resolution"]["value"]):
            wrong.append((name, held[device][point], values[name]))
    energies = sum(
        values[name]["type"] == "Int64" and steps[f"{name}.Resolution"]["value"] is not None for name in names
    )
    assert wrong == []
    assert energies > 50


def same(truth: Any, seen: dict[str, Any], resolution: int | None) -> bool:
    value = seen["value"]
    if resolution is not None:
        # a count as a decimal string
        return seen["type"] == "Int64" and bool(round(truth * 10**-resolution) == int(value))
    if seen["type"] == "DateTime":
        stamp = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return abs(datetime.fromisoformat(truth).timestamp() - stamp.timestamp()) < 0.001
    if seen["type"] == "Int64":
        return bool(int(value) == truth)
    return bool(value == truth and (seen["type"] != "Boolean" or value is bool(truth)))


# R1, P-04
async def test_a_dead_meter_keeps_its_last_value_and_says_so(demo: Demo) -> None:
    name = "main.active_power_total"
    async with node_client(demo.folder) as client:
        await open_client(client, demo)
        before = (await client.read([name]))[name]
        demo.fault("main", "dead")
        try:
            async with asyncio.timeout(30):
                while (seen := (await client.read([name]))[name])["status"] == 0:  # noqa: ASYNC110 - a foreign client
                    await asyncio.sleep(0.1)
        finally:
            demo.fault("main", None)

    assert seen["statusName"] == "UncertainNoCommunicationLastUsableValue"
    assert seen["value"] == before["value"]
