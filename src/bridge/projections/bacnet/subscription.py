"""Who subscribed to what: the records the COV engine keeps (clause 13.14)."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bridge.projections.bacnet import wire
from bridge.projections.bacnet.values import Shown


class SubscriptionRefused(Exception):
    """A cap is reached: no space in the device, or this peer has its share."""


@dataclass(frozen=True, slots=True)
class CovLimits:
    """Caps and timing.  Subscriptions are counts, times are seconds."""

    total: int = 200
    per_peer: int = 16
    lifetime_s: int = 86_400
    timeout_s: float = 3.0
    retries: int = 3
    # Confirmed notifications in flight to one peer.
    window: int = 4


class Peer:
    """A subscriber's address and the way to it; `send` takes a bare APDU."""

    __slots__ = ("count", "in_flight", "key", "next_invoke_id", "queue", "send")

    def __init__(self, key: object, send: Callable[[bytes, bool], None]) -> None:
        self.key = key
        self.send = send
        self.count = 0
        self.in_flight: dict[int, tuple[float, int, Subscription, bytes]] = {}
        self.queue: deque[Subscription] = deque()
        self.next_invoke_id = 0


class Subscription:
    """One line of Active_COV_Subscriptions."""

    __slots__ = (
        "confirmed",
        "dirty",
        "expires",
        "increment",
        "nibble",
        "other",
        "peer",
        "position",
        "prefix",
        "process_id",
        "prop",
        "reported",
        "value",
        "waiting",
    )

    def __init__(self, peer: Peer, process_id: int, position: int, prop: int | None, prefix: bytes) -> None:
        self.peer = peer
        self.process_id = process_id
        self.position = position
        self.prop = prop
        # Subscribed to a property other than present-value.
        self.other = prop is not None and prop != wire.PRESENT_VALUE
        self.prefix = prefix
        self.confirmed = False
        # Loop time; 0 is indefinite.
        self.expires = 0.0
        self.increment = 0.0
        self.value: Shown = 0.0
        self.nibble = -1
        # Octets of a property other than present-value as last reported.
        self.reported = b""
        self.waiting = False
        self.dirty = False
