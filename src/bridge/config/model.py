"""
A whole validated configuration, as the field side, the simulator and the application read it.

Made by `config.load`; every name is resolved, every address is a 0-based wire address, every default is filled in.
"""

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from bridge.config.access import AccessFile
from bridge.config.marked import Marked
from bridge.config.meter import Certainty, PfSign, PollClass, RegisterType, Table, WordOrder
from bridge.config.services import ServicesFile
from bridge.config.site import Channel, SiteFile
from bridge.core.errors import ConfigError
from bridge.core.point import DeviceDef, PointDef


@dataclass(frozen=True, slots=True)
class Register:
    """
    Where and how one value stands in a device. `count`: registers, or 1 for a bit of a bit table.

    A reading is raw * `scale` + `offset` in the point's unit; for an accumulator the count is raw * `counts` (exact),
    `counts` = counts per raw unit. `scale_alternatives`: further candidates for `scale`, in order. `scale_at`: address
    of an int16 power of ten that multiplies `scale`. `inverted`: the sign turns round (CT mounted backwards).
    """

    table: Table
    address: int
    count: int
    type: RegisterType
    order: WordOrder = WordOrder.ABCD
    bit: int | None = None
    scale: Fraction = Fraction(1)
    offset: float = 0.0
    counts: Fraction = Fraction(1)
    scale_alternatives: tuple[Fraction, ...] = ()
    scale_at: int | None = None
    invalid: frozenset[int] = frozenset()
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class WriteTo:
    """How a command or setting is written. `low`, `high`, `values`: what is accepted, in the point's unit."""

    register: Register
    functions: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    values: tuple[float, ...] = ()
    broadcast: bool = False


@dataclass(frozen=True, slots=True)
class FieldPoint:
    """
    One point of a device as the poller and the writer need it. `read` None: the bridge computes it itself. `locked`:
    of what a MID meter bills by, the registers that nobody may write, the gateway's clients included.
    """

    definition: PointDef
    read: Register | None
    poll: PollClass
    certainty: Certainty
    write: WriteTo | None = None
    locked: tuple[Register, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """What a device accepts and how fast; seconds."""

    max_registers: int
    max_gap: int
    forbidden: tuple[tuple[int, int], ...]
    timeout_s: float
    request_delay_s: float
    turnaround_s: float
    pf_sign: PfSign


@dataclass(frozen=True, slots=True)
class Signature:
    """What stands in a register of every device of a meter file: `equals` the whole value, else its beginning."""

    register: Register
    text: str
    equals: bool = True


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How a scan recognises a meter: all of the signatures must hold."""

    meter: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class FieldDevice:
    """One meter. `periods_ns`: of every poll class its points use. `serial`: the register of its serial number."""

    definition: DeviceDef
    limits: DeviceLimits
    points: tuple[FieldPoint, ...]
    periods_ns: Mapping[PollClass, int]
    serial: Register | None = None
    signatures: tuple[Signature, ...] = ()


class Operation(enum.Enum):
    """What a derived point of the site is computed by."""

    SUM = "sum"
    AVERAGE = "average"
    RATIO = "ratio"
    UNBALANCE = "unbalance"


@dataclass(frozen=True, slots=True)
class Formula:
    """How the point `output` of `services.derived` is computed; ids of points. `minus`: with SUM only."""

    output: str
    operation: Operation
    inputs: tuple[str, ...]
    minus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProjectionFile:
    """One projection of the site: the file's path and its marked YAML, for the projection's own model."""

    protocol: str
    path: Path
    marked: Marked


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """
    Everything of one site. `directory`: of site.yaml. `points` and `devices` are those of `field` in its order.

    `formulas`: of the points that `services.derived` declares, in the order of the file: each needs only what is above.
    `warnings`: what works but is probably not meant. `renamed`: device id before -> now, for the ledger.
    """

    file: SiteFile
    marked: Marked
    directory: Path
    state_dir: Path
    channels: Mapping[str, Channel]
    field: tuple[FieldDevice, ...]
    projections: tuple[ProjectionFile, ...]
    services: ServicesFile
    access: AccessFile
    formulas: tuple[Formula, ...] = ()
    warnings: tuple[ConfigError, ...] = ()
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def devices(self) -> list[DeviceDef]:
        """Every device, in the order of the file."""
        return [device.definition for device in self.field]

    @property
    def points(self) -> list[PointDef]:
        """Every point, in the order of its index."""
        return sorted((p.definition for d in self.field for p in d.points), key=lambda point: point.index)
