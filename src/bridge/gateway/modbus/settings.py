"""gateway.yaml: listeners, numbers of devices, and who may ask what."""

import enum
from typing import Annotated

import msgspec

from bridge.core.listener import Count, Listener

UnitId = Annotated[int, msgspec.Meta(ge=1, le=247)]
# of a device on its line; 248 reaches the only device of a line, whatever its unit id
LineUnitId = Annotated[int, msgspec.Meta(ge=1, le=248)]
Function = Annotated[int, msgspec.Meta(ge=1, le=127)]
# a number, or first and last as "10-19"
Span = Annotated[int, msgspec.Meta(ge=0, le=65_535)] | Annotated[str, msgspec.Meta(pattern=r"^\d{1,5}-\d{1,5}$")]
DeviceSeconds = Annotated[float, msgspec.Meta(ge=0.05, le=15)]


class Access(enum.Enum):
    """What a rule of the policy says of the requests it matches."""

    ALLOW = "allow"
    REFUSE = "refuse"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    What is left out matches everything. `clients`: networks. `devices`: of the site; `channels` and `units`: as on the
    line, not as a route renames them; a broadcast is unit 0 and matches only a rule that names it. `registers`: 0-based
    addresses; a request is allowed when all it touches lies inside, and refused when any of it does.
    """

    access: Access
    clients: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    units: tuple[Span, ...] = ()
    functions: tuple[Function, ...] = ()
    registers: tuple[Span, ...] = ()


class RtuListener(Listener, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """RTU over TCP has 8 connections unless the site says otherwise (seed 004, l.2208-2233)."""

    max_clients: Count = 8


class RouteRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    One number that clients may ask: of a `device` of the site (which then has no other), or of `device_unit` on a
    `channel` for what the bridge does not poll. `timeout_s`: instead of the device's own.
    """

    unit: UnitId
    device: str = ""
    channel: str = ""
    device_unit: LineUnitId | None = None
    timeout_s: DeviceSeconds | None = None


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    gateway.yaml. `rtu_over_tcp`, `secure`: further listeners, absent = off. `channels`: those reached through the
    listeners above, empty = every one without a port of its own (site.yaml, `gateway`). `roles`: functions that each
    role of a client certificate may ask. `cache_ms`: age up to which a reply serves the next client that asks the
    same. `patience_s`: longest wait for the line. `hold_off_s`: first, and longest, time in which a unit that has not
    answered is not asked again.
    """

    listener: Listener
    rtu_over_tcp: RtuListener | None = None
    secure: Listener | None = None
    channels: tuple[str, ...] = ()
    routes: tuple[RouteRule, ...] = ()
    policy: tuple[Rule, ...] = ()
    roles: dict[str, tuple[Function, ...]] = {}
    cache_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100
    patience_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 30.0
    hold_off_s: tuple[Annotated[float, msgspec.Meta(ge=0, le=60)], Annotated[float, msgspec.Meta(ge=0, le=300)]] = (
        0.5,
        5.0,
    )
