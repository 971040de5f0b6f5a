"""Public numbers across edits of a running site: every protocol at once, and connections across a reload."""

import asyncio
import csv
import io
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from asyncua import Client as OpcUaClient
from lxml import etree

from tests.support.bacnet_client import Client as BacnetClient
from tests.support.bacnet_client import confirmed, read
from tests.support.demo import Demo, running_demo, wait_until

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(240)]
PORT_BASE = 27_000
SCL = "{http://www.iec.ch/61850/2003/SCL}"
# METERBRIDGE-MIB, below the enterprise number: names of devices and points
DEVICE_NAMES, POINT_NAMES = "1.1.2.1.2", "1.1.3.1.2"
Numbers = dict[tuple[str, str], object]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("numbering"), PORT_BASE) as running:
        yield running


def numbers(demo: Demo) -> Numbers:
    """What each protocol calls each point: from the files an integrator gets, and for SNMP from the agent itself."""
    out = demo.folder / "pack"
    done = demo.bridge("export", "all", str(demo.site), "--out", str(out))
    assert done.returncode == 0, done.stderr
    found: Numbers = {}
    for row in csv.DictReader(io.StringIO((out / "modbus-registers.csv").read_text())):
        if row["unit_id"] != "255" and row["point"]:
            key = (f"modbus {row['table']} {row['type']} {row['shows']}", row["point"])
            found[key] = (row["unit_id"], row["address"])
    for row in csv.DictReader(io.StringIO((out / "dnp3-points.csv").read_text())):
        found[f"dnp3 {row['type']}", row["point"]] = row["index"]
    lines = (out / "bacnet-EDE.csv").read_text().splitlines()
    head = next(at for at, line in enumerate(lines) if "object-instance" in line)
    for cells in csv.reader(lines[head + 1 :], delimiter=";"):
        found["bacnet", cells[2]] = (cells[3], cells[4])
    found |= _of_cid(out / "DEMO.cid")
    for node in etree.parse(str(out / "meterbridge.NodeSet2.xml")).getroot():
        if isinstance(node.tag, str) and node.get("NodeId", "").startswith("ns=1;s="):
            found["opcua", node.get("NodeId", "")] = node.get("BrowseName")
    found |= _of_agent(demo)
    return found


def _of_cid(path: Path) -> Numbers:
    found: Numbers = {}
    for bound in etree.parse(str(path)).getroot().iter(f"{SCL}DAI"):
        if (target := bound.get("sAddr", "")).startswith("pt:"):
            steps = [bound, *bound.iterancestors()]
            names = [
                s.get("name") or f"{s.get('prefix') or ''}{s.get('lnClass') or ''}{s.get('inst') or ''}" for s in steps
            ]
            found[f"iec61850 {names[0]}", target.removeprefix("pt:")] = tuple(names[:-2])
    return found


def _of_agent(demo: Demo) -> Numbers:
    at = demo.server("snmp")

    def walk(column: str) -> dict[tuple[str, ...], str]:
        column = f".{at['enterprise_oid']}.{column}"
        command = ["snmpbulkwalk", "-v2c", "-c", "public", "-OnQ", f"{at['host']}:{at['port']}", column]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        rows = re.findall(rf"{re.escape(column)}\.([0-9.]+) = (.*)", done.stdout)
        return {tuple(arcs.split(".")): name.strip('"') for arcs, name in rows}

    devices = walk(DEVICE_NAMES)
    return {
        ("snmp", f"{devices[arcs[:-1]]}.{name}"): arcs
        for arcs, name in walk(POINT_NAMES).items()
        if arcs[:-1] in devices
    }


def edited(demo: Demo, edit: Any) -> None:
    """Change the devices of the site file and have the running bridge take it over."""
    path = demo.site / "site.yaml"
    site = yaml.safe_load(path.read_text())
    site["devices"] = edit(dict(site["devices"]))
    # the sums of the demo name devices one by one
    site["services"].pop("derived", None)
    path.write_text(yaml.safe_dump(site, sort_keys=False))
    done = demo.bridge("reload", str(demo.site))
    assert done.returncode == 0, done.stderr
    wait_until(lambda: demo.bridge("health", str(demo.site)).returncode == 0, 60)


RENAMED = {"landlord": "house"}


def was(devices: dict[str, Any]) -> dict[str, Any]:
    """The renamed ones say what they were called."""
    return {name: {**facts, "was": name} if name in RENAMED else facts for name, facts in devices.items()}


NEW = {"meter": "mid-submeter", "model": "MID submeter", "channel": "riser-2", "unit": 22}


# C-07, and the ledger of every protocol
def test_no_edit_of_a_running_site_moves_a_public_number(demo: Demo) -> None:
    edited(demo, lambda devices: devices)
    first = numbers(demo)
    edited(demo, lambda devices: {"new": NEW, **devices})
    inserted = numbers(demo)
    edited(demo, lambda devices: dict(reversed(devices.items())))
    reordered = numbers(demo)
    tenant = yaml.safe_load((demo.site / "site.yaml").read_text())["devices"]["tenant-2"]
    edited(demo, lambda devices: {name: facts for name, facts in devices.items() if name != "tenant-2"})
    deleted = numbers(demo)
    edited(demo, lambda devices: {"later": {**NEW, "unit": 23}, **devices, "tenant-2": tenant})
    restored = numbers(demo)
    edited(demo, lambda devices: {RENAMED.get(name, name): facts for name, facts in was(devices).items()})
    renamed = numbers(demo)

    assert {face.split()[0] for face, _ in first} == {"modbus", "dnp3", "bacnet", "iec61850", "opcua", "snmp"}
    assert moved(first, inserted) == {}
    assert {point for face, point in inserted.keys() - first.keys() if face == "dnp3 analog_input"} > {
        "new.voltage_l1_n"
    }
    assert (reordered.keys(), moved(inserted, reordered)) == (inserted.keys(), {})
    assert moved(inserted, deleted) == {}
    assert {point for _, point in inserted.keys() - deleted.keys() if "." in point} >= {"tenant-2.active_power_total"}
    assert moved(inserted, restored) == {}
    assert restored.keys() > inserted.keys()
    # the numbers of a meter stay when it is called otherwise; its names in OPC UA and IEC 61850 are made of its id
    numbered = (
        {face for face, _ in restored} - {"opcua"} - {face for face, _ in restored if face.startswith("iec61850")}
    )
    house = {(f, p.replace("landlord.", "house.")): n for (f, p), n in restored.items() if p.startswith("landlord.")}
    assert {key: n for key, n in renamed.items() if key[0] in numbered and key[1].startswith("house.")} == {
        key: n for key, n in house.items() if key[0] in numbered
    }
    # what came later did not get the numbers of what was away meanwhile
    for face in {face for face, _ in restored if face != "opcua"}:
        taken = [number for (name, _), number in restored.items() if name == face]
        assert len(taken) == len(set(map(str, taken))), face


def moved(before: Numbers, after: Numbers) -> dict[tuple[str, str], tuple[object, object]]:
    return {key: (before[key], after[key]) for key in before.keys() & after.keys() if before[key] != after[key]}


async def test_a_reload_under_load_loses_no_connection_of_a_face_that_did_not_change(demo: Demo) -> None:
    modbus, snmp = demo.server("modbus"), demo.site / "snmp.yaml"
    question = bytes.fromhex("000100000006ff0300000002")
    refused = list[str]()

    async def ask_modbus(sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await loop.sock_sendall(sock, question)
            if len(await loop.sock_recv(sock, 300)) < 9:
                refused.append("modbus")
            await asyncio.sleep(0.01)

    async def ask_bacnet(client: BacnetClient) -> None:
        while True:
            client.send(confirmed(1, 12, read(8, demo.server("bacnet")["device_id"], 77)))
            if not await client.receive(5):
                refused.append("bacnet")
            await asyncio.sleep(0.01)

    async def ask_opcua(client: Any) -> None:
        node = client.get_node("ns=2;s=main.active_energy_import")
        while True:
            if not isinstance(await node.read_value(), int):
                refused.append("opcua")
            await asyncio.sleep(0.01)

    before = pids(demo)
    with socket.create_connection((modbus["host"], modbus["port"]), timeout=5) as sock:
        sock.setblocking(False)
        async with (
            OpcUaClient(demo.server("opcua")["url"]) as opcua,
            BacnetClient.open(demo.server("bacnet")["port"]) as b,
        ):
            asking = [asyncio.create_task(one) for one in (ask_modbus(sock), ask_bacnet(b), ask_opcua(opcua))]
            for _ in range(3):
                snmp.write_text(snmp.read_text().replace("contact: nobody", "contact: nobody at all", 1))
                done = await asyncio.to_thread(demo.bridge, "reload", str(demo.site))
                assert done.returncode == 0, done.stderr
                await asyncio.sleep(1)
            # a task that ended lost its connection
            ended = [task.exception() for task in asking if task.done()]
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
    after = pids(demo)

    assert ended == []
    assert refused == []
    assert {name for name in before if before[name] != after[name]} == {"snmp"}


def pids(demo: Demo) -> dict[str, int]:
    rows = json.loads(demo.bridge("status", str(demo.site), "--json").stdout)
    return {row["name"]: row["pid"] for row in rows["servers"]}
