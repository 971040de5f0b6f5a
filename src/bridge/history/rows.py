"""
Rows with a checksum of their own. Pure.

Why: SQLite's `integrity_check` sees a broken page, not a flipped bit in a value; a bill must not be made from one.
"""

import zlib
from dataclasses import dataclass, field

import msgspec

# Rows of one kind that wait for a disk
MOST = 200_000
Cell = int | float | str | bytes | None

_encoder = msgspec.msgpack.Encoder()


def checksum(*cells: Cell) -> int:
    """Return the CRC-32 of a row's cells, types included."""
    return zlib.crc32(_encoder.encode(cells))


@dataclass(frozen=True, slots=True)
class IndexRow:
    """
    One reading of an index for the load profile. `at_ns`: end of the interval; `source_ns`: when it was read. `count`
    None: an outage began here. `registers`: what the meter sent, as on the wire.
    """

    point: str
    at_ns: int
    count: int | None
    epoch: int
    source_ns: int
    quality: int
    registers: bytes = b""


@dataclass(frozen=True, slots=True)
class ProofRow:
    """One reading that is kept for good (E-14). `period`: `2026-01-31` for a day, `2026-01` for a month."""

    point: str
    period: str
    count: int
    resolution: int
    unit: str
    epoch: int
    serial: str
    source_ns: int
    quality: int
    registers: bytes = b""


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One recorded value."""

    point: str
    at_ns: int
    value: float | int | str | None
    quality: int


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """What is left of the recorded values of one period. `at_ns`: its end."""

    point: str
    at_ns: int
    mean: float
    least: float
    greatest: float
    count: int
    quality: int


@dataclass(frozen=True, slots=True)
class Tidying:
    """
    How long rows of one point stay; times in ns before which they go, 0 = none do. `period_ns`: of its summaries, 0 =
    none; `until_ns`: end of the last one.
    """

    point: str
    profile_ns: int = 0
    samples_ns: int = 0
    summaries_ns: int = 0
    period_ns: int = 0
    until_ns: int = 0


@dataclass(slots=True)
class Pending:
    """
    What is to be written with the next commit. `kept`: (kind, id) -> body, None = no longer kept. Bounded: what is
    kept by its keys, the lists by `most`; what does not fit is counted in `dropped`.
    """

    kept: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    events: list[tuple[int, bytes]] = field(default_factory=list)
    profile: list[IndexRow] = field(default_factory=list)
    proofs: list[ProofRow] = field(default_factory=list)
    samples: list[SampleRow] = field(default_factory=list)
    dropped: int = 0
    most: int = MOST

    def __bool__(self) -> bool:
        return bool(self.kept or self.events or self.profile or self.proofs or self.samples)

    def before(self, later: "Pending") -> "Pending":
        """Return this and then `later` as one."""
        self.kept |= later.kept
        for name in ("events", "profile", "proofs", "samples"):
            rows = getattr(self, name)
            rows += getattr(later, name)
            excess = len(rows) - self.most
            if excess > 0:
                del rows[:excess]
                self.dropped += excess
        self.dropped += later.dropped
        return self
