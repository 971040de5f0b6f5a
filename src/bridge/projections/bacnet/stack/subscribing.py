"""SubscribeCOV and SubscribeCOVProperty: the library decodes the request, the engine keeps it."""

import asyncio
from typing import Any

from bacpypes3.apdu import SimpleAckPDU
from bacpypes3.basetypes import (
    COVSubscription,
    DeviceAddress,
    ListOfCOVSubscription,
    ObjectPropertyReference,
    Recipient,
    RecipientProcess,
)
from bacpypes3.comm import Client
from bacpypes3.errors import ExecutionError, PropertyError
from bacpypes3.pdu import PDU, IPv4Address
from bacpypes3.primitivedata import ObjectIdentifier

from bridge.projections.bacnet import wire
from bridge.projections.bacnet.cov import Peer, SubscriptionRefused
from bridge.projections.bacnet.model import SLOW

# Seconds between the acknowledgement of a subscription to a virtual device and its first notification: behind the
# router the acknowledgement crosses the virtual network in tasks, and the notification must not overtake it.
REPORT_DELAY_S = 0.02


class Subscribing:
    """Part of DeviceApplication."""

    model: Any
    engine: Any
    reads: Any
    asap: Any
    counters: dict[str, int]
    may_speak: Any
    objectIdentifier: Any
    response: Any
    # How to reach a subscriber directly, the NPDU source of a virtual device, and the network the router is on.
    send: Any = None
    npdu_source = b""
    direct_net: int | None = None

    async def do_SubscribeCOVRequest(self, apdu: Any) -> None:
        """Subscribe to present-value and status-flags."""
        await self._subscribe(apdu, None, None)

    async def do_SubscribeCOVPropertyRequest(self, apdu: Any) -> None:
        """Subscribe to one property."""
        prop = int(apdu.monitoredPropertyIdentifier.propertyIdentifier)
        await self._subscribe(apdu, prop, apdu.covIncrement)

    async def _subscribe(self, apdu: Any, prop: int | None, increment: Any) -> None:
        object_id = int(apdu.monitoredObjectIdentifier[0]) << 22 | apdu.monitoredObjectIdentifier[1]
        position = self.model.by_object_id.get(object_id)
        confirmed, lifetime = apdu.issueConfirmedNotifications, int(apdu.lifetime or 0)
        process = int(apdu.subscriberProcessIdentifier)
        peer = self._peer(apdu.pduSource)
        if confirmed is None and apdu.lifetime is None:
            if position is not None:
                self.engine.cancel(peer.key, process, position, prop)
            await self.response(SimpleAckPDU(context=apdu))
            return
        self._check(apdu, object_id, position, prop, lifetime)
        try:
            subscription = self.engine.subscribe(
                peer,
                self.model,
                position,
                process,
                prop,
                confirmed=bool(confirmed),
                lifetime_s=lifetime,
                increment=None if increment is None else float(increment),
            )
        except SubscriptionRefused as exc:
            self.counters["subscriptions_refused"] += 1
            raise ExecutionError("resources", "noSpaceToAddListElement") from exc
        await self.response(SimpleAckPDU(context=apdu))
        delay_s = REPORT_DELAY_S if self.npdu_source else 0.0
        asyncio.get_running_loop().call_later(delay_s, self.engine.report, subscription)

    def _check(self, apdu: Any, object_id: int, position: int | None, prop: int | None, lifetime: int) -> None:
        if position is None:
            known = apdu.monitoredObjectIdentifier in self.objectIdentifier or object_id in self.model.views
            if known:
                raise ExecutionError("services", "optionalFunctionalityNotSupported")
            raise ExecutionError("object", "unknownObject")
        entry = self.reads.entry(position, wire.PRESENT_VALUE if prop is None else prop)
        if entry is None:
            raise PropertyError("unknownProperty")
        if entry is SLOW:
            raise PropertyError("notCovProperty")
        if lifetime > self.engine.limits.lifetime_s:
            raise ExecutionError("services", "valueOutOfRange")

    def _peer(self, source: Any) -> Peer:
        addr = source.addrTuple if isinstance(source, IPv4Address) else None
        if (
            addr is None
            and source.addrNet is not None
            and source.addrNet == self.direct_net
            and len(source.addrAddr) == 6
        ):
            addr = (".".join(map(str, source.addrAddr[:4])), int.from_bytes(source.addrAddr[4:], "big"))
        key: object = source if addr is None or self.send is None else (addr, self.npdu_source)
        peer: Peer | None = self.engine.peers.get(key)
        if peer is not None:
            return peer
        send = self.send
        if addr is None or send is None:
            return Peer(key, lambda apdu, expecting: self._send_through_stack(source, apdu, expecting))
        plain = b"\x01\x08" + self.npdu_source if self.npdu_source else b"\x01\x00"
        asking = bytes((1, plain[1] | 4)) + plain[2:]

        def direct(apdu: bytes, expecting: bool) -> None:
            if not self.may_speak():
                return
            npdu = asking if expecting else plain
            send(b"\x81\x0a%b%b%b" % ((4 + len(npdu) + len(apdu)).to_bytes(2, "big"), npdu, apdu), addr)

        return Peer(key, direct)

    def _send_through_stack(self, destination: Any, apdu: bytes, expecting: bool) -> None:
        """For a subscriber behind another router. The task ends with the datagram sent."""
        pdu = PDU(apdu, destination=destination, expectingReply=expecting)
        self._sending = asyncio.ensure_future(Client.request(self.asap, pdu))

    def get_active_cov_subscriptions(self) -> Any:
        """Return the list the Device object shows."""
        rows = []
        for s in self.engine.by_key.values():
            object_id = self.model.catalogue.object_ids[s.position]
            if self.model.by_object_id.get(object_id) != s.position:
                continue
            address = s.peer.key[0] if isinstance(s.peer.key, tuple) else None
            if address is None:
                continue
            recipient = RecipientProcess(
                recipient=Recipient(address=_device_address(address)),
                processIdentifier=s.process_id,
            )
            reference = ObjectPropertyReference(
                objectIdentifier=ObjectIdentifier((object_id >> 22, object_id & wire.WILDCARD)),
                propertyIdentifier=wire.PRESENT_VALUE if s.prop is None else s.prop,
            )
            rows.append(
                COVSubscription(
                    recipient=recipient,
                    monitoredPropertyReference=reference,
                    issueConfirmedNotifications=s.confirmed,
                    timeRemaining=self.engine.remaining_s(s),
                    covIncrement=s.increment,
                )
            )
        return ListOfCOVSubscription(rows)


def _device_address(peer: tuple[str, int]) -> Any:
    octets = bytes(map(int, peer[0].split("."))) + peer[1].to_bytes(2, "big")
    return DeviceAddress(networkNumber=0, macAddress=octets)
