"""Ask the own listener for its endpoints, as every client does first: Hello, an open channel, GetEndpoints."""

import asyncio
import contextlib
import struct

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.projections.opcua.binary import NULL_STRING, numeric_node_id, string

# Seconds for the whole conversation: S10 asks for an answer within one.
ANSWER_S = 3.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_NO_SECURITY = "http://opcfoundation.org/UA/SecurityPolicy#None"
# Encodings: OpenSecureChannelRequest, GetEndpointsRequest and its response
_OPEN, _GET_ENDPOINTS, _ENDPOINTS = 446, 428, 431
_BUFFER, _LARGEST = 65_535, 1 << 20
_LIFETIME_MS = 60_000
# Where the token of a new channel is in the answer to an OpenSecureChannel, from its channel id on: channel, policy and
# two null strings, sequence, NodeId, ResponseHeader, protocol version, channel again
_TOKEN_AT = 4 + (4 + len(_NO_SECURITY)) + 8 + 8 + 4 + 24 + 4 + 4


async def ask(listener: Listener, port: int) -> None:
    """Raises: OSError, TimeoutError, EOFError; ProjectionError for another answer than endpoints."""
    host = _EVERY_ADDRESS.get(listener.bind, listener.bind)
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            await _talk(reader, writer, f"opc.tcp://{host}:{port}")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body) + 8) + body


def _request(encoding: int, body: bytes) -> bytes:
    """NodeId | RequestHeader: token, time, handle, diagnostics, audit id, hint, no header | body."""
    return numeric_node_id(encoding) + b"\0\0" + struct.pack("<qII", 0, 1, 0) + NULL_STRING + bytes(4) + bytes(3) + body


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
    hello = struct.pack("<IIIII", 0, _BUFFER, _BUFFER, 0, 0) + string(url)
    writer.write(_chunk(b"HELF", hello))
    if (await _answer(reader))[0] != b"ACK":
        raise ProjectionError(("listener",), "expected an acknowledgement of a Hello")
    security = struct.pack("<I", 0) + string(_NO_SECURITY) + NULL_STRING + NULL_STRING
    issue = _request(_OPEN, struct.pack("<III", 0, 0, 1) + NULL_STRING + struct.pack("<I", _LIFETIME_MS))
    writer.write(_chunk(b"OPNF", security + struct.pack("<II", 1, 1) + issue))
    kind, answer = await _answer(reader)
    if kind != b"OPN" or len(answer) < _TOKEN_AT + 4:
        raise ProjectionError(("listener",), f"expected a secure channel, found {kind!r}")
    (channel,) = struct.unpack_from("<I", answer)
    token = _TOKEN_AT
    ask_endpoints = _request(_GET_ENDPOINTS, string(url) + struct.pack("<ii", 0, 0))
    head = struct.pack("<I", channel) + answer[token : token + 4] + struct.pack("<II", 2, 2)
    writer.write(_chunk(b"MSGF", head + ask_endpoints))
    kind, answer = await _answer(reader)
    if kind != b"MSG" or answer[16:20] != numeric_node_id(_ENDPOINTS):
        raise ProjectionError(("listener",), "expected endpoints")
    writer.write(_chunk(b"CLOF", head[:8] + struct.pack("<II", 3, 3) + _request(452, b"")))


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(8)
    (size,) = struct.unpack_from("<I", head, 4)
    if not 8 < size <= _LARGEST:
        raise ProjectionError(("listener",), f"expected an answer of a likely size, found {size} bytes")
    return head[:3], await reader.readexactly(size - 8)
