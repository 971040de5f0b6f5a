"""One client: cuts the stream into requests, keeps a bounded number under way, leaves the rest in its socket."""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from bridge.gateway.modbus.plan import Framing
from bridge.gateway.modbus.router import Client, Router
from bridge.gateway.modbus.streams import MbapStream, Request, RtuStream, Stream, StreamError

# requests of one client under way: enough that a pipelining client waits for no round trip
MOST_UNDER_WAY = 16
# s; the rest of an RTU frame comes within this, or what there is was noise
PARTIAL_S = 0.5
# certificate in DER -> role
RoleOf = Callable[[bytes], str]


class Session(asyncio.Protocol):
    """Loop thread only. Replies of one client come as the devices give them; in RTU framing, in order."""

    def __init__(self, router: Router, door: int, framing: Framing, role_of: RoleOf | None = None) -> None:
        self._router, self._door, self._role_of = router, door, role_of
        self._rtu = framing is Framing.RTU
        self._stream: Stream = RtuStream() if self._rtu else MbapStream()
        self._most = 1 if self._rtu else MOST_UNDER_WAY
        self._counters = router.traffic.counters
        # by number of the request
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._number = 0
        self._transport: asyncio.Transport | None = None
        self._alive: Callable[[], bool] = _always
        self._client = Client("", "", door)
        self._writable = self._reading = True
        self._heard_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._alive = transport.get_extra_info("alive") or _always
        peer = transport.get_extra_info("peername")
        host, port = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("", 0)
        self._client = Client(f"{host}:{port}", host, self._door, self._role(transport))
        self._counters["connections"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._counters["connections"] -= 1
        for task in self._tasks.values():
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self._counters["bytes_in"] += len(data)
        if self._rtu:
            now = self._loop.time()
            if self._stream.pending() and not self._tasks and now - self._heard_at > PARTIAL_S:
                self._counters["bad_frames"] += 1
                self._stream = RtuStream()
            self._heard_at = now
        self._stream.feed(data)
        self._pump()

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
        while self._room():
            try:
                request = self._stream.next()
            except StreamError:
                self._broken(transport)
                return
            if request is None:
                break
            if not self._alive():
                return
            self._counters["requests"] += 1
            self._number += 1
            self._tasks[self._number] = self._loop.create_task(self._serve(self._number, request))
        if self._room() != self._reading and not transport.is_closing():
            self._reading = not self._reading
            (transport.resume_reading if self._reading else transport.pause_reading)()

    def _broken(self, transport: asyncio.Transport) -> None:
        self._counters["bad_frames"] += 1
        if self._rtu:
            # as on a line: no answer, and the next frame begins after a pause
            self._stream = RtuStream()
        else:
            transport.abort()

    def _room(self) -> bool:
        return self._writable and len(self._tasks) < self._most

    async def _serve(self, number: int, request: Request) -> None:
        """What fails here has no answer: the client loses its connection, and the loop's handler logs the failure."""
        transaction, unit_id, pdu = request
        served = False
        try:
            reply = await self._router.reply(self._client, unit_id, pdu)
            served = True
        finally:
            self._tasks.pop(number, None)
            if not served and self._transport is not None:
                self._transport.abort()
        if self._transport is None:
            return
        if reply is not None:
            frame = self._stream.frame(transaction, unit_id, reply)
            self._counters["bytes_out"] += len(frame)
            self._transport.write(frame)
        if not self._reading or self._stream.pending():
            self._pump()

    def _role(self, transport: asyncio.BaseTransport) -> str | None:
        if self._role_of is None:
            return None
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLObject) else None
        return self._role_of(certificate) if certificate else ""


def _always() -> bool:
    """A listener without a guard."""
    return True
