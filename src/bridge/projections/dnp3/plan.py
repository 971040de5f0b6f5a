"""The resolved outstation that travels to the worker: every index, class and variation is final."""

import enum

import msgspec

from bridge.core.listener import Listener
from bridge.core.serial import Serial
from bridge.projections.dnp3.objects import PointType

# Sessions at once, over all ports (seed 004, l.4077-4087).
MAX_MASTERS = 3


class Permit(enum.Enum):
    """What a master may do besides reading; nothing of it unless the mapping says so."""

    # functions 3 to 6; what of it is carried out is the policy's business
    CONTROL = "control"
    # functions 7 and 8: copy running counters to frozen ones
    FREEZE = "freeze"
    # write g50: only where DNP3 is the chosen time source
    TIME = "time"
    # write g34
    DEADBAND = "deadband"
    # function 22
    ASSIGN_CLASS = "assign_class"


class MasterPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    One session. `networks`: where this master may come from, empty = wherever the listener lets in. `serial`: its own
    port instead of TCP. Times in seconds; `keepalive_s` 0: never ask a silent master. `event_capacity`: events kept
    per class.
    """

    name: str = ""
    address: int = 1
    outstation: int = 10
    networks: tuple[str, ...] = ()
    serial: Serial | None = None
    permits: frozenset[Permit] = frozenset()
    unsolicited: bool = False
    unsolicited_retries: int = 0
    confirm_timeout_s: float = 5.0
    select_timeout_s: float = 10.0
    command_timeout_s: float = 5.0
    keepalive_s: float = 30.0
    fragment_bytes: int = 2048
    max_controls: int = 8
    event_capacity: tuple[int, int, int] = (1000, 1000, 1000)


def connected_counter(master: MasterPlan) -> str:
    """Return the name of the counter that is 1 while this master is connected; `verify` looks for it."""
    return f"connected_{master.address}_{master.outstation}"


class Shown(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    One point of the outstation: core point `index` as `type` number `number`.

    `event_class` 0: no events. Variation 0: the default of the type. `deadband` in what the DNP3 value counts in.
    `frozen_class`: of the frozen counter beside a counter.
    """

    index: int
    type: PointType
    number: int
    event_class: int = 0
    static_variation: int = 0
    event_variation: int = 0
    deadband: float = 0.0
    writable: bool = False
    frozen_class: int = 0


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the device attributes say (group 0); an empty version means the bridge's own."""

    vendor: str = "meterbridge"
    product: str = "meterbridge DNP3 outstation"
    version: str = ""
    location: str = ""
    id_code: str = ""
    name: str = ""
    serial_number: str = ""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the worker needs."""

    listener: Listener
    identity: Identity
    masters: tuple[MasterPlan, ...]
    points: tuple[Shown, ...]
    # class of the events that tell what a master commanded (g13, g43)
    command_class: int = 0

    @property
    def frozen(self) -> bool:
        """There are frozen counters if a master may freeze."""
        return any(Permit.FREEZE in master.permits for master in self.masters)

    @property
    def on_tcp(self) -> bool:
        return any(master.serial is None for master in self.masters)
