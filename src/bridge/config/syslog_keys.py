"""What `services.syslog` of site.yaml may say."""

import enum
from typing import Annotated

import msgspec


class Carrier(enum.Enum):
    """How messages travel: RFC 5426, RFC 6587, RFC 5425."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class SyslogKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    Where events are sent as RFC 5424 messages. `host`: IPv4, IPv6 or name. `port`: 514, with TLS 6514. `facility`: 16
    is local0. `hostname`: as whom the bridge speaks, the site's name if left out. `ca`: file of certificates the
    server's must descend from, beside site.yaml; with TLS only. `server_name`: in its certificate, if not `host`.
    """

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    carrier: Carrier = Carrier.UDP
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    facility: Annotated[int, msgspec.Meta(ge=0, le=23)] = 16
    hostname: str = ""
    ca: str = ""
    server_name: str = ""
