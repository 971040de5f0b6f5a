"""
The resolved register map that travels to the worker: every address is 0-based and final.

A block is the map of one device (or of the user's own entries). It stands at one or more places: at address 0 of the
device's own unit id, and behind the blocks of the other devices in unit 255.
"""

import enum

import msgspec

from bridge.core.listener import Listener
from bridge.core.serial import Serial
from bridge.projections.modbus.formats import Format, WordOrder

# The unit id that shows the whole site (a gateway's own id: Messaging on TCP/IP V1.0b, 4.4.2.1).
SITE_UNIT = 255
# Registers of one unit id (Modbus Application Protocol V1.1b3, 4.4).
ADDRESSES = 65_536
# Registers of one record of the time area: int64.
TIME_REGISTERS = 4


class Bad(enum.Enum):
    """What a read of a value without a present reading gets: the format's reserved value, or exception 0x0B."""

    SENTINEL = "sentinel"
    EXCEPTION = "exception"


class Holes(enum.Enum):
    """What a read of an unmapped register between mapped ones gets: 0x8000, or exception 02."""

    SENTINEL = "sentinel"
    EXCEPTION = "exception"


class Field(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """One value in one format. `address` inside the block. Register = value * `times` / `over`, see `formats`."""

    address: int
    format: Format
    registers: int
    times: int = 1
    over: int = 1
    order: WordOrder = WordOrder.ABCD


class Item(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    What a block shows of one point; -1 = not there.

    `quality`: register of the quality flags. `time`: first register of the source time. `state`: discrete input of
    a binary. `valid`: discrete input that tells whether `state` is a present reading. `coil`: its coil.
    """

    index: int
    fields: tuple[Field, ...]
    quality: int = -1
    time: int = -1
    state: int = -1
    valid: int = -1
    coil: int = -1
    writable: bool = False
    bad: Bad = Bad.SENTINEL


class Constant(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """Registers that never change, big-endian: for the copy of a replaced meter's map."""

    address: int
    data: bytes


class Place(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """Where a block stands: its address 0 of each table in `unit`."""

    unit: int
    registers: int = 0
    inputs: int = 0
    coils: int = 0


class Block(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """`registers`, `inputs`, `coils`: how many of each the block reserves. `name`: device id, or the map's name."""

    name: str
    places: tuple[Place, ...]
    registers: int
    inputs: int
    coils: int
    items: tuple[Item, ...]
    constants: tuple[Constant, ...] = ()


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Objects 0 to 6 of function 43/14, printable ASCII; an empty version means the bridge's own."""

    vendor: str = "meterbridge"
    product: str = "MB"
    version: str = ""
    url: str = ""
    name: str = "meterbridge"
    model: str = "Modbus TCP server"
    application: str = ""


class Echo(enum.Enum):
    """Whether a two-wire adapter hears its own transmission."""

    NONE = "none"
    LOCAL = "local"


class SerialPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One serial line of the server's own. `units`: unit id on the line -> unit id of the blocks."""

    port: Serial
    units: dict[int, int]
    echo: Echo = Echo.NONE


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the worker needs."""

    listener: Listener
    identity: Identity
    blocks: tuple[Block, ...]
    holes: Holes = Holes.SENTINEL
    write_timeout_s: float = 5.0
    serial: tuple[SerialPlan, ...] = ()
