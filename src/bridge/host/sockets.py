"""Listening sockets and the options of accepted ones."""

import socket
import struct

# A peer whose cable was pulled is noticed after `keepalive_s` of silence and three questions, a third of that time
# apart; after 60 s with data under way.
_QUESTIONS = 3
_UNACKED_MS = 60_000
# Bytes the kernel may keep per connection for a peer that does not read; its own default grows to 4 MB.
_SEND_BUFFER_BYTES = 262_144
_BACKLOG = 512
# struct linger: on, 0 s. Closing sends RST: a refused client learns it at once, and we keep no TIME_WAIT.
_LINGER_RST = struct.pack("ii", 1, 0)
ANY_V6 = "::"


def listening(host: str, port: int) -> socket.socket:
    """TCP; `host` "::" takes IPv4 too. Raises: OSError."""
    sock = bound(socket.SOCK_STREAM, host, port)
    sock.listen(_BACKLOG)
    return sock


def bound(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """`host`: an address, or a name of this machine. Raises: OSError that names address and port."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, kind)
    try:
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != ANY_V6)
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError as exc:
        sock.close()
        raise OSError(exc.errno, f"{host} port {port}: {exc.strerror}") from exc
    return sock


def prepare(sock: socket.socket, keepalive_s: int) -> None:
    """An accepted connection: no delay, and the dead are noticed. Raises: OSError if it was reset already."""
    options = (
        (socket.TCP_KEEPIDLE, keepalive_s),
        (socket.TCP_KEEPINTVL, max(keepalive_s // _QUESTIONS, 1)),
        (socket.TCP_KEEPCNT, _QUESTIONS),
    )
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in options:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKED_MS)


def refuse(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RST)
    sock.close()
