"""The keys of opcua.yaml."""

import enum
from typing import Annotated

import msgspec

from bridge.core.listener import Listener, Seconds
from bridge.projections.opcua.plan import Acknowledging, Limits, Security, User, UserName

Uri = Annotated[str, msgspec.Meta(pattern="^[!-~]*$", max_length=200)]
Range = tuple[float, float]


class Access(enum.Enum):
    """READ is the default: nothing can be written and no method called. READ_WRITE asks the policy of the bridge."""

    READ = "read"
    READ_WRITE = "read-write"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first rule whose pattern matches decides; what it leaves out is the default. `range`: EURange."""

    match: str
    skip: bool = False
    access: Access | None = None
    range: Range | None = None


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For one point, before any rule."""

    skip: bool | None = None
    access: Access | None = None
    range: Range | None = None


class AlarmSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be done with alarms; everybody who comes in may see them."""

    acknowledge: Acknowledging = Acknowledging.REFUSED


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    opcua.yaml. `application_uri`: what the server's certificate says it is; absent = `urn:meterbridge:<site>`. `users`:
    by name; one with a `password`, a `certificate`, or both.
    """

    listener: Listener
    application_name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "meterbridge"
    application_uri: Uri = ""
    access: Access = Access.READ
    security: Security = Security()
    users: dict[UserName, User] = {}
    rules: tuple[Rule, ...] = ()
    overrides: dict[str, Override] = {}
    limits: Limits = Limits()
    write_timeout_s: Seconds = 5.0
    alarms: AlarmSettings = AlarmSettings()
