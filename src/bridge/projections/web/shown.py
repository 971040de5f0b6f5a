"""Values, ages and qualities as a person reads them, in the language of the page. Pure."""

from datetime import UTC, datetime

from bridge.core.accumulator import decimal_text
from bridge.core.point import Kind, PointDef, Role, Sample
from bridge.core.quality import UNUSABLE, Quality, is_good

NOTHING = "\u2013"
_MINUS = "\u2212"
# narrow no-break space between groups of three digits, as SI asks
_GROUP = "\u202f"
# digits a measurement is shown with
_DIGITS = 5
_UNITS = {"degC": "°C", "deg": "°", "V2h": "V²h", "A2h": "A²h"}


def value_text(definition: PointDef, sample: Sample, language: str) -> str:
    """Return the value without its unit; an accumulator with all its digits."""
    value, kind = sample.value, definition.kind
    if value is None:
        return NOTHING
    if kind is Kind.ACCUMULATOR and isinstance(value, int):
        return number_text(decimal_text(value, definition.resolution), language)
    if kind is Kind.TIME and isinstance(value, int):
        return time_text(value)
    if kind in (Kind.BINARY, Kind.MULTISTATE):
        label = dict(definition.states).get(int(value)) if isinstance(value, int) else None
        return label or str(int(value) if isinstance(value, bool) else value)
    if isinstance(value, float):
        if definition.role is not Role.MEASUREMENT and value.is_integer():
            return number_text(str(int(value)), language)
        return number_text(_rounded(value), language)
    return str(value) or NOTHING


def number_text(decimal: str, language: str) -> str:
    """Group the digits of a decimal number; French has a comma."""
    whole, point, fraction = decimal.partition(".")
    sign, digits = (_MINUS, whole[1:]) if whole.startswith("-") else ("", whole)
    groups = [digits[max(at - 3, 0) : at] for at in range(len(digits), 0, -3)][::-1]
    return sign + _GROUP.join(groups) + ("," if point and language == "fr" else point) + fraction


def unit_text(unit: str) -> str:
    return _UNITS.get(unit, unit)


def quality_words(quality: int) -> tuple[str, ...]:
    """Return the names of the flags; ("good",) for none."""
    return tuple(str(flag.name).lower() for flag in Quality if flag & quality) or ("good",)


def quality_class(quality: int) -> str:
    """Return good, doubtful, bad or none: what a colour stands for."""
    if quality & Quality.NEVER_READ:
        return "none"
    if quality & UNUSABLE:
        return "bad"
    return "good" if is_good(quality) else "doubtful"


def time_text(utc_ns: int) -> str:
    """Return a time in UTC, to the second; a dash for none."""
    if not 0 < utc_ns < 253_402_300_800 * 10**9:
        return NOTHING
    return datetime.fromtimestamp(utc_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def age_text(seconds: float | None) -> str:
    """Return an age as 3 s, 12 min, 4 h, 9 d."""
    if seconds is None:
        return NOTHING
    for limit, size, word in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(int(seconds // size), 0)} {word}"
    return f"{int(seconds // 86_400)} d"


def _rounded(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    whole = len(str(int(abs(value))))
    return f"{value:.{min(max(_DIGITS - whole, 0), 3)}f}"


def clock_text(utc_ns: int) -> str:
    """Return the time of day in UTC, to the millisecond."""
    at = datetime.fromtimestamp(utc_ns // 10**9, UTC)
    return f"{at:%H:%M:%S}.{utc_ns // 10**6 % 1000:03d}"
