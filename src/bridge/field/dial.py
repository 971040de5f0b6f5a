"""A TCP connection to a device: any notation of its address, names resolved anew each time, death noticed."""

import asyncio
import contextlib
import re
import socket

from bridge.core.clock import Clock

# s; between attempts to connect, doubled after each failure
FIRST_BACK_OFF_S, LAST_BACK_OFF_S = 0.2, 5.0
# addresses of one name that are tried, so that a hostile DNS answer costs no more than this
MAX_ADDRESSES = 4
# s, s, probes: a silent peer is asked whether it lives after 10 s and given up 9 s later
KEEP_ALIVE_IDLE_S, KEEP_ALIVE_INTERVAL_S, KEEP_ALIVE_PROBES = 10, 3, 3
# ms; data the peer's kernel does not acknowledge for so long mean that it is gone
USER_TIMEOUT_MS = 10_000

Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]

_BRACKETED = re.compile(r"\[(?P<host>[^\]]+)\](?::(?P<port>\d{1,5}))?")
_WITH_PORT = re.compile(r"(?P<host>[^:]+):(?P<port>\d{1,5})")


def endpoint(host: str, port: int) -> tuple[str, int]:
    """Return (host, port) of "10.0.0.7", "fe80::1", "[fe80::1]", "[fe80::1]:1502", "meter.lan" or "meter.lan:1502"."""
    found = _BRACKETED.fullmatch(host) or _WITH_PORT.fullmatch(host)
    if found is None:
        return host, port
    return found["host"], int(found["port"]) if found["port"] else port


class BackOff:
    """When the next attempt to connect is due: at once, then 0.2 s after a failure, then ever later up to 5 s."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic_ns
        self._delay_s = 0.0
        self._due_at = 0

    def wait_s(self) -> float:
        return max(0, self._due_at - self._now()) / 1e9

    def begins(self) -> None:
        """Say that an attempt begins; it counts as failed until `worked`, for some accept and hang up."""
        self._delay_s = min(max(FIRST_BACK_OFF_S, 2 * self._delay_s), LAST_BACK_OFF_S)
        self.failed()

    def failed(self) -> None:
        """Say that the attempt has just failed: the pause runs from now."""
        self._due_at = self._now() + round(self._delay_s * 1e9)

    def worked(self) -> None:
        """Say that the peer has answered: the next failure starts from the beginning."""
        self._delay_s = 0.0


async def dial(host: str, port: int, timeout_s: float) -> socket.socket:
    """Return a connected, non-blocking socket to the first address that answers. Raises: OSError within `timeout_s`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            found = (await _resolve(host, port))[:MAX_ADDRESSES]
    except TimeoutError as exc:
        raise OSError(f"no answer from the name service for {host!r} within {timeout_s} s") from exc
    failure = OSError(f"no address for {host!r}")
    for at, (family, address) in enumerate(found):
        # an address that swallows packets must leave time for the others
        share_s = max(0.0, deadline - loop.time()) / (len(found) - at)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(share_s):
                await loop.sock_connect(sock, address)
            _watch_over(sock)
        except TimeoutError:
            sock.close()
            failure = OSError(f"{address[0]} port {port}: no answer")
        except OSError as exc:
            sock.close()
            failure = OSError(exc.errno, f"{address[0]} port {port}: {exc.strerror}")
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, Address]]:
    with contextlib.suppress(socket.gaierror):
        # numbers need no name service and no thread
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [(family, address) for family, _, _, _, address in found]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _watch_over(sock: socket.socket) -> None:
    """Let the kernel find out that the peer is gone: the only evidence a silent unit behind a gateway does not give."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEP_ALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEP_ALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
