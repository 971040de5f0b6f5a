"""A client's bytes -> a line: the EtherGate's life in its worker."""

import asyncio
import contextlib
import ssl
from functools import partial
from typing import ClassVar

import msgspec

from bridge.core.listener import Listener
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.gateway.ethergate.mapping import Plan
from bridge.gateway.ethergate.session import COUNTERS, Session

_PROBE_S = 2.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._main: tuple[Listener, int] | None = None

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        ctx.counters.update(dict.fromkeys(COUNTERS, 0))
        opened: list[Listening] = []
        try:
            for listener in plan.listeners:
                make = partial(Session, ctx.lines, plan.channel, listener.idle_s, ctx.counters)
                opened.append(await ctx.listeners.stream(make, listener))
            self._main = plan.listeners[0], opened[0].port
            ctx.ready()
            await asyncio.Event().wait()
        finally:
            for listening in opened:
                listening.close()

    async def probe(self) -> None:
        """
        Connect, and be let in, TLS included; not a byte of ours may reach the line. Raises: OSError, TimeoutError.
        """
        assert self._main is not None, "probe before run"
        listener, port = self._main
        host = _EVERY_ADDRESS.get(listener.bind, listener.bind)
        context = None if listener.tls is None else _own_server(listener.tls.certificate, listener.tls.key)
        async with asyncio.timeout(_PROBE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _own_server(certificate: str, key: str) -> ssl.SSLContext:
    """Talk to ourselves: nothing to verify, and the server's own certificate if it asks for one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context


PROJECTION: type[Projection] = Server
