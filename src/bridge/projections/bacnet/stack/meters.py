"""
The virtual network behind the router: a meter's device is composed when the first message for it comes.

A device costs 2.6 ms and 60 kB; a thousand of them would keep the whole site waiting at every start. Until it is there,
a Who-Is is answered for it from the plan; Who-Has and an I-Am with its number compose it.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from bacpypes3.pdu import PDU, LocalStation
from bacpypes3.vlan import VirtualNetwork

from bridge.projections.bacnet.model import TREND_SUFFIX, Catalogue
from bridge.projections.bacnet.plan import DEVICE, TREND_LOG, View
from bridge.projections.bacnet.wire import WILDCARD, unsigned

_NETWORK_MESSAGE, _HAS_DESTINATION, _HAS_SOURCE = 0x80, 0x20, 0x08
# Unconfirmed services.
_I_AM, _WHO_HAS, _WHO_IS = 0, 7, 8
# I-Am after the device: 1476 octets, segmented both ways.
_ABILITIES = b"\x22\x05\xc4\x91\x00"


class MeterNetwork(VirtualNetwork):
    """`compose`: builds the device of a view, which then adds its node here. Loop thread only."""

    def __init__(
        self, name: str, catalogue: Catalogue, compose: Callable[[View], None], vendor_id: int, router: bytes
    ) -> None:
        self._node_of: dict[bytes, Any] = {}
        super().__init__(name)
        self._catalogue, self._compose = catalogue, compose
        self._vendor_id, self._router = vendor_id, router
        self._view_of: dict[bytes, View] = {}

    def expect(self, mac: bytes, view: View) -> None:
        """Remember a device that is to be composed on demand."""
        self._view_of[mac] = view

    def add_node(self, node: Any) -> None:
        super().add_node(node)
        self._node_of[bytes(node.address.addrAddr)] = node

    def wake(self, mac: bytes) -> None:
        """Compose the device with this address if it is not there yet."""
        view = self._view_of.pop(mac, None)
        if view is not None:
            self._compose(view)

    async def wake_all(self) -> None:
        """Compose every device, with a breath between them."""
        for mac in list(self._view_of):
            self.wake(mac)
            await asyncio.sleep(0)

    async def process_pdu(self, pdu: Any) -> None:
        """Deliver to one node without asking all, or to those a broadcast concerns."""
        if pdu.pduDestination != self.broadcast_address:
            mac = bytes(pdu.pduDestination.addrAddr)
            self.wake(mac)
            node = self._node_of.get(mac)
            if node is not None:
                await node.response(pdu)
            return
        for reply in [] if pdu.pduSource.addrAddr != self._router else list(await self._waiting(bytes(pdu.pduData))):
            await self._node_of[self._router].response(reply)
        await super().process_pdu(pdu)

    async def _waiting(self, npdu: bytes) -> Iterator[Any]:
        """Wake the devices a broadcast concerns; return what those say that need not be woken."""
        apdu, back = _parts(npdu)
        if len(apdu) < 2 or apdu[0] != 0x10:
            return iter(())
        if apdu[1] == _WHO_IS:
            return self._present(_limits(apdu[2:]), back)
        if apdu[1] == _I_AM and apdu[2:3] == b"\xc4":
            self._wake_instance(int.from_bytes(apdu[3:7], "big") & WILDCARD)
        elif apdu[1] == _WHO_HAS and not self._wake_owner(apdu[2:]):
            await self.wake_all()
        return iter(())

    def _present(self, limits: tuple[int, int], back: bytes) -> Iterator[Any]:
        low, high = limits
        for mac, view in list(self._view_of.items()):
            if low <= view.instance <= high and back:
                number = (DEVICE << 22 | view.instance).to_bytes(4, "big")
                i_am = b"\x10\x00\xc4" + number + _ABILITIES + unsigned(self._vendor_id)
                yield _pdu(b"\x01\x20" + back + b"\xff" + i_am, mac, self._router)

    def _wake_instance(self, instance: int) -> None:
        for mac, view in list(self._view_of.items()):
            if view.instance == instance:
                self.wake(mac)

    def _wake_owner(self, wanted: bytes) -> bool:
        """Wake the device that has an object, by identifier or name; False for one that any device may have."""
        wanted = wanted[_limits_size(wanted) :]
        catalogue = self._catalogue
        position: int | None = None
        if wanted[:1] == b"\x2c" and len(wanted) >= 5:
            number = int.from_bytes(wanted[1:5], "big")
            if number >> 22 == DEVICE:
                self._wake_instance(number & WILDCARD)
                return True
            trends = (t.position for t in catalogue.trends if number == TREND_LOG << 22 | t.instance)
            position = next(trends, None)
            if position is None and number in catalogue.object_ids:
                position = catalogue.object_ids.index(number)
        else:
            name = _name(wanted)
            position = catalogue.position_of_name(name.removesuffix(TREND_SUFFIX))
            for mac, view in list(self._view_of.items()):
                if view.device == name:
                    self.wake(mac)
                    return True
        if position is None:
            return False
        for mac, view in list(self._view_of.items()):
            if view.first <= position < view.first + view.count:
                self.wake(mac)
        return True


def _pdu(npdu: bytes, source: bytes, destination: bytes) -> Any:
    return PDU(npdu, source=LocalStation(source), destination=LocalStation(destination))


def _parts(npdu: bytes) -> tuple[bytes, bytes]:
    """Return the APDU and the way back (SNET, SLEN, SADR) of a message on the virtual network, empty without one."""
    if len(npdu) < 2 or npdu[1] & _NETWORK_MESSAGE:
        return b"", b""
    at, back = 2, b""
    if npdu[1] & _HAS_DESTINATION:
        at += 3 + npdu[at + 2]
    if npdu[1] & _HAS_SOURCE:
        back = npdu[at : at + 3 + npdu[at + 2]]
        at += len(back)
    if npdu[1] & _HAS_DESTINATION:
        at += 1
    return npdu[at:], back


def _limits(octets: bytes) -> tuple[int, int]:
    """Return the range of instances of a Who-Is, all for one without."""
    if not octets:
        return 0, WILDCARD
    first = 1 + (octets[0] & 7)
    second = octets[first : first + 1]
    if octets[0] & 0xF8 != 0x08 or not second or second[0] & 0xF8 != 0x18:
        return 1, 0
    low = int.from_bytes(octets[1:first], "big")
    return low, int.from_bytes(octets[first + 1 : first + 1 + (second[0] & 7)], "big")


def _limits_size(octets: bytes) -> int:
    """Return how many octets the range at the start of a Who-Has has."""
    if not octets or octets[0] & 0xF8 != 0x08:
        return 0
    first = 1 + (octets[0] & 7)
    return first + 1 + (octets[first] & 7) if first < len(octets) else first


def _name(octets: bytes) -> str:
    """Return the name of a Who-Has, "" for one that is not UTF-8."""
    if not octets or octets[0] & 0xF8 != 0x38:
        return ""
    body = octets[2:] if octets[0] & 7 == 5 else octets[1:]
    return body[1:].decode("utf-8", "ignore") if body[:1] == b"\0" else ""
