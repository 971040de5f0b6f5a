"""The keys of dnp3.yaml: masters, defaults by type, rules and overrides."""

import enum
from typing import Annotated

import msgspec

from bridge.core.listener import Listener, Seconds
from bridge.core.serial import Serial
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import MAX_MASTERS, Identity, Permit

# IEEE 1815-2012, 9.2.4: 0xFFF0 to 0xFFFF are reserved or broadcasts.
LinkAddress = Annotated[int, msgspec.Meta(ge=0, le=0xFFEF)]
EventClass = Annotated[int, msgspec.Meta(ge=0, le=3)]
Index = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
Variation = Annotated[int, msgspec.Meta(ge=0, le=255)]
Deadband = Annotated[float, msgspec.Meta(ge=0, le=1e30)]
Capacity = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Text = Annotated[str, msgspec.Meta(max_length=200)]


class Access(enum.Enum):
    """READ: every control is refused here. READ_WRITE: the policy of the bridge decides."""

    READ = "read"
    READ_WRITE = "read-write"


class ShowAs(enum.Enum):
    """Type a user may choose for a point."""

    BINARY_INPUT = PointType.BINARY_INPUT.value
    DOUBLE_BIT = PointType.DOUBLE_BIT.value
    BINARY_OUTPUT = PointType.BINARY_OUTPUT.value
    COUNTER = PointType.COUNTER.value
    ANALOG_INPUT = PointType.ANALOG_INPUT.value
    ANALOG_OUTPUT = PointType.ANALOG_OUTPUT.value
    OCTET_STRING = PointType.OCTET_STRING.value


class Companion(enum.Enum):
    """Whether an energy counter has a double (g30v6) of its value in the unit beside it."""

    DOUBLE = "double"
    NONE = "none"


class Choices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    What is left out is the default of the type. `deadband` in the unit of the point. `frozen_class`: of the frozen
    counter beside an energy.
    """

    as_: ShowAs | None = msgspec.field(default=None, name="as")
    event_class: EventClass | None = msgspec.field(default=None, name="class")
    static_variation: Variation | None = None
    event_variation: Variation | None = None
    deadband: Deadband | None = None
    companion: Companion | None = None
    frozen_class: EventClass | None = None
    access: Access | None = None


class Rule(Choices, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first rule whose pattern matches decides."""

    match: str
    skip: bool = False


class Override(Choices, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For one point, before any rule. `index`: of its type; `companion_index`: of an energy's double."""

    skip: bool | None = None
    index: Index | None = None
    companion_index: Index | None = None


class Master(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    One session: a master by its link address, on TCP from `networks` (empty = wherever the listener lets in) or on a
    `serial` port of its own. `allow`: what it may do besides reading. `unsolicited_retries`: 0 = for ever.
    `event_capacity`: per class; 0 = enough for two changes of every point of the class, at least 1,000.
    """

    address: LinkAddress = 1
    outstation: LinkAddress = 10
    networks: tuple[str, ...] = ()
    serial: Serial | None = None
    allow: frozenset[Permit] = frozenset()
    unsolicited: bool = False
    unsolicited_retries: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    confirm_timeout_s: Seconds = 5.0
    select_timeout_s: Seconds = 10.0
    keepalive_s: Seconds = 30.0
    fragment_bytes: Annotated[int, msgspec.Meta(ge=249, le=2048)] = 2048
    max_controls: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    event_capacity: tuple[Capacity, Capacity, Capacity] = (0, 0, 0)


class IdentityNames(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Device attributes; absent = the bridge's own, the site's name for `name`."""

    vendor: Text = Identity().vendor
    product: Text = Identity().product
    location: Text = ""
    id_code: Text = ""
    name: Text = ""
    serial_number: Text = ""


# Without any set-up three masters may connect (seed 004, l.4087).
DEFAULT_MASTERS = (Master(address=1), Master(address=2), Master(address=3))


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """dnp3.yaml. `command_class`: of the events that tell every master what one commanded (g13, g43); 0: none."""

    listener: Listener = Listener(port=20000)
    masters: Annotated[tuple[Master, ...], msgspec.Meta(min_length=1, max_length=MAX_MASTERS)] = DEFAULT_MASTERS
    access: Access = Access.READ
    companion: Companion = Companion.DOUBLE
    command_class: EventClass = 0
    identity: IdentityNames = IdentityNames()
    rules: tuple[Rule, ...] = ()
    overrides: dict[str, Override] = {}
    command_timeout_s: Seconds = 5.0
