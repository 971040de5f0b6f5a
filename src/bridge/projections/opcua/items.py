"""The monitored items of one subscription: those of points are ours, those of anything else the library's."""

import math
from typing import Any, Protocol

from asyncua import ua
from asyncua.server.address_space import AddressSpace
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.ua.ua_binary import nodeid_to_binary
from asyncua.ua.uaprotocol_auto import DataChangeFilter, EventFilterResult

from bridge.core.clock import Clock
from bridge.core.point import Kind
from bridge.projections.opcua.binary import U4
from bridge.projections.opcua.conditions import Conditions
from bridge.projections.opcua.event_filter import compiled
from bridge.projections.opcua.event_items import ITEMS_MOST as EVENT_ITEMS_MOST
from bridge.projections.opcua.event_items import EventItem
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.plan import Limits
from bridge.projections.opcua.sampling import DISABLED, STATUS_VALUE, Group, Item, Outbox
from bridge.projections.opcua.status import GOOD

_codes = ua.StatusCodes
# Sampling intervals are multiples of this, so that items share ticks. Milliseconds.
_STEP_MS = 5.0
_LONGEST_MS = 3_600_000.0
_PERCENT = 2


class Refused(Exception):
    """A filter that this item cannot have. `code`: the StatusCode that says so."""

    def __init__(self, code: int) -> None:
        super().__init__(hex(code))
        self.code = code


class Owner(Outbox, Protocol):
    """The subscription, as its items see it."""

    data: ua.CreateSubscriptionResult
    group: Group

    def sampler(self, interval_s: float) -> Group: ...


class Items(MonitoredItemService):
    """Loop thread only."""

    def __init__(
        self, owner: Any, aspace: AddressSpace, image: Image, clock: Clock, limits: Limits, conditions: Conditions
    ) -> None:
        super().__init__(owner, aspace)
        self._conditions = conditions
        self._owner: Owner = owner
        self._image, self._clock, self._limits = image, clock, limits
        self.points: dict[int, Item] = {}
        self.events: dict[int, EventItem] = {}

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        results: list[ua.MonitoredItemCreateResult] = []
        timestamps = int(params.TimestampsToReturn)
        for request in params.ItemsToCreate:
            if len(self.points) + len(self._monitored_items) + len(self.events) >= self._limits.items:
                results.append(_refused(_codes.BadTooManyMonitoredItems))
                continue
            wanted = request.ItemToMonitor
            if wanted.AttributeId == ua.AttributeIds.EventNotifier:
                results.append(self._create_events(request))
                continue
            slot = None
            if wanted.AttributeId == ua.AttributeIds.Value and not wanted.IndexRange and not wanted.DataEncoding.Name:
                slot = self._image.find(bytes(nodeid_to_binary(wanted.NodeId)))
            if slot is None:
                one = ua.CreateMonitoredItemsParameters(params.SubscriptionId, params.TimestampsToReturn, [request])
                results += await super().create_monitored_items(one)
            elif timestamps > 3:
                results.append(_refused(_codes.BadTimestampsToReturnInvalid))
            else:
                results.append(self._create(slot, timestamps, request))
        return results

    def delete_all_monitored_items(self) -> None:
        self.delete_monitored_items([*self.points, *self.events, *self._monitored_items])

    async def datachange_callback(self, handle: int, value: ua.DataValue, error: ua.StatusCode | None = None) -> None:
        """As the library's, but against the value reported last, and without a deep copy of every value."""
        if error:
            await self.trigger_statuschange(error)
            return
        number = self._monitored_datachange[handle]
        item = self._monitored_items[number]
        if item.mode == ua.MonitoringMode.Disabled:
            return
        values, wanted = item.mvalue, item.filter
        values.current_dvalue = value
        trigger = wanted.Trigger if isinstance(wanted, DataChangeFilter) else ua.DataChangeTrigger.StatusValue
        if self._is_data_changed(values, trigger):
            values.old_dvalue = value
            notification = ua.MonitoredItemNotification(ClientHandle=item.client_handle, Value=value)
            await self.isub.enqueue_datachange_event(number, notification, item.queue_size)

    def _create(self, slot: int, timestamps: int, request: Any) -> ua.MonitoredItemCreateResult:
        item = Item(self._image, self._clock, self._owner, slot, timestamps)
        try:
            size = self._configure(item, request.RequestedParameters)
        except Refused as refused:
            return _refused(refused.code)
        self._monitored_item_counter += 1
        number = self._monitored_item_counter
        self.points[number] = item
        item.set_mode(int(request.MonitoringMode))
        return ua.MonitoredItemCreateResult(
            MonitoredItemId=number, RevisedSamplingInterval=item.interval_ms, RevisedQueueSize=size
        )

    def _create_events(self, request: Any) -> ua.MonitoredItemCreateResult:
        node_id = request.ItemToMonitor.NodeId
        try:
            device = self._conditions.notifier(node_id)
        except LookupError:
            known = node_id in self.aspace
            return _refused(_codes.BadAttributeIdInvalid if known else _codes.BadNodeIdUnknown)
        if len(self.events) >= EVENT_ITEMS_MOST:
            return _refused(_codes.BadTooManyMonitoredItems)
        item = self._conditions.item(device)
        code, size, told = self._configure_events(item, request.RequestedParameters)
        if code:
            item.close()
            return ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(code), FilterResult=told)
        self._monitored_item_counter += 1
        number = self._monitored_item_counter
        self.events[number] = item
        item.set_mode(int(request.MonitoringMode))
        return ua.MonitoredItemCreateResult(MonitoredItemId=number, RevisedQueueSize=size, FilterResult=told)

    def _configure_events(self, item: EventItem, params: Any) -> tuple[int, int, EventFilterResult]:
        """Return the StatusCode, the revised queue size, and what becomes of each part of the filter."""
        found, told = compiled(params.Filter)
        if found is None:
            return _codes.BadEventFilterInvalid, 0, told
        # 0 is as many as the server likes (OPC 10000-4, 7.21)
        size = min(int(params.QueueSize) or self._limits.queue, self._limits.queue)
        item.configure(params.ClientHandle, found, size, discard_oldest=bool(params.DiscardOldest))
        return GOOD, size, told

    def _configure(self, item: Item, params: Any) -> int:
        """Return the revised queue size. Raises: Refused."""
        trigger, deadband = self._filter(item, params.Filter)
        publishing_ms = self._owner.data.RevisedPublishingInterval
        asked_ms = float(params.SamplingInterval)
        if not math.isfinite(asked_ms) or asked_ms < 0:
            asked_ms = publishing_ms
        elif asked_ms > 0:
            rounded = math.ceil(asked_ms / _STEP_MS) * _STEP_MS
            asked_ms = max(float(self._limits.publishing_ms), min(rounded, _LONGEST_MS))
        if asked_ms == 0:
            group = None
        elif asked_ms == publishing_ms:
            group = self._owner.group
        else:
            group = self._owner.sampler(asked_ms / 1000)
        size = max(1, min(int(params.QueueSize), self._limits.queue))
        item.interval_ms, item.discard_oldest = asked_ms, bool(params.DiscardOldest)
        item.handle = U4.pack(params.ClientHandle)
        item.configure(trigger, deadband, size, group)
        return size

    def _filter(self, item: Item, wanted: Any) -> tuple[int, float]:
        """Return trigger and deadband. Raises: Refused."""
        if wanted is None or (type(wanted) is ua.ExtensionObject and wanted.Body is None):
            return STATUS_VALUE, -1.0
        # the decoder yields the class of uaprotocol_auto, of which ua.DataChangeFilter is a subclass
        if not isinstance(wanted, DataChangeFilter):
            raise Refused(_codes.BadMonitoredItemFilterUnsupported)
        trigger, kind, width = int(wanted.Trigger), int(wanted.DeadbandType), float(wanted.DeadbandValue)
        if not kind:
            return trigger, -1.0
        definition = self._image.definition(item.slot)
        number = definition.kind in (Kind.ANALOG, Kind.ACCUMULATOR)
        if not number:
            raise Refused(_codes.BadFilterNotAllowed)
        if kind == _PERCENT:
            limits = self._image.range_of(item.slot)
            if limits is None or not 0 <= width <= 100:
                raise Refused(_codes.BadDeadbandFilterInvalid)
            width = (limits[1] - limits[0]) * width / 100
        if kind > _PERCENT or not 0 <= width < math.inf:
            raise Refused(_codes.BadDeadbandFilterInvalid)
        if item.slot & 1:
            # the Double beside a count: the sample holds counts
            width /= 10.0**definition.resolution
        # with a deadband a new time alone is no news (OPC 10000-4, 7.22.2)
        return min(trigger, STATUS_VALUE), width

    def _modify_monitored_item(self, params: Any) -> ua.MonitoredItemModifyResult:
        item, events = self.points.get(params.MonitoredItemId), self.events.get(params.MonitoredItemId)
        if events is not None:
            code, size, told = self._configure_events(events, params.RequestedParameters)
            return ua.MonitoredItemModifyResult(
                StatusCode=ua.StatusCode(code), RevisedQueueSize=size, FilterResult=told
            )
        if item is None:
            if params.MonitoredItemId in self._monitored_items:
                return super()._modify_monitored_item(params)
            return ua.MonitoredItemModifyResult(StatusCode=ua.StatusCode(_codes.BadMonitoredItemIdInvalid))
        try:
            size = self._configure(item, params.RequestedParameters)
        except Refused as refused:
            return ua.MonitoredItemModifyResult(StatusCode=ua.StatusCode(refused.code))
        return ua.MonitoredItemModifyResult(RevisedSamplingInterval=item.interval_ms, RevisedQueueSize=size)

    async def _set_monitoring_mode(self, mode: ua.MonitoringMode, mid: int) -> ua.StatusCode:
        item = self.points.get(mid) or self.events.get(mid)
        if item is None:
            return await super()._set_monitoring_mode(mode, mid)
        item.set_mode(int(mode))
        return ua.StatusCode()

    def _delete_monitored_items(self, mid: int) -> ua.StatusCode:
        events = self.events.pop(mid, None)
        if events is not None:
            events.close()
            return ua.StatusCode()
        item = self.points.pop(mid, None)
        if item is None:
            return super()._delete_monitored_items(mid)
        item.set_mode(DISABLED)
        return ua.StatusCode()


def _refused(code: int) -> ua.MonitoredItemCreateResult:
    return ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(code))
