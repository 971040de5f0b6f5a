"""
Change-of-value subscriptions over the model: who hears what, when, and what happens when nobody answers.

Pure but for `Peer.send`: time comes from `clock`, the shell calls `sweep`. Clauses 13.1, 13.14 and 13.15.
A confirmed notification never blocks: one in flight per subscription, later changes coalesce into the newest value.
"""

from collections import deque
from collections.abc import Callable
from math import ceil, isnan

from bridge.projections.bacnet import wire
from bridge.projections.bacnet.model import Catalogue, DeviceModel, Entry
from bridge.projections.bacnet.subscription import CovLimits, Peer, Subscription, SubscriptionRefused
from bridge.projections.bacnet.values import Shown

__all__ = ["CovEngine", "CovLimits", "Peer", "Subscription", "SubscriptionRefused"]

# Invoke ids of our confirmed notifications; the stack keeps 0..127 (stack/application.py holds it to that).
FIRST_INVOKE_ID, INVOKE_IDS = 128, 128
# Notifications sent at once, and the seconds until the next as many: a dead meter moves all its points in one moment,
# and the socket of a BMS has room for some hundred datagrams.
BURST, PACE_S = 50, 0.005


class CovEngine:
    """All subscriptions of one process. Runs on the loop that writes the image."""

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Callable[[], float],
        limits: CovLimits,
        may_initiate: Callable[[], bool],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """`later(seconds, call)`: the loop's call_later."""
        self.catalogue = catalogue
        self.clock = clock
        self.limits = limits
        self.may_initiate = may_initiate
        self._later = later
        self._paced: deque[Subscription] = deque()
        self._window_ends = 0.0
        self._in_window = 0
        self.at: dict[int, list[Subscription]] = {}
        self.by_key: dict[tuple[object, int, int, int | None], Subscription] = {}
        self.peers: dict[object, Peer] = {}
        self.sent = self.retried = self.failed = 0
        catalogue.on_change = self.changed

    def subscribe(
        self,
        peer: Peer,
        device: DeviceModel,
        position: int,
        process_id: int,
        prop: int | None,
        *,
        confirmed: bool,
        lifetime_s: int,
        increment: float | None,
    ) -> Subscription:
        """Add or renew. The caller acknowledges, then calls `report`. Raises: SubscriptionRefused."""
        key = (peer.key, process_id, position, prop)
        subscription = self.by_key.get(key)
        if subscription is None:
            if len(self.by_key) >= self.limits.total or peer.count >= self.limits.per_peer:
                raise SubscriptionRefused
            object_id = self.catalogue.object_ids[position]
            prefix = (
                wire.context_unsigned(0, process_id)
                + wire.context_object_id(1, device.object_id)
                + wire.context_object_id(2, object_id)
            )
            subscription = Subscription(peer, process_id, position, prop, prefix)
            self.by_key[key] = subscription
            self.at.setdefault(position, []).append(subscription)
            self.catalogue.watched[position] = 1
            self.peers[peer.key] = peer
            peer.count += 1
        subscription.confirmed = confirmed
        subscription.expires = self.clock() + lifetime_s if lifetime_s else 0.0
        subscription.increment = self.catalogue.points[position].shape.increment if increment is None else increment
        return subscription

    def resume(self) -> None:
        """Report what moved while nothing might be sent (clause 16.1: after communication is enabled again)."""
        for position in list(self.at):
            self.changed(position)

    def cancel(self, peer_key: object, process_id: int, position: int, prop: int | None) -> None:
        subscription = self.by_key.get((peer_key, process_id, position, prop))
        if subscription is not None:
            self._drop(subscription)

    def _drop(self, subscription: Subscription) -> None:
        del self.by_key[(subscription.peer.key, subscription.process_id, subscription.position, subscription.prop)]
        rest = self.at[subscription.position]
        rest.remove(subscription)
        if not rest:
            del self.at[subscription.position]
            self.catalogue.watched[subscription.position] = 0
        peer = subscription.peer
        peer.count -= 1
        if subscription in peer.queue:
            peer.queue.remove(subscription)
        if not peer.count and not peer.in_flight:
            self.peers.pop(peer.key, None)

    def changed(self, position: int) -> None:
        """Report a stored sample to every subscription it moves: beyond the increment, or any flag."""
        value = self.catalogue.value[position]
        nibble = self.catalogue.flags(position)
        tail = b""
        for s in self.at[position]:
            if not self._moved(s, value, nibble):
                continue
            if s.waiting:
                s.dirty = True
                continue
            if not self._has_room():
                s.waiting = s.dirty = True
                self._paced.append(s)
                continue
            if not tail and not s.other:
                tail = self._tail(position, wire.PRESENT_VALUE)
            self._notify(s, value, nibble, b"" if s.other else tail)

    def _has_room(self) -> bool:
        """Take one place in the burst under way; when there is none, see to it that there will be."""
        now = self.clock()
        if now >= self._window_ends and not self._paced:
            self._window_ends, self._in_window = now + PACE_S, 0
        if self._in_window < BURST:
            self._in_window += 1
            return True
        if not self._paced:
            self._later(PACE_S, self._go_on)
        return False

    def _go_on(self) -> None:
        """Send what had to wait, with the newest value."""
        for _ in range(min(BURST, len(self._paced))):
            s = self._paced.popleft()
            s.waiting = False
            self._again(s)
        if self._paced:
            self._later(PACE_S, self._go_on)

    def _moved(self, s: Subscription, value: Shown, nibble: int) -> bool:
        if nibble != s.nibble:
            return True
        if s.other:
            return self._octets(s.prop or 0, s.position) != s.reported
        last = s.value
        if value == last:
            return False
        if isinstance(value, str) or isinstance(last, str):
            return True
        return not (abs(value - last) < s.increment or (isnan(value) and isnan(last)))

    def report(self, s: Subscription) -> None:
        """Send the initial notification, whatever the value, unless it was cancelled meanwhile."""
        if self.by_key.get((s.peer.key, s.process_id, s.position, s.prop)) is not s:
            return
        if s.waiting:
            s.dirty, s.nibble = True, -1
            return
        self._notify(s, self.catalogue.value[s.position], self.catalogue.flags(s.position), b"")

    def _octets(self, prop: int, position: int) -> bytes:
        entry: Entry | None = self.catalogue.points[position].entries.get(prop)
        if isinstance(entry, bytes):
            return entry
        return entry(position) if callable(entry) else b""

    def _tail(self, position: int, prop: int) -> bytes:
        value = (
            b""
            if prop == wire.STATUS_FLAGS
            else wire.context_unsigned(0, prop) + b"\x2e" + self._octets(prop, position) + b"\x2f"
        )
        return b"\x4e%b\x09\x6f\x2e%b\x2f\x4f" % (value, wire.STATUS_FLAGS_OCTETS[self.catalogue.flags(position)])

    def _notify(self, s: Subscription, value: Shown, nibble: int, tail: bytes) -> None:
        if not self.may_initiate():
            return
        remaining = b"\x39\x00"
        if s.expires:
            left = s.expires - self.clock()
            if left <= 0:
                return
            remaining = wire.context_unsigned(3, ceil(left))
        if not tail:
            tail = self._tail(s.position, wire.PRESENT_VALUE if s.prop is None else s.prop)
        if s.confirmed:
            self._notify_confirmed(s, value, nibble, b"%b%b%b" % (s.prefix, remaining, tail))
            return
        self._remember(s, value, nibble)
        self.sent += 1
        s.peer.send(b"\x10\x02%b%b%b" % (s.prefix, remaining, tail), False)

    def _remember(self, s: Subscription, value: Shown, nibble: int) -> None:
        s.value, s.nibble = value, nibble
        if s.other:
            s.reported = self._octets(s.prop or 0, s.position)

    def _notify_confirmed(self, s: Subscription, value: Shown, nibble: int, body: bytes) -> None:
        peer = s.peer
        if len(peer.in_flight) >= self.limits.window:
            s.waiting = s.dirty = True
            peer.queue.append(s)
            return
        self._remember(s, value, nibble)
        while True:
            invoke_id = FIRST_INVOKE_ID + peer.next_invoke_id
            peer.next_invoke_id = (peer.next_invoke_id + 1) % INVOKE_IDS
            if invoke_id not in peer.in_flight:
                break
        s.waiting = True
        apdu = b"\x00\x05%c\x01%b" % (invoke_id, body)
        peer.in_flight[invoke_id] = (self.clock() + self.limits.timeout_s, 0, s, apdu)
        self.sent += 1
        peer.send(apdu, True)

    def acknowledged(self, peer: object, pdu_type: int, invoke_id: int) -> bool:
        """Take a SimpleACK, Error, Reject or Abort; False when it is not for us."""
        known = self.peers.get(peer)
        entry = known.in_flight.pop(invoke_id, None) if known is not None else None
        if known is None or entry is None:
            return False
        if pdu_type != 2:
            self.failed += 1
        self._settled(known, entry[2])
        return True

    def _settled(self, peer: Peer, s: Subscription) -> None:
        s.waiting = False
        self._again(s)
        while peer.queue and len(peer.in_flight) < self.limits.window:
            queued = peer.queue.popleft()
            queued.waiting = False
            self._again(queued)
        if not peer.count and not peer.in_flight:
            self.peers.pop(peer.key, None)

    def _again(self, s: Subscription) -> None:
        """Send what changed while the last notification was under way."""
        if not s.dirty or s.position not in self.at or s not in self.at[s.position]:
            return
        s.dirty = False
        position = s.position
        value, nibble = self.catalogue.value[position], self.catalogue.flags(position)
        if self._moved(s, value, nibble):
            self._notify(s, value, nibble, b"")

    def remaining_s(self, s: Subscription) -> int:
        """Return the seconds a subscription has left, 0 = it is indefinite."""
        return max(1, ceil(s.expires - self.clock())) if s.expires else 0

    def sweep(self) -> None:
        """Drop what has expired and repeat what was not acknowledged; call about twice a second."""
        now = self.clock()
        for s in [s for s in self.by_key.values() if s.expires and s.expires <= now]:
            self._drop(s)
        for peer in list(self.peers.values()):
            late = [(i, e) for i, e in peer.in_flight.items() if e[0] <= now]
            for invoke_id, (_, tries, s, apdu) in late:
                if tries < self.limits.retries:
                    peer.in_flight[invoke_id] = (now + self.limits.timeout_s, tries + 1, s, apdu)
                    self.retried += 1
                    peer.send(apdu, True)
                else:
                    del peer.in_flight[invoke_id]
                    self.failed += 1
                    self._settled(peer, s)
