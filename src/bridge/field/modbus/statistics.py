"""What a device did so far, for health, metrics and the web pages."""

import enum
from dataclasses import dataclass, field

# Blocks whose newest registers are kept for diagnosis and verification; the longest has 250 bytes.
_RAW_BLOCKS = 128


class DeviceState(enum.Enum):
    """UNKNOWN: not asked yet."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    BACKING_OFF = "backing off"


@dataclass(frozen=True, slots=True)
class RawBlock:
    """Registers as they came. `function`: 1 to 4. `count`: of registers or bits; the last octet of bits is padded."""

    function: int
    address: int
    data: bytes
    utc_ns: int
    count: int


@dataclass(frozen=True, slots=True)
class DeviceSnapshot:
    """
    Counters since start. Times in seconds from asking until the whole reply is there, waiting for the line included;
    0 = no reply yet. `exceptions`: exception code and count. `missed`: polls left out because the line is too slow.
    """

    state: DeviceState
    requests: int
    replies: int
    timeouts: int
    crc_errors: int
    connection_errors: int
    exceptions: tuple[tuple[int, int], ...]
    missed: int
    min_s: float
    average_s: float
    max_s: float
    last_s: float
    last_error: str
    last_good_ns: int
    blocks: int
    serial_number: str
    raw: tuple[RawBlock, ...]


@dataclass(slots=True)
class DeviceStatistics:
    """Counts as the poller goes. Loop thread only."""

    state: DeviceState = DeviceState.UNKNOWN
    requests: int = 0
    replies: int = 0
    timeouts: int = 0
    crc_errors: int = 0
    connection_errors: int = 0
    exceptions: dict[int, int] = field(default_factory=dict)
    missed: int = 0
    min_s: float = 0.0
    total_s: float = 0.0
    max_s: float = 0.0
    last_s: float = 0.0
    last_error: str = ""
    last_good_ns: int = 0
    blocks: int = 0
    serial_number: str = ""
    # newest reply last, one of each block: by function, address and length
    raw: dict[tuple[int, int, int], RawBlock] = field(default_factory=dict)

    def replied(self, took_s: float, utc_ns: int) -> None:
        """A reply came, a device's exception included."""
        self.min_s = took_s if not self.replies else min(self.min_s, took_s)
        self.max_s = max(self.max_s, took_s)
        self.total_s += took_s
        self.last_s = took_s
        self.replies += 1
        self.last_good_ns = utc_ns

    def keep(self, block: RawBlock) -> None:
        """Keep the registers of a reply in place of the last ones of the same block."""
        key = block.function, block.address, len(block.data)
        self.raw.pop(key, None)
        if len(self.raw) >= _RAW_BLOCKS:
            del self.raw[next(iter(self.raw))]
        self.raw[key] = block

    def refused(self, code: int, error: str) -> None:
        """The reply was an exception."""
        self.exceptions[code] = self.exceptions.get(code, 0) + 1
        self.last_error = error

    def snapshot(self) -> DeviceSnapshot:
        """Return everything as it is now."""
        return DeviceSnapshot(
            self.state,
            self.requests,
            self.replies,
            self.timeouts,
            self.crc_errors,
            self.connection_errors,
            tuple(sorted(self.exceptions.items())),
            self.missed,
            self.min_s,
            self.total_s / self.replies if self.replies else 0.0,
            self.max_s,
            self.last_s,
            self.last_error,
            self.last_good_ns,
            self.blocks,
            self.serial_number,
            tuple(self.raw.values()),
        )
