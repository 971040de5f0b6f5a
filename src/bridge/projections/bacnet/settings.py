"""The keys of bacnet.yaml: the device, its network, its caps, and which point is which object."""

import enum
from typing import Annotated

import msgspec

from bridge.core.listener import Listener, PortNumber, Seconds
from bridge.projections.bacnet.plan import MAX_DEVICE_NAME, MAX_INSTANCE, CovSettings, Layout, Mode, ObjectType

Instance = Annotated[int, msgspec.Meta(ge=0, le=MAX_INSTANCE)]
# 0 and 65535 are no network numbers (clause 6.2.2); 0 here = none
NetworkNumber = Annotated[int, msgspec.Meta(ge=0, le=65_534)]
DeviceName = Annotated[str, msgspec.Meta(max_length=MAX_DEVICE_NAME)]
Text = Annotated[str, msgspec.Meta(max_length=200)]
Address = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,3}(\.[0-9]{1,3}){3})?$")]
Peer = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]{1,5})?$")]
Increment = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class TypeWord(enum.Enum):
    """An object type as it is written in bacnet.yaml."""

    ANALOG_INPUT = "analog-input"
    ANALOG_OUTPUT = "analog-output"
    BINARY_INPUT = "binary-input"
    BINARY_OUTPUT = "binary-output"
    MULTI_STATE_INPUT = "multi-state-input"
    MULTI_STATE_OUTPUT = "multi-state-output"
    MULTI_STATE_VALUE = "multi-state-value"
    ACCUMULATOR = "accumulator"
    CHARACTERSTRING_VALUE = "characterstring-value"
    DATETIME_VALUE = "datetime-value"
    LARGE_ANALOG_VALUE = "large-analog-value"

    @property
    def number(self) -> ObjectType:
        """The type on the wire."""
        return ObjectType[self.name]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    The first rule whose pattern matches decides; what it leaves out follows from the point.

    `increment`: COV increment in the unit shown. `trend`: false = no Trend Log, though the point is recorded.
    """

    match: str
    skip: bool = False
    type: TypeWord | None = None
    increment: Increment | None = None
    writable: bool | None = None
    trend: bool | None = None


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For one point, before any rule. `instance`: its number among the objects of its type."""

    skip: bool | None = None
    type: TypeWord | None = None
    instance: Instance | None = None
    name: Text | None = None
    description: Text | None = None
    increment: Increment | None = None
    writable: bool | None = None
    trend: bool | None = None


class NetworkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See `plan.Network`. `prefix`: bits of the subnet of `listener.bind`, from which its broadcast address follows."""

    mode: Mode = Mode.NORMAL
    prefix: Annotated[int, msgspec.Meta(ge=8, le=32)] = 24
    bbmd: Address = ""
    bbmd_port: PortNumber = 47_808
    ttl_s: Annotated[int, msgspec.Meta(ge=10, le=65_535)] = 60
    peers: tuple[Peer, ...] = ()
    most_foreign: Annotated[int, msgspec.Meta(ge=0, le=128)] = 32
    number: NetworkNumber = 0
    virtual_number: NetworkNumber = 0


class CovLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See `plan.CovSettings`."""

    total: Count = CovSettings().total
    per_peer: Count = CovSettings().per_peer
    lifetime_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = CovSettings().lifetime_s
    timeout_s: Seconds = CovSettings().timeout_s
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = CovSettings().retries


class Importance(enum.Enum):
    """Notification Classes, by the band of an alarm's priority."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class RecipientSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is told of alarms. `address`: IPv4 and port, 47808 unless given. `process`: the number it knows us by."""

    address: Peer
    process: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 0
    confirmed: bool = True
    classes: Annotated[tuple[Importance, ...], msgspec.Meta(min_length=1)] = (Importance.HIGH, Importance.MEDIUM)


class AlarmSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`acknowledge`: whether AcknowledgeAlarm may reach the bridge, whose policy then says who may."""

    acknowledge: bool = False
    recipients: Annotated[tuple[RecipientSettings, ...], msgspec.Meta(max_length=16)] = ()


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    bacnet.yaml. `device_id`: absent = one made from the site's name. `name`: of the device, absent = site and id.
    `vendor_id`: 999 is nobody's; put the one ASHRAE gave you. `writable`: whether commands and settings the meters let
    be written may be written by BACnet, the policy of the bridge permitting. `views`: instances of Structured Views, or
    of the virtual devices, by device. `password`: of DeviceCommunicationControl and ReinitializeDevice; absent = both
    refused.
    """

    listener: Listener
    device_id: Instance | None = None
    name: DeviceName = ""
    description: Text = "Energy meters"
    location: Text = ""
    vendor_id: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 999
    vendor: Text = "meterbridge"
    model: Text = "meterbridge"
    layout: Layout = Layout.ONE_DEVICE
    network: NetworkSettings = NetworkSettings()
    cov: CovLimits = CovLimits()
    alarms: AlarmSettings = AlarmSettings()
    writable: bool = False
    password: Annotated[str, msgspec.Meta(max_length=20)] = ""
    rules: tuple[Rule, ...] = ()
    overrides: dict[str, Override] = {}
    views: dict[str, Instance] = {}
    write_timeout_s: Seconds = 5.0
