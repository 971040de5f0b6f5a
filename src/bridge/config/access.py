"""What `access:` of site.yaml may say: who may write what. Nothing said = nobody writes anything (docs/security.md)."""

import enum
from typing import Annotated

import msgspec

from bridge.core.rights import Right

# Network in CIDR notation
Network = str
# A protocol of `projections:`, `gateway`, or `cli` for the command line of this machine
ProtocolName = str
Register = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: unknown keys are mistakes."""


class Effect(enum.Enum):
    """What a rule does with the writes it fits."""

    ALLOW = "allow"
    DENY = "deny"


class RoleFile(_Strict, frozen=True):
    """A role of the site's own, beside viewer, operator, technician and administrator."""

    rights: tuple[Right, ...]


class Identity(_Strict, frozen=True):
    """
    Which role a peer has. The first that fits decides. `networks` and `users` left out fit everybody of the protocol.

    `users`: names as the protocol itself has proved them (an SNMPv3 user, an OPC UA user).
    """

    protocol: ProtocolName
    role: str
    networks: tuple[Network, ...] = ()
    users: tuple[str, ...] = ()


class WriteRule(_Strict, frozen=True):
    """
    One rule over commands; the first that fits decides, and without one the command is refused. `match`: pattern over
    `device.point`. `roles`, `protocols`, `networks` left out fit all. `range`, `values`: what may be written, in the
    point's unit, inside of what the meter file allows. `select`: only after a select of the same value (SBO).
    """

    match: str
    roles: tuple[str, ...] = ()
    protocols: tuple[ProtocolName, ...] = ()
    networks: tuple[Network, ...] = ()
    effect: Effect = Effect.ALLOW
    range: tuple[float, float] | None = None
    values: tuple[float, ...] = ()
    select: bool = False


class GatewayRule(_Strict, frozen=True):
    """
    Raw Modbus writes that the gateway may forward. `units`: unit ids, empty = every device of the channel; 0 =
    broadcast, only if named. `registers`: wire addresses (first, last) all of a write must lie in; empty = all.
    `functions`: any that must pass; others than 5 6 15 16 22 23 cannot be looked into, so they pass only where nothing
    is billed by, and only by a rule without `registers`.

    Of a MID meter nothing passes but what its meter file declares writable.
    """

    channel: str
    roles: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    units: tuple[Annotated[int, msgspec.Meta(ge=0, le=247)], ...] = ()
    functions: tuple[Annotated[int, msgspec.Meta(ge=1, le=127)], ...] = (6, 16)
    registers: tuple[tuple[Register, Register], ...] = ()


class CommandLimits(_Strict, frozen=True):
    """
    `per_minute`: commands of one origin. `waiting`: commands that wait for one device. `select_s`: time from select to
    operate. `peak_reset_lockout_days`: time after a reset of a demand peak in which another is refused (E-05).
    """

    per_minute: Annotated[int, msgspec.Meta(ge=1, le=6000)] = 60
    waiting: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    select_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 10.0
    peak_reset_lockout_days: Annotated[float, msgspec.Meta(ge=0, le=3650)] = 25.0


class Lockout(_Strict, frozen=True):
    """After `tries` wrong passwords on one protocol from one address, `minutes` without a further try (X-05)."""

    tries: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    minutes: Annotated[float, msgspec.Meta(ge=0.01, le=1440)] = 10.0


class Passwords(_Strict, frozen=True):
    """`min_length`: of new passwords (X-04)."""

    min_length: Annotated[int, msgspec.Meta(ge=6, le=64)] = 8


class AuditLimits(_Strict, frozen=True):
    """`file_bytes`: size at which a new file is begun; `files`: how many are kept."""

    file_bytes: Annotated[int, msgspec.Meta(ge=10_000, le=1_000_000_000)] = 5_000_000
    files: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 20


class AccessFile(_Strict, frozen=True):
    """`access:` of site.yaml."""

    roles: dict[str, RoleFile] = {}
    identities: tuple[Identity, ...] = ()
    rules: tuple[WriteRule, ...] = ()
    gateway: tuple[GatewayRule, ...] = ()
    limits: CommandLimits = CommandLimits()
    lockout: Lockout = Lockout()
    passwords: Passwords = Passwords()
    audit: AuditLimits = AuditLimits()
