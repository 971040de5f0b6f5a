"""The front of every listener of a worker: who may connect, how many, how long in silence."""

import asyncio
from collections.abc import Callable
from typing import cast

from bridge.core.listener import Listener


class OpenListener:
    """Listening of `core.ports`."""

    def __init__(self, transport: asyncio.Server | asyncio.DatagramTransport, port: int) -> None:
        self._transport, self._port = transport, port

    @property
    def port(self) -> int:
        return self._port

    def close(self) -> None:
        self._transport.close()


class Guard:
    """Listeners of `core.ports`. Loop thread only."""

    def __init__(self, counters: dict[str, int]) -> None:
        self._counters = counters

    async def stream(self, make: Callable[[], object], listener: Listener) -> OpenListener:
        factory = cast("Callable[[], asyncio.Protocol]", make)
        server = await asyncio.get_running_loop().create_server(factory, listener.bind, listener.port)
        return OpenListener(server, server.sockets[0].getsockname()[1])

    async def datagram(self, make: Callable[[], object], listener: Listener) -> OpenListener:
        factory = cast("Callable[[], asyncio.DatagramProtocol]", make)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            factory, local_addr=(listener.bind, listener.port)
        )
        return OpenListener(transport, transport.get_extra_info("sockname")[1])

    async def relay(self, listener: Listener, host: str, port: int) -> OpenListener:
        raise NotImplementedError
