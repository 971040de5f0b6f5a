"""The whole stack of a plan: the device or the router with its virtual devices, and the front before them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bacpypes3.basetypes import IPMode, NetworkNumberQuality
from bacpypes3.pdu import IPv4Address
from bacpypes3.vlan import VirtualNetwork

from bridge.core.alarm import AlarmPort
from bridge.core.clock import Clock
from bridge.core.history import HistoryPort
from bridge.core.ports import RefusalSink
from bridge.projections.bacnet.alarms import CLASSES, Board, Change
from bridge.projections.bacnet.commands import Commands
from bridge.projections.bacnet.cov import CovEngine
from bridge.projections.bacnet.front import Front, Peer
from bridge.projections.bacnet.model import Catalogue, DeviceModel
from bridge.projections.bacnet.plan import DEVICE, NETWORK_PORT, STRUCTURED_VIEW, Identity, Layout, Mode, Plan, View
from bridge.projections.bacnet.reads import Reads
from bridge.projections.bacnet.stack.alarming import notification_class
from bridge.projections.bacnet.stack.application import DeviceApplication
from bridge.projections.bacnet.stack.link import GuardedServer, link_layer
from bridge.projections.bacnet.stack.meters import MeterNetwork
from bridge.projections.bacnet.stack.objects import OurDevice, OurNetworkPort

_MODES = {Mode.NORMAL: IPMode.normal, Mode.FOREIGN: IPMode.foreign, Mode.BBMD: IPMode.bbmd}
# Octets of an address on the virtual network: room for 65,535 meters and more.
_MAC_OCTETS = 3
# The router's own.
_ROUTER_MAC = 1
_VIRTUAL_NAME = "meters"


@dataclass(frozen=True, slots=True)
class CoreSide:
    """What the devices know of the core besides points and commands."""

    board: Board
    port: AlarmPort
    history: HistoryPort
    refusals: RefusalSink
    clock: Clock


class Stack:
    """Synchronous but for the library's own tasks. `server` and `front` are to be given the sockets."""

    def __init__(
        self,
        plan: Plan,
        port: int,
        version: str,
        catalogue: Catalogue,
        engine: CovEngine,
        commands: Commands,
        counters: dict[str, int],
        core: "CoreSide",
    ) -> None:
        self._plan, self._version = plan, version
        self._parts = (engine, commands, counters)
        self._core = core
        # Set when a client with the password wants the worker started anew.
        self.restart = asyncio.Event()
        self._catalogue = catalogue
        network = plan.network
        address = IPv4Address(f"{plan.listener.bind}/{network.prefix}:{port}")
        broadcast: Peer | None = (network.broadcast, port) if network.broadcast else None
        self.server = GuardedServer(address, broadcast, counters)
        one = plan.layout is Layout.ONE_DEVICE
        model = DeviceModel(catalogue, plan.identity.instance, range(len(catalogue.points) if one else 0))
        if one:
            model.views = {STRUCTURED_VIEW << 22 | view.instance: n for n, view in enumerate(plan.views)}
        self.app = self._compose(model, plan.identity, [])
        self.link = link_layer(network, address, self.server)
        self.app.add_port(self._port_object(address), self.link, address)
        self.front = Front(self.app.reads, engine, self.app.is_silent, self.server.pass_on, counters)
        # Composed so far, by the first position of their points.
        self._devices: dict[int, DeviceApplication] = {}
        self._send: Any = None
        self.network: MeterNetwork | None = None
        if not one:
            router = _ROUTER_MAC.to_bytes(_MAC_OCTETS, "big")
            vendor_id = plan.identity.vendor_id
            self.network = MeterNetwork(_VIRTUAL_NAME, catalogue, self._add, vendor_id, router)
            self.app.add_object(self._virtual_port(2, _ROUTER_MAC))
            self.app.own_changed()
            for view in plan.views:
                self.network.expect(view.mac.to_bytes(_MAC_OCTETS, "big"), view)
            self.front.find = self._find

    @property
    def devices(self) -> Sequence[DeviceApplication]:
        """The virtual devices that somebody has asked for."""
        return list(self._devices.values())

    def _find(self, route: bytes) -> tuple[Reads, Callable[[], bool]] | None:
        """Compose the device a request is routed to; None for one that is not there."""
        net = self._plan.network.virtual_number.to_bytes(2, "big")
        if self.network is None or route[:3] != net + bytes((_MAC_OCTETS,)):
            return None
        self.network.wake(route[3:])
        return self.front.virtual.get(route)

    def may_initiate(self) -> bool:
        """Tell whether DeviceCommunicationControl lets us speak unasked."""
        return bool(self.app.may_speak())

    def _is_own(self, source: Any) -> bool:
        """A virtual device's broadcasts reach its brothers and the router."""
        if isinstance(source, IPv4Address):
            return self.server.is_own(source.addrTuple)
        network, address = self._plan.network, bytes(source.addrAddr or b"")
        if source.addrNet is None or (network.virtual_number and source.addrNet == network.virtual_number):
            return True
        host, port = ".".join(map(str, address[:4])), int.from_bytes(address[4:], "big")
        return bool(source.addrNet == network.number and len(address) == 6 and self.server.is_own((host, port)))

    def announce(self) -> None:
        """Say that we are there, where broadcasts go anywhere."""
        if self._plan.network.broadcast or self._plan.network.mode is Mode.FOREIGN:
            self.app.announce()

    def connect(self, send: Any) -> None:
        """Give every layer the way out."""
        self.server.send = self.front.send = self._send = send
        self.app.send = send

    def tell(self, change: Change) -> None:
        """Let the device that shows an alarm tell of it."""
        if self.network is None:
            self.app.tell(change)
        elif self._plan.recipients:
            view = next(v for v in self._plan.views if v.first <= change.position < v.first + v.count)
            self.network.wake(view.mac.to_bytes(_MAC_OCTETS, "big"))
            self._devices[view.first].tell(change)

    def close(self) -> None:
        """Stop the library's timers."""
        for app in (self.app, *self.devices):
            for task in app._telling:
                task.cancel()
        stop = getattr(self.link, "stop", None) or getattr(self.link, "unregister", None)
        if stop is not None:
            stop()
        if self.network is not None:
            # the library keeps every network by name
            VirtualNetwork._networks.pop(_VIRTUAL_NAME, None)

    def _compose(self, model: DeviceModel, identity: Identity, ports: list[Any]) -> DeviceApplication:
        device = OurDevice(
            objectIdentifier=(DEVICE, identity.instance),
            objectName=identity.name,
            description=identity.description,
            location=identity.location,
            vendorName=identity.vendor,
            vendorIdentifier=identity.vendor_id,
            modelName=identity.model,
            firmwareRevision=self._version,
            applicationSoftwareVersion=self._version,
            databaseRevision=identity.revision,
            maxApduLengthAccepted=1476,
            maxSegmentsAccepted=64,
        )
        classes = [notification_class(each, self._plan.recipients) for each in CLASSES]
        app = DeviceApplication.compose(model, *self._parts, [device, *classes, *ports])
        app.password, app.restart = self._plan.password, self.restart
        app.is_own = self._is_own
        app.board, app.alarm_port, app.clock = self._core.board, self._core.port, self._core.clock
        app.history = self._core.history
        app.recipients, app.refusals = self._plan.recipients, self._core.refusals
        app.ack_timeout_ns = round(self._plan.write_timeout_s * 1e9)
        return app

    def _add(self, view: View) -> None:
        identity = self._plan.identity
        model = DeviceModel(self._catalogue, view.instance, range(view.first, view.first + view.count))
        own = Identity(
            instance=view.instance,
            name=view.device,
            description=view.description,
            location=identity.location,
            vendor_id=identity.vendor_id,
            vendor=identity.vendor,
            model=identity.model,
            revision=identity.revision,
        )
        app = self._compose(model, own, [self._virtual_port(1, view.mac)])
        net = self._plan.network.virtual_number.to_bytes(2, "big")
        app.npdu_source = net + bytes((_MAC_OCTETS,)) + view.mac.to_bytes(_MAC_OCTETS, "big")
        app.send, app.direct_net = self._send, self._plan.network.number
        self.front.virtual[app.npdu_source] = (app.reads, app.is_silent)
        self._devices[view.first] = app

    def _port_object(self, address: Any) -> Any:
        network = self._plan.network
        more: dict[str, Any] = {}
        if network.mode is Mode.FOREIGN:
            more["fdSubscriptionLifetime"] = network.ttl_s
        return OurNetworkPort(
            address,
            objectIdentifier=(NETWORK_PORT, 1),
            objectName="IP",
            bacnetIPMode=_MODES[network.mode],
            networkNumber=network.number,
            networkNumberQuality=NetworkNumberQuality.configured if network.number else NetworkNumberQuality.unknown,
            apduLength=1476,
            bacnetIPMulticastAddress=None,
            ipDefaultGateway=bytes(4),
            ipDNSServer=[bytes(4)],
            **more,
        )

    def _virtual_port(self, instance: int, mac: int) -> Any:
        return OurNetworkPort(
            objectIdentifier=(NETWORK_PORT, instance),
            objectName="meters" if instance > 1 else "port",
            macAddress=mac.to_bytes(_MAC_OCTETS, "big"),
            networkType="virtual",
            protocolLevel="bacnet-application",
            networkNumber=self._plan.network.virtual_number,
            networkNumberQuality="configured",
            networkInterfaceName=_VIRTUAL_NAME,
            statusFlags=[0] * 4,
            reliability="no-fault-detected",
            outOfService=False,
            changesPending=False,
            apduLength=1476,
            linkSpeed=0.0,
        )
