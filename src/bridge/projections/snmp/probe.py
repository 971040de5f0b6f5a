"""Ask the own listener for snmpEngineID without being anybody: the discovery every v3 manager starts with."""

import asyncio
import socket

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.projections.snmp.ber import INTEGER, OCTET_STRING, SEQUENCE, tlv
from bridge.projections.snmp.pdu import GET, encode_pdu

ANSWER_S = 2.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_NOBODY = tlv(SEQUENCE, b"\x04\x00\x02\x01\x00\x02\x01\x00\x04\x00\x04\x00\x04\x00")
_SCOPED = tlv(SEQUENCE, b"\x04\x00\x04\x00" + encode_pdu(GET, 1, 0, 0, b""))
_HEADER = tlv(SEQUENCE, b"\x02\x01\x01" + b"\x02\x03\x00\xff\xe3" + b"\x04\x01\x04" + b"\x02\x01\x03")
DISCOVERY = tlv(SEQUENCE, bytes((INTEGER, 1, 3)) + _HEADER + tlv(OCTET_STRING, _NOBODY) + _SCOPED)


async def ask(listener: Listener, port: int, engine_id: bytes) -> None:
    """Raises: OSError, TimeoutError; ProjectionError for an answer that is not our engine's."""
    host = _EVERY_ADDRESS.get(listener.bind, listener.bind)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        async with asyncio.timeout(ANSWER_S):
            await loop.sock_connect(sock, (host, port))
            await loop.sock_sendall(sock, DISCOVERY)
            answer = await loop.sock_recv(sock, 2048)
    if tlv(OCTET_STRING, engine_id) not in answer:
        raise ProjectionError(("listener",), f"expected a report of engine {engine_id.hex()}, found {answer.hex()}")
