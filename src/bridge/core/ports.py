"""The narrow interfaces the outer packages may know (and nothing more)."""

import enum
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import msgspec

from bridge.core.alarm import AlarmPort, NoAlarms, Watched
from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Origin
from bridge.core.errors import RawFailure
from bridge.core.event import Event
from bridge.core.history import HistoryPort, NoHistory, Recorded
from bridge.core.listener import Listener
from bridge.core.login import WRONG, LoginResult
from bridge.core.operations import NoOperations, OperationsPort
from bridge.core.point import Batch, DeviceDef, PointDef, Sample
from bridge.core.secret import Secret
from bridge.core.serial import Serial


class PointReader(Protocol):
    """The point table, read-only: the store in the core, a replica in a worker. Loop thread only."""

    def devices(self) -> Sequence[DeviceDef]: ...
    def defs(self) -> Sequence[PointDef]: ...
    def definition(self, index: int) -> PointDef:
        """Raises: KeyError for a point that is not there (in a worker: not declared in its Needs)."""
        ...

    def get(self, index: int) -> Sample:
        """Raises: KeyError as `definition`."""
        ...

    def subscribe(self, indexes: Sequence[int], deliver: Callable[[Batch], None]) -> Callable[[], None]:
        """Hear of every change of value or quality; returns the function that ends it."""
        ...


class PointWriter(Protocol):
    """Where samples go: the store, or a service in front of it (accumulators)."""

    def publish(self, batch: Sequence[tuple[int, Sample]]) -> None: ...


class CommandPort(Protocol):
    async def submit(self, command: Command) -> CommandResult:
        """Never raises for a refusal; returns TIMED_OUT at the command's deadline at the latest."""
        ...


class Authenticator(Protocol):
    async def login(self, peer: str, user: str, password: Secret) -> LoginResult:
        """
        Check a password of the bridge's users, some 50 ms; needs Grant.LOGINS. `peer`: the client's address.

        Never raises for a refusal. Wrong tries are counted per protocol and peer, the record is kept by the core.
        """
        ...


class RefusalSink(Protocol):
    def refused(self, origin: Origin, target: str, reason: str) -> None:
        """
        Have a write recorded that the server refused by itself, because its mapping offers nothing to write there.

        `target`: the point or, in the words of the protocol, the item. May be called as often as strangers like.
        """
        ...


class NoticeSink(Protocol):
    def tell(self, text: str, fault: bool) -> None:
        """
        Make an event of why this server serves now, or (`fault`) keeps its port closed, which is an alarm besides.

        Each replaces the one before. Needs the grant NOTICES.
        """
        ...


class EventStream(Protocol):
    def subscribe(self, deliver: Callable[[Event], None], lost: Callable[[int, int], None]) -> Callable[[], None]:
        """`lost(first, last)`: the numbers of events that came too fast for this reader."""
        ...


class Tunnel(Protocol):
    """The raw bytes of a line, which nobody else may use meanwhile."""

    async def send(self, data: bytes) -> None:
        """Return when there is room for more. Raises: RawRefused when the tunnel has ended."""
        ...

    async def ended(self) -> RawFailure:
        """Return why the tunnel has ended by itself (the line is gone, nothing was sent for too long), when it has."""
        ...


class Tunnels(Protocol):
    def tunnel(
        self, channel: str, user: str, received: Callable[[bytes], None], idle_s: float
    ) -> AbstractAsyncContextManager[Tunnel]:
        """
        Have the serial line of `channel` for oneself: polling pauses, everybody else is told that it is busy.

        `received` is called with what the devices send. Ends after `idle_s` without `send`. Raises: RawRefused.
        """
        ...


class RawLinePort(Tunnels, Protocol):
    async def exchange(
        self,
        channel: str,
        user: str,
        unit_id: int,
        pdu: bytes,
        deadline_ns: int,
        timeout_s: float = 0.0,
        identity: str = "",
    ) -> bytes:
        """
        Send one Modbus PDU to `unit_id` on `channel`; return the reply PDU (a device's exception included, b"" after
        a broadcast). `user` is the fairness key (one per TCP client). `deadline_ns`: CLOCK_MONOTONIC, the wait for the
        line included. `timeout_s`: how long the device may take, 0 = its own time-out, or the channel's. `identity`:
        what the client has proved to be, for the policy and the audit; "" = nothing.

        Raises: RawRefused.
        """
        ...


class Listening(Protocol):
    """An open listener."""

    @property
    def port(self) -> int:
        """The port it is bound to."""
        ...

    def close(self) -> None:
        """Stop listening and drop the connections."""
        ...


class Relaying(Listening, Protocol):
    """An open listener in front of a library's own socket."""

    def client_of(self, port: int) -> str:
        """The client's address, by the port from which the library sees it come; "" if it is gone."""
        ...


class Watch(Protocol):
    """Looks on at one relayed connection, without TLS; changes nothing and must not raise."""

    def asked(self, data: bytes) -> None:
        """What the client sends, as it comes."""
        ...

    def answered(self, data: bytes) -> None: ...


class Listeners(Protocol):
    """The only way a worker opens a port: behind the guard (allow-list, caps, deadlines, TLS, peer rate)."""

    async def stream(self, make: Callable[[], object], listener: Listener) -> Listening:
        """
        Serve TCP; `make` returns an asyncio.Protocol per accepted connection. Raises: OSError.

        `first_message_s` runs until the protocol calls `transport.get_extra_info("alive")()`, `idle_s` from each call
        on: the protocol calls it when a whole valid message has come, so that half messages keep nobody in. Only from
        the first call on does a connection count against `max_clients`. False: no seat for it, answer nothing.
        """
        ...

    async def datagram(self, make: Callable[[], object], listener: Listener) -> Listening:
        """Serve UDP; `make` returns the asyncio.DatagramProtocol. Raises: OSError."""
        ...

    async def serial(self, make: Callable[[], object], line: Serial) -> None:
        """
        Serve a serial port of the worker's own until cancelled; `make` returns an asyncio.Protocol each time the port
        is opened. A port that cannot be opened, or was pulled, is tried again. `peername`: its path and 0.
        """
        ...

    async def relay(
        self,
        listener: Listener,
        host: str,
        port: int,
        is_whole: Callable[[bytes], bool] = ...,
        watch: "Callable[[str], Watch] | None" = None,
    ) -> Relaying:
        """
        Serve TCP for a library that owns its socket: relay accepted connections to `host`:`port` on loopback.

        The library hears of a connection when `is_whole(bytes so far)` is true (default: with the first byte);
        ValueError from it ends the connection. Something more must follow within `first_message_s`. `watch` makes who
        looks on at a connection, by the client's address. Raises: OSError.
        """
        ...


class Grant(enum.Flag):
    """What a projection may ask of the core beyond reading its points. Nothing unless declared."""

    NOTHING = 0
    EVENTS = enum.auto()
    COMMANDS = enum.auto()
    RAW_LINES = enum.auto()
    HISTORY = enum.auto()
    TUNNELS = enum.auto()
    # see alarms; to acknowledge them needs COMMANDS besides
    ALARMS = enum.auto()
    # read-only questions about the bridge itself
    OPERATIONS = enum.auto()
    LOGINS = enum.auto()
    # to say why it serves, or not
    NOTICES = enum.auto()
    # have something done to the bridge itself, as far as the user's role goes
    ORDERS = enum.auto()


@dataclass(frozen=True, slots=True)
class Needs:
    """
    Declared by a projection's pure `mapping.project`, granted and enforced by the core.

    `points`: indexes; their definitions and samples are the only ones the worker gets to hold. `tunnels`: channels
    whose raw bytes it may have.
    """

    points: frozenset[int]
    grants: Grant = Grant.NOTHING
    tunnels: frozenset[str] = frozenset()


class Transport(enum.Enum):
    """What a listener listens on."""

    TCP = "tcp"
    UDP = "udp"


class Numbers(Protocol):
    """The numbering ledger: public numbers that no edit of the mapping ever moves or reuses."""

    def take(self, space: str, key: str, first: int = 1, size: int = 1, pin: int | None = None) -> int:
        """
        Return the number of `key` in `space`, a new one if it has none: `size` consecutive numbers from `first` up.

        `pin`: the number the user wants. Raises: ValueError for a pin that belongs, or belonged, to another key.
        """
        ...

    def revision(self, space: str) -> int:
        """Return a number that moves whenever the numbers taken in `space` are others than at the last start."""
        ...


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """
    One channel of the site, as the gateways need it. `kind`: rtu, tcp, rtu-over-tcp. `gateway_port`: a TCP port for
    this line alone, 0 = none. `ethergate`: whether raw bytes may reach the line. `serial_port`: path, "" = none.
    """

    kind: str
    gateway_port: int = 0
    ethergate: bool = False
    serial_port: str = ""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """
    What a projection is made of: every point, device and channel of the site; channels that are off are absent.
    `recorded`: by index, the points the history keeps rows of; `watched`: by index, those that can be in alarm;
    `lossy`: by device, the priority of the alarm that it does not answer.
    """

    name: str
    points: Sequence[PointDef]
    devices: Sequence[DeviceDef]
    channels: Mapping[str, ChannelFacts] = field(default_factory=dict)
    recorded: Mapping[int, Recorded] = field(default_factory=dict)
    watched: Mapping[int, Watched] = field(default_factory=dict)
    lossy: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional part of the installation: `name` as in meterbridge[name], and the `module` it brings."""

    name: str
    module: str


@dataclass(frozen=True, slots=True)
class Projected:
    """
    The result of `mapping.project`. `plan`: all the worker needs, with every number resolved. `listeners`: what it
    will open, the main one first, so that the core can name the owner of a port that two want. `transport`: of them.
    `facts`: what a client must know besides address and port (device_id, community, url). `tries`: client commands
    for a person, with {host} and {port} of the main listener. `extra`: what the server cannot run without; the core
    looks for it before it starts the worker, and everything else runs without.
    """

    plan: msgspec.Struct
    needs: Needs
    listeners: tuple[Listener, ...]
    transport: Transport = Transport.TCP
    facts: Mapping[str, str | int] = field(default_factory=dict)
    tries: tuple[str, ...] = ()
    extra: Extra | None = None


class ProjectionMapping(Protocol):
    """
    The module `bridge.projections.<name>.mapping`: pure, imports no protocol library.

    `Mapping` is the user's YAML file; `Plan` travels to the worker in the first frame.
    """

    Mapping: type[msgspec.Struct]
    Plan: type[msgspec.Struct]

    def project(self, mapping: msgspec.Struct, site: SiteFacts, numbers: Numbers) -> Projected:
        """Raises: ProjectionError with the path inside the mapping."""
        ...


@dataclass(frozen=True, slots=True)
class ProjectionContext:
    """
    All that a projection may touch. `ready` is called once, when its listener answers. `counters`: at most 32 names of
    at most 32 characters, shown in health, metrics and web pages. `state_dir`: a folder of its own that survives
    restarts.
    """

    plan: msgspec.Struct
    points: PointReader
    commands: CommandPort
    events: EventStream
    lines: RawLinePort
    listeners: Listeners
    clock: Clock
    state_dir: str
    counters: dict[str, int]
    ready: Callable[[], None]
    alarms: AlarmPort = field(default_factory=NoAlarms)
    history: HistoryPort = field(default_factory=NoHistory)
    logins: Authenticator = field(default_factory=lambda: Nobody())
    refusals: RefusalSink = field(default_factory=lambda: Nobody())
    notices: NoticeSink = field(default_factory=lambda: Nobody())
    operations: OperationsPort = field(default_factory=NoOperations)


class Nobody:
    """Authenticator, RefusalSink and NoticeSink where there is no core: nobody is let in, nothing is recorded."""

    async def login(self, peer: str, user: str, password: Secret) -> LoginResult:
        del peer, user, password
        return WRONG

    def refused(self, origin: Origin, target: str, reason: str) -> None:
        """Forget it."""

    def tell(self, text: str, fault: bool) -> None:
        """Forget it."""


class Projection(Protocol):
    """The class PROJECTION of `bridge.projections.<name>.server`."""

    Plan: ClassVar[type[msgspec.Struct]]

    async def run(self, ctx: ProjectionContext) -> None:
        """Serve until cancelled."""
        ...

    async def probe(self) -> None:
        """Ask the own listener a real question as a client would. Raises: whatever goes wrong."""
        ...
