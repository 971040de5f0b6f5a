"""The keys of iec61850.yaml."""

import enum
from typing import Annotated

import msgspec

from bridge.core.listener import Listener, PortNumber, Seconds
from bridge.projections.iec61850.plan import Control, ReportLayout, Reports

# IED and logical device names (IEC 61850-6, tIEDName and tLDInst, as libiec61850 takes them).
Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9_]{0,31}$")]
# The numbers of a generic object: Ind999 is the limit of the names used here.
GenericNumber = Annotated[int, msgspec.Meta(ge=1, le=999)]
Deadband = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern="^[!-~]*$")]


class MmsListener(Listener, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    As every listener, with the defaults of MMS (seed 004, l.2226): 102, five clients, and no more can be had.

    Clients that wait for reports are silent for hours, so that `idle_s` is a day; TCP keep-alive finds the dead ones.
    """

    port: PortNumber = 102
    max_clients: Annotated[int, msgspec.Meta(ge=1, le=5)] = 5
    first_message_s: Seconds = 3.0
    idle_s: Seconds = 86_400.0


class Import(enum.Enum):
    """
    Which of MMTR's counters is the energy delivered to the load. SUPPLY: SupWh, as ION meters have it (IEC 61850 MMTR
    module of the ION reference: SupWh is kWh del). DEMAND: DmdWh, the direction away from the busbar.
    """

    SUPPLY = "supply"
    DEMAND = "demand"


class ReportSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Report blocks of the generated CID, see Reports. An integrity period of 0 ms: none."""

    layout: ReportLayout = Reports().layout
    instances: Annotated[int, msgspec.Meta(ge=1, le=99)] = Reports().instances
    buffered_instances: Annotated[int, msgspec.Meta(ge=1, le=99)] = Reports().buffered_instances
    buffer_time_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = Reports().buffer_time_ms
    integrity_period_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)] = Reports().integrity_period_ms
    buffer_bytes: Annotated[int, msgspec.Meta(ge=1024, le=16_777_216)] = Reports().buffer_bytes


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    The first rule whose pattern matches decides; what it leaves out is the default.

    `deadband`: smallest change to pass on, in the unit of the point; absent = the point's own. `control`: of an output.
    """

    match: str
    skip: bool = False
    deadband: Deadband | None = None
    control: Control | None = None


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For one point, before any rule. `number`: of its object in GGIO."""

    skip: bool | None = None
    deadband: Deadband | None = None
    control: Control | None = None
    number: GenericNumber | None = None


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    iec61850.yaml. `ied`: name of the IED. `devices`: inst of a logical device, by device id.

    `cid_dir`: serve the one CID file in this folder (absolute, or in the server's state folder) instead of the
    generated one. `ip`: the address stated in the CID, absent = `listener.bind`. `passwords`: one of them opens an
    association (ACSE); none = open to whoever may connect.
    """

    listener: MmsListener = MmsListener()
    ied: Name = "MB1"
    ip: str = ""
    cid_dir: str = ""
    passwords: tuple[Password, ...] = ()
    import_energy: Import = Import.SUPPLY
    reports: ReportSettings = ReportSettings()
    devices: dict[str, Name] = {}
    rules: tuple[Rule, ...] = ()
    overrides: dict[str, Override] = {}
    control_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
