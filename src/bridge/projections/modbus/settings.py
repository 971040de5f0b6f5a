"""The keys of modbus.yaml below `listener`: rules, overrides, map modes and the user's own entries."""

import enum
from typing import Annotated

import msgspec

from bridge.core.listener import Listener, Seconds
from bridge.core.serial import Serial
from bridge.projections.modbus.formats import Format, WordOrder
from bridge.projections.modbus.plan import Bad, Echo, Holes, Identity

Address = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
UnitId = Annotated[int, msgspec.Meta(ge=1, le=247)]
BlockSize = Annotated[int, msgspec.Meta(ge=100, le=65_000, multiple_of=10)]
# the register step in the unit of the point: register = value / scale
Scale = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
Formats = Annotated[tuple[Format, ...], msgspec.Meta(min_length=1, max_length=8)]
# of one listener; 32 bytes each keep all objects in one reply of function 43/14
Name = Annotated[str, msgspec.Meta(max_length=32, pattern="^[ -~]*$")]


class Access(enum.Enum):
    """Seed 004, l.1162-1167: NONE removes the entry from the map, READ is the default."""

    NONE = "none"
    READ = "read"
    READ_WRITE = "read-write"


class MapMode(enum.Enum):
    """
    Seed 004, l.3255-3334. DEFAULT: the built-in map. MODIFIED: built-in plus own entries. CUSTOM: own entries only,
    every register free. DISABLED: the server answers and has no data.
    """

    DEFAULT = "default"
    MODIFIED = "modified"
    CUSTOM = "custom"
    DISABLED = "disabled"


class Table(enum.Enum):
    """REGISTERS shows in functions 3 and 4 alike."""

    REGISTERS = "registers"
    INPUTS = "inputs"
    COILS = "coils"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    The first rule whose pattern matches decides; what it leaves out is the default.

    `formats`: instead of those of the point's kind. `scale`: for the integer formats of an analog point.
    """

    match: str
    skip: bool = False
    access: Access | None = None
    bad: Bad | None = None
    formats: Formats | None = None
    scale: Scale | None = None


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For one point, before any rule. `address`: register of its first format inside the device's block."""

    skip: bool | None = None
    access: Access | None = None
    bad: Bad | None = None
    formats: Formats | None = None
    scale: Scale | None = None
    address: Address | None = None


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    One register (or bit) of the user's own: a point (`source`) or a `constant` at an address of a unit id.

    Absent `format` = the first of the built-in map, int64 for an accumulator. `registers`: of a text.
    """

    unit: Annotated[int, msgspec.Meta(ge=1, le=255)]
    address: Address
    source: str = ""
    constant: int | str | None = None
    table: Table = Table.REGISTERS
    format: Format | None = None
    scale: Scale | None = None
    word_order: WordOrder = WordOrder.ABCD
    access: Access = Access.READ
    bad: Bad | None = None
    registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 16


class MapSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`name`: under which the map is known (identification, export)."""

    mode: MapMode = MapMode.DEFAULT
    name: Name = ""
    entries: tuple[Entry, ...] = ()


class IdentityNames(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What function 43/14 says; absent = the bridge's own names."""

    vendor: Name = Identity().vendor
    product: Name = Identity().product
    url: Name = Identity().url
    name: Name = Identity().name
    model: Name = Identity().model


class SerialLine(Serial, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    A serial line on which the bridge is a Modbus RTU server. `units`: the unit ids it answers to, empty = all it has.
    `site_unit`: the unit id that shows the whole site as 255 does on TCP, 248 to 255 being reserved on a line; 0: none.
    """

    units: tuple[UnitId, ...] = ()
    site_unit: Annotated[int, msgspec.Meta(ge=0, le=247)] = 0
    echo: Echo = Echo.NONE


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    modbus.yaml. `units`: unit id of a device, by device id; the others get free ones. `meters_per_unit`: more than
    one for sites of more than 247 devices. `blocks`: registers to reserve for a device before it is first numbered.
    """

    listener: Listener
    access: Access = Access.READ
    bad: Bad = Bad.SENTINEL
    holes: Holes = Holes.SENTINEL
    map: MapSettings = MapSettings()
    identity: IdentityNames = IdentityNames()
    rules: tuple[Rule, ...] = ()
    overrides: dict[str, Override] = {}
    units: dict[str, UnitId] = {}
    meters_per_unit: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    blocks: dict[str, BlockSize] = {}
    write_timeout_s: Seconds = 5.0
    serial: Annotated[tuple[SerialLine, ...], msgspec.Meta(max_length=8)] = ()
