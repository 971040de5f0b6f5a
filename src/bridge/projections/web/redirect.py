"""Plain HTTP answered with one sentence: come over there, it is encrypted (W-01)."""

import asyncio
from collections.abc import Callable
from typing import cast

from bridge.projections.web.security import Hosts, without_port

# Bytes of a request's head
_HEAD_MOST = 8192


class Redirect(asyncio.Protocol):
    """One connection: one request, one answer. `port`: of the listener with TLS."""

    def __init__(self, known: Hosts, port: int) -> None:
        self._known, self._port, self._head = known, port, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._alive = cast("Callable[[], bool]", transport.get_extra_info("alive"))

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head and len(self._head) <= _HEAD_MOST:
            return
        if self._alive():
            self._transport.write(answer_to(self._head, self._known, self._port))
        self._transport.close()


def answer_to(head: bytes, known: Hosts, port: int) -> bytes:
    """Return the answer to a request's head. Pure."""
    first, *lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = first.split(" ")
    hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
    if len(words) != 3 or not words[1].startswith("/") or not words[1].isascii() or not words[1].isprintable():
        return _answer("400 Bad Request", "")
    if len(hosts) != 1 or not known.knows(hosts[0]):
        return _answer("421 Misdirected Request", "")
    host = without_port(hosts[0])
    name = f"[{host}]" if ":" in host else host
    return _answer("308 Permanent Redirect", f"https://{name}{'' if port == 443 else f':{port}'}{words[1]}")


def _answer(status: str, location: str) -> bytes:
    where = f"Location: {location}\r\n" if location else ""
    return f"HTTP/1.1 {status}\r\n{where}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
