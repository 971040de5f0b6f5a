"""
The application of one BACnet device whose point objects are built only when the stack itself must touch one.

Reads are the library's, over objects that show the model; everything that changes something is ours (writing,
subscribing, managing).
"""

import inspect
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from bacpypes3.apdu import (
    ConfirmedRequestPDU,
    ConfirmedServiceChoice,
    UnconfirmedServiceChoice,
    WhoIsRequest,
    confirmed_request_types,
    unconfirmed_request_types,
)
from bacpypes3.app import Application
from bacpypes3.basetypes import (
    DeviceObjectReference,
    EventState,
    PropertyIdentifier,
    Reliability,
    ServicesSupported,
    TimeStamp,
)
from bacpypes3.comm import bind
from bacpypes3.constructeddata import ArrayOf
from bacpypes3.local.device import DeviceObject as StockDevice
from bacpypes3.netservice import NetworkServiceAccessPoint, NetworkServiceElement
from bacpypes3.pdu import GlobalBroadcast

from bridge.projections.bacnet import wire
from bridge.projections.bacnet.commands import Commands
from bridge.projections.bacnet.cov import CovEngine
from bridge.projections.bacnet.model import NEVER, NONE_OPEN, TREND_SUFFIX, Definition, DeviceModel
from bridge.projections.bacnet.plan import COMMANDABLE, DEVICE, STRUCTURED_VIEW, TREND_LOG
from bridge.projections.bacnet.reads import Reads
from bridge.projections.bacnet.stack import objects
from bridge.projections.bacnet.stack.alarming import Alarming
from bridge.projections.bacnet.stack.managing import Management
from bridge.projections.bacnet.stack.subscribing import Subscribing
from bridge.projections.bacnet.stack.transactions import ServicePoint
from bridge.projections.bacnet.stack.trending import Trending
from bridge.projections.bacnet.stack.writing import Writing
from bridge.projections.bacnet.values import RELIABILITY_OF

_log = logging.getLogger("bridge.bacnet")
# Built objects kept; the oldest goes first.
BUILT_MOST = 256
# Handlers the library's application has that are no service this device executes.
_NOT_EXECUTED = (
    "IAmRequest",
    "IHaveRequest",
    "ConfirmedCOVNotificationRequest",
    "UnconfirmedCOVNotificationRequest",
    # heard, counted and not obeyed
    "TimeSynchronizationRequest",
    "UTCTimeSynchronizationRequest",
)


def _has(obj: Any, name: str) -> bool:
    return inspect.getattr_static(obj, name, None) is not None


class DeviceApplication(Writing, Subscribing, Alarming, Trending, Management, Application):
    """One device. Its own objects live in the library's dictionaries; points live in the model."""

    model: DeviceModel
    engine: CovEngine
    commands: Commands
    reads: Reads
    built: OrderedDict[int, Any]
    counters: dict[str, int]
    _types: set[int]
    # Whether a source address is one of ours.
    is_own: Callable[[Any], bool]

    @classmethod
    def compose(
        cls,
        model: DeviceModel,
        engine: CovEngine,
        commands: Commands,
        counters: dict[str, int],
        own: Sequence[Any],
    ) -> "DeviceApplication":
        """Build the layers as `Application.from_object_list` does, with our service point."""
        device = next(o for o in own if isinstance(o, StockDevice))
        app = cls()
        app.model, app.engine, app.commands, app.counters = model, engine, commands, counters
        app.reads = Reads(model, app._seal, app)
        app.built, app._recorders = OrderedDict(), {}
        app._telling = set()
        app.asap = ServicePoint(device, app.device_info_cache)
        app.asap.reader = app.reads.answer
        app.asap.acknowledged = engine.acknowledged
        app.asap.refused = app.refuse
        app.asap.executed = frozenset(n for n, kind in confirmed_request_types.items() if app._executes(kind))
        app.asap.proposedWindowSize = 16
        app.nsap = NetworkServiceAccessPoint()
        app.nse = NetworkServiceElement()
        bind(app.nse, app.nsap)
        bind(app, app.asap, app.nsap)
        for obj in own:
            app.add_object(obj)
        app.own_changed()
        return app

    def add_port(self, port: Any, link: Any, address: Any) -> None:
        """Add a Network Port whose link layer is there already; the library would open a socket."""
        self.objectName[port.objectName] = self.objectIdentifier[port.objectIdentifier] = port
        port._app = self
        self.link_layers[port.objectIdentifier] = link
        self.nsap.bind(link, net=port.networkNumber or None, address=address)
        self.own_changed()

    def own_changed(self) -> None:
        """Take the device's own objects into the object list."""
        self._types = set()
        self.model.fixed_ids = [int(t) << 22 | i for t, i in self.objectIdentifier]
        self.model.changed()

    # Objects on demand.

    def get_object_id(self, objid: Any) -> Any:
        """Return an object of the device, built now if need be; None if there is none."""
        found = self.objectIdentifier.get(objid)
        if found is not None:
            return found
        number, instance = int(objid[0]), objid[1]
        if number == DEVICE and instance == wire.WILDCARD:
            return self.device_object
        object_id = number << 22 | instance
        view = self.model.views.get(object_id)
        if view is not None:
            return self._view(object_id, view)
        trend = self.model.trends.get(object_id)
        if trend is not None:
            return self.built.get(~object_id) or self._keep(~object_id, self.trend_log(trend))
        position = self.model.by_object_id.get(object_id)
        return None if position is None else self._point(position)

    def get_object_name(self, objname: str) -> Any:
        """Return an object by name."""
        found = self.objectName.get(objname)
        if found is None:
            object_id = self._id_of_name(objname)
            found = None if object_id is None else self.get_object_id(objects.identifier(object_id))
        return found

    def _id_of_name(self, name: str) -> int | None:
        catalogue = self.model.catalogue
        position = catalogue.position_of_name(name)
        if position is not None:
            object_id = catalogue.object_ids[position]
            return object_id if self.model.by_object_id.get(object_id) == position else None
        if name.endswith(TREND_SUFFIX):
            position = catalogue.position_of_name(name.removesuffix(TREND_SUFFIX))
            return next((i for i, n in self.model.trends.items() if catalogue.trends[n].position == position), None)
        return next((i for i, view in self.model.views.items() if catalogue.views[view].device == name), None)

    def _keep(self, key: int, obj: Any) -> Any:
        obj._app = self
        self.built[key] = obj
        if len(self.built) > BUILT_MOST:
            self.built.popitem(last=False)
        return obj

    def _point(self, position: int) -> Any:
        """Return the object of one point with the live values of the model."""
        catalogue = self.model.catalogue
        shape = catalogue.points[position].shape
        obj = self.built.get(position)
        if obj is None:
            made = objects.build(shape, catalogue.object_ids[position], catalogue.name(position))
            obj = self._keep(position, made)
        live = obj.__dict__
        objects.show(obj, shape.object_type, catalogue.value[position])
        if shape.object_type in COMMANDABLE:
            objects.command(obj, shape.object_type, self.commands.slots(position))
        live["reliability"] = Reliability(RELIABILITY_OF[catalogue.condition[position]])
        live["eventState"] = EventState(catalogue.event_state[position])
        if shape.event is not None:
            live["ackedTransitions"] = objects.acknowledged(catalogue.unacknowledged.get(position, NONE_OPEN))
            live["eventTimeStamps"] = ArrayOf(TimeStamp)(objects.stamps(catalogue.event_times.get(position, NEVER)))
        live["outOfService"] = obj._elements["outOfService"](catalogue.out_of_service[position])
        return obj

    def _view(self, object_id: int, number: int) -> Any:
        obj = self.built.get(~object_id)
        if obj is None:
            catalogue = self.model.catalogue
            view = catalogue.views[number]
            ids = catalogue.object_ids[view.first : view.first + view.count]
            made = objects.OurStructuredView(
                objectIdentifier=objects.identifier(object_id),
                objectName=view.device,
                description=view.description,
                nodeType="equipment",
                nodeSubtype="meter",
                subordinateList=[DeviceObjectReference(objectIdentifier=objects.identifier(i)) for i in ids],
            )
            obj = self._keep(~object_id, made)
        return obj

    def _seal(self, point: Definition) -> None:
        dynamic = self.model.catalogue.dynamic_entries(point.shape)
        point.entries, point.sealed = objects.entries_of(point.shape, dynamic), True

    async def do_WhoHasRequest(self, apdu: Any) -> None:
        """Answer from the model; the stock method looks into its dictionaries only."""
        limits, wanted = apdu.limits, apdu.object
        own = self.device_object.objectIdentifier[1]
        if limits is not None and not limits.deviceInstanceRangeLowLimit <= own <= limits.deviceInstanceRangeHighLimit:
            return
        found = None
        if wanted.objectIdentifier is not None:
            found = self.get_object_id(wanted.objectIdentifier)
        elif wanted.objectName is not None:
            found = self.get_object_name(str(wanted.objectName))
        if found is not None:
            self.i_have(found.objectIdentifier, found.objectName, address=apdu.pduSource)

    async def do_IAmRequest(self, apdu: Any) -> None:
        """Notice another device with our number; the stock method remembers every stranger for ever."""
        if apdu.iAmDeviceIdentifier == self.device_object.objectIdentifier and not self.is_own(apdu.pduSource):
            count = self.counters["device_id_conflicts"] = self.counters["device_id_conflicts"] + 1
            if count & (count - 1) == 0:
                number = apdu.iAmDeviceIdentifier[1]
                _log.error("device_id_conflict device=%d peer=%s count=%d", number, apdu.pduSource, count)

    async def do_IHaveRequest(self, apdu: Any) -> None:
        """Nobody here asked."""

    def announce(self) -> None:
        """Say that we are there, and ask whether somebody else has our number."""
        number = self.device_object.objectIdentifier[1]
        self.i_am()
        self.request(
            WhoIsRequest(
                deviceInstanceRangeLowLimit=number,
                deviceInstanceRangeHighLimit=number,
                destination=GlobalBroadcast(),
            )
        )

    def request(self, apdu: Any) -> Any:
        """Keep the library's invoke ids below those of our notifications."""
        if isinstance(apdu, ConfirmedRequestPDU):
            self.next_invoke_id %= 128
        return super().request(apdu)

    # What the device says of itself.

    def properties(self, group: int) -> list[int]:
        """Return the property numbers of the Device object that ReadPropertyMultiple means by a group (15.7.3.2)."""
        kinds = type(self.device_object).__mro__
        required = {name for kind in kinds for name in getattr(kind, "_required", ())}
        names = [name for name in self.device_object._elements if name != "propertyList"]
        if group == wire.REQUIRED:
            names = [name for name in names if name in required]
        elif group == wire.OPTIONAL:
            names = [name for name in names if name not in required]
        return sorted(int(PropertyIdentifier(name)) for name in names if self._own_value(name) is not None)

    def octets(self, prop: int) -> bytes | None:
        """Return the value of a property of the Device object; its list comes from the model, encoded already."""
        if prop == wire.OBJECT_LIST:
            return self.model.object_list()
        value = self._own_value(PropertyIdentifier(prop).attr)
        return None if value is None else objects.octets_of(value)

    def _own_value(self, name: str) -> Any:
        if name == "objectList":
            return name
        known = name in self.device_object._elements
        return getattr(self.device_object, name) if known and _has(self.device_object, name) else None

    def is_dead(self) -> bool:
        """Tell whether the one meter this device stands for is not heard; the bridge itself always works."""
        return bool(self.npdu_source) and self.model.is_dead()

    def object_types(self) -> set[int]:
        """Return the numbers of the types it has."""
        if not self._types:
            points = {i >> 22 for i in self.model.by_object_id}
            views = {STRUCTURED_VIEW} if self.model.views else set()
            views |= {TREND_LOG} if self.model.trends else set()
            self._types = points | views | {int(t) for t, _ in self.objectIdentifier}
        return self._types

    def _executes(self, kind: Any) -> bool:
        return kind.__name__ not in _NOT_EXECUTED and hasattr(self, "do_" + kind.__name__)

    def get_services_supported(self) -> Any:
        """Return the bits of the services that are executed; the stock method counts wrong."""
        bits = ServicesSupported([])
        choices = (
            (confirmed_request_types, ConfirmedServiceChoice),
            (unconfirmed_request_types, UnconfirmedServiceChoice),
        )
        for types, choice in choices:
            for number, kind in types.items():
                position = getattr(bits, choice(number).attr, None) if self._executes(kind) else None
                if position is not None:
                    bits.extend([0] * (position + 1 - len(bits)))
                    bits[position] = 1
        return bits
