"""What a client says to an MMS server, TPKT by TPKT: recorded through a port in between, replayed from raw sockets."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Bytes of data in one TCP segment of a capture.
_SEGMENT = 1400


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
        # (whether the client sent it, bytes), in the order they came
        self.pieces: list[tuple[bool, bytes]] = []

    @property
    def said(self) -> list[bytes]:
        """What the client sent."""
        return packets(b"".join(data for ours, data in self.pieces if ours))

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, source: str) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, ours: bool) -> None:
            while data := await source.read(65536):
                self.pieces.append((ours, data))
                target.write(data)
            target.close()

        with contextlib.suppress(OSError):
            await asyncio.gather(copy(reader, up_writer, True), copy(up_reader, writer, False))


@asynccontextmanager
async def recorded(port: int, source: str = "127.0.0.1") -> AsyncIterator[Recording]:
    """`source`: the address the server sees the client at."""
    recording = Recording()
    server = await asyncio.start_server(lambda r, w: recording.relay(r, w, port, source), "127.0.0.1", 0)
    recording.port = server.sockets[0].getsockname()[1]
    try:
        yield recording
    finally:
        server.close()


def pcap(pieces: list[tuple[bool, bytes]], server_port: int = 102) -> bytes:
    """
    Return a capture file of one TCP connection for a dissector.

        pcap, raw IP (link type 101): header (24) | per packet: seconds, microseconds, length (2x) | IPv4 | TCP | data
    """
    out = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
    at = {True: 1, False: 1}
    for number, (ours, data) in enumerate(pieces):
        for start in range(0, len(data), _SEGMENT):
            part = data[start : start + _SEGMENT]
            ports = (50000, server_port) if ours else (server_port, 50000)
            tcp = struct.pack(">HHIIBBHHH", *ports, at[ours], at[not ours], 5 << 4, 0x18, 65535, 0, 0)
            ends = (b"\x0a\0\0\1", b"\x0a\0\0\2") if ours else (b"\x0a\0\0\2", b"\x0a\0\0\1")
            length = 40 + len(part)
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, number & 0xFFFF, 0, 64, 6, 0, *ends)
            out += struct.pack("<IIII", number, start, length, length) + ip + tcp + part
            at[ours] += len(part)
    return bytes(out)


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
