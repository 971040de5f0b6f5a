"""The demo site with values of its own in every point, served over SNMP by the real worker."""

from collections.abc import Mapping as Keys
from functools import cache
from pathlib import Path

import msgspec

from bridge.config.ledger import Ledger
from bridge.config.load import load_site
from bridge.core.point import Kind, PointDef, Role, Sample, Value
from bridge.core.ports import Projected, SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.snmp.mapping import Mapping, project
from bridge.projections.snmp.plan import Plan
from bridge.workers.worker import WorkerSpec

TOP = Path(__file__).parents[2]
NOW_NS = 1_700_000_000_400_000_000
SERVER = "bridge.projections.snmp.server"
MODULE = "METERBRIDGE-MIB"
# our own minimal SNMPv2 modules stand in for those of the IETF
MIB_FOLDERS = (TOP / "tests" / "support" / "mibs", TOP / "mibs")
USER = {"auth_password": "auth-pass-1", "privacy_password": "priv-pass-1"}
ACCESS: Keys[str, object] = {
    "communities": {"reader": {"community": "public"}, "writer": {"community": "private", "access": "read-write"}},
    "users": {
        "ops": {**USER, "access": "read-write"},
        "big": {**USER, "auth": "sha512", "privacy": "aes256"},
        "look": {"auth": "sha384", "auth_password": "auth-pass-1"},
    },
}


@cache
def facts() -> SiteFacts:
    site = load_site(TOP / "mappings" / "demo")
    return SiteFacts("demo", site.points, site.devices)


@cache
def writable_facts() -> SiteFacts:
    """The same with settings and commands that meters take, as a meter file may say of its own."""
    site = facts()
    points = [msgspec.structs.replace(p, writable=p.role in (Role.SETTING, Role.COMMAND)) for p in site.points]
    points = [msgspec.structs.replace(p, low=80.0, high=120.0) if p.name == "overload_threshold" else p for p in points]
    return SiteFacts(site.name, points, site.devices)


def point(point_id: str) -> PointDef:
    return next(definition for definition in facts().points if definition.id == point_id)


def value_of(definition: PointDef) -> Value:
    """A value that differs from point to point; energies beyond 2**53 counts where a meter has no modulus."""
    index = definition.index
    match definition.kind:
        case Kind.ACCUMULATOR:
            return 2**53 + 12_345_679 * index + 1
        case Kind.ANALOG:
            return (-1.0 if index % 2 else 1.0) * (index + 0.123)
        case Kind.BINARY:
            return index % 2 == 0
        case Kind.MULTISTATE:
            return definition.states[index % len(definition.states)][0] if definition.states else index
        case Kind.TEXT:
            return f"text {index} é"
        case Kind.TIME:
            return NOW_NS - index * 1_000_000_000


def sample_of(definition: PointDef, quality: Quality = Quality.GOOD) -> Sample:
    return Sample(value_of(definition), quality, NOW_NS - definition.index * 100_000_000, 1)


def store_of(site: SiteFacts) -> PointStore:
    store = PointStore(site.points, site.devices)
    store.publish([(definition.index, sample_of(definition)) for definition in site.points])
    return store


def turn(store: PointStore, device: str, quality: Quality) -> None:
    """Give every point of a device another quality: the value held, its time not renewed."""
    mine = [definition for definition in store.defs() if definition.device == device]
    store.publish([(definition.index, sample_of(definition, quality)) for definition in mine])


def mapping(port: int = 0, **more: object) -> Mapping:
    return msgspec.convert({"listener": {"port": port}, **ACCESS, **more}, Mapping)


def projected(port: int = 0, site: SiteFacts | None = None, **more: object) -> Projected:
    return project(mapping(port, **more), site or facts(), Ledger())


def plan_of(made: Projected) -> Plan:
    assert isinstance(made.plan, Plan)
    return made.plan


def spec_of(made: Projected, state_dir: Path) -> WorkerSpec:
    return WorkerSpec("snmp", SERVER, msgspec.msgpack.encode(made.plan), made.needs, str(state_dir))
