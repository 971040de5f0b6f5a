"""Ask the own listener what it is, as a client would: function 43/14 of unit 255, through a socket of its own."""

import asyncio
import contextlib
import ssl

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.gateway.modbus.plan import OWN_UNIT
from bridge.modbus.frame import tcp_frame

# s; for connection and answer
ANSWER_S = 3.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_QUESTION = bytes((43, 14, 1, 0))


async def ask(listener: Listener, port: int) -> None:
    """Raises: OSError, TimeoutError, EOFError; ProjectionError for another answer than the identification."""
    host, context = _EVERY_ADDRESS.get(listener.bind, listener.bind), None
    if listener.tls is not None:
        context = _own_server(listener.tls.certificate, listener.tls.key)
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            writer.write(tcp_frame(1, OWN_UNIT, _QUESTION))
            head = await reader.readexactly(9)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    if head[:2] != b"\0\1" or head[6:9] != bytes((OWN_UNIT, *_QUESTION[:2])):
        raise ProjectionError(("listener",), f"expected an identification, found {head.hex()}")


def _own_server(certificate: str, key: str) -> ssl.SSLContext:
    """Talk to ourselves: nothing to verify, and the server's own certificate if it asks for one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context
