"""
The point image as rows: scalars of the gateway, device table, point table, measure table.

The point table holds the last value whatever its quality, with the quality beside it. A typed column of the measure
table has no instance while its value is no present reading of the meter.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from bridge.core.point import Batch, Kind, PointDef, Sample
from bridge.core.ports import PointReader
from bridge.core.quality import UNUSABLE, Quality
from bridge.projections.snmp.ber import Oid, Syntax, Value
from bridge.projections.snmp.oidtree import Change, Freshness, Instance, Instances, ObjectType, Table, Unfit
from bridge.projections.snmp.plan import (
    MEASURE_ARC,
    MODULE_ARC,
    OBJECTS_ARC,
    POINT_ARC,
    Column,
    Plan,
    Shape,
)
from bridge.projections.snmp.values import (
    TEXT_BYTES,
    Show,
    counter_shower,
    date_of,
    flags_of,
    quality_of,
    scaled_of,
    text_bytes,
    text_shower,
    typed,
    value_from_number,
    value_from_text,
)

_SYNTAX = {
    Shape.SCALED: Syntax.INTEGER32,
    Shape.COUNTER: Syntax.COUNTER64,
    Shape.DECIMAL: Syntax.OCTET_STRING,
    Shape.STATE: Syntax.INTEGER32,
    Shape.TEXT: Syntax.OCTET_STRING,
    Shape.TIME: Syntax.OCTET_STRING,
}
KINDS = ("analog", "accumulator", "binary", "multistate", "text", "time")
# What makes the count before and after a sample not comparable for a poller that subtracts
_BREAKS = int(Quality.DISCONTINUITY | Quality.ROLLOVER)
# as int: an operation of IntFlag costs as much as all else
_UNUSABLE = int(UNUSABLE)


def objects_oid(plan: Plan, *arcs: int) -> Oid:
    return (*plan.enterprise, MODULE_ARC, OBJECTS_ARC, *arcs)


# Positions of the columns of the point table that a sample moves: text and number of its value, counter; then what
# follows its quality, and its breaks
_MOVED = {
    Kind.ACCUMULATOR: (0, 1, 5),
    Kind.ANALOG: (0, 1),
    Kind.BINARY: (0, 1),
    Kind.MULTISTATE: (0, 1),
    Kind.TEXT: (0,),
    Kind.TIME: (0,),
}
_QUALITY, _BREAK = (2, 3), (6,)
# No quality of a sample
_UNKNOWN = 0xFFFF
# Tree.changed: table, handle, positions of the columns
Forget = Callable[..., None]


class Rows:
    """Every row of the plan over one point image; tells the tree what to forget. Loop thread only."""

    def __init__(self, plan: Plan, points: PointReader, uptime_cs: Callable[[], int]) -> None:
        self._plan, self._points, self._uptime_cs = plan, points, uptime_cs
        self._rows = plan.rows
        self._defs = [points.definition(row.index) for row in plan.rows]
        self._at = {row.index: at for at, row in enumerate(plan.rows)}
        # point index of each row; an array, for what lies together is in the cache together
        self._numbers = array("i", [row.index for row in plan.rows])
        self._breaks: dict[int, int] = {}
        self._qualities = array("H", [_UNKNOWN]) * len(plan.rows)
        self._values, self._facts = self._point_tables()
        # of each row its row and column in the measure table, -1 for none
        self._handles, self._columns = array("i", [-1]) * len(plan.rows), array("i", [-1]) * len(plan.rows)
        self._measures = self._measure_table()
        self.tables = [self._facts, self._values, self._measures] if self._plan.columns else [self._facts, self._values]
        self._forget: Forget = lambda table, handle, columns=(): None

    def shown_by(self, forget: Forget) -> None:
        """`forget`: the tree's `changed`."""
        self._forget = forget

    def indexes(self) -> list[int]:
        return list(self._at)

    def places(self) -> Mapping[int, int]:
        """Return point index -> position in the plan's rows."""
        return self._at

    def update(self, batch: Batch) -> None:
        """Take note of changed samples."""
        for index, sample in batch:
            at = self._at[index]
            quality, moved = int(sample.quality), _MOVED[self._defs[at].kind]
            if quality != self._qualities[at]:
                self._qualities[at] = quality
                moved += _QUALITY
            if quality & _BREAKS:
                self._breaks[at] = self._uptime_cs()
                moved += _BREAK
            self._forget(self._values, at, moved)
            if self._columns[at] >= 0:
                self._forget(self._measures, self._handles[at], (self._columns[at],))

    def _point_tables(self) -> tuple[Table, Table]:
        rows, defs, get = self._rows, self._defs, self._points.get
        numbers, scales = self._numbers, array("b", [row.scale for row in rows])
        shows = _alike(text_shower, ((one.kind, one.resolution, one.states) for one in defs))
        counts = _alike(counter_shower, ((one.unit, one.resolution) for one in defs))
        instances = Instances([Instance((row.device, row.number), at) for at, row in enumerate(rows)])
        entry = objects_oid(self._plan, POINT_ARC, 1)
        text, integer = Syntax.OCTET_STRING, Syntax.INTEGER32

        def column(arc: int, syntax: Syntax, read: Callable[[int], Value | None]) -> ObjectType:
            return ObjectType((*entry, arc), syntax, read)

        def sample(at: int) -> Sample:
            return get(numbers[at])

        def shown(at: int) -> bytes | None:
            value = get(numbers[at]).value
            return None if value is None else shows[at](value)

        # in the order of _MOVED, _QUALITY and _BREAK
        values = [
            ObjectType(
                (*entry, 4), text, shown,
                writable=lambda at: rows[at].writable, change=self._change_by_text,
            ),
            ObjectType(
                (*entry, 5), integer, lambda at: scaled_of(get(numbers[at]).value, scales[at]),
                has=lambda at: defs[at].kind not in (Kind.TEXT, Kind.TIME),
                writable=lambda at: rows[at].writable, change=self._change_by_number,
            ),
            column(8, integer, lambda at: quality_of(sample(at).quality)),
            column(9, text, lambda at: flags_of(sample(at).quality)),
            ObjectType((*entry, 10), text, lambda at: date_of(sample(at).source_ns), Freshness.LIVE),
            ObjectType(
                (*entry, 11), Syntax.COUNTER64, lambda at: counts[at](get(numbers[at]).value),
                has=lambda at: defs[at].kind is Kind.ACCUMULATOR,
            ),
            column(12, Syntax.TIME_TICKS, lambda at: self._breaks.get(at, 0)),
        ]  # fmt: skip
        facts = [
            column(2, text, lambda at: text_bytes(defs[at].name)),
            column(3, text, lambda at: text_bytes(defs[at].label)),
            column(6, integer, lambda at: scales[at]),
            column(7, text, lambda at: text_bytes(defs[at].unit)),
            column(13, integer, lambda at: 1 + KINDS.index(defs[at].kind.value)),
            column(14, integer, lambda at: 1 if rows[at].writable else 2),
            column(15, text, lambda at: _states(defs[at])),
        ]
        return Table(values, instances), Table(facts, instances)

    def _measure_table(self) -> Table:
        """Build the table, and note of each typed point the handle of its row and the position of its column."""
        entry = objects_oid(self._plan, MEASURE_ARC, 1)
        shown = [(at, row) for at, row in enumerate(self._rows) if row.column]
        circuits = sorted({(row.device, row.circuit) for _, row in shown})
        handles = {circuit: handle for handle, circuit in enumerate(circuits)}
        positions = {column.arc: position for position, column in enumerate(self._plan.columns)}
        members: list[dict[int, int]] = [{} for _ in self._plan.columns]
        for at, row in shown:
            handle, position = handles[row.device, row.circuit], positions[row.column]
            self._handles[at], self._columns[at] = handle, position
            members[position][handle] = at
        columns = [
            ObjectType((*entry, column.arc), _SYNTAX[column.shape], self._reader(column, mine), has=mine.__contains__)
            for column, mine in zip(self._plan.columns, members, strict=True)
        ]
        return Table(columns, Instances([Instance(circuit, handle) for circuit, handle in handles.items()]))

    def _reader(self, column: Column, members: dict[int, int]) -> Callable[[int], Value | None]:
        # meters of one model share what shows their values
        made: dict[object, Show] = {}
        shows: dict[int, Show] = {}
        for handle, at in members.items():
            definition = self._defs[at]
            like = (definition.unit, definition.resolution, definition.states)
            shows[handle] = made.setdefault(like, typed(column, definition))

        get, numbers = self._points.get, self._numbers

        def read(handle: int) -> Value | None:
            sample = get(numbers[members[handle]])
            return None if int(sample.quality) & _UNUSABLE else shows[handle](sample)

        return read

    def _change_by_text(self, at: int, value: Value) -> Change | Unfit:
        if not isinstance(value, bytes) or len(value) > TEXT_BYTES:
            return Unfit.LENGTH
        try:
            wanted = value_from_text(self._defs[at], value.decode())
        except UnicodeDecodeError:
            return Unfit.VALUE
        return Unfit.VALUE if wanted is None else Change(self._rows[at].index, wanted)

    def _change_by_number(self, at: int, value: Value) -> Change | Unfit:
        assert isinstance(value, int)
        wanted = value_from_number(self._defs[at], value, self._rows[at].scale)
        return Unfit.VALUE if wanted is None else Change(self._rows[at].index, wanted)


K = TypeVar("K", bound=tuple[object, ...])
R = TypeVar("R")


def _alike(make: Callable[..., R], likes: Iterable[K]) -> list[R]:
    """Return what `make` makes of each: one for all that are alike, as the points of meters of one model are."""
    made: dict[K, R] = {}
    found: list[R] = []
    for like in likes:
        one = made.get(like)
        if one is None:
            one = made[like] = make(*like)
        found.append(one)
    return found


def _states(definition: PointDef) -> bytes | None:
    if not definition.states:
        return None
    return text_bytes("; ".join(f"{code}={text}" for code, text in definition.states))
