"""Modbus TCP -> serial lines, for up to 32 clients: raw PDUs in, raw PDUs out (ION7400 rules, seed 004).

Unit ids: 1..247 forwarded; 0 = broadcast, writes only, no reply; 248 = the only device of a one-device line;
255 = the bridge itself; the rest does not exist (exception 0x0A). A silent device gives 0x0B.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from bridge.core.errors import ConnectFailed, ConnectionLost, FieldError
from bridge.modbus.frame import MbapError, MbapReader, TcpRequest, exception_pdu, tcp_frame

ILLEGAL_FUNCTION, NO_PATH, NO_REPLY = 0x01, 0x0A, 0x0B
BROADCAST_UNIT, ONLY_DEVICE_UNIT, OWN_UNIT = 0, 248, 255
WRITE_FUNCTIONS = frozenset({5, 6, 15, 16, 21, 22})


class AskDevice(Protocol):
    async def __call__(self, client: str, unit_id: int, pdu: bytes) -> bytes:
        """Return the reply PDU. Raises: FieldError."""
        ...


# the bridge's own server, for unit 255
Answer = Callable[[bytes], bytes]
# (client, unit id, PDU) -> None to let it pass, or the exception code that refuses it
Policy = Callable[[str, int, bytes], int | None]


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    max_clients: int = 32
    # requests of one client under way; more stay in its socket
    max_in_flight: int = 16
    idle_s: float = 60.0


def read_only(_client: str, _unit_id: int, pdu: bytes) -> int | None:
    """The policy of a gateway nobody configured: functions that only read."""
    return None if pdu[0] in (1, 2, 3, 4, 7, 11, 12, 17, 20, 24, 43) else ILLEGAL_FUNCTION


class Gateway:
    """What all connections share: routes, policy, settings, the set of live connections."""

    def __init__(
        self,
        routes: Mapping[int, AskDevice],
        settings: GatewaySettings,
        policy: Policy = read_only,
        own: Answer | None = None,
        only_device: int | None = None,
    ) -> None:
        self.settings, self.policy, self.own = settings, policy, own
        self._routes, self._only_device = routes, only_device
        self._broadcast_routes = list(dict.fromkeys(routes.values()))
        self.connections: set[GatewayConnection] = set()
        self.refused = 0

    def connection(self) -> "GatewayConnection":
        return GatewayConnection(self)

    async def reply(self, client: str, unit_id: int, pdu: bytes) -> bytes | None:
        """Return the reply PDU, None when the request has no reply (broadcast)."""
        function = pdu[0]
        if unit_id == ONLY_DEVICE_UNIT and self._only_device is not None:
            unit_id = self._only_device
        if unit_id == OWN_UNIT and self.own is not None:
            return self.own(pdu)
        if unit_id != BROADCAST_UNIT and unit_id not in self._routes:
            return exception_pdu(function, NO_PATH)
        refused = self.policy(client, unit_id, pdu)
        if refused is not None:
            return exception_pdu(function, refused)
        if unit_id == BROADCAST_UNIT:
            return await self._broadcast(client, pdu)
        try:
            return await self._routes[unit_id](client, unit_id, pdu)
        except (ConnectFailed, ConnectionLost):
            return exception_pdu(function, NO_PATH)
        except FieldError:
            return exception_pdu(function, NO_REPLY)

    async def _broadcast(self, client: str, pdu: bytes) -> bytes | None:
        if pdu[0] not in WRITE_FUNCTIONS:
            return exception_pdu(pdu[0], ILLEGAL_FUNCTION)
        for ask in self._broadcast_routes:
            try:
                await ask(client, BROADCAST_UNIT, pdu)
            except FieldError:
                continue  # nobody answers a broadcast, and nobody is told that a line is down
        return None


class GatewayConnection(asyncio.Protocol):
    """One TCP client: cut the stream into requests, keep at most `max_in_flight` under way."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._reader = MbapReader()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._client = ""
        self._writable = True
        self._reading = True
        self._seen_at = 0.0
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        gateway = self._gateway
        if len(gateway.connections) >= gateway.settings.max_clients:
            gateway.refused += 1
            cast(asyncio.Transport, transport).abort()
            return
        gateway.connections.add(self)
        # uvloop's transports are no subclasses of asyncio.Transport
        self._transport = cast(asyncio.Transport, transport)
        self._client = "{}:{}".format(*transport.get_extra_info("peername")[:2])
        self._loop = asyncio.get_running_loop()
        self._seen_at = self._loop.time()
        self._idle = self._loop.call_later(gateway.settings.idle_s, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.connections.discard(self)
        self._transport = None
        if self._idle is not None:
            self._idle.cancel()
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._seen_at = self._loop.time()
        self._reader.feed(data)
        self._pump()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._pump()

    def _pump(self) -> None:
        """Start what fits; leave the rest in the socket."""
        transport = self._transport
        if transport is None:
            return
        try:
            requests = self._reader.requests()
            while self._room():
                request = next(requests, None)
                if request is None:
                    break
                task = self._loop.create_task(self._serve(request))
                self._tasks.add(task)
                task.add_done_callback(self._done)
        except MbapError:
            transport.abort()
            return
        if self._room() != self._reading:
            self._reading = not self._reading
            (transport.resume_reading if self._reading else transport.pause_reading)()

    def _room(self) -> bool:
        return self._writable and len(self._tasks) < self._gateway.settings.max_in_flight

    async def _serve(self, request: TcpRequest) -> None:
        reply = await self._gateway.reply(self._client, request.unit_id, request.pdu)
        if reply is not None and self._transport is not None:
            self._transport.write(tcp_frame(request.transaction, request.unit_id, reply))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            if self._transport is not None:
                self._transport.abort()
            raise failure
        if not self._reading or len(self._reader):
            self._pump()

    def _close_if_idle(self) -> None:
        left_s = self._seen_at + self._gateway.settings.idle_s - self._loop.time()
        if self._tasks or left_s > 0:
            self._idle = self._loop.call_later(max(left_s, 1.0), self._close_if_idle)
        elif self._transport is not None:
            self._transport.close()


async def serve(gateway: Gateway, host: str, port: int) -> asyncio.Server:
    """Listen; the caller closes the server."""
    return await asyncio.get_running_loop().create_server(gateway.connection, host, port)
