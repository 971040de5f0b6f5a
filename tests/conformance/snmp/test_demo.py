"""A simulated meter dies and comes back, seen by name over SNMP in the whole demo."""

import asyncio
from pathlib import Path

import pytest

from tests.support.demo import running_demo
from tests.support.net_snmp import HAVE_TOOLS, PUBLIC, tool, walk

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not HAVE_TOOLS, reason="Debian package snmp"),
]
PORT_BASE = 21200
# BARS R1: a dead meter's points are bad within three polls of the demo's 1 s class, each of which may take a time-out
LOST_S, BACK_S = 10.0, 20.0


async def test_a_meter_that_dies_is_offline_its_typed_columns_go_and_all_of_it_comes_back(tmp_path: Path) -> None:
    with running_demo(tmp_path, PORT_BASE) as demo:
        port = int(demo.server("snmp")["port"])

        async def status_is(number: str, wanted: str, patience_s: float) -> None:
            async with asyncio.timeout(patience_s):
                while (await tool("snmpget", port, f"{PUBLIC} -Oqv", f"mbDeviceStatus.{number}"))[1].strip() != wanted:
                    pass

        names = await walk(port, PUBLIC, "mbDeviceName")
        number = next(key.split(".")[1] for key, name in names.items() if name.strip('"') == "main")
        await status_is(number, "online", BACK_S)
        before = await walk(port, PUBLIC, f"meterVoltageL1N.{number}")
        demo.fault("main", "dead")
        await status_is(number, "offline", LOST_S)
        others = await walk(port, PUBLIC, "mbDeviceStatus")
        dead = await walk(port, PUBLIC, "meterVoltageL1N")
        demo.fault("main", None)
        await status_is(number, "online", BACK_S)
        after = await walk(port, PUBLIC, f"meterVoltageL1N.{number}")

    assert len(before) == len(after) == 1
    assert [key for key in dead if key.split(".")[1] == number] == []
    assert len(dead) > 0
    assert [key.split(".")[1] for key, status in others.items() if status == "offline"] == [number]
