"""One client: chunks come in, and most answers go out before `data_received` returns."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.server.binary_server_asyncio import OPCUAProtocol
from asyncua.ua.ua_binary import header_from_binary

from bridge.projections.opcua.binary import I4
from bridge.projections.opcua.framing import CHUNK_HEAD, FINAL_MESSAGE, Message
from bridge.projections.opcua.processor import Processor, Services

_log = logging.getLogger("bridge.opcua")
# Bytes of requests that wait for the library; then the client waits.
WAITING_MOST = 131_072


class Channel(OPCUAProtocol):
    """Framing; one request after the other for the library, and a client that is too far ahead has to wait."""

    def __init__(self, services: Services) -> None:
        server = services.server
        super().__init__(server.iserver, server._policies, server.clients, server.closing_tasks, server.limits)
        self._services, self._counters = services, services.counters
        self._waiting: deque[bytes | Message] = deque()
        self._waiting_bytes = 0
        self._buffer: bytes = b""
        self._busy = self._paused = self._held = False
        self._wake = asyncio.Event()
        self._alive: Callable[[], object] = _nothing
        self._fast: Callable[[bytes], Message | bool | None] = _no_message

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is None:
            return
        self.processor = Processor(self._services, transport, self.limits)
        self.processor.set_policies(self.policies)
        self._fast = self.processor.fast
        self._alive = transport.get_extra_info("alive") or _nothing
        self._counters["connections"] += 1

    def connection_lost(self, ex: BaseException | None) -> None:
        super().connection_lost(ex)
        self._waiting.clear()
        self._fast = _no_message

    def pause_writing(self) -> None:
        self._held = True

    def resume_writing(self) -> None:
        self._held = False
        self._wake.set()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        at, length, most = 0, len(data), self.limits.max_recv_buffer
        while length - at >= CHUNK_HEAD:
            size = I4.unpack_from(data, at + 4)[0]
            if not CHUNK_HEAD < size <= most:
                self._counters["bad_messages"] += 1
                self._end()
                return
            if length - at < size:
                break
            chunk = data if size == length else data[at : at + size]
            at += size
            if self._busy or self._waiting or self._held or chunk[:4] != FINAL_MESSAGE:
                self._wait(chunk)
                continue
            done = self._fast(chunk)
            if done is True:
                self._alive()
            else:
                self._wait(chunk if done is None or done is False else done)
        self._buffer = data[at:] if at < length else b""

    def _wait(self, work: bytes | Message) -> None:
        self._waiting.append(work)
        self._waiting_bytes += len(work if isinstance(work, bytes) else work.data)
        if self._waiting_bytes > WAITING_MOST and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        self._wake.set()

    async def _process_received_message_loop(self) -> None:
        """Give the library what waits, one by one."""
        while True:
            while not self._waiting or self._held:
                self._wake.clear()
                await self._wake.wait()
            work = self._waiting.popleft()
            self._waiting_bytes -= len(work if isinstance(work, bytes) else work.data)
            if self._paused and self._waiting_bytes <= WAITING_MOST // 2 and self.transport is not None:
                self._paused = False
                self.transport.resume_reading()
            self._busy = True
            try:
                alive = await self._done(work)
            except Exception as exc:  # noqa: BLE001 - the library's decoder raises whatever hostile bytes lead it to
                self._counters["bad_messages"] += 1
                _log.info("bad_message peer=%s error=%s", self.peer_name, type(exc).__name__)
                alive = False
            finally:
                self._busy = False
            if not alive:
                self._end()
                return

    async def _done(self, work: bytes | Message) -> bool:
        processor = self.processor
        if not isinstance(processor, Processor):
            return False
        if isinstance(work, bytes) and work[:4] == FINAL_MESSAGE:
            found = processor.fast(work)
            if found is True:
                self._alive()
                return True
            work = found if isinstance(found, Message) else work
        if isinstance(work, bytes):
            if work[:3] not in (b"HEL", b"OPN", b"MSG", b"CLO"):
                self._counters["bad_messages"] += 1
                return False
            chunk = Buffer(work)
            done = await processor.process(header_from_binary(chunk), chunk)
            opened_one = processor._connection.is_open()
        else:
            header = ua.SequenceHeader(work.sequence, work.request_id)
            done = await processor.process_message(header, Buffer(work.data, work.at)) is not False
            opened_one = True
        if done and opened_one and self._alive() is False:
            return False
        return done

    def _end(self) -> None:
        self._waiting.clear()
        if self.transport is not None:
            self.transport.close()


def _nothing() -> None:
    """A listener without a guard."""


def _no_message(_: bytes) -> None:
    """Before there is a connection, and after."""
