"""
What travels to the worker: which points are shown, who may come in, and the limits.

Node ids are strings made of point ids, so there are no numbers to resolve; what a node says follows from its PointDef.
"""

import enum
from typing import Annotated

import msgspec

from bridge.core.listener import Listener

# Namespace of every node id and browse name of ours. It names what the nodes mean, never a site or a version.
NAMESPACE = "urn:meterbridge:meters"
# Namespace index: 0 is OPC UA itself, 1 the server's own application URI (OPC 10000-5, 6.3.5).
NAMESPACE_INDEX = 2


class Policy(enum.Enum):
    """Security policies this server offers; the two that OPC 10000-7 does not call obsolete and clients have."""

    BASIC256SHA256 = "Basic256Sha256"
    AES256_SHA256_RSAPSS = "Aes256_Sha256_RsaPss"


class Mode(enum.Enum):
    SIGN = "sign"
    SIGN_AND_ENCRYPT = "sign-and-encrypt"


class Role(enum.Enum):
    """VIEWER reads. OPERATOR also calls commands. ENGINEER also writes settings. The policy decides after that."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"


class Admission(enum.Enum):
    """Of clients without security, and of users without a name."""

    REFUSED = "refused"
    ALLOWED = "allowed"


class Acknowledging(enum.Enum):
    """
    Whether operators and engineers may acknowledge alarms here, the policy of the bridge permitting. CONFIRMED: they
    also confirm them, and an alarm that nobody has confirmed stays.
    """

    REFUSED = "refused"
    ALLOWED = "allowed"
    CONFIRMED = "confirmed"


Thumbprint = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40}$")]
PasswordHash = Annotated[str, msgspec.Meta(pattern=r"^\$argon2(id|i|d)\$", max_length=400)]
UserName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Security(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    `no_security`: whether a channel may be neither signed nor encrypted. `anonymous`: whether one may read without a
    name; such a user is a viewer, always.
    """

    policies: tuple[Policy, ...] = (Policy.BASIC256SHA256, Policy.AES256_SHA256_RSAPSS)
    modes: tuple[Mode, ...] = (Mode.SIGN, Mode.SIGN_AND_ENCRYPT)
    no_security: Admission = Admission.REFUSED
    anonymous: Admission = Admission.REFUSED


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`password`: an argon2 hash. `certificate`: SHA-1 thumbprint of the user's certificate, lower case hex."""

    role: Role
    password: PasswordHash | None = None
    certificate: Thumbprint | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    `message_bytes`, `chunks`: of one request. `sessions`, `subscriptions`: of all clients. `items`: monitored items of
    one subscription. `queue`: notifications one item keeps. `unacknowledged`: messages one subscription keeps for
    Republish. `publishing_ms`: shortest publishing and sampling interval. `lifetime_count`: publishing cycles that a
    subscription lives without its client.
    """

    message_bytes: Annotated[int, msgspec.Meta(ge=8192, le=16_777_216)] = 262_144
    chunks: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 8
    sessions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    subscriptions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    items: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10_000
    queue: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    unacknowledged: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 20
    publishing_ms: Annotated[int, msgspec.Meta(ge=5, le=60_000)] = 10
    lifetime_count: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 120


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    `points`: indexes in the order of the site. `writable`: of them, those a command may be sent for. `ranges`: EURange
    by index, where the mapping says one.
    """

    listener: Listener
    site: str
    application_name: str
    application_uri: str
    points: tuple[int, ...]
    writable: tuple[int, ...] = ()
    ranges: dict[int, tuple[float, float]] = {}
    security: Security = Security()
    users: dict[str, User] = {}
    limits: Limits = Limits()
    write_timeout_s: float = 5.0
    acknowledging: Acknowledging = Acknowledging.REFUSED
