"""What a meter file may say: one meter model, one file (CONFIG.md, docs/configuration.md)."""

import enum
from typing import Annotated

import msgspec

from bridge.core.point import Kind, Role, Wiring


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: unknown keys are mistakes."""


class Addressing(enum.Enum):
    """How the file counts registers. `zero`: as on the wire. `one`: from 1. `modicon`: 40001, 30001, 10001, 00001."""

    ZERO = "zero"
    ONE = "one"
    MODICON = "modicon"


class WordOrder(enum.Enum):
    """Order of the bytes of a 32-bit value ABCD on the wire; 64-bit values follow the same pattern."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class Table(enum.Enum):
    """The four Modbus tables, by the function that reads them."""

    COIL = 1
    DISCRETE_INPUT = 2
    HOLDING = 3
    INPUT = 4


class RegisterType(enum.Enum):
    """What registers hold. m10k: the ION's 32B-M10K, two 16-bit words, high * 10000 + low."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    UINT64 = "uint64"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    UM10K = "um10k"
    M10K = "m10k"
    # one bit: a coil or discrete input, or bit `bit` of a register
    BOOL = "bool"
    # two characters a register, NUL or space padded
    STRING = "string"
    # one character a register, in the low byte
    STRING16 = "string16"
    # seconds since 1970-01-01T00:00:00Z, uint32
    UNIX_TIME = "unix_time"
    # IEC 60870-5-4 date and time of four registers, as many Schneider meters have it
    DATETIME4 = "datetime4"


class PollClass(enum.Enum):
    """Names of the poll periods; a site may change each period (CONFIG.md has the defaults)."""

    FAST = "fast"
    NORMAL = "normal"
    STATE = "state"
    STATE_FAST = "state_fast"
    STATE_SLOW = "state_slow"
    FREQUENCY = "frequency"
    SLOW = "slow"
    CERTIFICATE = "certificate"
    ON_CHANGE = "on_change"


class Certainty(enum.Enum):
    """How sure the source is of this row. Rows that are not CERTAIN say why in `note`."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNCERTAIN = "uncertain"
    CONFLICT = "conflict"
    GUESS = "guess"


class PfSign(enum.Enum):
    """Sign of a power factor register. UNSIGNED: lead and lag are told elsewhere, or not at all."""

    IEEE = "ieee"
    IEC = "iec"
    UNSIGNED = "unsigned"


TableNumber = Annotated[
    Table,
    msgspec.Meta(description="1 (coils), 2 (discrete inputs), 3 (holding registers) or 4 (input registers)"),
]
Address = Annotated[int, msgspec.Meta(ge=0, le=465536)]


class Modbus(_Strict, frozen=True):
    """How to talk to the device. `max_gap`: unwanted registers a block may read through, `request_delay_s`: pause."""

    addressing: Addressing = Addressing.ZERO
    word_order: WordOrder = WordOrder.ABCD
    table: TableNumber = Table.HOLDING
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125
    max_gap: Annotated[int, msgspec.Meta(ge=0, le=124)] = 10
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=15)] = 1.0
    request_delay_s: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    turnaround_s: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.01
    # address ranges (first, last) the device answers with exception 02 even inside a block
    forbidden: tuple[tuple[Address, Address], ...] = ()
    # functions the device knows besides reads; a one-register write is 16 where 6 is missing
    writes: tuple[Annotated[int, msgspec.Meta(ge=5, le=16)], ...] = (6, 16)


class Identify(_Strict, frozen=True):
    """How a scan recognises the model."""

    address: Address
    registers: Annotated[int, msgspec.Meta(ge=1, le=125)]
    type: RegisterType
    function: Annotated[int, msgspec.Meta(ge=3, le=4)] = 3
    equals: str | int | None = None
    startswith: str | None = None


class SerialNumber(_Strict, frozen=True):
    """Where the serial number stands; a change of it starts a new accumulator epoch."""

    at: Address | str
    type: RegisterType
    registers: Annotated[int, msgspec.Meta(ge=1, le=32)] = 0


class PointFile(_Strict, frozen=True):
    """
    One point of a meter. Left-out facts follow from the name (`core.quantity`) and the type.

    `at`: address, or "hr:", "ir:", "coil:", "di:" and a wire address whatever the file's addressing; absent for points
    the bridge computes itself. `resolution`: one count of an accumulator, in `unit`, a power of ten. `scale`: unit per
    register step. `scale_alternatives` with `limits`: the first that is plausible at the first reads wins.
    `scale_at`: address of an int16 exponent of ten (SunSpec). `invalid`: register values that mean "no value", besides
    those of the type. `range`: what may be written. `write_at`: where a command or setting is written if not at `at`.
    """

    at: Address | str | None = None
    type: RegisterType | None = None
    registers: Annotated[int, msgspec.Meta(ge=1, le=125)] | None = None
    bit: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None
    order: WordOrder | None = None
    scale: float = 1.0
    offset: float = 0.0
    scale_alternatives: tuple[float, ...] = ()
    scale_at: Address | str | None = None
    resolution: float | None = None
    modulus: Annotated[int, msgspec.Meta(ge=2, le=2**63 - 1)] | None = None
    unit: str = ""
    kind: Kind | None = None
    role: Role | None = None
    poll: PollClass | None = None
    limits: tuple[float, float] | None = None
    typical: tuple[float, float] | None = None
    range: tuple[float, float] | None = None
    values: tuple[float, ...] = ()
    states: dict[int, str] = {}
    invalid: tuple[int, ...] = ()
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    mid: bool = False
    writable: bool = False
    write_at: Address | str | None = None
    broadcast: bool = False
    label: str = ""
    tags: tuple[str, ...] = ()
    brick: str = ""
    certainty: Certainty = Certainty.CERTAIN
    note: str = ""


class ModelFacts(_Strict, frozen=True):
    """What differs between the models of one file. `mid`: left out where the nameplate of each device decides."""

    mid: bool = False
    order_number: str = ""


class Golden(_Strict, frozen=True):
    """A reply as a device sends it and the values it must decode to, made by other code than ours."""

    reply: str
    block: tuple[Address, int]
    values: dict[str, float | int | str | bool | None]
    table: Table = Table.HOLDING


class NominalFile(_Strict, frozen=True):
    """Nominal values, phase to neutral; a device of the site may state its own."""

    voltage_v: float = 0.0
    current_a: float = 0.0
    frequency_hz: float = 0.0


class MeterFile(_Strict, frozen=True):
    """mappings/meters/<meter>.yaml"""

    meter: str
    vendor: str
    source: str
    points: dict[str, PointFile]
    models: dict[str, ModelFacts] = {}
    identify: tuple[Identify, ...] | Identify | None = None
    modbus: Modbus = Modbus()
    serial_number: SerialNumber | None = None
    wiring: Wiring = Wiring.FOUR_WIRE
    pf_sign: PfSign = PfSign.IEEE
    nominal: NominalFile = NominalFile()
    extends: str | None = None
    note: str = ""
    golden: tuple[Golden, ...] = ()
