"""
What the core and a worker say to each other, as bytes.

One frame: length (4 bytes, big-endian, of what follows) | MessagePack array [tag, field, field, ...]

The frames know nothing of their carrier. Within one version a change of any field, tag or order is a
change of WIRE_VERSION (tests/unit/workers/test_wire.py holds the golden bytes). Versions can differ on one
machine: after an upgrade of the package under a running core, the next restarted worker is the new one.
A new tag that only travels to or from a worker with a new grant changes nothing for the others, and is no new version.
"""

import msgspec

from bridge.core.alarm import Alarm
from bridge.core.client import Census
from bridge.core.command import Command, CommandResult, Origin
from bridge.core.errors import RawFailure
from bridge.core.event import Event
from bridge.core.history import HistoryPage, RecordPage
from bridge.core.login import LoginResult
from bridge.core.point import Batch, DeviceDef, PointDef

WIRE_VERSION = 3
# Bytes; core to worker, which trusts it. The largest is the Hello: the Modbus plan of 80,000 points is 3.5 MB.
TO_WORKER_LIMIT = 1 << 25
# Bytes; worker to core. The largest is a Health with 48 counters, 2 kB; a worker is not trusted with more.
TO_CORE_LIMIT = 1 << 14
# Points per Definitions, Snapshot or catch-up frame: 25 to 42 kB; 0.12 ms of CPU to make, 0.14 ms to read.
CHUNK_POINTS = 1000
# Alarms per frame: some 150 bytes each.
CHUNK_ALARMS = 200
# Commands and raw requests under way per worker: 32 gateway clients with two each.
REQUESTS_KEPT = 64
# Bytes of a tunnel under way in each direction that the other side has not taken yet: 4 s of a line at 9600 baud.
TUNNEL_WINDOW = 4096
# Bytes in one tunnel frame.
TUNNEL_CHUNK = 512


class Frame(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """Base of all frames."""


class Hello(Frame, frozen=True, tag=1):
    """
    First frame. `plan`: the projection's resolved mapping, MessagePack (secrets: never in argv). `state_dir`: its own
    folder.
    """

    version: int
    name: str
    plan: bytes
    state_dir: str


class Definitions(Frame, frozen=True, tag=2):
    """Part of the worker's points and devices, which are complete when `remaining` (points and devices) is 0."""

    remaining: int
    points: list[PointDef]
    devices: list[DeviceDef]


class Snapshot(Frame, frozen=True, tag=3):
    """Part of the whole image; complete when `remaining` is 0."""

    remaining: int
    samples: Batch


class Changes(Frame, frozen=True, tag=4):
    """Newer samples. May name points the worker does not know: the bytes are shared by all workers."""

    samples: Batch


class EventFrame(Frame, frozen=True, tag=5):
    event: Event


class EventsLost(Frame, frozen=True, tag=6):
    """Events `first` to `last` were dropped because the worker did not read."""

    first: int
    last: int


class CommandDone(Frame, frozen=True, tag=7):
    id: int
    result: CommandResult


class RawDone(Frame, frozen=True, tag=8):
    """`reply`: the reply PDU, empty unless `failure` is NONE. `message`: what a person should know of the failure."""

    id: int
    reply: bytes
    failure: RawFailure
    message: str


class Ping(Frame, frozen=True, tag=9):
    """Every second; also the proof for the worker that the core's loop turns."""

    number: int


class Stop(Frame, frozen=True, tag=10):
    """Say goodbye to your clients and exit 0."""


class TunnelTaken(Frame, frozen=True, tag=11):
    """`count` more bytes may come. The first one says that the tunnel is open: there is room for TUNNEL_WINDOW."""

    id: int
    count: int


class TunnelBytes(Frame, frozen=True, tag=12):
    """What came on the line."""

    id: int
    data: bytes


class TunnelOver(Frame, frozen=True, tag=13):
    """The tunnel has ended, or never began."""

    id: int
    failure: RawFailure
    message: str


class Alarms(Frame, frozen=True, tag=14):
    """Alarms that are new or changed; at the beginning all that are kept. Only to who was granted ALARMS."""

    alarms: list[Alarm]


class LoginDone(Frame, frozen=True, tag=15):
    id: int
    result: LoginResult


class CoreAnswer(Frame, frozen=True, tag=16):
    """`body`: JSON. `refused`: why there is none, else empty."""

    id: int
    body: bytes
    refused: str


class HistoryDone(Frame, frozen=True, tag=17):
    id: int
    page: HistoryPage


class RecordsDone(Frame, frozen=True, tag=18):
    id: int
    page: RecordPage


class CensusWanted(Frame, frozen=True, tag=19):
    """Who are your clients? Asked only when a person looks."""

    id: int


class Ready(Frame, frozen=True, tag=20):
    """The listener answers."""

    version: int
    pid: int


class Health(Frame, frozen=True, tag=21):
    """Answer to Ping. `counters`: at most 48, names of at most 32 characters."""

    number: int
    counters: dict[str, int]


class CommandRequest(Frame, frozen=True, tag=22):
    id: int
    command: Command


class RawRequest(Frame, frozen=True, tag=23):
    """
    One exchange on a channel. `user`: fairness key. `pdu`: the request. `deadline_ns`: CLOCK_MONOTONIC. `timeout_s`:
    for the device, 0 = its own. `identity`: what the client has proved to be.
    """

    id: int
    channel: str
    user: str
    unit_id: int
    pdu: bytes
    deadline_ns: int
    timeout_s: float
    identity: str


class TunnelOpen(Frame, frozen=True, tag=24):
    """Have the line of a channel for oneself until TunnelEnd, or until nothing was sent for `idle_s`."""

    id: int
    channel: str
    user: str
    idle_s: float


class TunnelSend(Frame, frozen=True, tag=25):
    """Bytes for the line, at most TUNNEL_CHUNK, never more in all than were granted."""

    id: int
    data: bytes


class TunnelRead(Frame, frozen=True, tag=26):
    """`count` more bytes of the line have been taken from the link."""

    id: int
    count: int


class TunnelEnd(Frame, frozen=True, tag=27):
    """Nothing more is wanted; answered by TunnelOver."""

    id: int


class Acknowledge(Frame, frozen=True, tag=28):
    """Answered by CommandDone, in one sequence of ids with CommandRequest. Needs the grants ALARMS and COMMANDS."""

    id: int
    alarm: int
    origin: Origin
    deadline_ns: int


class Confirm(Frame, frozen=True, tag=33):
    """As Acknowledge: that somebody has dealt with an alarm."""

    id: int
    alarm: int
    origin: Origin
    deadline_ns: int


class WriteRefused(Frame, frozen=True, tag=29):
    """The server refused a write by itself; `times`: so often since the last word of the same. No answer."""

    origin: Origin
    target: str
    reason: str
    times: int


class LoginRequest(Frame, frozen=True, tag=30):
    """One try to log in. `password`: UTF-8; this frame is never logged. `deadline_ns`: CLOCK_MONOTONIC."""

    id: int
    peer: str
    user: str
    password: bytes
    deadline_ns: int

    def __repr__(self) -> str:
        return f"LoginRequest(id={self.id}, peer={self.peer!r}, user={self.user!r}, password=***)"


class CoreRequest(Frame, frozen=True, tag=31):
    """A question about the bridge itself. Needs the grant OPERATIONS. `deadline_ns`: CLOCK_MONOTONIC."""

    id: int
    what: str
    arguments: dict[str, str]
    deadline_ns: int


class HistoryRequest(Frame, frozen=True, tag=32):
    """
    Rows of one point, or with `index` -1 events after the number `after`. Needs the grant HISTORY, for events EVENTS
    besides.
    """

    id: int
    index: int
    after: int
    before: int
    most: int


class RecordsRequest(Frame, frozen=True, tag=34):
    """Rows of one point by number, see HistoryPort.records. Needs the grant HISTORY."""

    id: int
    index: int
    first: int
    most: int
    since_ns: int | None


class Notice(Frame, frozen=True, tag=40):
    """
    Why this server serves, or (`fault`) keeps its port closed; each replaces the one before. Needs the grant NOTICES.
    No answer.
    """

    text: str
    fault: bool


class CensusTaken(Frame, frozen=True, tag=35):
    """Answer to CensusWanted."""

    id: int
    census: Census


class OrderRequest(Frame, frozen=True, tag=36):
    """
    Something to be done to the bridge itself, answered by CoreAnswer in one sequence of ids with CoreRequest. Needs
    the grant ORDERS. `arguments` may hold a password: this frame is never logged. `deadline_ns`: CLOCK_MONOTONIC.
    """

    id: int
    what: str
    arguments: dict[str, str]
    origin: Origin
    deadline_ns: int

    def __repr__(self) -> str:
        return f"OrderRequest(id={self.id}, what={self.what!r}, arguments=***, origin={self.origin!r})"


ToWorker = (
    Hello
    | Definitions
    | Snapshot
    | Changes
    | EventFrame
    | EventsLost
    | CommandDone
    | RawDone
    | Ping
    | Stop
    | TunnelTaken
    | TunnelBytes
    | TunnelOver
    | Alarms
    | LoginDone
    | CoreAnswer
    | HistoryDone
    | RecordsDone
    | CensusWanted
)
TunnelFrame = TunnelOpen | TunnelSend | TunnelRead | TunnelEnd
Asking = (
    CommandRequest
    | RawRequest
    | Acknowledge
    | Confirm
    | WriteRefused
    | LoginRequest
    | CoreRequest
    | HistoryRequest
    | RecordsRequest
    | Notice
    | OrderRequest
)
Answering = Ready | Health | CensusTaken
ToCore = Answering | TunnelFrame | Asking
