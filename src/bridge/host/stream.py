"""A guarded TCP listener: accepts, refuses, and ends what is silent or does not read."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from bridge.core.listener import Listener
from bridge.host import sockets
from bridge.host.clients import Clients, Seen
from bridge.host.connection import Connection
from bridge.host.gate import Networks, Seats
from bridge.host.tls import ServerTls
from bridge.host.visits import OwnVisits

_log = logging.getLogger("bridge.guard")
# Connections accepted before the loop gets its turn: 32 refusals are under 1 ms.
_ACCEPTS_PER_TURN = 32
# Seconds without accepting after the kernel had no descriptor or memory for us.
_OUT_OF_RESOURCES_S = 0.5
# Seconds, at most, that a peer may refuse to read.
_SLOW_S = 30.0
# Seconds between two looks at the list of revoked certificates.
_RENEW_S = 1.0
# Seconds between two sweeps: a quarter of the shortest deadline, in these bounds.
_SWEEP_S = (0.02, 1.0)


class StreamListener:
    """Listening of `core.ports`. Loop thread only."""

    def __init__(
        self,
        make: Callable[[], asyncio.BaseProtocol],
        listener: Listener,
        counters: dict[str, int],
        tls: ServerTls | None,
        visits: OwnVisits,
        clients: Clients,
    ) -> None:
        """Raises: OSError; ValueError for a network that is none."""
        self._make, self._listener, self._counters, self._tls = make, listener, counters, tls
        self._visits, self._clients, self._loop = visits, clients, asyncio.get_running_loop()
        self._networks = Networks(listener.networks)
        self._seats: Seats[Connection] = Seats(listener)
        self._opening: dict[Connection, asyncio.Task[None]] = {}
        self._slow_s = min(listener.idle_s, _SLOW_S)
        shortest_s = min(listener.first_message_s, self._slow_s) / 4
        self._sweep_s = min(max(shortest_s, _SWEEP_S[0]), _SWEEP_S[1])
        self._allowed = round(listener.byte_rate * self._sweep_s)
        self._renew_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._sock = sockets.listening(listener.bind, listener.port)
        self._port = int(self._sock.getsockname()[1])
        self._loop.add_reader(self._sock, self._acceptable)

    @property
    def port(self) -> int:
        return self._port

    def close(self) -> None:
        """What a protocol has written is still sent; what is being opened is not."""
        for timer in (self._timer, self._resume):
            if timer is not None:
                timer.cancel()
        self._timer = self._resume = None
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for task in self._opening.values():
            task.cancel()
        for connection in self._seats.everybody():
            connection.close()

    def now(self) -> float:
        return self._loop.time()

    def spoke_first(self, connection: Connection) -> bool:
        if self._seats.sit(connection):
            connection.seated = True
            if connection.seen is not None:
                connection.seen.connections += 1
            return True
        self._end(connection, "refused_full")
        return False

    def left(self, connection: Connection) -> None:
        if connection.seated and not connection.gone and connection.seen is not None:
            connection.seen.connections -= 1
        connection.gone = True
        self._seats.leave(connection)

    def too_slow(self, connection: Connection) -> None:
        self._end(connection, "closed_slow")

    def count(self, key: str, address: str) -> None:
        self._counters[key] = self._counters.get(key, 0) + 1
        if key != "accepted":
            _log.warning("%s port=%d peer=%s", key, self._port, address)

    def _acceptable(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                _log.error("accept_failed port=%d error=%s", self._port, exc.strerror)
                self._loop.remove_reader(self._sock)
                self._resume = self._loop.call_later(_OUT_OF_RESOURCES_S, self._accept_again)
                return
            self._admit(sock, str(address[0]), int(address[1]))

    def _accept_again(self) -> None:
        self._loop.add_reader(self._sock, self._acceptable)

    def _admit(self, sock: socket.socket, address: str, port: int) -> None:
        self._renew()
        if self._visits.is_ours(address, port, self._listener.bind):
            own = None if self._tls is None else self._tls.own_context
            self._seats.visit(self._welcome(sock, address, own, None))
            return
        refusal = self._refusal(address)
        if refusal:
            sockets.refuse(sock)
            self.count(refusal, address)
            return
        self.count("accepted", address)
        context = None if self._tls is None else self._tls.context
        seen = self._clients.of(address, self._port)
        gives_way = self._seats.come(self._welcome(sock, address, context, seen), address)
        if gives_way is not None:
            self._end(gives_way, "closed_silent")

    def _refusal(self, address: str) -> str:
        if not self._networks.allows(address):
            return "refused_network"
        return "" if self._seats.has_room(address) else "refused_full"

    def _welcome(
        self, sock: socket.socket, address: str, context: ssl.SSLContext | None, seen: Seen | None
    ) -> Connection:
        """`seen`: where its messages are counted; None for ourselves."""
        connection = Connection(self, self._make, address, self.now() + self._listener.first_message_s, seen)
        task = self._loop.create_task(self._open(connection, sock, context))
        self._opening[connection] = task
        task.add_done_callback(lambda task: self._opened(connection, sock, task))
        if self._timer is None:
            self._timer = self._loop.call_later(self._sweep_s, self._sweep)
        return connection

    async def _open(self, connection: Connection, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        connection.opening = True
        sockets.prepare(sock, self._listener.keepalive_s)
        timeout_s = self._listener.first_message_s if context is not None else None
        await self._loop.connect_accepted_socket(lambda: connection, sock, ssl=context, ssl_handshake_timeout=timeout_s)

    def _opened(self, connection: Connection, sock: socket.socket, task: asyncio.Task[None]) -> None:
        del self._opening[connection]
        if task.cancelled():
            failed = None
        else:
            failed = task.exception()
            if failed is None:
                return
        if connection.transport is None:
            self.left(connection)
            if not connection.opening:
                # afterwards it belongs to the loop
                sock.close()
        if isinstance(failed, ssl.SSLError | OSError | TimeoutError):
            if self._tls is not None:
                self.count("refused_tls", connection.address)
        elif failed is not None:
            connection.drop()
            context = {"message": f"opening a connection to port {self._port}", "exception": failed}
            self._loop.call_exception_handler(context)

    def _end(self, connection: Connection, key: str) -> None:
        self.count(key, connection.address)
        self.left(connection)
        task = self._opening.get(connection)
        if task is not None and connection.transport is None:
            task.cancel()
        connection.drop()

    def _renew(self) -> None:
        """Look, at most once a second, whether other certificates count no more; then everybody connects anew."""
        if self._tls is None or self.now() < self._renew_at:
            return
        self._renew_at = self.now() + _RENEW_S
        try:
            renewed = self._tls.renewed()
        except OSError as exc:
            _log.error("revocations_unusable port=%d error=%s", self._port, exc)
            return
        if renewed:
            _log.info("revocations_renewed port=%d", self._port)
            for connection in self._seats.everybody():
                self._end(connection, "closed_renewed")

    def _sweep(self) -> None:
        self._renew()
        now = self.now()
        everybody = self._seats.everybody()
        for connection in everybody:
            connection.measure(self._allowed)
            if connection.held_since is not None:
                if now - connection.held_since >= self._slow_s:
                    self._end(connection, "closed_slow")
            elif connection.heard:
                connection.heard = False
                if connection.seen is not None:
                    connection.seen.last = now
                connection.deadline = now + self._listener.idle_s
            elif now >= connection.deadline:
                self._end(connection, "closed_idle" if connection.seated else "closed_silent")
        self._timer = self._loop.call_later(self._sweep_s, self._sweep) if everybody else None
