"""The worker's own questions to its own listeners: never refused, and they take nobody's seat or share."""

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterator


class OwnVisits:
    """
    Loop thread only. While a probe is under way a peer that is a socket of this very process is let through: else a
    full listener, or one that only admits a far network, would look dead to its own probe and be restarted.
    """

    def __init__(self) -> None:
        self._under_way = 0

    @contextlib.contextmanager
    def visiting(self) -> Iterator[None]:
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def may_be_ours(self, host: str, listening_at: str) -> bool:
        """Whether a message of `host` may be our own question: cheap, and not sure."""
        return bool(self._under_way) and (host == listening_at or _is_loopback(host))

    def is_ours(self, host: str, port: int, listening_at: str) -> bool:
        """Whether the peer `host`:`port` of a listener at the address `listening_at` is ourselves."""
        if not self.may_be_ours(host, listening_at):
            return False
        names = (host, host.removeprefix("::ffff:"), "0.0.0.0", "::")
        return any(name[1] == port and name[0] in names for name in _own_names())


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _own_names() -> Iterator[tuple[str, int]]:
    """Addresses of the IP sockets of this process; 5 us each."""
    try:
        entries = os.listdir("/proc/self/fd")
    except OSError:
        # no descriptor left to look with
        return
    for entry in entries:
        name = _name_of(int(entry))
        if isinstance(name, tuple):
            yield str(name[0]), int(name[1])


def _name_of(descriptor: int) -> object:
    try:
        copy = os.dup(descriptor)
    except OSError:
        return None
    try:
        sock = socket.socket(fileno=copy)
    except OSError:
        # no socket: then the copy is still ours
        os.close(copy)
        return None
    with sock:
        return sock.getsockname()
