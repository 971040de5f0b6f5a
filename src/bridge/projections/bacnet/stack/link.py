"""
The library's IPv4 link layer on the guard's socket: its own datagram server opens sockets, and delivers every 127.x
destination on its own port to itself; this one does neither.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from bacpypes3.comm import Server, bind
from bacpypes3.ipv4.bvll import BVLLCodec
from bacpypes3.ipv4.service import BIPForeign, BIPNormal, UDPMultiplexer
from bacpypes3.pdu import PDU, IPv4Address, LocalBroadcast

from bridge.projections.bacnet.front import Peer
from bridge.projections.bacnet.plan import Mode, Network
from bridge.projections.bacnet.stack.bbmd import GuardedBbmd

_log = logging.getLogger("bridge.bacnet")
# Datagrams in the stack at once; one more is dropped. Requests wait here only for a meter's answer to a write.
IN_STACK_MOST = 256
# Bytes: the longest B/IP datagram is 1497 octets. asyncio allocates its limit for each: 36 us instead of 13 at 256 KiB.
_DATAGRAM_BYTES = 2048
_EVERYWHERE = "0.0.0.0"


class Datagrams(asyncio.DatagramProtocol):
    """What the guard delivers to; `receive` gets every datagram."""

    def __init__(self, receive: Callable[[bytes, Peer], None]) -> None:
        # the event loop calls it directly, without a method of ours in between
        self.datagram_received = receive  # type: ignore[assignment,method-assign]
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if hasattr(transport, "max_size"):
            transport.max_size = _DATAGRAM_BYTES
        # uvloop's transports are no subclass of asyncio.DatagramTransport
        self.transport = transport  # type: ignore[assignment]

    def send(self, data: bytes, addr: Peer) -> None:
        """Send one datagram. What the network refuses is lost, as datagrams are."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(data, addr)


class GuardedServer(Server):
    """Bottom of the library's stack. `broadcast`: where local broadcasts go, None = nowhere."""

    def __init__(self, address: Any, broadcast: Peer | None, counters: dict[str, int]) -> None:
        super().__init__()
        self._address, self._broadcast, self._counters = address, broadcast, counters
        host, port = address.addrTuple
        hosts = own_addresses() if host == _EVERYWHERE else frozenset({host})
        self._own = frozenset((each, port) for each in hosts)
        self._under_way: set[asyncio.Task[None]] = set()
        self.send: Callable[[bytes, Peer], None] = _nowhere

    def pass_on(self, data: bytes, addr: Peer) -> None:
        """Take a datagram that came to our own address; our own broadcasts come back to a socket bound to all."""
        if not self.is_own(addr):
            self._up(data, addr, self._address)

    def pass_on_broadcast(self, data: bytes, addr: Peer) -> None:
        """Take a datagram that came to the broadcast address."""
        if not self.is_own(addr):
            self._up(data, addr, LocalBroadcast())

    def is_own(self, addr: Peer) -> bool:
        """Tell whether an address is our own."""
        return addr in self._own

    def _up(self, data: bytes, addr: Peer, destination: Any) -> None:
        if len(self._under_way) >= IN_STACK_MOST:
            self._counters["overload_dropped"] += 1
            return
        pdu = PDU(data, source=IPv4Address(addr), destination=destination)
        task = asyncio.ensure_future(self._deliver(pdu))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, pdu: Any) -> None:
        try:
            await self.response(pdu)
        except Exception as exc:  # noqa: BLE001 - whatever the library trips over, a stranger sent it
            count = self._counters["bad_frames"] = self._counters["bad_frames"] + 1
            if count & (count - 1) == 0:
                _log.warning("bad_frame peer=%s error=%s count=%d", pdu.pduSource, type(exc).__name__, count)

    async def indication(self, pdu: Any) -> None:
        """Send what the library wants sent."""
        destination = pdu.pduDestination
        if isinstance(destination, LocalBroadcast):
            if self._broadcast is not None:
                self.send(bytes(pdu.pduData), self._broadcast)
            return
        if not isinstance(destination, IPv4Address):
            destination = IPv4Address(destination)
        self.send(bytes(pdu.pduData), destination.addrTuple)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


def own_addresses() -> frozenset[str]:
    """Return the IPv4 addresses of this machine, as the kernel routes them."""
    try:
        lines = Path("/proc/net/fib_trie").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(before.split()[-1] for before, line in pairwise(lines) if "/32 host LOCAL" in line)


def link_layer(network: Network, address: Any, server: GuardedServer) -> Any:
    """Put the virtual link layer of the mode on the server (Annex J)."""
    if network.mode is Mode.FOREIGN:
        link: Any = BIPForeign()
    elif network.mode is Mode.BBMD:
        link = GuardedBbmd(address, network)
    else:
        link = BIPNormal()
    link.codec, link.multiplexer, link.server = BVLLCodec(), UDPMultiplexer(), server
    bind(link, link.codec, link.multiplexer.annexJ)
    bind(link.multiplexer, server)
    if network.mode is Mode.FOREIGN:
        link.register(IPv4Address((network.bbmd, network.bbmd_port)), network.ttl_s)
    return link


def _nowhere(_data: bytes, _addr: Peer) -> None:
    return
