"""Who may look, under which name the server may be asked, and what browsers are told to forbid."""

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.projections.web.mapping import Plan
from bridge.projections.web.sessions import Sessions

# Bytes of a request's body; the only ones are forms of a few fields
BODY_MOST = 16_384
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    # with `no-referrer` browsers send forms with "Origin: null", as a foreign page would
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})
# What a browser needs to log in
_LOGIN = "/login"
# Answers 204 and nothing else to everybody the guard lets in: the worker's question to itself
ALIVE = "/livez"


class Networks:
    """An allow-list of addresses. Pure."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def allows(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return any((mapped or found) in network for network in self._networks)


class Hosts:
    """Names this server may be asked by: addresses, localhost and those configured. Pure."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = {"localhost", *(host.lower() for host in hosts)}

    def knows(self, host: str) -> bool:
        """`host`: a Host header, with or without port."""
        name = without_port(host.lower())
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class Protection:
    """
    ASGI middleware in front of every route.

    The Host header must be an address, localhost or a configured name: otherwise a page of a stranger, whose name he
    lets point to 127.0.0.1, could read the console through the operator's browser (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, plan: Plan, sessions: Sessions, counters: dict[str, int]) -> None:
        self._app, self._sessions, self._counters = app, sessions, counters
        self._open, self._health = Networks(plan.open_networks), Networks(plan.health_networks)
        self._hosts = Hosts(plan.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self._counters["requests"] = self._counters.get("requests", 0) + 1
        sender, headers = _with_headers(scope, send), dict(scope["headers"])
        path = str(scope["path"])
        refusal = None if path == ALIVE else self._refusal(scope["method"], headers)
        if refusal is None and not self._may_look(path, headers, str((scope.get("client") or ("",))[0])):
            if path.startswith("/api/") or path in _HEALTH:
                refusal = 401, "Log in first, or see `open_networks` and `health_networks` in web.yaml."
            else:
                await _plain(sender, 303, "Log in first.", _LOGIN)
                return
        if refusal is not None:
            self._counters["refused"] = self._counters.get("refused", 0) + 1
            await _plain(sender, *refusal)
            return
        await self._app(scope, _bounded(receive), sender)

    def _refusal(self, method: str, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._hosts.knows(host):
            return 421, "This server is not asked by that name: see `hosts` in web.yaml."
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > BODY_MOST:
            return 413, f"A request has at most {BODY_MOST} bytes."
        if method not in ("GET", "HEAD"):
            # the token of the form is checked besides; browsers send Origin with every POST
            origin = headers.get(b"origin", b"").decode("latin-1")
            if origin and origin.partition("://")[2].lower() != host.lower():
                return 403, "This request comes from a page of another server."
        return None

    def _may_look(self, path: str, headers: dict[bytes, bytes], address: str) -> bool:
        if path in (ALIVE, _LOGIN) or path.startswith("/static/") or self._open.allows(address):
            return True
        if path in _HEALTH and self._health.allows(address):
            return True
        cookies = cookie_parser(headers.get(b"cookie", b"").decode("latin-1"))
        return self._sessions.of(cookies, address) is not None


def without_port(host: str) -> str:
    """Return the name or address of a Host header; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _with_headers(scope: Scope, send: Send) -> Send:
    static = str(scope["path"]).startswith("/static/")

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "max-age=3600" if static else "no-store")
        await send(message)

    return sender


def _bounded(receive: Receive) -> Receive:
    """A body without a length ends when it is longer than any of ours."""
    had = 0

    async def receiver() -> Message:
        nonlocal had
        message = await receive()
        had += len(message.get("body", b""))
        if had > BODY_MOST:
            return {"type": "http.disconnect"}
        return message

    return receiver


async def _plain(send: Send, status: int, text: str, location: str = "") -> None:
    body = text.encode() + b"\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if location:
        headers.append((b"location", location.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
