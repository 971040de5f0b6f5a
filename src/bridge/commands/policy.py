"""The one write policy: whether a peer may set a point. Pure; everything that no rule allows is refused."""

import fnmatch
import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bridge.config.access import AccessFile, Effect, WriteRule
from bridge.core.command import Origin, Outcome
from bridge.core.point import PointDef, Value
from bridge.core.rights import ROLES, Right, right_to_write

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
# (protocol, user) -> the role of a user whom the bridge itself knows, None for nobody
RoleOfUser = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Decision:
    """`refused` None: allowed. `reason`: for the audit, never for the peer. `select`: only after a select."""

    refused: Outcome | None
    reason: str = ""
    role: str = ""
    select: bool = False


class Networks:
    """An allow-list; empty = everybody. A peer is an address, with or without port; other names fit no network."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: tuple[IpNetwork, ...] = tuple(ipaddress.ip_network(network) for network in networks)

    def admit(self, peer: str) -> bool:
        if not self._networks:
            return True
        address = address_of(peer)
        return address is not None and any(address in network for network in self._networks)


def address_of(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read `192.0.2.1`, `192.0.2.1:502`, `2001:db8::1`, `[2001:db8::1]:502`; None for anything else."""
    host = peer
    if peer.startswith("["):
        host = peer[1:].partition("]")[0]
    elif peer.count(":") == 1:
        host = peer.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def host_of(peer: str) -> str:
    """Return the address of a peer without its port: the same one again comes from another port."""
    address = address_of(peer)
    return peer if address is None else str(address)


@dataclass(frozen=True, slots=True)
class _Identity:
    protocol: str
    networks: Networks
    users: frozenset[str]
    role: str


class Roles:
    """Who has which role, and what a role may do."""

    def __init__(self, access: AccessFile, role_of_user: RoleOfUser) -> None:
        self._rights = {**ROLES, **{name: frozenset(role.rights) for name, role in access.roles.items()}}
        self._identities = [
            _Identity(i.protocol, Networks(i.networks), frozenset(i.users), i.role) for i in access.identities
        ]
        self._role_of_user = role_of_user

    def role_of(self, origin: Origin) -> str:
        """Return the role, "" for nobody. A name that the site's identities or the users' file knows goes first."""
        fitting = [i for i in self._identities if i.protocol == origin.protocol and i.networks.admit(origin.peer)]
        if origin.user:
            named = next((i.role for i in fitting if origin.user in i.users), None)
            role = named or self._role_of_user(origin.protocol, origin.user)
            if role:
                return role
        return next((i.role for i in fitting if not i.users), "")

    def may(self, role: str, right: Right) -> bool:
        return right in self.rights(role)

    def rights(self, role: str) -> frozenset[Right]:
        return self._rights.get(role, frozenset())

    def names(self) -> list[str]:
        """Return every role of the site."""
        return list(self._rights)

    def knows(self, role: str) -> bool:
        """Tell whether the site has such a role."""
        return role in self._rights


@dataclass(frozen=True, slots=True)
class _Rule:
    fits: Callable[[str], re.Match[str] | None]
    networks: Networks
    source: WriteRule


class WritePolicy:
    """Compiled once per configuration; `judge` has no state."""

    def __init__(self, access: AccessFile, role_of_user: RoleOfUser = lambda protocol, user: None) -> None:
        self.roles = Roles(access, role_of_user)
        self._rules = [
            _Rule(re.compile(fnmatch.translate(rule.match)).match, Networks(rule.networks), rule)
            for rule in access.rules
        ]

    def judge(self, definition: PointDef, value: Value, origin: Origin) -> Decision:
        """Say whether `origin` may set the point to `value`. What a MID meter bills by: never, whoever asks."""
        role = self.roles.role_of(origin)
        if definition.mid:
            return Decision(Outcome.NOT_WRITABLE, "a MID meter bills by this point", role)
        if not definition.writable:
            return Decision(Outcome.NOT_WRITABLE, "the point cannot be written", role)
        if not role:
            return Decision(Outcome.REFUSED_BY_POLICY, "no role for this peer", role)
        right = right_to_write(definition)
        if not self.roles.may(role, right):
            return Decision(Outcome.REFUSED_BY_POLICY, f"role {role} has no right {right.value}", role)
        rule = self._rule(definition, origin, role)
        if rule is None:
            return Decision(Outcome.REFUSED_BY_POLICY, "no rule allows it", role)
        if rule.effect is Effect.DENY:
            return Decision(Outcome.REFUSED_BY_POLICY, "a rule denies it", role)
        if not _inside(value, rule.range, rule.values):
            return Decision(Outcome.OUT_OF_RANGE, "outside of what the rule allows", role)
        return Decision(None, "", role, rule.select)

    def _rule(self, definition: PointDef, origin: Origin, role: str) -> WriteRule | None:
        for rule in self._rules:
            source = rule.source
            if (
                rule.fits(definition.id)
                and (not source.roles or role in source.roles)
                and (not source.protocols or origin.protocol in source.protocols)
                and rule.networks.admit(origin.peer)
            ):
                return source
        return None


def _inside(value: Value, span: tuple[float, float] | None, values: Sequence[float]) -> bool:
    if span is None and not values:
        return True
    if not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return (span is None or span[0] <= value <= span[1]) and (not values or value in values)
