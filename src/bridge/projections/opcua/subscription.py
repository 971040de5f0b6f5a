"""
Subscriptions that publish encoded bytes (OPC 10000-4, 5.14).

    NotificationMessage: sequence number u32 | publish time i64 | count i32 | notifications
    DataChangeNotification: NodeId 811 | 01 | length i32 | count i32 | items | no diagnostics
    EventNotificationList:  NodeId 916 | 01 | length i32 | count i32 | items
"""

import math
import struct
from collections.abc import Callable
from typing import Any, cast

from asyncua import ua
from asyncua.common.utils import Buffer, ServiceError
from asyncua.server.address_space import AddressSpace
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.subscription_service import SubscriptionService
from asyncua.ua.ua_binary import extensionobject_to_binary, struct_from_binary, struct_to_binary

from bridge.core.clock import Clock
from bridge.projections.opcua.binary import I4, U4, ticks
from bridge.projections.opcua.conditions import Conditions
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.items import Items
from bridge.projections.opcua.plan import Limits
from bridge.projections.opcua.sampling import Group, Item

_MESSAGE = struct.Struct("<IqI").pack
_DATA_CHANGE = b"\x01\x00\x2b\x03\x01"
_EVENTS = b"\x01\x00\x94\x03\x01"
# Notifications of one message when the client sets no limit; the rest follows with MoreNotifications.
PER_MESSAGE = 5000
EVENTS_PER_MESSAGE = 100
# Bytes of unacknowledged messages that one subscription keeps for Republish.
KEPT_BYTES = 1 << 20
_LONGEST_MS = 3_600_000.0


class Subscription(InternalSubscription):
    """Of a client; the library's own loop calls `publish_results` once per publishing interval."""

    def __init__(
        self,
        data: ua.CreateSubscriptionResult,
        aspace: AddressSpace,
        callback: Callable[..., Any],
        session_id: ua.NodeId,
        tools: "SubscriptionTools",
        **more: Any,
    ) -> None:
        # the library makes a logger named after a subscription's number, and loggers stay for ever: all are number 0
        super().__init__(ua.CreateSubscriptionResult(), aspace, callback, session_id, **more)
        self._clock = tools.clock
        self._counters = tools.counters
        self.pending: list[Item] = []
        self.group, self._samplers = Group(), dict[float, Group]()
        self.items = Items(self, aspace, tools.image, tools.clock, tools.limits, tools.conditions)
        self.monitored_item_srv = self.items
        self.data = data
        self._no_acks_limit = tools.limits.unacknowledged
        # of the client: 0 = as many as there are
        self.most_notifications = 0
        self._late = False
        # the library's own, for the type checker
        self._publish_cycles_count: int = 0
        self._notification_seq: int = 1
        self._triggered_datachanges: dict[int, list[ua.MonitoredItemNotification]] = {}
        self._unacknowledged: dict[int, bytes] = {}
        # the library reads the sequence numbers of this one
        self._not_acknowledged_results = cast("dict[int, ua.PublishResult]", self._unacknowledged)

    def sampler(self, interval_s: float) -> Group:
        group = self._samplers.get(interval_s)
        if group is None:
            group = self._samplers[interval_s] = Group(interval_s)
        return group

    async def stop(self) -> None:
        await super().stop()
        self._close_groups()

    async def publish_results(self, requestdata: Any = None) -> bool:
        """A publishing cycle (no request), or a Publish request that somebody waits for. True: it was used."""
        processor = cast("Any", self.pub_request_callback).__self__
        gone = processor._transport.is_closing()
        if requestdata is None:
            self.group.sample()
            self._publish_cycles_count = (
                self._publish_cycles_count + 1 if gone or not processor._publish_requests else 0
            )
            if self._publish_cycles_count > self.data.RevisedLifetimeCount:
                self._expire()
                return False
            if not self._late:
                self._late = self._is_due()
        else:
            self._publish_cycles_count = 0
        used = False
        while self._late and not gone:
            if requestdata is None:
                requestdata = cast("Any", self.pub_request_callback)(self.data.SubscriptionId)
            if requestdata is None:
                break
            await cast("Any", self.pub_result_callback)(self._result(), requestdata)
            requestdata, used = None, True
        return used

    def republish(self, nb: int) -> ua.NotificationMessage:
        """Raises: ServiceError."""
        message = self._unacknowledged.get(nb)
        if message is None:
            raise ServiceError(ua.StatusCodes.BadMessageNotAvailable)
        return struct_from_binary(ua.NotificationMessage, Buffer(message))

    def repeat(self) -> None:
        for item in self.items.points.values():
            item.repeat()

    def _is_due(self) -> bool:
        waiting = self.pending or self._triggered_datachanges or self._has_events()
        if self._startup or self._triggered_statuschanges or (self._publishing_enabled and waiting):
            return True
        self._keep_alive_count += 1
        return self._keep_alive_count >= self.data.RevisedMaxKeepAliveCount

    def _expire(self) -> None:
        """The client is gone for too long."""
        self._counters["subscriptions_expired"] += 1
        self._closing, self._task = True, None
        if self.delete_callback is not None:
            self.delete_callback()
        self.monitored_item_srv.delete_all_monitored_items()
        self.pending = []
        self._close_groups()

    def _close_groups(self) -> None:
        for group in (self.group, *self._samplers.values()):
            group.close()

    def _result(self) -> tuple[bytes, bytes]:
        """Return a PublishResult up to the message, and the message."""
        notifications, more = list[bytes](), False
        if self._publishing_enabled:
            most = self.most_notifications or PER_MESSAGE
            parts = self._data_changes(most)
            more = bool(self.pending)
            if parts:
                body = b"".join(parts)
                size = I4.pack(len(body) + 8)
                notifications.append(b"".join((_DATA_CHANGE, size, I4.pack(len(parts)), body, b"\0\0\0\0")))
            if events := self._events(most - len(parts)):
                body = b"".join(events)
                size = I4.pack(len(body) + 4)
                notifications.append(b"".join((_EVENTS, size, I4.pack(len(events)), body)))
            more = more or self._has_events()
        if self._triggered_statuschanges:
            notifications += self._library(self._pop_triggered_statuschanges)
        self._keep_alive_count, self._startup, self._late = 0, False, more
        number, kept = self._notification_seq, self._unacknowledged
        now = ticks(self._clock.utc_ns())
        message = _MESSAGE(number, now, len(notifications)) + b"".join(notifications)
        if notifications:
            self._notification_seq = number % 0xFFFF_FFFF + 1
            kept[number] = message
            while len(kept) > self._no_acks_limit or (len(kept) > 1 and sum(map(len, kept.values())) > KEPT_BYTES):
                kept.pop(next(iter(kept)))
        available = struct.pack(f"<i{len(kept)}I", len(kept), *kept)
        return U4.pack(self.data.SubscriptionId) + available + (b"\1" if more else b"\0"), message

    def _has_events(self) -> bool:
        return any(item.waiting() for item in self.items.events.values())

    def _events(self, most: int) -> list[bytes]:
        """Take encoded EventFieldLists; few at a time, for each is a dozen of fields to encode."""
        found, left = list[bytes](), min(most, EVENTS_PER_MESSAGE)
        for item in self.items.events.values():
            if left > 0 and item.waiting():
                taken = item.take(left)
                found += taken
                left -= len(taken)
        self._counters["notifications"] += len(found)
        return found

    def _data_changes(self, most: int) -> list[bytes]:
        """Take what items have to report, in the order in which they first had something."""
        parts, left = list[bytes](), list[Item]()
        for item in self.pending:
            if len(parts) < most and item.waiting():
                parts += item.take(most - len(parts))
            if item.waiting():
                left.append(item)
            else:
                item.pending = False
        self.pending = left
        if self._triggered_datachanges:
            parts += [struct_to_binary(found) for queue in self._triggered_datachanges.values() for found in queue]
            self._triggered_datachanges = {}
        self._counters["notifications"] += len(parts)
        return parts

    @staticmethod
    def _library(pop: Callable[[ua.PublishResult], None]) -> list[bytes]:
        """Return what the library has queued, encoded."""
        result = ua.PublishResult()
        pop(result)
        return [extensionobject_to_binary(found) for found in result.NotificationMessage.NotificationData]


class SubscriptionTools:
    """What every subscription gets. `silence_ms`: a client that has a subscription speaks this often at least."""

    def __init__(
        self,
        image: Image,
        conditions: Conditions,
        clock: Clock,
        counters: dict[str, int],
        limits: Limits,
        silence_ms: float,
    ) -> None:
        self.image, self.conditions, self.clock = image, conditions, clock
        self.counters, self.limits, self.silence_ms = counters, limits, silence_ms


class Subscriptions(SubscriptionService):
    """The subscriptions of all clients."""

    def __init__(self, aspace: AddressSpace, iserver: Any, tools: SubscriptionTools) -> None:
        super().__init__(aspace, iserver)
        self._tools = tools

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        session_id: ua.NodeId,
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        """Raises: ServiceError."""
        if request_callback is None:
            return await super().create_subscription(params, callback, session_id)
        tools, limits = self._tools, self._tools.limits
        if len(self.subscriptions) >= limits.subscriptions and not await self.iserver.make_room():
            raise ServiceError(ua.StatusCodes.BadTooManySubscriptions)
        asked_ms = params.RequestedPublishingInterval
        interval_ms = max(float(limits.publishing_ms), min(asked_ms if math.isfinite(asked_ms) else 0.0, _LONGEST_MS))
        longest = max(1, int(tools.silence_ms / interval_ms))
        keep_alive = max(1, min(params.RequestedMaxKeepAliveCount or longest, longest))
        lifetime = max(3 * keep_alive, min(params.RequestedLifetimeCount, limits.lifetime_count))
        self._sub_id_counter += 1
        number = self._sub_id_counter
        result = ua.CreateSubscriptionResult(number, interval_ms, lifetime, keep_alive)
        made = Subscription(
            result,
            self.aspace,
            callback,
            session_id,
            tools,
            request_callback=request_callback,
            delete_callback=lambda: self.subscriptions.pop(number, None),
            max_queue_size=limits.queue,
            publishing_enabled=params.PublishingEnabled,
        )
        made.most_notifications = params.MaxNotificationsPerPublish
        await made.start()
        self.subscriptions[number] = made
        return result

    async def transfer_subscriptions(
        self, params: ua.TransferSubscriptionsParameters, session_id: ua.NodeId, callback: Callable[..., Any]
    ) -> list[ua.TransferResult]:
        """As the library's, and the new client's Publish requests are the ones that are answered."""
        results = await super().transfer_subscriptions(params, session_id, callback)
        for number, result in zip(params.SubscriptionIds, results, strict=True):
            subscription = self.subscriptions.get(int(number))
            if result.StatusCode.is_good() and isinstance(subscription, Subscription):
                subscription.pub_request_callback = cast("Any", callback).__self__.get_publish_request
                if params.SendInitialValues:
                    subscription.repeat()
        return results
