"""Closed doors, as node-opcua finds them: policies, trust list, users, roles."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import argon2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridge.core.alarm import Alarm
from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.opcua.pki import Pki, make_own, thumbprint
from bridge.workers.core_end import Services
from tests.support.bridge_site import cli, site_files
from tests.support.kept_alarms import Alarms
from tests.support.modbus_site import NOW_NS, site, store_of
from tests.support.opcua_site import NodeClient, needs_node, node_client, node_id, spec_of
from tests.support.past import ListedPast
from tests.support.workers import running, services

pytestmark = [pytest.mark.real_time, pytest.mark.slow, needs_node, pytest.mark.timeout(120)]
PORT = 26_020
FACTS = site(2)
URL = f"opc.tcp://127.0.0.1:{PORT}"
# cheap on purpose: what is tested is who comes in, not how long a guess takes
HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
POLICIES = ("Basic256Sha256", "Aes256_Sha256_RsaPss")
MODES = ("Sign", "SignAndEncrypt")


@dataclass(frozen=True, slots=True)
class Papers:
    """A key with a certificate as a client program has them: PEM files."""

    certificate: Path
    key: Path
    der: bytes


def papers(folder: Path, name: str, uri: str = "urn:conformance:client") -> Papers:
    pki = Pki(folder / name)
    pki.prepare()
    make_own(pki, uri, name, ("localhost",), datetime.now(UTC))
    der = pki.certificate.read_bytes()
    pem = folder / f"{name}.pem"
    pem.write_bytes(x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM))
    return Papers(pem, pki.key, der)


def trust(state_dir: Path, der: bytes) -> None:
    folder = state_dir / "pki" / "trusted"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{thumbprint(der)}.der").write_bytes(der)


USERS = {
    "vera": {"role": "viewer", "password": HASHER.hash("v-secret")},
    "otto": {"role": "operator", "password": HASHER.hash("o-secret")},
    "enno": {"role": "engineer", "password": HASHER.hash("e-secret")},
}


@asynccontextmanager
async def served(
    tmp_path: Path,
    store: PointStore | None = None,
    state_dir: Path | None = None,
    core: Services | None = None,
    **more: object,
) -> AsyncIterator[NodeClient]:
    settings = {"security": {}, "users": USERS, **more}
    spec = spec_of(FACTS, PORT, state_dir or tmp_path / "state", **settings)
    async with running(store or store_of(FACTS), [spec], core=core), node_client(tmp_path) as client:
        yield client


def as_user(own: Papers, user: str = "vera", password: str = "v-secret", **more: object) -> dict[str, object]:
    found: dict[str, object] = {"url": URL, "policy": POLICIES[0], "mode": MODES[1], "user": user, "password": password}
    return {**found, "certificate": str(own.certificate), "key": str(own.key), **more}


# issue 9: both policies, both modes
async def test_both_policies_and_modes_let_a_known_client_with_its_password_in(tmp_path: Path) -> None:
    own = papers(tmp_path, "client")
    trust(tmp_path / "state", own.der)
    seen = []
    async with served(tmp_path) as client:
        offered = await client.ask("endpoints", url=URL)
        for policy in POLICIES:
            for mode in MODES:
                await client.ask("connect", **as_user(own, policy=policy, mode=mode))
                read = await client.read(["m1.active_energy_import"])
                seen.append(read["m1.active_energy_import"]["value"])
                await client.ask("disconnect")

    assert {(one["policy"].partition("#")[2], one["mode"]) for one in offered} == {
        (p, m) for p in POLICIES for m in MODES
    }
    assert seen == [str(2**53 + 1)] * 4


# issue 9: the rarer services in a secured channel too
async def test_browse_units_subscriptions_events_history_and_refusals_in_a_secured_channel(tmp_path: Path) -> None:
    own = papers(tmp_path, "client")
    trust(tmp_path / "state", own.der)
    store, voltage = store_of(FACTS), next(d for d in FACTS.points if d.id == "m1.voltage_l1")
    past = ListedPast(
        {voltage.index: [Sample(230.0 + n, Quality.GOOD, (1_700_000_000 + n) * 10**9, 0) for n in range(5)]}
    )
    alarms = Alarms()
    alarms.put(Alarm(1, "over_voltage", "Voltage", "m1", voltage.index, 200, NOW_NS))
    core = replace(services(store), history=past, alarms=alarms)
    async with served(tmp_path, store, core=core, alarms={"acknowledge": "allowed"}) as client:
        await client.ask("connect", **as_user(own, "otto", "o-secret", policy=POLICIES[1]))
        browsed = await client.ask("browse", nodeId="ns=2;s=m1")
        units = await client.read(["m1.voltage_l1.EngineeringUnits"])
        wanted = {"deadband": "Absolute", "width": 1.0}
        await client.ask("subscribe", items=[node_id(d.id) for d in FACTS.points])
        changes = await client.ask("changes", count=len(FACTS.points))
        narrow = await client.ask("subscribe", items=[node_id(voltage.id)], filter=wanted)
        await client.ask("watchEvents", nodeId="i=2253", fields=["EventId", "Severity"])
        await client.ask("refresh")
        events = await client.ask("events", count=3)
        condition = "ns=2;s=m1.voltage_l1/over_voltage"
        noted = await client.ask("note", conditionId=condition, eventId=events[1]["EventId"], comment="seen")
        (read,) = await client.ask("history", nodeIds=[node_id(voltage.id)], end=1_700_000_100_000, count=2)
        method = await client.ask("call", objectId="ns=2;s=m1", methodId="ns=2;s=m1.reset_demand_peak.Execute")
        denied = await client.ask("write", nodeId="ns=2;s=m1.overload_threshold", type="Double", value=101.0)

    assert len(browsed["references"]) > 20
    assert units["m1.voltage_l1.EngineeringUnits"]["value"]["displayName"]["text"] == "V"
    assert {change["nodeId"] for change in changes} == {node_id(d.id) for d in FACTS.points}
    assert narrow["statuses"] == ["Good"]
    assert (events[1]["Severity"], noted) == (709, "Good")
    assert [one["value"] for one in read["values"]] == [234.0, 233.0]
    # out of the box nothing can be called or written
    assert (method, denied) == ("BadNotExecutable", "BadNotWritable")


# S3
async def test_a_wrong_password_no_name_or_an_unknown_one_is_refused(tmp_path: Path) -> None:
    own = papers(tmp_path, "client")
    trust(tmp_path / "state", own.der)
    tries = [("vera", "wrong"), ("nobody", "v-secret"), ("vera", ""), ("", "")]
    async with served(tmp_path) as client:
        answers = [await client.answer("connect", **as_user(own, user, password)) for user, password in tries]

    assert all("error" in answer for answer in answers)
    assert all("BadUserAccessDenied" in answer["error"] for answer in answers[:3])


# S3
async def test_eight_wrong_passwords_lock_the_name(tmp_path: Path) -> None:
    own = papers(tmp_path, "client")
    trust(tmp_path / "state", own.der)
    async with served(tmp_path) as client:
        for _ in range(8):
            assert "error" in await client.answer("connect", **as_user(own, "vera", "wrong"))
        locked = await client.answer("connect", **as_user(own))
        other = await client.answer("connect", **as_user(own, "otto", "o-secret"))

    assert "BadUserAccessDenied" in locked["error"]
    assert "error" not in other


# issue 9: trust list with a rejected folder and `meterbridge tls trust`
async def test_an_unknown_certificate_is_refused_and_kept_until_it_is_trusted(tmp_path: Path) -> None:
    own = papers(tmp_path, "client")
    place = str(site_files(tmp_path / "site", None, {}))
    state = tmp_path / "site" / "var" / "opcua"
    async with served(tmp_path, state_dir=state) as client:
        refused = await client.answer("connect", **as_user(own))
        waiting = await asyncio.to_thread(cli, "tls", "trust", place, "--json")
        trusted = await asyncio.to_thread(cli, "tls", "trust", place, thumbprint(own.der)[:10])
        accepted = await client.answer("connect", **as_user(own))
        await client.ask("disconnect")
        distrusted = await asyncio.to_thread(cli, "tls", "distrust", place, thumbprint(own.der)[:10])
        again = await client.answer("connect", **as_user(own))

    (row,) = json.loads(waiting.stdout)
    assert (row["state"], row["thumbprint"], row["uris"]) == ("rejected", thumbprint(own.der), "urn:conformance:client")
    assert (trusted.returncode, distrusted.returncode) == (0, 0), trusted.stderr + distrusted.stderr
    assert [("error" in one) for one in (refused, accepted, again)] == [True, False, True]
    audit = await asyncio.to_thread(cli, "audit", "show", place)
    assert thumbprint(own.der) in audit.stdout


async def test_no_security_and_no_name_are_refused_when_not_configured(tmp_path: Path) -> None:
    own = papers(tmp_path, "client")
    trust(tmp_path / "state", own.der)
    async with served(tmp_path) as client:
        plain = await client.answer("connect", url=URL, user="vera", password="v-secret")
        nameless = await client.answer("connect", **as_user(own, user=""))

    assert "error" in plain
    assert "error" in nameless


async def test_a_users_own_certificate_lets_it_in(tmp_path: Path) -> None:
    own, badge, stranger = papers(tmp_path, "client"), papers(tmp_path, "badge"), papers(tmp_path, "stranger")
    trust(tmp_path / "state", own.der)
    users = {"carla": {"role": "viewer", "certificate": thumbprint(badge.der)}}
    async with served(tmp_path, users=users) as client:
        tokens = {token for one in await client.ask("endpoints", url=URL) for token in one["tokens"]}
        refused = await client.answer(
            "connect", **as_user(own, "", userCertificate=str(stranger.certificate), userKey=str(stranger.key))
        )
        accepted = await client.answer(
            "connect", **as_user(own, "", userCertificate=str(badge.certificate), userKey=str(badge.key))
        )

    assert tokens == {"Certificate"}
    assert "BadUserAccessDenied" in refused["error"]
    assert "error" not in accepted


# P-05, P-06: the policy of the bridge comes after this; here the store takes everything
async def test_roles_decide_per_node(tmp_path: Path) -> None:
    own = papers(tmp_path, "client")
    trust(tmp_path / "state", own.der)
    found: dict[str, tuple[str, str, str]] = {}
    async with served(tmp_path, access="read-write") as client:
        for user in USERS:
            await client.ask("connect", **as_user(own, user, f"{user[0]}-secret"))
            setting = await client.ask("write", nodeId="ns=2;s=m1.overload_threshold", type="Double", value=101.0)
            energy = await client.ask("write", nodeId="ns=2;s=m1.active_energy_import", type="Int64", value=[0, 1])
            method = await client.ask("call", objectId="ns=2;s=m1", methodId="ns=2;s=m1.reset_demand_peak.Execute")
            found[user] = (setting, method, energy)
            await client.ask("disconnect")

    assert found == {
        "vera": ("BadUserAccessDenied", "BadUserAccessDenied", "BadNotWritable"),
        "otto": ("BadUserAccessDenied", "Good", "BadNotWritable"),
        "enno": ("Good", "Good", "BadNotWritable"),
    }
