"""What mappings/<site>/site.yaml may say (CONFIG.md, docs/configuration.md)."""

from typing import Annotated, Literal

import msgspec

from bridge.config.access import AccessFile
from bridge.config.meter import NominalFile, PollClass, WordOrder
from bridge.config.services import ServicesFile
from bridge.core.point import Wiring

Period = Annotated[str, msgspec.Meta(description="a time such as 500ms, 2s, 1m or 1h")]
UnitId = Annotated[int, msgspec.Meta(ge=1, le=247)]
# primary over secondary of a transformer; beyond these bounds none is built
Ratio = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: unknown keys are mistakes."""


class GatewayKey(_Strict, frozen=True):
    """Modbus TCP gateway of a serial line; its details are the gateway's own mapping file."""

    tcp: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 502


class RtuChannel(_Strict, frozen=True, tag="rtu", tag_field="kind"):
    """A serial line. `framing`: data bits, parity, stop bits. `off: true` leaves the port closed."""

    port: str
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    framing: Literal["8N1", "8N2", "8E1", "8E2", "8O1", "8O2"] = "8N1"
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=15)] | None = None
    transmit_delay_s: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    echo: bool = False
    wake: Literal["count", "chunk"] = "count"
    latency_s: Annotated[float, msgspec.Meta(ge=0, le=0.2)] = 0.02
    # functions that may be broadcast on this line
    broadcast: tuple[Literal[5, 6, 15, 16], ...] = (16,)
    off: bool = False
    gateway: GatewayKey | None = None
    ethergate: bool = False


class TcpChannel(_Strict, frozen=True, tag="tcp", tag_field="kind"):
    """Modbus TCP to one host: IPv4, IPv6 (plain or in brackets) or name."""

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 502
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=15)] | None = None
    connect_timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=30)] = 3.0
    # requests under way at once on the one connection
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    off: bool = False


class RtuOverTcpChannel(_Strict, frozen=True, tag="rtu-over-tcp", tag_field="kind"):
    """RTU frames through a serial device server."""

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=15)] | None = None
    connect_timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=30)] = 3.0
    broadcast: tuple[Literal[5, 6, 15, 16], ...] = (16,)
    off: bool = False


Channel = RtuChannel | TcpChannel | RtuOverTcpChannel


class Device(_Strict, frozen=True):
    """
    One meter. `poll`: periods of this device by class, e.g. {fast: 1s}. `invert`: measuring circuits whose CT is
    mounted backwards. `only`, `skip`: point name patterns. `ct_ratio`, `pt_ratio`: for a meter that reports secondary
    values, applied once. `was`: the id this device had before; it keeps its numbers.
    """

    meter: str
    channel: str
    unit: Annotated[int, msgspec.Meta(ge=1, le=248)] = 1
    model: str | None = None
    mid: bool | None = None
    label: str = ""
    labels: dict[str, str] = {}
    poll: dict[PollClass, Period] = {}
    wiring: Wiring | None = None
    nominal: NominalFile | None = None
    word_order: WordOrder | None = None
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=15)] | None = None
    request_delay_s: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] | None = None
    invert: tuple[Annotated[int, msgspec.Meta(ge=1, le=9)], ...] = ()
    ct_ratio: Ratio = 1.0
    pt_ratio: Ratio = 1.0
    was: str | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()


class SiteKey(_Strict, frozen=True):
    """`state_dir`: relative to the site file. `meters`: folders searched for meter files before the shipped library."""

    name: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,48}$",
            description="a name of at most 49 letters, digits, spaces and _.-, the first a letter or digit",
        ),
    ]
    state_dir: str = "var"
    meters: tuple[str, ...] = ()
    contact: str = ""
    location: str = ""


class SiteFile(_Strict, frozen=True):
    """
    site.yaml. `projections`: protocol -> file beside this one; absent = off.
    """

    site: SiteKey
    channels: dict[str, Channel]
    devices: dict[str, Device]
    poll: dict[PollClass, Period] = {}
    services: ServicesFile = ServicesFile()
    access: AccessFile = AccessFile()
    projections: dict[str, str] = {}
