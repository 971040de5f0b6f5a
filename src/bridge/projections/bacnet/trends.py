"""
Rows of the bridge's history as log records of a Trend Log, and which of them a ReadRange means (clauses 12.25, 15.8).

Pure. A record is BACnetLogRecord: [0] date and time on the device's own clock, [1] datum, [2] Status_Flags.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bridge.core.point import Sample
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.plan import BINARIES, MULTI_STATES, REALS, ObjectType, Shape
from bridge.projections.bacnet.values import CONDITION_OF, FLAGS_OF, Shown, encoder, shower

# A record's time says hundredths of a second; two rows in one of them look the same.
TICK_NS = 10_000_000
# Log status log-interrupted; error of a value that is not there: property, value-not-initialized.
_INTERRUPTED = b"\x0a\x05\x20"
_NO_VALUE = b"\x8e\x91\x02\x91\x48\x8f"
# Error of a value that its datatype cannot carry: property, value-out-of-range.
_BEYOND = b"\x8e\x91\x02\x91\x25\x8f"


class Wanted(NamedTuple):
    """Records `first` to `last` of those numbered; none where `last` is less. `backwards`: counted from `last`."""

    first: int
    last: int
    backwards: bool


class Chosen(NamedTuple):
    """Octets of the records that fit, the number of the first, and whether there would have been more."""

    records: list[bytes]
    first: int
    more: bool


def counted(reference: int, count: int, oldest: int, newest: int) -> Wanted:
    """Return what `count` records from number `reference` on (or back) are; none if there is no such number."""
    if not oldest <= reference <= newest or not count:
        return Wanted(oldest, oldest - 1, False)
    if count > 0:
        return Wanted(reference, min(newest, reference + count - 1), False)
    return Wanted(max(oldest, reference + count + 1), reference, True)


def fitting(records: Sequence[bytes], wanted: Wanted, room: int) -> Chosen:
    """Return the records next to where the client began to count, as many as `room` octets take."""
    kept: list[bytes] = []
    for record in reversed(records) if wanted.backwards else records:
        room -= len(record)
        if room < 0:
            break
        kept.append(record)
    more = len(kept) < wanted.last - wanted.first + 1
    if wanted.backwards:
        return Chosen(kept[::-1], wanted.last - len(kept) + 1, more)
    return Chosen(kept, wanted.first, more)


def reply(head: bytes, chosen: Chosen, oldest: int, newest: int, *, numbered: bool) -> bytes:
    """Return the octets of a ReadRange-ACK after `head` (object, property); `numbered`: with the first one's number."""
    count, first = len(chosen.records), chosen.first
    flags = 0
    if count:
        flags = (first == oldest) << 7 | (first + count - 1 == newest) << 6 | chosen.more << 5
    elif chosen.more:
        flags = 1 << 5
    body = (
        head + bytes((0x3A, 5, flags)) + wire.context_unsigned(4, count) + b"\x5e" + b"".join(chosen.records) + b"\x5f"
    )
    return body + wire.context_unsigned(6, first) if numbered and count else body


class Recorder:
    """Encodes the records of the points of one shape."""

    def __init__(self, shape: Shape) -> None:
        self._kind, self._show, self._any = shape.object_type, shower(shape), encoder(shape.object_type)

    def record(self, sample: Sample) -> bytes:
        """Return one log record; `source_ns` of the sample is the time of the row."""
        time = b"\x0e%b\x0f\x1e" % wire.local_date_time(sample.source_ns)
        if sample.value is None:
            # only a load profile knows that it was interrupted
            return time + (_INTERRUPTED if self._kind is ObjectType.ACCUMULATOR else _NO_VALUE) + b"\x1f"
        shown = self._show(sample.value)
        datum = _BEYOND if shown is None else self._datum(shown)
        return b"%b%b\x1f\x2a\x04%c" % (time, datum, FLAGS_OF[CONDITION_OF[sample.quality]] << 4)

    def _datum(self, shown: Shown) -> bytes:
        kind = self._kind
        if kind in REALS:
            return wire.pack_real(0x2C, shown)
        if kind in BINARIES:
            return wire.context_unsigned(3, int(shown))
        if kind in MULTI_STATES or kind is ObjectType.ACCUMULATOR:
            return wire.context_unsigned(4, int(shown))
        return b"\xae%b\xaf" % self._any(shown)
