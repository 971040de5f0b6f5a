"""What the worker and the MIB are made of: every row and column with its final number."""

import enum

import msgspec

from bridge.core.listener import Listener
from bridge.projections.snmp.settings import Auth, Form, Hidden, Privacy

# below `enterprise_oid`: the module, and in it notifications, objects and conformance
MODULE_ARC = 1
NOTIFICATIONS_ARC, OBJECTS_ARC, CONFORMANCE_ARC = 0, 1, 2
# below the objects
GATEWAY_ARC, DEVICE_ARC, POINT_ARC, MEASURE_ARC, EVENT_ARC, ALARM_ARC = 1, 2, 3, 4, 5, 6

Oid = tuple[int, ...]


class Shape(enum.Enum):
    """How a typed column shows a value."""

    # Integer32, in steps of 10**power of the base unit
    SCALED = "scaled"
    # Counter64, whole base units (Wh, varh, VAh)
    COUNTER = "counter"
    # the exact decimal in the base unit, for what may fall (net energy)
    DECIMAL = "decimal"
    # enumerated INTEGER, or Integer32 where meters disagree about the codes
    STATE = "state"
    TEXT = "text"
    TIME = "time"


class Column(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """
    A typed column of the measure table. `arc` and `name` follow from the quantity alone: they are the same in every
    site. `names`: labels of an enumeration, empty where it is none.
    """

    arc: int
    name: str
    shape: Shape
    units: str
    description: str
    power: int = 0
    names: tuple[tuple[int, str], ...] = ()


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    A point: its row (device, number) of the point table, and where it stands in the measure table (0: nowhere).

    `scale`: power of ten of its Integer32 column.
    """

    index: int
    device: int
    number: int
    scale: int
    circuit: int
    column: int
    writable: bool = False


class DeviceRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`serial`, `firmware`: indexes of the points that state them; `status`: of its communication status. -1: none."""

    number: int
    id: str
    serial: int = -1
    firmware: int = -1
    status: int = -1


class Reader(Hidden, frozen=True, array_like=True):
    """A community (`secret`) or, with `auth`, a v3 user called `label`. `include`: empty = everything."""

    label: str
    secret: str
    may_write: bool
    include: tuple[Oid, ...] = ()
    exclude: tuple[Oid, ...] = ()
    networks: tuple[str, ...] = ()
    auth: Auth | None = None
    privacy: Privacy | None = None
    privacy_secret: str = ""


class Target(Hidden, frozen=True, array_like=True):
    """A station that is notified as `reader`."""

    host: str
    port: int
    reader: Reader
    form: Form
    buffer: int
    hold_s: float
    timeout_s: float
    retries: int


class TrapPlan(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`levels`: low, medium, high."""

    targets: tuple[Target, ...] = ()
    authentication: bool = True
    levels: tuple[bool, bool, bool] = (True, True, True)
    device_priority: int = 192
    authentication_s: float = 10.0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the worker needs."""

    listener: Listener
    enterprise: Oid
    description: str
    contact: str
    name: str
    location: str
    devices: tuple[DeviceRow, ...]
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    readers: tuple[Reader, ...] = ()
    traps: TrapPlan = TrapPlan()
    engine_id: str = ""
    max_message: int = 1472
    write_timeout_s: float = 5.0
