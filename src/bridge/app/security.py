"""The security settings of a site as a report for people and programs (X-11). Nothing secret is in it."""

from collections.abc import Sequence
from typing import Any

from bridge.app.faces import Face
from bridge.commands.users import UserError, UserFile
from bridge.config.model import SiteConfig
from bridge.core.listener import Listener
from bridge.core.ports import Transport
from bridge.core.rights import ROLES, Right, right_to_write

Report = dict[str, Any]


def security_report(config: SiteConfig, faces: Sequence[Face]) -> Report:
    """Return the report; every section is a list of rows."""
    return {
        "site": config.file.site.name,
        "listeners": [_listener(face, listener) for face in faces for listener in face.projected.listeners],
        "roles": _roles(config),
        "identities": [
            {
                "protocol": i.protocol,
                "networks": ", ".join(i.networks) or "any",
                "users": ", ".join(i.users) or "any",
                "role": i.role,
            }
            for i in config.access.identities
        ],
        "rules": [
            {
                "match": rule.match,
                "effect": rule.effect.value,
                "roles": ", ".join(rule.roles) or "any",
                "protocols": ", ".join(rule.protocols) or "any",
                "networks": ", ".join(rule.networks) or "any",
            }
            for rule in config.access.rules
        ],
        "gateway": [
            {
                "channel": rule.channel,
                "units": ", ".join(map(str, rule.units)) or "every device",
                "functions": ", ".join(map(str, rule.functions)),
                "networks": ", ".join(rule.networks) or "any",
            }
            for rule in config.access.gateway
        ],
        "writable": [
            {"point": point.id, "right": right_to_write(point).value} for point in config.points if point.writable
        ],
        "locked": [{"point": point.id} for point in config.points if point.mid],
        "users": _users(config),
        "notes": _notes(config, faces),
    }


def _listener(face: Face, listener: Listener) -> Report:
    tls = "none"
    if listener.tls is not None:
        tls = "with client certificates" if listener.tls.client_ca else "yes"
        tls += ", revocable" if listener.tls.client_crl else ""
    return {
        "server": face.name,
        "address": f"{listener.bind}:{listener.port}/{face.projected.transport.value}",
        "networks": ", ".join(listener.networks) or "any",
        "clients": listener.max_clients if face.projected.transport is Transport.TCP else "",
        "tls": tls,
    }


def _roles(config: SiteConfig) -> list[Report]:
    own = {name: frozenset(role.rights) for name, role in config.access.roles.items()}
    every = {**ROLES, **own}
    return [{"role": name} | {right.value: right in rights for right in Right} for name, rights in every.items()]


def _users(config: SiteConfig) -> list[Report]:
    try:
        users = UserFile(config.state_dir).read().users
    except UserError as exc:
        return [{"name": "", "role": str(exc), "locked": True}]
    return [{"name": name, "role": user.role, "locked": user.locked} for name, user in users.items()]


def _notes(config: SiteConfig, faces: Sequence[Face]) -> list[Report]:
    """What a careful person would look at first."""
    notes: list[str] = []
    for name, listener in [(face.name, listener) for face in faces for listener in face.projected.listeners]:
        where = f"{name}, port {listener.port},"
        if listener.bind in ("0.0.0.0", "::", "") and not listener.networks:
            notes.append(f"{where} listens on every address and for every network")
        if listener.tls is None and not listener.bind.startswith("127."):
            notes.append(f"{where} is not encrypted: keep it in a protected network")
    for i, identity in enumerate(config.access.identities):
        if not identity.networks and not identity.users and identity.protocol != "cli":
            notes.append(f"identity {i} gives the role {identity.role} to everybody who reaches {identity.protocol}")
    return [{"note": note} for note in notes]
