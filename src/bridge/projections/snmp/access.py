"""Plan -> who may read and write: communities, users and their views."""

import ipaddress

from bridge.projections.snmp.plan import MODULE_ARC, Plan, Reader
from bridge.projections.snmp.usm import UserConfig
from bridge.projections.snmp.views import (
    EVERYWHERE,
    NOTHING,
    Community,
    Grant,
    Inclusion,
    SecurityLevel,
    Subtree,
    View,
)

_INTERNET = (1, 3, 6, 1)


def communities_of(plan: Plan) -> list[Community]:
    return [
        Community(
            reader.secret.encode(),
            grant_of(plan, reader),
            reader.label,
            tuple(ipaddress.ip_network(n, strict=False) for n in reader.networks) or EVERYWHERE,
        )
        for reader in plan.readers
        if reader.auth is None
    ]


def users_of(plan: Plan) -> list[UserConfig]:
    return [
        UserConfig(
            reader.label.encode(),
            reader.auth,
            reader.secret.encode(),
            grant_of(plan, reader),
            reader.privacy,
            reader.privacy_secret.encode(),
        )
        for reader in plan.readers
        if reader.auth is not None
    ]


def grant_of(plan: Plan, reader: Reader) -> Grant:
    """Return the view of a reader; what it may write is never more than the objects of the bridge."""
    read = View(
        (
            *(Subtree(oid) for oid in reader.include or (_INTERNET,)),
            *(Subtree(oid, Inclusion.EXCLUDED) for oid in reader.exclude),
        )
    )
    write = NOTHING
    if reader.may_write:
        own = (*plan.enterprise, MODULE_ARC)
        write = View((Subtree(own), *(Subtree(oid, Inclusion.EXCLUDED) for oid in reader.exclude)))
    level = SecurityLevel.AUTH_PRIV if reader.privacy is not None or reader.auth is None else SecurityLevel.AUTH
    return Grant(read, write, level)
