"""Ask the own listener for a transport connection, as every MMS client does first (ISO 8073, 13.3 and 13.4)."""

import asyncio
import contextlib
import ssl

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener

# s for connection and answer: S10 and R4 ask for an answer within one
ANSWER_S = 3.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
# TPKT of 22; CR, to 0, from 1, class 0; TPDU size 1024; called and calling selector 0001
_REQUEST = bytes.fromhex("03000016 11e0 0000 0001 00 c0010a c2020001 c1020001")
_CONFIRM = 0xD0


async def ask(listener: Listener, port: int) -> None:
    """Raises: OSError, TimeoutError, EOFError; ProjectionError for another answer than the confirmation."""
    host = _EVERY_ADDRESS.get(listener.bind, listener.bind)
    context = None if listener.tls is None else _own_server(listener.tls.certificate, listener.tls.key)
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            writer.write(_REQUEST)
            head = await reader.readexactly(6)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    if head[0] != 3 or head[5] & 0xF0 != _CONFIRM:
        raise ProjectionError(("listener",), f"expected a connection confirm, found {head.hex()}")


def _own_server(certificate: str, key: str) -> ssl.SSLContext:
    """Talk to ourselves: nothing to verify, and the server's own certificate if it asks for one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context
