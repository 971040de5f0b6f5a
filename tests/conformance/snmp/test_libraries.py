"""puresnmp and ezsnmp, which share no code with the net-snmp tools or with us, read the same as the store holds."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.core.point import Kind
from bridge.projections.snmp.plan import Oid, Plan
from tests.support.snmp_site import facts, plan_of, projected, spec_of, store_of, value_of
from tests.support.workers import running

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PORT = 21140
POINTS = {definition.index: definition for definition in facts().points}


def objects(plan: Plan, *arcs: int) -> Oid:
    return (*plan.enterprise, 1, 1, *arcs)


def dotted(oid: Oid) -> str:
    return ".".join(map(str, oid))


def expected_counts(plan: Plan) -> dict[str, Decimal]:
    """Exact energies in the unit of the point, by the OID of mbPointValue."""
    found = {}
    for row in plan.rows:
        definition = POINTS[row.index]
        value = value_of(definition)
        if definition.kind is Kind.ACCUMULATOR and isinstance(value, int):
            oid = dotted(objects(plan, 3, 1, 4, row.device, row.number))
            found[oid] = Decimal(value).scaleb(definition.resolution)
    return found


async def test_puresnmp_walks_the_site_and_reads_every_energy_exactly(tmp_path: Path) -> None:
    puresnmp = pytest.importorskip("puresnmp")
    made = projected(PORT)
    plan = plan_of(made)
    async with running(store_of(facts()), [spec_of(made, tmp_path)]):
        client = puresnmp.PyWrapper(puresnmp.Client("127.0.0.1", puresnmp.V2C("public"), port=PORT))
        rows = {bind.oid: bind.value async for bind in client.bulkwalk([dotted(objects(plan))], bulk_size=40)}

    wanted = expected_counts(plan)
    assert len(wanted) > 20
    assert {oid: Decimal(rows[oid].decode()) for oid in wanted} == wanted
    assert len([oid for oid in rows if oid.startswith(dotted(objects(plan, 3, 1, 8)) + ".")]) == len(plan.rows)


@pytest.mark.parametrize(
    "access",
    [
        {"version": "2c", "community": "public"},
        {
            "version": "3",
            "security_username": "ops",
            "security_level": "authPriv",
            "auth_protocol": "SHA-256",
            "auth_passphrase": "auth-pass-1",
            "privacy_protocol": "AES",
            "privacy_passphrase": "priv-pass-1",
        },
    ],
    ids=["v2c", "v3"],
)
async def test_ezsnmp_walks_the_site_and_reads_every_energy_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, access: dict[str, object]
) -> None:
    monkeypatch.setenv("SNMP_PERSISTENT_DIR", str(tmp_path))
    ezsnmp = pytest.importorskip("ezsnmp")
    made = projected(PORT)
    plan = plan_of(made)

    def read() -> dict[str, str]:
        session = ezsnmp.Session(hostname="127.0.0.1", port_number=str(PORT), print_oids_numerically=True, **access)
        column = dotted(objects(plan, 3, 1, 4))
        return {f"{row.oid}.{row.index}".strip("."): row.value for row in session.bulk_walk(column)}

    async with running(store_of(facts()), [spec_of(made, tmp_path)]):
        rows = await asyncio.to_thread(read)

    wanted = expected_counts(plan)
    assert {oid: Decimal(rows[oid]) for oid in wanted} == wanted
    assert len(rows) == len(plan.rows)
