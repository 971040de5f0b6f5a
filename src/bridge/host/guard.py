"""The front of every listener of a worker: who may connect, how many, how long in silence."""

import asyncio
from collections.abc import Callable
from typing import cast

from bridge.core.listener import Listener
from bridge.core.ports import Watch
from bridge.core.serial import Serial
from bridge.host.clients import Clients
from bridge.host.datagrams import DatagramListener, open_datagram
from bridge.host.relay import ClientSide, Relay, RelayListener, any_byte, unwatched
from bridge.host.serial import serve
from bridge.host.stream import StreamListener
from bridge.host.tls import ServerTls
from bridge.host.visits import OwnVisits


class Guard:
    """
    Listeners of `core.ports`. Loop thread only.

    Counts, summed over the worker's listeners: accepted, refused_network, refused_full, refused_tls, closed_silent (no
    whole first message), closed_idle, closed_slow (does not read), closed_garbage, relay_failed, datagrams_dropped.
    """

    def __init__(
        self, counters: dict[str, int], visits: OwnVisits | None = None, clients: Clients | None = None
    ) -> None:
        """`clients`: told of who comes."""
        self._counters, self._visits = counters, visits or OwnVisits()
        self._clients = clients or Clients(asyncio.get_running_loop().time)

    async def stream(self, make: Callable[[], object], listener: Listener) -> StreamListener:
        factory = cast("Callable[[], asyncio.BaseProtocol]", make)
        tls = ServerTls(listener.tls) if listener.tls is not None else None
        return StreamListener(factory, listener, self._counters, tls, self._visits, self._clients)

    async def datagram(self, make: Callable[[], object], listener: Listener) -> DatagramListener:
        factory = cast("Callable[[], asyncio.DatagramProtocol]", make)
        return await open_datagram(factory, listener, self._counters, self._visits, self._clients)

    async def serial(self, make: Callable[[], object], line: Serial) -> None:
        await serve(cast("Callable[[], asyncio.Protocol]", make), line, self._counters)

    async def relay(
        self,
        listener: Listener,
        host: str,
        port: int,
        is_whole: Callable[[bytes], bool] = any_byte,
        watch: Callable[[str], Watch] | None = None,
    ) -> RelayListener:
        relay = Relay(host, port, listener.first_message_s, is_whole, watch or unwatched)
        return RelayListener(await self.stream(lambda: ClientSide(relay), listener), relay)
