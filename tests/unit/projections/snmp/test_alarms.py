"""Active alarms as rows: one row for an alarm's life, none for what is not shown, and too many are told."""

import msgspec

from bridge.core.alarm import Alarm
from bridge.core.store import PointStore
from bridge.projections.snmp.alarms import ROWS, Alarms
from bridge.projections.snmp.oidtree import Tree
from bridge.projections.snmp.plan import ALARM_ARC
from tests.support.snmp_site import facts, plan_of, point, projected

POWER = point("landlord.active_power_total")
HIDDEN = point("landlord.frequency")
START_NS = 1_700_000_000_000_000_000
NAME, POINT, PRIORITY, SEVERITY, EXTREME, ACKNOWLEDGED = 3, 6, 7, 8, 11, 12


def alarm(id_: int, priority: int = 200, index: int = POWER.index) -> Alarm:
    return Alarm(id_, f"rule {id_}", "Power too high", "landlord", index, priority, START_NS, limit=20.0)


class Shown:
    """The rows as a walk sees them."""

    def __init__(self) -> None:
        plan = plan_of(projected(rules=[{"match": "*.frequency", "skip": True}]))
        site = facts()
        self.alarms = Alarms(plan, PointStore(site.points, site.devices))
        self.tree = Tree(self.alarms.tables())
        self.alarms.shown_by(self.tree.changed)
        self.entry = (*plan.enterprise, 1, 1, ALARM_ARC, 3, 1)

    def column(self, arc: int) -> dict[int, bytes]:
        """Return row -> encoded value of the rows that are there."""
        first, behind = self.tree.below((*self.entry, arc))
        found = {at + 1 - first: self.tree.varbind(at) for at in range(first, behind)}
        return {row: varbind[4 + varbind[3] :] for row, varbind in found.items() if varbind}

    def scalars(self) -> tuple[int, int]:
        first, _ = self.tree.below((*self.entry[:-2], 1))
        return self.tree.varbind(first)[-1], self.tree.varbind(first + 1)[-1]


def test_an_alarm_keeps_its_row_while_it_is_active_and_leaves_it_then() -> None:
    shown = Shown()
    for id_ in (7, 8, 9):
        shown.alarms.take(alarm(id_))
    before = shown.column(NAME)
    shown.alarms.take(msgspec.structs.replace(alarm(8), end_ns=START_NS + 1))
    between = shown.column(NAME)
    shown.alarms.take(alarm(10))

    assert before == {1: b"\x04\x06rule 7", 2: b"\x04\x06rule 8", 3: b"\x04\x06rule 9"}
    assert between == {1: b"\x04\x06rule 7", 3: b"\x04\x06rule 9"}
    assert shown.column(NAME) == {**between, 2: b"\x04\x07rule 10"}
    assert shown.scalars() == (3, 0)


def test_an_alarm_says_its_point_its_severity_and_who_has_seen_it() -> None:
    shown = Shown()
    shown.alarms.take(alarm(1, priority=64))
    shown.alarms.take(alarm(2, priority=255, index=-1))
    seen = msgspec.structs.replace(alarm(1, priority=64), acknowledged_ns=START_NS + 1, extreme=25.5)
    shown.alarms.take(seen)

    assert shown.column(POINT) == {1: b"\x04\x12active_power_total", 2: b"\x04\x00"}
    assert shown.column(PRIORITY) == {1: b"\x02\x01\x40", 2: b"\x02\x02\x00\xff"}
    assert shown.column(SEVERITY) == {1: b"\x02\x01\x02", 2: b"\x02\x01\x04"}
    assert shown.column(ACKNOWLEDGED) == {1: b"\x02\x01\x01", 2: b"\x02\x01\x02"}
    assert shown.column(EXTREME) == {1: b"\x04\x0425.5"}


def test_an_alarm_of_a_point_that_is_not_shown_is_not_shown_either() -> None:
    shown = Shown()
    shown.alarms.take(alarm(1, index=HIDDEN.index))

    assert shown.column(NAME) == {}
    assert shown.scalars() == (0, 0)


def test_alarms_beyond_the_rows_are_counted_and_get_the_next_that_is_free() -> None:
    shown = Shown()
    for id_ in range(1, ROWS + 4):
        shown.alarms.take(alarm(id_))
    full = shown.scalars()
    # one that waits ends before there is a row for it
    shown.alarms.take(msgspec.structs.replace(alarm(ROWS + 1), end_ns=1))
    shown.alarms.take(msgspec.structs.replace(alarm(5), end_ns=1))

    assert full == (ROWS + 3, 3)
    assert shown.column(NAME)[5] == b"\x04\x08rule 202"
    assert shown.scalars() == (ROWS + 1, 1)


def test_an_alarm_that_had_ended_before_anybody_listened_has_no_row() -> None:
    shown = Shown()
    shown.alarms.take(msgspec.structs.replace(alarm(1), end_ns=1))

    assert shown.column(NAME) == {}
