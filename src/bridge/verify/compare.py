"""What the meter sent, what the bridge holds, what a server shows: equal or not, and why. Pure."""

import enum
import math
import struct
from dataclasses import dataclass
from fractions import Fraction

from bridge.config.model import FieldPoint
from bridge.core.point import Kind, PointDef
from bridge.core.quality import UNUSABLE, Quality

# Characters of a VisString255 (IEC 61850-7-2)
_VISIBLE_MOST = 255


class Verdict(enum.Enum):
    """`WAITING`: the value moved while it was looked at; look again."""

    GOOD = "good"
    WAITING = "waiting"
    MISSING = "missing"
    DIFFERENT = "different"
    STALE_SHOWN_GOOD = "bad shown as good"
    GOOD_SHOWN_BAD = "good shown as bad"
    TOO_OLD = "too old"
    UNREADABLE = "server not readable"


@dataclass(frozen=True, slots=True)
class Held:
    """What the bridge's point table holds. `value`: float, count, code, text or UTC ns, as `core.point.Value` says."""

    value: float | int | str | bool | None
    quality: Quality
    source_ns: int


class Precision(enum.Enum):
    """How much of a value a protocol's item can carry."""

    EXACT = "exact"
    FLOAT64 = "float64"
    FLOAT32 = "float32"
    # a text of at most 255 characters of ISO 646 that can be printed, question marks for the others
    VISIBLE = "visible string"


@dataclass(frozen=True, slots=True)
class Shown:
    """
    What a server showed a client. `value` in the unit of the point (an accumulator as exact Fraction of the unit where
    `precision` is EXACT); None = the server shows no value. `good`: the protocol's own word for trust; None where it
    has none for such an item. `modulus`: where the protocol's counter starts again, 0 = never; `step`: the least that
    its item can tell, what is finer is cut off, 0 = anything. `within`: how far
    a server may hold back a change (deadband), in the unit of the point.
    """

    value: Fraction | float | str | None
    precision: Precision
    good: bool | None
    modulus: Fraction = Fraction(0)
    step: Fraction = Fraction(0)
    within: float = 0.0


def expected(point: FieldPoint, raw: Fraction | str | None) -> Fraction | str | None:
    """Return what a reading of `raw` should be in the unit of the point, from the meter file's scale."""
    register = point.read
    if raw is None or isinstance(raw, str) or register is None:
        return raw
    if point.definition.kind is Kind.ACCUMULATOR:
        counts = raw * register.counts
        nearest = round(counts)
        tolerance = Fraction(1, 1_000_000) + abs(counts) / 2**52
        whole = nearest if abs(counts - nearest) <= tolerance else math.floor(counts)
        return Fraction(whole) * Fraction(10) ** point.definition.resolution
    if point.definition.kind in (Kind.TIME, Kind.BINARY, Kind.MULTISTATE):
        return raw
    value = raw * register.scale + Fraction(register.offset)
    return -value if register.inverted else value


def in_unit(definition: PointDef, held: Held) -> Fraction | str | None:
    """Return what the bridge holds, in the unit of the point, nothing rounded."""
    if held.value is None or isinstance(held.value, str):
        return held.value
    if definition.kind is Kind.ACCUMULATOR and isinstance(held.value, int):
        return held.value * Fraction(10) ** definition.resolution
    return Fraction(held.value)


def same_as_meter(point: FieldPoint, want: Fraction | str | None, held: Held) -> bool:
    """Tell whether the bridge holds what the registers say; a scale still being decided passes with each candidate."""
    have = in_unit(point.definition, held)
    if isinstance(want, str) or isinstance(have, str) or want is None or have is None:
        return want == have
    if point.definition.kind is not Kind.ANALOG:
        return want == have
    return math.isclose(float(want), float(have), rel_tol=1e-12, abs_tol=1e-12)


def judge(definition: PointDef, held: Held, shown: Shown | None) -> Verdict:
    """Compare what a server shows with what the bridge holds."""
    if shown is None:
        return Verdict.MISSING
    usable = not held.quality & (UNUSABLE | Quality.SUBSTITUTED | Quality.QUESTIONABLE)
    if shown.good and not usable:
        return Verdict.STALE_SHOWN_GOOD
    if usable and shown.good is False:
        return Verdict.GOOD_SHOWN_BAD
    if shown.good is None and not usable:
        # without a word for it nothing can be shown wrong
        return Verdict.GOOD
    if shown.value is None:
        return Verdict.GOOD if not usable else Verdict.MISSING
    return Verdict.GOOD if _equal(in_unit(definition, held), shown) else Verdict.DIFFERENT


def too_old(definition: PointDef, held: Held, now_ns: int) -> bool:
    """Tell whether a point shown as good is older than its staleness limit."""
    return bool(definition.stale_after_ns) and now_ns - held.source_ns > definition.stale_after_ns


def _equal(have: Fraction | str | None, shown: Shown) -> bool:
    if shown.precision is Precision.VISIBLE and isinstance(have, str):
        return "".join(c if " " <= c <= "~" else "?" for c in have)[:_VISIBLE_MOST] == shown.value
    if have is None or isinstance(have, str) or isinstance(shown.value, str) or shown.value is None:
        return have == shown.value
    if shown.within and abs(have - Fraction(shown.value)) < shown.within:
        return True
    if shown.precision is Precision.EXACT:
        told = have - have % shown.step if shown.step else have
        return (told % shown.modulus if shown.modulus else told) == Fraction(shown.value)
    if shown.precision is Precision.FLOAT32:
        return struct.pack(">f", float(have)) == struct.pack(">f", float(shown.value))
    return math.isclose(float(have), float(shown.value), rel_tol=1e-15, abs_tol=0.0) or float(have) == shown.value
