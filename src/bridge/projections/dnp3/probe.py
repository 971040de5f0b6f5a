"""
Ask the own listener a real question, as a master would: a READ of the internal indications.

The probe comes with a link address no master may have, from a socket the server knows as its own, and has a session of
its own: it takes no master's place and none of its events.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.projections.dnp3.link import DIRECTION, PRIMARY, LinkDecoder, Primary, encode_frame
from bridge.projections.dnp3.plan import MasterPlan

# Port of a peer that has none: our own question past the listener.
NO_PORT = 0
# Seconds for connection and answer: S10 and R4 ask for an answer within one.
ANSWER_S = 3.0
# IEEE 1815-2012, 9.2.4: 0xFFF0 to 0xFFFB are reserved, so that no configured master has one.
PROBE = MasterPlan(name="probe", address=0xFFF0, outstation=0xFFF1, event_capacity=(0, 0, 0), keepalive_s=3600.0)
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
# transport FIR FIN; FIR FIN sequence 0, READ, g80v1 range 7 to 7
_QUESTION = encode_frame(
    DIRECTION | PRIMARY | Primary.UNCONFIRMED_USER_DATA,
    PROBE.outstation,
    PROBE.address,
    bytes.fromhex("c0 c0 01 50 01 00 07 07"),
)
_RESPONSE = 129


async def ask(listener: Listener, port: int, own_ports: set[int]) -> None:
    """
    `own_ports`: where the server looks up that we are its own.

    Raises: OSError (also ssl.SSLError), TimeoutError, ProjectionError.
    """
    host = _EVERY_ADDRESS.get(listener.bind, listener.bind)
    context = None if listener.tls is None else _own_server(listener.tls.certificate, listener.tls.key)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setblocking(False)
        sock.bind((host, 0))
        own = sock.getsockname()[1]
        own_ports.add(own)
        try:
            async with asyncio.timeout(ANSWER_S):
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
                name = "" if context is not None else None
                await _talk(*await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name))
        finally:
            own_ports.discard(own)


async def ask_inside(make: Callable[[], asyncio.Protocol], own_ports: set[int]) -> None:
    """
    Ask a connection past the listener: for one whose TLS asks for a certificate we cannot have.

    Raises: as `ask`.
    """
    ours, theirs = socket.socketpair()
    own_ports.add(NO_PORT)
    try:
        async with asyncio.timeout(ANSWER_S):
            await asyncio.get_running_loop().connect_accepted_socket(make, theirs)
            await _talk(*await asyncio.open_connection(sock=ours))
    finally:
        own_ports.discard(NO_PORT)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    decoder = LinkDecoder()
    try:
        writer.write(_QUESTION)
        while not (frames := decoder.feed(await reader.read(1024))):
            if reader.at_eof():
                raise ProjectionError(("listener",), "expected an answer, found the end of the connection")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    user = frames[0].user
    if len(user) < 3 or user[2] != _RESPONSE:
        raise ProjectionError(("listener",), f"expected a response, found {user.hex()}")


def _own_server(certificate: str, key: str) -> ssl.SSLContext:
    """Talk to ourselves: nothing to verify, and the server's own certificate if it asks for one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context
