"""Ask the own listener what it is, as a client would: function 43/14 through a socket of its own."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.modbus.frame import tcp_frame
from bridge.projections.modbus.identification import BASIC, FUNCTION, MEI_TYPE

# Seconds for connection and answer: S10 and R4 ask for an answer within one.
ANSWER_S = 3.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


async def ask(listener: Listener, port: int, unit_id: int) -> None:
    """Raises: OSError, TimeoutError, EOFError; ProjectionError for another answer than the identification."""
    host = _EVERY_ADDRESS.get(listener.bind, listener.bind)
    context = None if listener.tls is None else _own_server(listener.tls.certificate, listener.tls.key)
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        await _talk(reader, writer, unit_id)


async def ask_inside(make: Callable[[], asyncio.Protocol], unit_id: int) -> None:
    """
    Ask a session past the listener: for when the guard has no seat for us, or our address is not on its list.

    Raises: as `ask`.
    """
    ours, theirs = socket.socketpair()
    async with asyncio.timeout(ANSWER_S):
        await asyncio.get_running_loop().connect_accepted_socket(make, theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        await _talk(reader, writer, unit_id)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, unit_id: int) -> None:
    try:
        writer.write(tcp_frame(1, unit_id, bytes((FUNCTION, MEI_TYPE, BASIC, 0))))
        head = await reader.readexactly(9)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if head[:2] != b"\0\1" or head[6:9] != bytes((unit_id, FUNCTION, MEI_TYPE)):
        raise ProjectionError(("listener",), f"expected an identification, found {head.hex()}")


def _own_server(certificate: str, key: str) -> ssl.SSLContext:
    """Talk to ourselves: nothing to verify, and the server's own certificate if it asks for one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context
