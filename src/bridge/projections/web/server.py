"""Pages, API, health and metrics in their worker."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.errors import OperationRefused
from bridge.core.listener import Listener
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.web import api, mapping
from bridge.projections.web.certificate import given_certificate, own_certificate
from bridge.projections.web.core import Core
from bridge.projections.web.desk import Desk
from bridge.projections.web.door import Door
from bridge.projections.web.energy_pages import EnergyPages
from bridge.projections.web.forms import Forms
from bridge.projections.web.live import Live
from bridge.projections.web.mapping import Certificate, Plan
from bridge.projections.web.metrics import CONTENT_TYPE, metrics
from bridge.projections.web.pages import Pages
from bridge.projections.web.redirect import Redirect
from bridge.projections.web.security import ALIVE, Hosts, Protection
from bridge.projections.web.sessions import Sessions
from bridge.projections.web.setup_page import SetupPage
from bridge.projections.web.trends import Trends

_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
# s between two looks at how long the certificate lasts
_LOOK_S = 3600.0
# What the guard counts when it turns a connection away
_REFUSALS = ("refused_full", "refused_network")


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._listening: Listening | None = None
        self._listener: Listener | None = None
        self._counters: dict[str, int] = {}

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        self._counters = ctx.counters
        ctx.counters.update({"requests": 0, "refused": 0, "live_pages": 0, "refused_logins": 0})
        redirect = await _redirecting(plan, ctx)
        try:
            while True:
                await self._serve(plan, ctx)
        finally:
            if redirect is not None:
                redirect.close()

    async def _serve(self, plan: mapping.Plan, ctx: ProjectionContext) -> None:
        """Serve with one certificate; return when there is another. Sessions end with it (X-10)."""
        listener, renew = _listener(plan, ctx), asyncio.Event()
        pem = _pem(listener)
        door = make_door(plan, ctx, listener, renew.set)
        self._listening, self._listener = await ctx.listeners.stream(door.make, listener), listener
        try:
            ctx.ready()
            fresh = listener
            while fresh == listener and _pem(fresh) == pem:
                # now and then for a certificate of our own making, which is made anew before its end
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await renew.wait()
                renew.clear()
                fresh = _listener(plan, ctx)
        finally:
            self._listening.close()

    @property
    def port(self) -> int:
        """The port of the listener. Raises: AssertionError before `run` listens."""
        assert self._listening is not None
        return self._listening.port

    async def probe(self) -> None:
        """Ask the listener for its one page that is for everybody. Raises: OSError, EOFError."""
        listener = self._listener
        assert listener is not None, "probe before run"
        before = sum(self._counters.get(name, 0) for name in _REFUSALS)
        context = None
        if listener.tls is not None:
            # ourselves: what the certificate says is not what is asked here
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.bind, listener.bind)
        try:
            reader, writer = await asyncio.open_connection(host, self.port, ssl=context)
            try:
                writer.write(f"GET {ALIVE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
            if not line.startswith(b"HTTP/1.1 204"):
                raise EOFError(f"expected HTTP/1.1 204, found {line[:40]!r}")
        except (ConnectionError, EOFError):
            if sum(self._counters.get(name, 0) for name in _REFUSALS) == before:
                raise


def make_door(plan: Plan, ctx: ProjectionContext, listener: Listener, renew: Callable[[], None] = lambda: None) -> Door:
    """Put the application together. `renew`: called when there is another certificate to serve with."""
    core = Core(ctx)
    sessions = Sessions(ctx.clock, listener.tls is not None, plan.idle_min * 60)
    # the door needs the application, and live pages need the door
    doors: list[Door] = []
    live = Live(core, plan.max_live, lambda client: doors[0].still_there(client))
    pages = Pages(core, live, sessions, plan)
    forms = Forms(core, pages, sessions, ctx.logins, ctx.commands)
    trends, energy = Trends(core), EnergyPages(core)
    desk = Desk(core, pages, sessions, plan, listener, renew)
    more = [
        pages.route("/trends", "trends", trends.collect),
        *energy.routes(),
        pages.route("/energy", "energy", energy.overview),
        pages.route("/energy/{id}", "trail", energy.index),
        pages.route("/setup", "setup", SetupPage(core, listener).collect),
        *desk.routes(),
    ]
    files = {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in _TYPES}
    application = Starlette(
        routes=[
            *pages.routes(),
            *more,
            *forms.routes(),
            *api.routes(core),
            _metrics_route(core),
            *_small_routes(files),
        ],
        exception_handlers={404: _not_found(pages), 405: _refused},
    )
    door = Door(Protection(application, plan, sessions, ctx.counters), ctx.counters)
    doors.append(door)
    return door


def _listener(plan: Plan, ctx: ProjectionContext) -> Listener:
    """Return the listener with its certificate. Raises: OSError."""
    listener = plan.listener
    if listener.tls is not None or plan.certificate is Certificate.NONE:
        return listener
    given = given_certificate(Path(ctx.state_dir), ctx.clock.utc_ns())
    if given is not None:
        return msgspec.structs.replace(listener, tls=given)
    names = {listener.bind, "localhost", "127.0.0.1", *plan.hosts} - {"0.0.0.0", "::"}
    tls = own_certificate(Path(ctx.state_dir), tuple(sorted(names)), ctx.clock.utc_ns())
    return msgspec.structs.replace(listener, tls=tls)


def _pem(listener: Listener) -> bytes:
    """Return the certificate that a listener serves with."""
    return Path(listener.tls.certificate).read_bytes() if listener.tls is not None else b""


async def _redirecting(plan: Plan, ctx: ProjectionContext) -> Listening | None:
    """Send whoever comes by plain HTTP here (W-01)."""
    if plan.redirect is None:
        return None
    known, port = Hosts(plan.hosts), plan.listener.port
    return await ctx.listeners.stream(lambda: Redirect(known, port), plan.redirect)


def _metrics_route(core: Core) -> Route:
    async def answer(_: Request) -> Response:
        try:
            return Response(await metrics(core), media_type=None, headers={"content-type": CONTENT_TYPE})
        except OperationRefused as exc:
            return Response(f"# {exc}\n", 503, media_type="text/plain")

    return Route("/metrics", answer, methods=["GET"])


def _small_routes(files: Mapping[str, bytes]) -> list[Route]:
    async def static(request: Request) -> Response:
        """Files are held in memory by name: no path of a client ever reaches the file system."""
        name = request.path_params["name"]
        found = files.get(name)
        if found is None:
            raise HTTPException(404)
        return Response(found, headers={"content-type": _TYPES[Path(name).suffix]})

    async def alive(_: Request) -> Response:
        return Response(status_code=204)

    return [Route("/static/{name}", static, methods=["GET"]), Route(ALIVE, alive, methods=["GET"])]


def _not_found(pages: Pages):  # type: ignore[no-untyped-def]
    async def answer(request: Request, _: Exception) -> Response:
        if request.url.path.startswith(("/api/", "/static/")):
            return Response('{"error":"no such path"}', 404, media_type="application/json")
        return pages.not_found(request)

    return answer


async def _refused(_: Request, exc: Exception) -> Response:
    headers = exc.headers if isinstance(exc, HTTPException) else None
    return Response('{"error":"this method is not for this path"}', 405, headers, media_type="application/json")


PROJECTION: type[Projection] = Server
