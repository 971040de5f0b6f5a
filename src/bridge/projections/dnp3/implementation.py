"""
The implementation table: every object, function and qualifier the outstation knows.

Rows of points are made from the object layouts the server itself encodes by, so that the table cannot claim more.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bridge.projections.dnp3.application import Function, Qualifier
from bridge.projections.dnp3.objects import GROUPS, LAYOUTS, PointType

_RANGES = (Qualifier.RANGE_8, Qualifier.RANGE_16)
_ALL = (Qualifier.ALL,)
_COUNTS = (Qualifier.COUNT_8, Qualifier.COUNT_16)
_INDEXED = (Qualifier.INDEX_8, Qualifier.INDEX_16)
_CONTROLS = (Function.SELECT, Function.OPERATE, Function.DIRECT_OPERATE, Function.DIRECT_OPERATE_NR)
_NAMES = {
    PointType.BINARY_INPUT: ("Binary input", "Binary input event"),
    PointType.DOUBLE_BIT: ("Double-bit input", "Double-bit input event"),
    PointType.BINARY_OUTPUT: ("Binary output status", "Binary output status event"),
    PointType.COUNTER: ("Counter", "Counter event"),
    PointType.FROZEN_COUNTER: ("Frozen counter", "Frozen counter event"),
    PointType.ANALOG_INPUT: ("Analog input", "Analog input event"),
    PointType.ANALOG_OUTPUT: ("Analog output status", "Analog output status event"),
    PointType.OCTET_STRING: ("Octet string", "Octet string event"),
    PointType.BINARY_COMMAND: ("", "Binary output command event"),
    PointType.ANALOG_COMMAND: ("", "Analog output command event"),
}
# What the letters of a layout mean to a reader (see objects.py).
_WORDS = {
    "i": "32-bit",
    "h": "16-bit",
    "I": "32-bit",
    "H": "16-bit",
    "f": "single precision",
    "d": "double precision",
    "T": "with time",
    "R": "with relative time",
    "P": "packed",
    "Q": "packed",
}
# Functions without objects.
BARE_FUNCTIONS = (Function.CONFIRM, Function.DELAY_MEASURE, Function.RECORD_CURRENT_TIME)
# Functions that need `allow` of the master, with its word.
PERMITTED = {
    Function.SELECT: "control",
    Function.OPERATE: "control",
    Function.DIRECT_OPERATE: "control",
    Function.DIRECT_OPERATE_NR: "control",
    Function.FREEZE: "freeze",
    Function.FREEZE_NR: "freeze",
    Function.ASSIGN_CLASS: "assign_class",
}


# Function codes, and the qualifiers they take.
Request = tuple[tuple[int, ...], tuple[int, ...]]


class Row(NamedTuple):
    """`response`: qualifiers of the answer, none = no object."""

    group: int
    variation: int
    description: str
    request: Request = ((), ())
    response: tuple[int, ...] = ()


def table() -> list[Row]:
    """Return every row, by group and variation."""
    rows = [*_points(), *_controls(), *_others()]
    return sorted(rows, key=lambda row: (row.group, row.variation, row.request))


def describe(fields: str) -> str:
    """Return the words for a layout: 'FIT' is '32-bit, with flags, with time'."""
    flags = ["with flags" if "F" in fields else "with status" if "S" in fields else "without flags"]
    words = [_WORDS[field] for field in fields if field not in "FS"]
    number = [word for word in words if not word.startswith("with")]
    return ", ".join([*number, *([] if number == ["packed"] else flags), *(w for w in words if w not in number)])


def _points() -> Iterable[Row]:
    for point_type, groups in GROUPS.items():
        static, event = _NAMES[point_type]
        all_events: Request = ((Function.READ,), _ALL + _COUNTS)
        if point_type is PointType.OCTET_STRING:
            all_strings: Request = ((Function.READ,), _RANGES + _ALL)
            yield Row(groups.static, 0, f"{static}, variation = its length", all_strings, _RANGES)
            yield Row(groups.event, 0, f"{event}, variation = its length", all_events, (Qualifier.INDEX_16,))
            continue
        if groups.static:
            all_points: Request = ((Function.READ,), _RANGES + _ALL + _COUNTS + _INDEXED)
            yield Row(groups.static, 0, f"{static}, any variation", all_points)
            yield from _variations(groups.static, static, all_points, (*_RANGES, Qualifier.INDEX_16))
        yield Row(groups.event, 0, f"{event}, any variation", all_events)
        yield from _variations(groups.event, event, all_events, (Qualifier.INDEX_16,))


def _variations(group: int, name: str, request: Request, response: tuple[int, ...]) -> Iterable[Row]:
    for (one, variation), layout in LAYOUTS.items():
        if one == group:
            yield Row(group, variation, f"{name}, {describe(layout.fields)}", request, response)


def _controls() -> Iterable[Row]:
    operate = (_CONTROLS, _INDEXED)
    yield Row(12, 1, "Control relay output block", operate, _INDEXED)
    for variation, words in ((1, "32-bit"), (2, "16-bit"), (3, "single precision"), (4, "double precision")):
        yield Row(41, variation, f"Analog output, {words}", operate, _INDEXED)
    yield Row(20, 0, "Counter, any variation", ((Function.FREEZE, Function.FREEZE_NR), _RANGES + _ALL))
    for point_type, groups in GROUPS.items():
        if groups.static:
            assign = ((Function.ASSIGN_CLASS,), _RANGES + _ALL + _INDEXED)
            yield Row(groups.static, 0, f"{_NAMES[point_type][0]}, any variation", assign)


def _others() -> Iterable[Row]:
    read, write = (Function.READ,), (Function.WRITE,)
    yield Row(
        0, 0, "Device attributes; variations 216 to 252 one by one", (read, (Qualifier.RANGE_8, *_ALL)), _RANGES[:1]
    )
    yield Row(0, 254, "Device attributes, all", (read, (Qualifier.RANGE_8, *_ALL)), _RANGES[:1])
    yield Row(0, 255, "Device attributes, list of variations", (read, (Qualifier.RANGE_8, *_ALL)), _RANGES[:1])
    yield Row(34, 0, "Analog input deadband, any variation", (read, _RANGES + _ALL))
    for variation, words in ((1, "16-bit"), (2, "32-bit"), (3, "single precision")):
        name = f"Analog input deadband, {words}"
        yield Row(34, variation, name, (read, _RANGES + _ALL), _RANGES)
        yield Row(34, variation, name, (write, _RANGES + _COUNTS + _INDEXED))
    yield Row(50, 1, "Time and date", (read, _RANGES + _ALL + _COUNTS + _INDEXED), (Qualifier.COUNT_8,))
    yield Row(50, 1, "Time and date", (write, _COUNTS))
    yield Row(50, 3, "Time and date at the last recorded time", (write, _COUNTS))
    yield Row(51, 1, "Common time of occurrence, synchronised", response=(Qualifier.COUNT_8,))
    yield Row(51, 2, "Common time of occurrence, not synchronised", response=(Qualifier.COUNT_8,))
    yield Row(52, 2, "Time delay, fine", response=(Qualifier.COUNT_8,))
    classes = (Function.ENABLE_UNSOLICITED, Function.DISABLE_UNSOLICITED)
    yield Row(60, 1, "Class 0 data", (read, _ALL))
    yield Row(60, 1, "Class 0 data", ((Function.ASSIGN_CLASS,), _ALL))
    for variation in (2, 3, 4):
        yield Row(60, variation, f"Class {variation - 1} data", (read, _ALL + _COUNTS))
        yield Row(60, variation, f"Class {variation - 1} data", ((*classes, Function.ASSIGN_CLASS), _ALL))
    yield Row(80, 1, "Internal indications", (read, _RANGES + _ALL), _RANGES[:1])
    yield Row(80, 1, "Internal indications: clears bit 7, restart", (write, _RANGES))


def markdown() -> str:
    """Return the table as docs/protocols/dnp3.md shows it."""
    lines = ["| object | what | request: functions | qualifiers | response: qualifiers |", "|---|---|---|---|---|"]
    for row in table():
        functions, qualifiers = row.request
        cells = (
            f"g{row.group}v{row.variation}",
            row.description,
            ", ".join(map(str, functions)),
            " ".join(f"{qualifier:02x}" for qualifier in qualifiers),
            " ".join(f"{qualifier:02x}" for qualifier in row.response),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
