"""The keys of snmp.yaml below `listener`: who may read and write, what is shown, where notifications go."""

import enum
from typing import Annotated, Any

import msgspec

from bridge.core.listener import Listener, PortNumber, Seconds

# netSnmpPlaypen: what the net-snmp project leaves for tests. A product uses its own number.
DEFAULT_ENTERPRISE_OID = "1.3.6.1.4.1.8072.9999.9999.7411"
OidText = Annotated[str, msgspec.Meta(pattern=r"^[0-2](\.(0|[1-9][0-9]{0,9})){1,40}$")]
# of the system group (RFC 3418: DisplayString of at most 255)
SystemText = Annotated[str, msgspec.Meta(max_length=255)]
CommunityText = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
UserName = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
# octets (RFC 3414, 11.2)
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=128)]
# the last sub-identifier of a row; 0 is no index (RFC 2578, 7.7)
RowNumber = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
# a descriptor (RFC 2578, 3.1): first a lower-case letter, no spaces, no * ? & (seed 004, l.3908-3926)
Descriptor = Annotated[str, msgspec.Meta(pattern=r"^[a-z][A-Za-z0-9]{0,31}$")]


class Access(enum.Enum):
    """READ_WRITE lets a SET reach the bridge's write policy, which decides."""

    READ = "read"
    READ_WRITE = "read-write"


class Auth(enum.Enum):
    """Digest of a v3 user, hashlib's name. SHA1 only for stations that know nothing better."""

    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class Privacy(enum.Enum):
    """AES256 as net-snmp and Cisco do it (draft-blumenthal-aes-usm-04)."""

    AES128 = "aes128"
    AES256 = "aes256"


class Form(enum.Enum):
    """A trap is sent once; an inform until it is acknowledged or the retries are used up."""

    TRAP = "trap"
    INFORM = "inform"


class Hidden(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what has a secret in it: never printed."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Community(Hidden, frozen=True):
    """
    A v1 and v2c community under a name of its own, which stands in logs and audit in the secret's place.

    `networks`: where its requests may come from; empty = as the listener. `include`, `exclude`: subtrees of its view.
    """

    community: CommunityText
    access: Access = Access.READ
    networks: tuple[str, ...] = ()
    include: tuple[OidText, ...] = ()
    exclude: tuple[OidText, ...] = ()


class User(Hidden, frozen=True):
    """A v3 user. Without a privacy password its requests are signed, not encrypted."""

    auth_password: Password
    auth: Auth = Auth.SHA256
    privacy: Privacy = Privacy.AES128
    privacy_password: Password | None = None
    access: Access = Access.READ
    include: tuple[OidText, ...] = ()
    exclude: tuple[OidText, ...] = ()


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Texts of the system group; an empty name is the site's."""

    description: SystemText = "meterbridge: energy meters"
    contact: SystemText = ""
    name: SystemText = ""
    location: SystemText = ""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first rule whose pattern matches decides; what it leaves out is the default."""

    match: str
    skip: bool = False
    access: Access | None = None


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For one point, before any rule. `number`: of its row, inside the device."""

    skip: bool | None = None
    access: Access | None = None
    number: RowNumber | None = None


class Receiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    One station that is notified. Exactly one of `community` (a key of `communities`) and `user` (of `users`).

    `buffer`: so many notifications of alarms are collected before they go; `hold_s`: or for so long.
    """

    host: str
    port: PortNumber = 162
    community: str = ""
    user: str = ""
    form: Form = Form.TRAP
    buffer: Annotated[int, msgspec.Meta(ge=1, le=30)] = 1
    hold_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 10.0
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 2.0
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 3


class Traps(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    `low`, `medium`, `high`: alarms of priority 64-127, 128-191, 192-255. `device_priority`: of a meter that is lost or
    back. `authentication_s`: least seconds between two authenticationFailure notifications.
    """

    enabled: bool = True
    receivers: Annotated[tuple[Receiver, ...], msgspec.Meta(max_length=4)] = ()
    authentication: bool = True
    low: bool = True
    medium: bool = True
    high: bool = True
    device_priority: Annotated[int, msgspec.Meta(ge=64, le=255)] = 192
    authentication_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 10.0


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    snmp.yaml. Without communities and users nobody is answered. `engine_id`: hexadecimal, 5 to 32 octets; absent = one
    is made at the first start and kept. `max_message`: octets of the longest reply. `devices`: number of a device's
    rows, by device id; the others get free ones.
    """

    listener: Listener = Listener(port=161)
    enterprise_oid: OidText = DEFAULT_ENTERPRISE_OID
    communities: dict[UserName, Community] = {}
    users: dict[UserName, User] = {}
    system: System = System()
    access: Access = Access.READ
    rules: tuple[Rule, ...] = ()
    overrides: dict[str, Override] = {}
    devices: dict[str, RowNumber] = {}
    traps: Traps = Traps()
    engine_id: Annotated[str, msgspec.Meta(pattern="^([0-9a-fA-F]{2}){5,32}$")] | None = None
    max_message: Annotated[int, msgspec.Meta(ge=484, le=65507)] = 1472
    write_timeout_s: Seconds = 5.0
