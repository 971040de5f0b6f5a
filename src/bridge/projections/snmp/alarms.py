"""
The active alarms as rows. An alarm keeps its row while it is active; then the row is free for another.

Rows are as many as `ROWS`, whatever happens: an alarm that finds none free is counted in mbAlarmsHidden, and gets the
first that becomes free.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from bridge.core.alarm import Alarm, Band, band_of
from bridge.core.ports import PointReader
from bridge.projections.snmp.ber import Syntax, Value
from bridge.projections.snmp.objects import Forget, objects_oid
from bridge.projections.snmp.oidtree import Freshness, Instance, Instances, ObjectType, Table
from bridge.projections.snmp.plan import ALARM_ARC, Plan
from bridge.projections.snmp.values import date_of, text_bytes

ROWS = 200
# MbSeverity
_SEVERITY = {Band.NONE: 1, Band.INFO: 1, Band.LOW: 2, Band.MEDIUM: 3, Band.HIGH: 4}
_TRUE, _FALSE = 1, 2


class Alarms:
    """Loop thread only."""

    def __init__(self, plan: Plan, points: PointReader) -> None:
        self._points = points
        self._shown = {row.index for row in plan.rows}
        self._rows: list[Alarm | None] = [None] * ROWS
        self._free = list(range(ROWS))
        heapify(self._free)
        self._places: dict[int, int] = {}
        # active ones without a row, by id: the first that came goes first
        self._waiting: dict[int, Alarm] = {}
        self._scalars = [
            ObjectType((*objects_oid(plan, ALARM_ARC), arc), Syntax.GAUGE32, read, Freshness.LIVE)
            for arc, read in ((1, lambda _: self.active()), (2, lambda _: len(self._waiting)))
        ]
        self._table = self._alarm_table(plan)
        self._forget: Forget = lambda table, handle, columns=(): None

    def tables(self) -> list[Table]:
        return [*(Table([scalar]) for scalar in self._scalars), self._table]

    def shown_by(self, forget: Forget) -> None:
        """`forget`: the tree's `changed`."""
        self._forget = forget

    def active(self) -> int:
        return len(self._places) + len(self._waiting)

    def take(self, alarm: Alarm) -> None:
        """Take note of an alarm that began, ended or was acknowledged; of a point that is not shown there is none."""
        if alarm.index >= 0 and alarm.index not in self._shown:
            return
        place = self._places.get(alarm.id)
        if place is not None:
            self._put(place, alarm if alarm.active else None, alarm.id)
        elif not alarm.active:
            self._waiting.pop(alarm.id, None)
        elif self._free:
            self._put(heappop(self._free), alarm, alarm.id)
        else:
            self._waiting[alarm.id] = alarm

    def _put(self, place: int, alarm: Alarm | None, id_: int) -> None:
        self._rows[place] = alarm
        self._forget(self._table, place)
        if alarm is not None:
            self._places[id_] = place
            return
        del self._places[id_]
        if self._waiting:
            first = next(iter(self._waiting))
            self._put(place, self._waiting.pop(first), first)
        else:
            heappush(self._free, place)

    def _alarm_table(self, plan: Plan) -> Table:
        text, integer = Syntax.OCTET_STRING, Syntax.INTEGER32
        reads: Sequence[tuple[int, Syntax, Callable[[Alarm], Value | None]]] = (
            (2, Syntax.COUNTER64, lambda a: a.id),
            (3, text, lambda a: text_bytes(a.name)),
            (4, text, lambda a: text_bytes(a.label)),
            (5, text, lambda a: text_bytes(a.device)),
            (6, text, self._point),
            (7, integer, lambda a: a.priority),
            (8, integer, lambda a: _SEVERITY[band_of(a.priority)]),
            (9, text, lambda a: date_of(a.start_ns)),
            (10, text, lambda a: _number(a.limit)),
            (11, text, lambda a: _number(a.extreme)),
            (12, integer, lambda a: _TRUE if a.acknowledged else _FALSE),
            (13, text, lambda a: text_bytes(a.acknowledged_by)),
        )
        entry = objects_oid(plan, ALARM_ARC, 3, 1)
        columns = [ObjectType((*entry, arc), syntax, self._reader(read)) for arc, syntax, read in reads]
        return Table(columns, Instances([Instance((place + 1,), place) for place in range(ROWS)]))

    def _reader(self, read: Callable[[Alarm], Value | None]) -> Callable[[int], Value | None]:
        def of(place: int) -> Value | None:
            alarm = self._rows[place]
            return None if alarm is None else read(alarm)

        return of

    def _point(self, alarm: Alarm) -> bytes:
        return text_bytes(self._points.definition(alarm.index).name) if alarm.index >= 0 else b""


def _number(value: float | None) -> bytes | None:
    return None if value is None else repr(value).removesuffix(".0").encode()
