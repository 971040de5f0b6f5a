"""What the gateway's worker needs: doors that clients come in by, routes behind them, the policy."""

import enum

import msgspec

from bridge.core.listener import Listener
from bridge.gateway.modbus.settings import Access

# the only device of a one-device line; the bridge itself; every device of a line (seed 004, l.3216-3220, l.3537)
ONLY_DEVICE_UNIT, OWN_UNIT, BROADCAST_UNIT = 248, 255, 0
# raw requests under way per worker are 64 (bridge.link.wire); 4 are left for what comes between
UNDER_WAY_MOST = 60


class Framing(enum.Enum):
    """How requests stand in the byte stream of a client."""

    MBAP = "mbap"
    RTU = "rtu"


class Route(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a unit id leads. `timeout_s`: 0 = the device's own."""

    channel: str
    unit: int
    timeout_s: float = 0.0


class Door(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """
    One listener. `routes`: by the unit id that the client says. `only`: what 248 reaches. `broadcast`: channels a
    broadcast goes to. `needs_role`: clients show a certificate, and its role decides.
    """

    listener: Listener
    framing: Framing
    routes: dict[int, Route]
    broadcast: tuple[str, ...]
    only: Route | None = None
    needs_role: bool = False


Spans = tuple[tuple[int, int], ...]


class PlannedRule(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A rule with its names resolved. `targets`: (channel, unit) of named devices; empty tuples match everything."""

    access: Access
    clients: tuple[str, ...] = ()
    targets: tuple[tuple[str, int], ...] = ()
    channels: tuple[str, ...] = ()
    units: Spans = ()
    functions: tuple[int, ...] = ()
    registers: Spans = ()


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`in_flight`: requests of this worker that one channel's line is given at once."""

    doors: tuple[Door, ...]
    policy: tuple[PlannedRule, ...] = ()
    roles: dict[str, tuple[int, ...]] = {}
    cache_ms: int = 100
    patience_s: float = 30.0
    hold_off_s: tuple[float, float] = (0.5, 5.0)
    in_flight: int = 4
    site: str = ""
