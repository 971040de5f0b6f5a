"""A raw Modbus TCP client for tests of what is on the wire."""

import asyncio
import contextlib
import ssl
from typing import Self

from bridge.modbus.frame import tcp_frame

HOST = "127.0.0.1"


class RawClient:
    """One connection; requests are numbered in their order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._last = 0

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None) -> Self:
        return cls(*await asyncio.open_connection(HOST, port, ssl=context))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def send(self, unit_id: int, pdu: bytes) -> int:
        """Return the transaction."""
        self._last = (self._last + 1) % 65_536
        self.writer.write(tcp_frame(self._last, unit_id, pdu))
        return self._last

    async def receive(self, timeout_s: float = 5.0) -> tuple[int, int, bytes]:
        """Return transaction, unit id and PDU. Raises: TimeoutError, EOFError, OSError."""
        async with asyncio.timeout(timeout_s):
            head = await self.reader.readexactly(7)
            pdu = await self.reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
        return int.from_bytes(head[:2], "big"), head[6], pdu

    async def ask(self, unit_id: int, pdu: bytes, timeout_s: float = 5.0) -> bytes:
        sent = self.send(unit_id, pdu)
        transaction, unit, reply = await self.receive(timeout_s)
        assert (transaction, unit) == (sent, unit_id)
        return reply
