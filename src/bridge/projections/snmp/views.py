"""
Who may see and set what: views over subtrees, grants for communities and users.

Nothing is allowed by omission: without a write view nothing can be set, and a grant asks for
authentication and privacy unless told otherwise.
"""

import ipaddress
from dataclasses import dataclass
from enum import Enum, IntEnum

from bridge.projections.snmp.ber import Oid, Syntax
from bridge.projections.snmp.oidtree import Tree

# Octets of a community name we accept in a configuration and in a message.
MAX_COMMUNITY_BYTES = 32

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
EVERYWHERE: tuple[Network, ...] = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


class Inclusion(Enum):
    INCLUDED = "included"
    EXCLUDED = "excluded"


class SecurityLevel(IntEnum):
    """As in msgFlags (RFC 3412, 6.4); a higher one satisfies a lower."""

    NO_AUTH = 0
    AUTH = 1
    AUTH_PRIV = 3


@dataclass(frozen=True, slots=True)
class Subtree:
    oid: Oid
    inclusion: Inclusion = Inclusion.INCLUDED


@dataclass(frozen=True, slots=True)
class View:
    """The longest subtree that contains a name decides; a name in none is not in the view (RFC 3415)."""

    subtrees: tuple[Subtree, ...]

    def mask(self, tree: Tree) -> bytearray:
        """Return one byte per row: 1 where the row is in the view."""
        mask = bytearray(tree.size)
        for subtree in sorted(self.subtrees, key=lambda subtree: len(subtree.oid)):
            start, stop = tree.below(subtree.oid)
            mask[start:stop] = bytes((subtree.inclusion is Inclusion.INCLUDED,)) * (stop - start)
        return mask


NOTHING = View(())


@dataclass(frozen=True, slots=True)
class Grant:
    """`level` is the least a user must come with; communities have none and are not asked."""

    read: View
    write: View = NOTHING
    level: SecurityLevel = SecurityLevel.AUTH_PRIV


@dataclass(frozen=True, slots=True)
class Community:
    """A v1 and v2c community and where its requests may come from. `name` is a secret, `label` is not."""

    name: bytes
    grant: Grant
    label: str = ""
    networks: tuple[Network, ...] = EVERYWHERE

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_COMMUNITY_BYTES:
            raise ValueError(f"community of {len(self.name)} bytes, allowed 1 to {MAX_COMMUNITY_BYTES}")

    def admits(self, peer: str) -> bool:
        if self.networks is EVERYWHERE:
            return True
        address = ipaddress.ip_address(peer)
        return any(address in network for network in self.networks)


class Window:
    """A grant applied to a tree: `read` for v2c and v3, `read_v1` without Counter64 (RFC 3584, 4.2.2.1)."""

    def __init__(self, tree: Tree, grant: Grant) -> None:
        self.tree = tree
        self.level = grant.level
        read = grant.read.mask(tree)
        self.read = bytes(read)
        self.write = bytes(grant.write.mask(tree))
        for block in tree.blocks:
            if block.object.syntax is Syntax.COUNTER64:
                read[block.base : block.stop] = bytes(block.stop - block.base)
        self.read_v1 = bytes(read)
