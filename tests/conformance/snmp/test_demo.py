"""A simulated meter dies and comes back, seen by name over SNMP in the whole demo."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.demo import Demo, running_demo
from tests.support.net_snmp import HAVE_TOOLS, HAVE_TRAPD, PUBLIC, tool, trapd, walk
from tests.support.workers import until

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not HAVE_TOOLS or not HAVE_TRAPD, reason="Debian packages snmp and snmptrapd"),
]
PORT_BASE, TRAP_PORT = 21200, 21299
TRAPS = f"""
traps:
  receivers:
    - {{host: 127.0.0.1, port: {TRAP_PORT}, community: reader, form: inform}}
"""
# Seconds for a datagram that has left to be written down by snmptrapd, on a busy machine
WRITTEN_S = 10.0
# Seconds of patience: a dead meter's points are bad within three polls of the demo's 1 s class, each of which may take
# a time-out, and the machine may be busy with other tests
LOST_S, BACK_S = 20.0, 20.0


@asynccontextmanager
async def demo_of(folder: Path) -> AsyncIterator[Demo]:
    with running_demo(folder, PORT_BASE) as demo:
        yield demo


# S-05
async def test_a_meter_that_dies_is_told_and_offline_its_typed_columns_go_and_all_of_it_comes_back(
    tmp_path: Path,
) -> None:
    async with trapd(tmp_path, TRAP_PORT) as station, demo_of(tmp_path) as demo:
        with (demo.site / "snmp.yaml").open("a") as mapping:
            mapping.write(TRAPS)
        # the agent starts anew, the rest goes on
        assert (await asyncio.to_thread(demo.bridge, "reload", str(demo.site))).returncode == 0
        port = int(demo.server("snmp")["port"])

        async def status_is(number: str, wanted: str, patience_s: float) -> None:
            async with asyncio.timeout(patience_s):
                while (await tool("snmpget", port, f"{PUBLIC} -Oqv", f"mbDeviceStatus.{number}"))[1].strip() != wanted:
                    pass

        async with asyncio.timeout(BACK_S):
            while (await tool("snmpget", port, PUBLIC, "mbDevices.0"))[0]:
                pass
        names = await walk(port, PUBLIC, "mbDeviceName")
        number = next(key.split(".")[1] for key, name in names.items() if name.strip('"') == "main")
        await status_is(number, "online", BACK_S)
        before = await walk(port, PUBLIC, f"meterVoltageL1N.{number}")
        demo.fault("main", "dead")
        await status_is(number, "offline", LOST_S)
        # the inform left with the change that the status column shows
        await until(lambda: len(station.of("mbDeviceLost")) == 1, WRITTEN_S)
        quality = await walk(port, PUBLIC, f"mbPointQuality.{number}")
        others = await walk(port, PUBLIC, "mbDeviceStatus")
        dead = await walk(port, PUBLIC, "meterVoltageL1N")
        demo.fault("main", None)
        await status_is(number, "online", BACK_S)
        await until(lambda: len(station.of("mbDeviceRestored")) == 1, WRITTEN_S)
        after = await walk(port, PUBLIC, f"meterVoltageL1N.{number}")
        # an inform that nobody had acknowledged would come again
        await asyncio.sleep(2.5)
        told = [line for line in station.lines() if f"mbDeviceName.{number} " in line]

    assert len(before) == len(after) == 1
    assert len(told) == 2
    assert all("INFORM, SNMP v2c" in line for line in told)
    assert "commLost" in set(quality.values()) <= {"commLost", "neverRead", "good"}
    assert [key for key in dead if key.split(".")[1] == number] == []
    assert len(dead) > 0
    assert [key.split(".")[1] for key, status in others.items() if status == "offline"] == [number]
