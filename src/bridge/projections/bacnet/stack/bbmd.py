"""
A BBMD with limits: how many may register, and nobody broadcasts through it who has not (Annex J, J.4, J.5).

The stock one takes any number of registrations and distributes for strangers: one datagram in, one per subnet and
device out.
"""

from typing import Any

from bacpypes3.ipv4.bvll import DeleteForeignDeviceTableEntry, DistributeBroadcastToNetwork, ForwardedNPDU, Result
from bacpypes3.ipv4.service import BIPBBMD
from bacpypes3.pdu import IPv4Address

from bridge.projections.bacnet.plan import Network

# BVLC-Result codes, J.2.1.
_REGISTER_NAK, _DELETE_NAK, _DISTRIBUTE_NAK = 0x0030, 0x0050, 0x0060


class GuardedBbmd(BIPBBMD):
    """`network.peers`: the other BBMDs; only their forwarded messages are believed."""

    def __init__(self, address: Any, network: Network) -> None:
        super().__init__(address)
        self._most = network.most_foreign
        for peer in network.peers:
            host, _, port = peer.partition(":")
            # /32: forwarded to the peer itself, never as a directed broadcast
            self.add_peer(IPv4Address(f"{host}/32:{port or 47808}"))
        self.add_peer(address)

    async def confirmation(self, lpdu: Any) -> None:
        """Refuse what a stranger asks for; leave the rest to the library."""
        refusal = None
        if isinstance(lpdu, DistributeBroadcastToNetwork):
            if all(entry.fdAddress != lpdu.pduSource for entry in self.bbmdFDT):
                refusal = _DISTRIBUTE_NAK
        elif isinstance(lpdu, DeleteForeignDeviceTableEntry):
            if lpdu.bvlciAddress != lpdu.pduSource:
                refusal = _DELETE_NAK
        elif isinstance(lpdu, ForwardedNPDU) and all(
            lpdu.pduSource.addrTuple != peer.addrTuple for peer in self.bbmdBDT
        ):
            return
        if refusal is None:
            await super().confirmation(lpdu)
        else:
            await self.request(Result(code=refusal, destination=lpdu.pduSource, user_data=lpdu.pduUserData))

    def register_foreign_device(self, addr: Any, ttl: int) -> int:
        """Take a registration while there is room; renewals always."""
        known = any(entry.fdAddress == addr for entry in self.bbmdFDT)
        if not known and len(self.bbmdFDT) >= self._most:
            return _REGISTER_NAK
        return int(super().register_foreign_device(addr, ttl))

    def stop(self) -> None:
        """End the clock of the table."""
        self._fdt_clock_handle.cancel()
