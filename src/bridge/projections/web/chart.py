"""Lines and bars as SVG: scales, ticks and paths. Pure; a browser without scripts shows the same picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

# The picture in its own units; left: room for numbers, bottom: for times
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 260, 96, 8, 10, 26
# Edges of the plot, for the templates
PLOT = {"left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "low": HEIGHT - BOTTOM, "width": WIDTH, "height": HEIGHT}
# Columns that a line is thinned out to: each keeps its least and its greatest value
COLUMNS = 460
_NS = 1_000_000_000
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
_TICKS_X, _TICKS_Y = 8, 5
# A smaller difference no eye and no float of the picture shows
_LEAST_SPREAD = 1e-9
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Dot:
    """One value at a time (ns, UTC); None: from here on there is none that could be used."""

    at_ns: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Tick:
    """`at`: in units of the picture."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What is shown: a span of time and of values."""

    begin_ns: int
    end_ns: int
    low: float
    high: float

    def x(self, at_ns: int) -> float:
        share = (at_ns - self.begin_ns) / max(self.end_ns - self.begin_ns, 1)
        return round(LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM), 1)


def frame_of(begin_ns: int, end_ns: int, lines: Sequence[Sequence[Dot]], zero: bool = False) -> Frame:
    """Return a frame that all values fit in, with whole ticks at both ends. `zero`: from zero on."""
    values = [dot.value for line in lines for dot in line if dot.value is not None and math.isfinite(dot.value)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    largest = max(abs(high), abs(low))
    if high - low <= max(largest * 1e-9, _LEAST_SPREAD):
        spread = max(largest * 0.05, _LEAST_SPREAD) if largest > _LEAST_SPREAD else 1.0
        low, high = (low if zero and low >= 0 else low - spread), high + spread
    step = _nice((high - low) / (_TICKS_Y - 1))
    return Frame(begin_ns, end_ns, math.floor(low / step) * step, math.ceil(high / step) * step)


def y_ticks(frame: Frame) -> list[Tick]:
    """Return values at even steps."""
    step = _nice((frame.high - frame.low) / (_TICKS_Y - 1))
    count = round((frame.high - frame.low) / step)
    digits = max(0, -math.floor(math.log10(step)))
    return [Tick(frame.y(frame.low + n * step), f"{frame.low + n * step:.{digits}f}") for n in range(count + 1)]


def x_ticks(frame: Frame, zone: tzinfo = UTC) -> list[Tick]:
    """Return round times of the zone: hours, or days when more than two are shown."""
    span_s = max((frame.end_ns - frame.begin_ns) / _NS, 1)
    step = next(
        (step for step in _STEPS_S if span_s / step <= _TICKS_X), math.ceil(span_s / _TICKS_X / _DAY_S) * _DAY_S
    )
    shift_s = round((datetime.fromtimestamp(frame.begin_ns / _NS, zone).utcoffset() or _NO_SHIFT).total_seconds())
    first = -(-(frame.begin_ns // _NS + shift_s) // step) * step - shift_s
    shape = "%d/%m" if step >= _DAY_S else "%H:%M" if step >= 60 else "%H:%M:%S"
    times = range(first, frame.end_ns // _NS + 1, step)
    return [Tick(frame.x(at * _NS), datetime.fromtimestamp(at, zone).strftime(shape)) for at in times]


def thinned(dots: Sequence[Dot], begin_ns: int, end_ns: int, columns: int = COLUMNS) -> list[Dot]:
    """Return at most about two dots and a gap a column: first what is least, then greatest, as they came in time."""
    if len(dots) <= 2 * columns:
        return list(dots)
    width = max((end_ns - begin_ns) // columns, 1)
    kept: list[Dot] = []
    column: list[Dot] = []
    for dot in dots:
        if column and (dot.at_ns - begin_ns) // width != (column[0].at_ns - begin_ns) // width:
            kept += _ends(column)
            column = []
        column.append(dot)
    return kept + _ends(column)


def path_of(dots: Sequence[Dot], frame: Frame, stepped: bool = False) -> str:
    """Return the line as SVG path data; it is broken where there is no value."""
    words: list[str] = []
    drawing = False
    for dot in dots:
        if dot.value is None or not math.isfinite(dot.value):
            drawing = False
            continue
        x, y = frame.x(dot.at_ns), frame.y(dot.value)
        if not drawing:
            # a lone dot is seen as well
            words.append(f"M{x:g} {y:g}h0")
        elif stepped:
            words.append(f"H{x:g}V{y:g}")
        else:
            words.append(f"L{x:g} {y:g}")
        drawing = True
    return "".join(words)


def gaps_of(dots: Sequence[Dot], frame: Frame) -> list[tuple[float, float]]:
    """Return where there is no value: (x, width)."""
    found: list[tuple[float, float]] = []
    since: int | None = None
    for dot in dots:
        if dot.value is None:
            since = dot.at_ns if since is None else since
        elif since is not None:
            found.append(_between(frame, since, dot.at_ns))
            since = None
    if since is not None:
        found.append(_between(frame, since, frame.end_ns))
    return found


def bars_of(dots: Sequence[Dot], width_ns: int, frame: Frame) -> list[tuple[float, float, float, float]]:
    """Return one bar a value, which stands for `width_ns` before its time: (x, y, width, height)."""
    zero = frame.y(0.0)
    found: list[tuple[float, float, float, float]] = []
    for dot in dots:
        if dot.value is None:
            continue
        x, wide = _between(frame, dot.at_ns - width_ns, dot.at_ns)
        y = frame.y(dot.value)
        found.append((x, min(y, zero), max(round(wide - 0.6, 1), 0.4), round(abs(y - zero), 1)))
    return found


def _between(frame: Frame, begin_ns: int, end_ns: int) -> tuple[float, float]:
    x = frame.x(begin_ns)
    return x, round(max(frame.x(end_ns) - x, 0.5), 1)


def _ends(column: Sequence[Dot]) -> list[Dot]:
    good = [dot for dot in column if dot.value is not None]
    wanted = [min(good, key=_value), max(good, key=_value)] if good else []
    gap = next((dot for dot in reversed(column) if dot.value is None), None)
    kept = {id(dot): dot for dot in (*wanted, *([gap] if gap is not None else []))}
    return sorted(kept.values(), key=lambda dot: dot.at_ns)


def _value(dot: Dot) -> float:
    assert dot.value is not None
    return dot.value


def _nice(rough: float) -> float:
    """Return the next step of 1, 2, 5, 10 up."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999_999)


_NO_SHIFT = UTC.utcoffset(None)
