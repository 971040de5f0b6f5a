"""What a user may set of a listener, the same keys for every protocol; the guard enforces them."""

from typing import Annotated

import msgspec

# Network port; 0 asks the kernel for a free one (tests only).
PortNumber = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400)]


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    PEM files. `client_ca`: only clients with a certificate of this authority may connect. `client_crl`: its list of
    certificates that count no more; taken over within a second when it changes, and then everybody connects anew.
    """

    certificate: str
    key: str
    client_ca: str = ""
    client_crl: str = ""


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    `networks`: allow-list in CIDR notation; empty = whoever reaches `bind`. `max_clients`: connections at once, one
    more is refused within a second. `max_per_address`: of them from one address, 0 = no limit of its own.
    `first_message_s`: a connection that says nothing whole until then is closed; `idle_s`: so is one that falls silent.
    `keepalive_s`: silence on a TCP connection after which the system asks whether the peer is still there.
    `peer_rate`: datagrams a second from one peer, for UDP. `byte_rate`: bytes a second of one connection on average;
    who sends more waits in his socket.
    """

    port: PortNumber
    bind: str = "127.0.0.1"
    networks: tuple[str, ...] = ()
    max_clients: Count = 32
    max_per_address: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    first_message_s: Seconds = 10.0
    idle_s: Seconds = 60.0
    keepalive_s: Annotated[int, msgspec.Meta(ge=1, le=7200)] = 30
    peer_rate: Count = 2000
    byte_rate: Annotated[int, msgspec.Meta(ge=1000, le=1_000_000_000)] = 8_000_000
    tls: Tls | None = None
