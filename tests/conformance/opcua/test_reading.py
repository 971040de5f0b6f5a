"""node-opcua reads the synthetic site through a real worker process: what it sees is what the store holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from tests.support.modbus_site import good, site, store_of, value_of
from tests.support.opcua_site import needs_node, node_client, node_id, spec_of
from tests.support.workers import running

pytestmark = [pytest.mark.real_time, pytest.mark.slow, needs_node, pytest.mark.timeout(120)]
PORT = 26_010
FACTS = site(5)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(utc_ns: int) -> str:
    """As JavaScript writes a time: whole milliseconds."""
    return (
        (EPOCH + timedelta(milliseconds=utc_ns // 1_000_000)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def shown(definition: PointDef) -> tuple[str, Any]:
    """Type and value in which the client must see the point of the synthetic site."""
    value = value_of(definition)
    match definition.kind:
        case Kind.ACCUMULATOR:
            return "Int64", str(value)
        case Kind.ANALOG:
            return "Double", value
        case Kind.BINARY:
            return "Boolean", value
        case Kind.TEXT:
            return "String", value
        case Kind.TIME:
            assert isinstance(value, int)
            return "DateTime", moment(value)
        case Kind.MULTISTATE:
            enumerated = sorted(code for code, _ in definition.states) == list(range(len(definition.states)))
            return "UInt32" if enumerated else "Int32", value


# O-01, P-01, P-04
async def test_every_point_is_read_exactly_with_its_time(tmp_path: Path) -> None:
    store = store_of(FACTS)
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        found = await client.read([d.id for d in FACTS.points])
        energies = [d for d in FACTS.points if d.kind is Kind.ACCUMULATOR]
        beside = await client.read([f"{d.id}.value" for d in energies])

    for definition in FACTS.points:
        seen = found[definition.id]
        assert (seen["type"], seen["value"]) == shown(definition), definition.id
        assert seen["status"] == 0
        assert seen["source"] == moment(good(definition).source_ns)
    for definition in energies:
        assert beside[f"{definition.id}.value"]["value"] == int(value_of(definition)) / 100


# O-01
async def test_browsing_from_objects_finds_every_point_with_its_type(tmp_path: Path) -> None:
    async with running(store_of(FACTS), [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        tree = await client.ask("tree", nodeId="ns=0;i=85")

    by_kind = {
        Kind.ANALOG: {"ns=0;i=17497"},
        Kind.ACCUMULATOR: {"ns=0;i=17497"},
        Kind.BINARY: {"ns=0;i=2373"},
        Kind.MULTISTATE: {"ns=0;i=2376", "ns=0;i=11238"},
        Kind.TEXT: {"ns=0;i=63"},
        Kind.TIME: {"ns=0;i=63"},
    }
    for definition in FACTS.points:
        [above] = [r for r in tree[node_id(definition.id)] if not r["forward"]]
        assert above["nodeId"] == node_id(definition.device)
        [kind] = [r["nodeId"] for r in tree[node_id(definition.id)] if r["type"] == "ns=0;i=40"]
        assert kind in by_kind[definition.kind]
    for found in tree.values():
        for reference in found:
            if reference["forward"] and reference["nodeId"].startswith("ns=2"):
                # every child knows its parent
                assert any(not back["forward"] for back in tree[reference["nodeId"]])


# O-01
async def test_units_ranges_and_state_texts_are_properties(tmp_path: Path) -> None:
    names = [
        "m1.active_energy_import.EngineeringUnits",
        "m1.active_energy_import.value.EngineeringUnits",
        "m1.voltage_l1.EngineeringUnits",
        "m1.overload_threshold.EURange",
        "m1.energy_direction.EnumStrings",
        "m1.demand_interval.EnumValues",
        "m1.demand_interval.ValueAsText",
        "m1.phase_loss_l1.TrueState",
        "m1.Manufacturer",
        "m1.SerialNumber",
    ]
    async with running(store_of(FACTS), [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        read = await client.read(names)
    found = {name.partition(".")[2]: seen["value"] for name, seen in read.items()}

    assert found["active_energy_import.EngineeringUnits"]["displayName"]["text"] == "0.01 kWh"
    assert found["active_energy_import.EngineeringUnits"]["unitId"] == -1
    # UNECE Recommendation 20: KWH and VLT
    assert found["active_energy_import.value.EngineeringUnits"]["unitId"] == 4_937_544
    assert found["voltage_l1.EngineeringUnits"]["unitId"] == 5_655_636
    assert found["overload_threshold.EURange"] == {"low": 80.0, "high": 120.0}
    assert found["energy_direction.EnumStrings"] == ["Import", "Export"]
    assert [state["displayName"]["text"] for state in found["demand_interval.EnumValues"]] == ["5", "15"]
    assert found["demand_interval.ValueAsText"] in ("5", "15")
    assert found["phase_loss_l1.TrueState"] == "True"
    assert found["Manufacturer"] == "Toy"
    assert found["SerialNumber"].startswith("SN-")


# P-04
async def test_a_bad_sample_keeps_its_value_and_its_time(tmp_path: Path) -> None:
    store = store_of(FACTS)
    definition = next(d for d in FACTS.points if d.id == "m1.voltage_l1")
    lost = Quality.STALE | Quality.COMM_LOST
    before = good(definition)
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        await client.ask("subscribe", items=[node_id(definition.id)])
        await client.ask("changes", count=1)
        store.publish([(definition.index, Sample(before.value, lost, before.source_ns, 2))])
        [change] = await client.ask("changes", count=1)
        read = await client.read([definition.id])

    for seen in (change, read[definition.id]):
        assert seen["statusName"] == "UncertainNoCommunicationLastUsableValue"
        assert seen["value"] == before.value
        assert seen["source"] == moment(before.source_ns)


async def test_a_point_never_read_says_so_without_a_value(tmp_path: Path) -> None:
    store = store_of(FACTS)
    definition = next(d for d in FACTS.points if d.id == "m1.voltage_l1")
    store.publish([(definition.index, Sample(None, Quality.NEVER_READ, 0, 2))])
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        read = await client.read([definition.id])

    assert read[definition.id]["statusName"] == "BadWaitingForInitialData"
    assert read[definition.id]["value"] is None
    assert read[definition.id]["source"] is None


# S1, P-05
async def test_nothing_can_be_written_out_of_the_box(tmp_path: Path) -> None:
    store = store_of(FACTS)
    before = {d.index: store.get(d.index) for d in FACTS.points}
    async with running(store, [spec_of(FACTS, PORT, tmp_path)]), node_client(tmp_path) as client:
        await client.connect(PORT)
        refused = {
            "value": await client.ask("write", nodeId="ns=2;s=m1.overload_threshold", type="Double", value=100.0),
            "energy": await client.ask("write", nodeId="ns=2;s=m1.active_energy_import", type="Int64", value=[0, 1]),
            "name": await client.ask("write", nodeId="ns=2;s=m1", type="String", value="x", attribute="DisplayName"),
            "standard": await client.ask("write", nodeId="ns=0;i=2254", type="String", value=["x"]),
            "method": await client.ask("call", objectId="ns=2;s=m1", methodId="ns=2;s=m1.reset_demand_peak.Execute"),
        }

    assert refused == {
        "value": "BadNotWritable",
        "energy": "BadNotWritable",
        "name": "BadNotWritable",
        "standard": "BadUserAccessDenied",
        "method": "BadNotExecutable",
    }
    assert {d.index: store.get(d.index) for d in FACTS.points} == before
