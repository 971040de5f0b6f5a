"""The exported NodeSet2 file is the address space of the running server."""

from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua
from lxml import etree

from bridge.projections.opcua.export import EXPORTS
from bridge.projections.opcua.plan import NAMESPACE, Plan
from tests.support.modbus_site import site, store_of
from tests.support.opcua_site import needs_node, node_client, projected, spec_of
from tests.support.workers import running

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
PORT = 26_070
FACTS = site(2)
NS = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"


def exported() -> str:
    plan = projected(FACTS, PORT).plan
    assert isinstance(plan, Plan)
    [(name, text)] = EXPORTS["nodeset"](plan, FACTS)
    assert name == "meterbridge.NodeSet2.xml"
    return text


def file_nodes(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for element in etree.fromstring(text.encode()):
        if element.tag not in (f"{NS}UAObject", f"{NS}UAVariable", f"{NS}UAMethod"):
            continue
        references = {
            (one.get("ReferenceType"), one.get("IsForward") != "false", one.text)
            for one in element.iter(f"{NS}Reference")
        }
        display = element.findtext(f"{NS}DisplayName")
        found[str(element.get("NodeId"))] = (element.get("BrowseName"), display, references)
    return found


def in_file(text: str) -> str:
    """A node id or name as node-opcua writes it, in the numbers of the file."""
    return text.replace("ns=2;", "ns=1;").replace("ns=0;", "").replace("2:", "1:")


@needs_node
async def test_every_node_of_the_file_is_served_and_every_node_served_is_in_the_file(tmp_path: Path) -> None:
    async with running(store_of(FACTS), [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        tree = await client.ask("tree", nodeId="ns=2;s=/Meters")
    nodes = file_nodes(exported())

    assert {in_file(name) for name in tree} == set(nodes)
    for name, references in tree.items():
        served = {(in_file(r["type"]), r["forward"], in_file(r["nodeId"])) for r in references}
        assert nodes[in_file(name)][2] <= served
        for reference in references:
            if reference["nodeId"].startswith("ns=2"):
                browse_name, display, _ = nodes[in_file(reference["nodeId"])]
                assert (in_file(reference["name"]), reference["display"]) == (browse_name, display)


async def test_the_file_is_taken_by_an_importer(tmp_path: Path) -> None:
    path = tmp_path / "nodes.xml"
    path.write_text(exported())
    server = Server()
    await server.init()
    await server.import_xml(path)
    index = await server.get_namespace_index(NAMESPACE)
    units = await server.get_node(ua.NodeId("m1.voltage_l1.EngineeringUnits", index)).read_value()
    limits = await server.get_node(ua.NodeId("m1.overload_threshold.EURange", index)).read_value()
    states = await server.get_node(ua.NodeId("m1.demand_interval.EnumValues", index)).read_value()
    server.iserver.method_service.stop()

    assert (units.UnitId, units.DisplayName.Text) == (5_655_636, "V")
    assert (limits.Low, limits.High) == (80.0, 120.0)
    assert [(state.Value, state.DisplayName.Text) for state in states] == [(5, "5"), (15, "15")]
