"""`verify` against real workers that show something wrong: each kind of fault is found at its point, nowhere else."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.core.point import PointDef, Sample
from bridge.core.ports import Projected, SiteFacts
from bridge.core.quality import Quality
from bridge.projections.bacnet.export import ede, state_texts
from bridge.projections.bacnet.plan import Plan as BacnetPlan
from bridge.projections.dnp3.export import point_list
from bridge.projections.dnp3.plan import Plan as Dnp3Plan
from bridge.projections.iec61850.cid import cid
from bridge.projections.iec61850.plan import Plan as Iec61850Plan
from bridge.projections.modbus.export import register_list
from bridge.projections.modbus.mapping import Plan as ModbusPlan
from bridge.verify.bacnet import BacnetReader
from bridge.verify.client import VerifyClient
from bridge.verify.compare import Verdict
from bridge.verify.dnp3 import Dnp3Reader
from bridge.verify.iec61850 import Iec61850Reader
from bridge.verify.modbus import ModbusReader
from bridge.verify.opcua import OpcUaReader
from bridge.verify.run import compare_server
from bridge.verify.snmp import SnmpReader
from bridge.workers.worker import WorkerSpec
from tests.support import bacnet_site, dnp3_site, mms_site, modbus_site, opcua_site, snmp_site
from tests.support.modbus_site import good, site, store_of, value_of
from tests.support.workers import running

pytestmark = [pytest.mark.real_time, pytest.mark.slow]
HOST, PORT = "127.0.0.1", 23900
FACTS = site(2)
# what is seeded in the worker's table; the bridge's own table has the truth
SCALE, STALE, SWAPPED = "m1.voltage_l1", "m1.current_l1", "m1.active_energy_import"
MISSING = "m1.voltage_l2"
WITHOUT_IT = {"rules": [{"match": "*.voltage_l2", "skip": True}]}


@dataclass(frozen=True)
class Face:
    """How one protocol is served and read. `read`: from what is served, where an integrator's list is made of it."""

    served: Callable[[Path], tuple[Projected, WorkerSpec]]
    read: Callable[[Projected], VerifyClient]


def _modbus(_: Path) -> tuple[Projected, WorkerSpec]:
    return modbus_site.projected(FACTS, PORT, **WITHOUT_IT), modbus_site.spec_of(FACTS, PORT, **WITHOUT_IT)


def _read_modbus(made: Projected) -> VerifyClient:
    assert isinstance(made.plan, ModbusPlan)
    return ModbusReader(HOST, PORT, register_list(made.plan, FACTS.points))


def _snmp(folder: Path) -> tuple[Projected, WorkerSpec]:
    made = snmp_site.projected(PORT + 1, FACTS, **WITHOUT_IT)
    return made, snmp_site.spec_of(made, folder)


def _read_snmp(made: Projected) -> VerifyClient:
    return SnmpReader(HOST, PORT + 1, "public", str(made.facts["enterprise_oid"]))


def _opcua(folder: Path) -> tuple[Projected, WorkerSpec]:
    return (
        opcua_site.projected(FACTS, PORT + 2, **WITHOUT_IT),
        opcua_site.spec_of(FACTS, PORT + 2, folder, **WITHOUT_IT),
    )


def _read_opcua(_: Projected) -> VerifyClient:
    return OpcUaReader(f"opc.tcp://{HOST}:{PORT + 2}")


def _dnp3(_: Path) -> tuple[Projected, WorkerSpec]:
    return dnp3_site.projected(FACTS, PORT + 3, **WITHOUT_IT), dnp3_site.spec_of(FACTS, PORT + 3, "", **WITHOUT_IT)


def _read_dnp3(made: Projected) -> VerifyClient:
    assert isinstance(made.plan, Dnp3Plan)
    return Dnp3Reader(HOST, PORT + 3, 1, 10, point_list(made.plan, FACTS.points))


def _bacnet(_: Path) -> tuple[Projected, WorkerSpec]:
    return bacnet_site.projected(FACTS, PORT + 4, **WITHOUT_IT), bacnet_site.spec_of(FACTS, PORT + 4, **WITHOUT_IT)


def _read_bacnet(made: Projected) -> VerifyClient:
    assert isinstance(made.plan, BacnetPlan)
    return BacnetReader(HOST, PORT + 4, bacnet_site.DEVICE_ID, ede(made.plan, FACTS), state_texts(made.plan))


def _iec61850(_: Path) -> tuple[Projected, WorkerSpec]:
    return mms_site.projected(FACTS, PORT + 5, **WITHOUT_IT), mms_site.spec_of(FACTS, PORT + 5, **WITHOUT_IT)


def _read_iec61850(made: Projected) -> VerifyClient:
    assert isinstance(made.plan, Iec61850Plan)
    return Iec61850Reader(HOST, PORT + 5, cid(made.plan, "1"), {})


FACES: Mapping[str, Face] = {
    "bacnet": Face(_bacnet, _read_bacnet),
    "modbus": Face(_modbus, _read_modbus),
    "snmp": Face(_snmp, _read_snmp),
    "opcua": Face(_opcua, _read_opcua),
    "dnp3": Face(_dnp3, _read_dnp3),
    "iec61850": Face(_iec61850, _read_iec61850),
}


class TrueTable:
    """The control socket of a bridge that holds what the meters sent."""

    def ask(self, do: str, **arguments: Any) -> Any:
        assert do == "points"
        return [self._row(d) for d in FACTS.points if d.device == arguments["device"]]

    def _row(self, definition: PointDef) -> dict[str, Any]:
        sample = good(definition)
        flags = Quality.COMM_LOST if definition.id == STALE else Quality.GOOD
        return {
            "point": definition.id,
            "raw": sample.value,
            "flags": int(flags),
            "source_ns": sample.source_ns,
        }


def seeded(facts: SiteFacts) -> list[tuple[int, Sample]]:
    """Samples that are wrong: a scale, and the two halves of a 64-bit energy exchanged."""
    by_id = {definition.id: definition for definition in facts.points}
    energy, voltage = by_id[SWAPPED], by_id[SCALE]
    true = int(value_of(energy))
    swapped = (true & 0xFFFFFFFF) << 32 | true >> 32
    return [
        (voltage.index, Sample(float(value_of(voltage)) * 10, Quality.GOOD, good(voltage).source_ns, 2)),
        (energy.index, Sample(swapped, Quality.GOOD, good(energy).source_ns, 2)),
    ]


@pytest.mark.parametrize("name", FACES)
async def test_each_seeded_fault_is_found_at_its_point(name: str, tmp_path: Path) -> None:
    store = store_of(FACTS)
    made, spec = FACES[name].served(tmp_path)
    async with running(store, [spec]):
        true = await asyncio.to_thread(_verdicts, name, made)
        store.publish(seeded(FACTS))
        await asyncio.sleep(0.5)
        wrong = await asyncio.to_thread(_verdicts, name, made)

    always = {STALE: Verdict.STALE_SHOWN_GOOD, MISSING: Verdict.MISSING, "m2.voltage_l2": Verdict.MISSING}
    assert true == always
    assert wrong == {**always, SCALE: Verdict.DIFFERENT, SWAPPED: Verdict.DIFFERENT}


def _verdicts(name: str, made: Projected) -> dict[str, Verdict]:
    """Return what `verify` says is not good, of every point of the site."""
    client = FACES[name].read(made)
    try:
        rows = [
            row
            for device in FACTS.devices
            for row in compare_server(
                device.id, [d for d in FACTS.points if d.device == device.id], name, client, TrueTable()
            )
        ]
    finally:
        client.close()
    assert len(rows) == len(FACTS.points)
    assert {row.protocol for row in rows} == {name}
    return {row.point: row.verdict for row in rows if row.verdict is not Verdict.GOOD}
