"""What a device and a point are (DeviceDef, PointDef) and what a point was last seen to be (Sample)."""

import enum
from collections.abc import Sequence

import msgspec

from bridge.core.quality import Quality
from bridge.core.quantity import Direction, Meaning, Quantity, Statistic

# ANALOG: float. ACCUMULATOR: int, counts of 10**resolution of the unit. BINARY: bool. MULTISTATE: int, the raw
# code, a key of `states`. TEXT: str. TIME: int, UTC nanoseconds since 1970. None: never had a value.
Value = float | int | bool | str | None


class Kind(enum.Enum):
    ANALOG = "analog"
    ACCUMULATOR = "accumulator"
    BINARY = "binary"
    MULTISTATE = "multistate"
    TEXT = "text"
    TIME = "time"


class Role(enum.Enum):
    """What a point is for: tells e.g. a BACnet input from an output."""

    MEASUREMENT = "measurement"
    STATUS = "status"
    COMMAND = "command"
    SETTING = "setting"
    IDENTITY = "identity"


class Wiring(enum.Enum):
    """System the meter is connected to; points of absent phases do not exist."""

    SINGLE_PHASE = "single-phase"
    THREE_WIRE = "3P3W"
    FOUR_WIRE = "3P4W"


class Nominal(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """Nominal values of a device; 0 = not stated. Voltage phase to neutral."""

    voltage_v: float = 0.0
    current_a: float = 0.0
    frequency_hz: float = 0.0


class DeviceDef(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """
    A meter of the site. `id` is the key in site.yaml. `model` is the sold name, `meter` the meter file's.

    `mid`: what it bills by is locked for everybody. `labels`: tenant, floor, ... as the site file states them.
    """

    id: str
    meter: str
    vendor: str
    model: str
    channel: str
    unit_id: int
    mid: bool
    wiring: Wiring
    nominal: Nominal
    labels: dict[str, str]
    declared_at: str


class PointDef(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    What a point is. `index` belongs to `id` for the life of the core process: a reload never gives it
    to another id, so that a command under way can never reach the wrong point.

    `id` is `device.name`. `resolution`: one count of an ACCUMULATOR is 10**resolution of `unit` (kWh and -2:
    10 Wh). `modulus`: counts at which it starts again from 0, 0 = not known. `states`: code and text, for BINARY
    (0 and 1) and MULTISTATE. `low`, `high`: limits outside which a reading is no reading. `typical`: range to draw
    a scale with. `deadband`: in the unit, 0 = every change. `stale_after_ns`: age at which it turns STALE.
    `poll_ns`: its period. `tags`, `brick`: Haystack tags and Brick class.
    """

    index: int
    id: str
    kind: Kind
    unit: str = ""
    writable: bool = False
    stale_after_ns: int = 0
    declared_at: str = ""
    role: Role = Role.MEASUREMENT
    meaning: Meaning = Meaning()
    label: str = ""
    resolution: int = 0
    modulus: int = 0
    states: tuple[tuple[int, str], ...] = ()
    low: float | None = None
    high: float | None = None
    typical: tuple[float, float] | None = None
    deadband: float = 0.0
    poll_ns: int = 0
    mid: bool = False
    tags: tuple[str, ...] = ()
    brick: str = ""

    @property
    def device(self) -> str:
        """Id of the device, the part before the dot."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """Name inside the device, the part after the dot."""
        return self.id.partition(".")[2]


def counts_up(definition: PointDef) -> bool:
    """
    Tell whether a point is an index that can only grow; net energies may fall, partial ones may be zeroed.

    Of these the bridge keeps a load profile without being asked.
    """
    return (
        definition.kind is Kind.ACCUMULATOR
        and definition.meaning.direction is not Direction.NET
        and definition.meaning.statistic is Statistic.PRESENT
        and definition.meaning.quantity is not Quantity.OTHER
    )


class Sample(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    One reading. `source_ns`: UTC ns when the reply's last byte arrived, or the meter's own time stamp.

    Same layout in the store, on the worker link and in the image: nothing is copied or converted between.
    """

    value: Value
    quality: Quality
    source_ns: int
    seq: int


Batch = list[tuple[int, Sample]]

NEVER_READ = Sample(None, Quality.NEVER_READ, 0, 0)


def changed_indexes(old: Sequence[PointDef], new: Sequence[PointDef]) -> frozenset[int]:
    """Points that came, went or mean something else; where they are declared in the YAML is no meaning."""
    before = {d.index: d for d in old}
    changed: set[int] = set()
    for now in new:
        was = before.pop(now.index, None)
        if was is None or (was != now and was != msgspec.structs.replace(now, declared_at=was.declared_at)):
            changed.add(now.index)
    return frozenset(changed | before.keys())


def changed_devices(old: Sequence[DeviceDef], new: Sequence[DeviceDef]) -> frozenset[str]:
    """Ids of devices that came, went or mean something else."""
    before, after = ({d.id: msgspec.structs.replace(d, declared_at="") for d in devices} for devices in (old, new))
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def keep_indexes(old: Sequence[PointDef], new: Sequence[PointDef]) -> list[PointDef]:
    """Give `new` the indexes `old` had for the same id; new ids come after every index ever used."""
    used = {d.id: d.index for d in old}
    after = max(used.values(), default=-1) + 1
    kept: list[PointDef] = []
    for definition in new:
        index = used.get(definition.id)
        if index is None:
            index, after = after, after + 1
        kept.append(msgspec.structs.replace(definition, index=index))
    return kept
