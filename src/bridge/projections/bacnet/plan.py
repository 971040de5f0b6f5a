"""
The resolved object list that travels to the worker: every object id, name and unit is final.

Points of one device stand together, in the order of the views. Columns are packed: 80,000 points travel in one frame.
"""

import enum
from array import array
from collections.abc import Iterable

import msgspec

from bridge.core.listener import Listener

# Largest instance of an object; 4194303 means "not initialised" (clause 21, BACnetObjectIdentifier).
MAX_INSTANCE = 4_194_302
# Names of a device and of the host are one (requirement B-06).
MAX_DEVICE_NAME = 49


class ObjectType(enum.IntEnum):
    """Clause 21, BACnetObjectType: the types a point can be."""

    ANALOG_INPUT = 0
    ANALOG_OUTPUT = 1
    BINARY_INPUT = 3
    BINARY_OUTPUT = 4
    MULTI_STATE_INPUT = 13
    MULTI_STATE_OUTPUT = 14
    MULTI_STATE_VALUE = 19
    ACCUMULATOR = 23
    CHARACTERSTRING_VALUE = 40
    DATETIME_VALUE = 44
    LARGE_ANALOG_VALUE = 46

    @property
    def word(self) -> str:
        """The name in a mapping and in the ledger."""
        return self.name.lower().replace("_", "-")


DEVICE, NOTIFICATION_CLASS, TREND_LOG, STRUCTURED_VIEW, NETWORK_PORT = 8, 15, 20, 29, 56
REALS = frozenset({ObjectType.ANALOG_INPUT, ObjectType.ANALOG_OUTPUT})
BINARIES = frozenset({ObjectType.BINARY_INPUT, ObjectType.BINARY_OUTPUT})
MULTI_STATES = frozenset({ObjectType.MULTI_STATE_INPUT, ObjectType.MULTI_STATE_OUTPUT, ObjectType.MULTI_STATE_VALUE})
# Types with a priority array.
COMMANDABLE = frozenset({ObjectType.ANALOG_OUTPUT, ObjectType.BINARY_OUTPUT, ObjectType.MULTI_STATE_OUTPUT})


class Layout(enum.Enum):
    """ONE_DEVICE: every point in one device. DEVICE_PER_METER: a virtual device for each, behind a router."""

    ONE_DEVICE = "one-device"
    DEVICE_PER_METER = "device-per-meter"


class Mode(enum.Enum):
    """NORMAL: a member of its subnet. FOREIGN: registers with a BBMD elsewhere. BBMD: is one (Annex J)."""

    NORMAL = "normal"
    FOREIGN = "foreign"
    BBMD = "bbmd"


class Intrinsic(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    What the alarm service watches at the points of a shape, as properties of intrinsic reporting (clause 13.3), in the
    unit shown. `told_by`: Notification Class. `is_fault`: the object stands for its whole meter, whose silence is told
    as to-fault. `states`: numbers of a multi-state or binary value. Delays in seconds.
    """

    told_by: int
    is_fault: bool = False
    high: float | None = None
    low: float | None = None
    deadband: float = 0.0
    states: tuple[int, ...] = ()
    delay_s: int = 0
    delay_normal_s: int = 0


class Shape(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    What the same point of many meters shares.

    `units`: clause 21, BACnetEngineeringUnits, -1 = the type has none. `factor`: present value = value * factor.
    `texts` and `codes`: the raw code of each state; inactive first for a binary. `resolution`: an accumulator counts
    10**resolution of `units`. `maximum`: its Max_Pres_Value. `increment`: COV increment. `low`, `high`: what may be
    written.
    """

    object_type: ObjectType
    description: str
    units: int = -1
    factor: float = 1.0
    texts: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    resolution: int = 0
    maximum: int = 0
    increment: float = 0.0
    writable: bool = False
    low: float | None = None
    high: float | None = None
    event: Intrinsic | None = None


class Trend(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    One Trend Log: what the bridge records of the point at `position`. `interval`: hundredths of a second, 0 = on
    change. `size`: records kept at most.
    """

    position: int
    instance: int
    interval: int
    size: int


class View(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    One meter: `count` points from position `first`. `instance`: of its Structured View, or of its virtual device,
    whose address on the virtual network is `mac`. `bearer`: position of the point that shows alarms of the whole meter.
    """

    device: str
    description: str
    instance: int
    first: int
    count: int
    bearer: int
    mac: int = 0


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The Device object. `revision`: Database_Revision, of the virtual devices too."""

    instance: int
    name: str
    description: str
    location: str
    vendor_id: int
    vendor: str
    model: str
    revision: int


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    `broadcast`: address of local broadcasts, "" = none are sent or heard. `bbmd`, `bbmd_port`, `ttl_s`: where a foreign
    device registers and for how long. `peers`: address:port of the other BBMDs. `most_foreign`: registrations a BBMD
    takes. `number`: of the network the router is on; `virtual_number`: of the meters behind it.
    """

    mode: Mode = Mode.NORMAL
    prefix: int = 24
    broadcast: str = ""
    bbmd: str = ""
    bbmd_port: int = 47808
    ttl_s: int = 60
    peers: tuple[str, ...] = ()
    most_foreign: int = 32
    number: int = 0
    virtual_number: int = 0


class CovSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Caps on subscriptions; seconds."""

    total: int = 200
    per_peer: int = 16
    lifetime_s: int = 86_400
    timeout_s: float = 3.0
    retries: int = 3


class AlarmRecipient(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """Who is told of alarms. `classes`: names of the Notification Classes."""

    host: str
    port: int
    process: int
    confirmed: bool
    classes: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    By position: `indexes` of the points, their `object_ids` (type << 22 | instance) and `shapes`, each packed as
    little-endian u32. `names`: object names that are not the id of the point, by position. `password`: of
    DeviceCommunicationControl and ReinitializeDevice, "" = both refused.
    """

    listener: Listener
    identity: Identity
    network: Network
    cov: CovSettings
    layout: Layout
    shapes: tuple[Shape, ...]
    views: tuple[View, ...]
    indexes: bytes
    object_ids: bytes
    shape_of: bytes
    names: dict[int, str]
    trends: tuple[Trend, ...] = ()
    recipients: tuple[AlarmRecipient, ...] = ()
    password: str = ""
    write_timeout_s: float = 5.0


def pack(numbers: Iterable[int]) -> bytes:
    """Return a column."""
    return array("I", numbers).tobytes()


def unpack(column: bytes) -> "array[int]":
    """Return the numbers of a column. One machine writes and reads it: native order."""
    numbers = array("I")
    numbers.frombytes(column)
    return numbers
