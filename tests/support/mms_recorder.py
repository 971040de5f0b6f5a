"""What a client says to an MMS server, TPKT by TPKT: recorded through a port in between, replayed from raw sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# s for a reply
REPLY_S = 3.0


def packets(data: bytes) -> list[bytes]:
    """Split a stream into TPKTs (RFC 1006, 6); an unfinished one at the end is left out."""
    found, at = list[bytes](), 0
    while len(data) - at >= 4:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 4 or at + length > len(data):
            break
        found.append(data[at : at + length])
        at += length
    return found


class Recording:
    """`port`: where the client is to connect."""

    def __init__(self) -> None:
        self.port = 0
        self._said = bytearray()

    @property
    def said(self) -> list[bytes]:
        return packets(bytes(self._said))

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, kept: bytearray) -> None:
            while data := await source.read(65536):
                kept += data
                target.write(data)
            target.close()

        with contextlib.suppress(OSError):
            await asyncio.gather(copy(reader, up_writer, self._said), copy(up_reader, writer, bytearray()))


@asynccontextmanager
async def recorded(port: int) -> AsyncIterator[Recording]:
    recording = Recording()
    server = await asyncio.start_server(lambda r, w: recording.relay(r, w, port), "127.0.0.1", 0)
    recording.port = server.sockets[0].getsockname()[1]
    try:
        yield recording
    finally:
        server.close()


def reply(sock: socket.socket) -> bytes:
    """Return the next TPKT; b"" when the server has closed. Raises: TimeoutError."""
    data = b""
    while len(data) < 4 or len(data) < int.from_bytes(data[2:4], "big"):
        wanted = 4 - len(data) if len(data) < 4 else int.from_bytes(data[2:4], "big") - len(data)
        part = sock.recv(wanted)
        if not part:
            return b""
        data += part
    return data
