"""Core samples as outstation points: values, flags, times."""

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.dnp3.events import Event
from bridge.projections.dnp3.feed import Feed
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Shown
from bridge.projections.dnp3.time_base import TimeBase

NOW_NS = 1_700_000_000_123_456_789
NOW_MS = NOW_NS // 1_000_000


class Clock:
    def utc_ns(self) -> int:
        return NOW_NS

    def monotonic_ns(self) -> int:
        return 0


POINTS = [
    PointDef(0, "m.energy", Kind.ACCUMULATOR, "kWh", resolution=-2),
    PointDef(1, "m.voltage", Kind.ANALOG, "V"),
    PointDef(2, "m.alarm", Kind.BINARY),
    PointDef(3, "m.text", Kind.TEXT),
    PointDef(4, "m.time", Kind.TIME),
    PointDef(5, "m.state", Kind.MULTISTATE, states=((0, "a"), (2, "b"))),
]
SHOWN = [
    Shown(0, PointType.COUNTER, 3, 3),
    Shown(0, PointType.ANALOG_INPUT, 7, 0, 6, 8),
    Shown(1, PointType.ANALOG_INPUT, 0, 2),
    Shown(2, PointType.BINARY_INPUT, 0, 1),
    Shown(3, PointType.OCTET_STRING, 0, 1),
    Shown(4, PointType.ANALOG_INPUT, 1, 0, 6, 8),
    Shown(5, PointType.DOUBLE_BIT, 0, 1),
]


def made() -> tuple[PointStore, Feed, list[Event]]:
    store, events = PointStore(POINTS), list[Event]()
    feed = Feed(store, SHOWN, TimeBase(Clock()))
    feed.tables.subscribe(events.append)
    store.subscribe(feed.indexes(), feed.update)
    return store, feed, events


def put(store: PointStore, index: int, value: object, quality: Quality = Quality.GOOD) -> None:
    store.publish([(index, Sample(value, quality, NOW_NS, 1))])  # type: ignore[arg-type] # one helper for all kinds


def test_a_point_never_read_says_restart_and_is_no_event() -> None:
    _, feed, events = made()

    assert feed.tables[PointType.COUNTER].flags[3] == 0x02
    assert feed.tables[PointType.BINARY_INPUT].flags[0] == 0x02
    assert feed.tables.strings.values[0] == b"\0"
    assert events == []


def test_energy_is_a_counter_modulo_2_to_32_and_a_double_in_its_unit() -> None:
    store, feed, events = made()
    put(store, 0, 2**53 + 7)

    assert feed.tables[PointType.COUNTER].values[3] == 7
    assert feed.tables[PointType.ANALOG_INPUT].values[7] == (2**53 + 7) / 100
    assert [(e.type, e.index, e.value, e.time_ms) for e in events] == [(PointType.COUNTER, 3, 7, NOW_MS)]


def test_every_kind_arrives() -> None:
    store, feed, _ = made()
    for index, value in ((1, 230.5), (2, True), (3, "SN-1"), (4, NOW_NS), (5, 2)):
        put(store, index, value)

    tables = feed.tables
    assert tables[PointType.ANALOG_INPUT].values[:2] == [230.5, NOW_MS]
    assert tables[PointType.BINARY_INPUT].flags[0] == 0x81
    assert tables[PointType.DOUBLE_BIT].flags[0] == 0x81
    assert tables.strings.values[0] == b"SN-1"


def test_a_bad_sample_keeps_value_and_time_and_changes_the_flags() -> None:
    store, feed, events = made()
    put(store, 1, 230.5)
    put(store, 1, 230.5, Quality.COMM_LOST | Quality.STALE)

    assert (feed.tables[PointType.ANALOG_INPUT].values[0], feed.tables[PointType.ANALOG_INPUT].flags[0]) == (
        230.5,
        0x04,
    )
    assert [e.flags for e in events] == [0x01, 0x04]
    assert {e.time_ms for e in events} == {NOW_MS}


def test_a_reset_meter_is_a_discontinuity_of_its_counter() -> None:
    store, feed, events = made()
    put(store, 0, 1000)
    put(store, 0, 3, Quality.DISCONTINUITY)

    assert feed.tables[PointType.COUNTER].flags[3] == 0x41
    assert (events[-1].value, events[-1].flags) == (3, 0x41)


def test_a_clock_that_is_not_synchronised_is_told_with_the_event() -> None:
    # T-04
    store, _, events = made()
    put(store, 2, True, Quality.CLOCK_UNSYNCED)

    assert [e.synced for e in events] == [False]


def test_times_are_those_of_the_master_that_sets_the_time() -> None:
    store, events, time_base = PointStore(POINTS), list[Event](), TimeBase(Clock())
    feed = Feed(store, SHOWN, time_base)
    feed.tables.subscribe(events.append)
    store.subscribe(feed.indexes(), feed.update)
    time_base.set(NOW_MS + 5000)
    put(store, 1, 1.0)

    assert time_base.now_ms() == NOW_MS + 5000
    assert [e.time_ms for e in events] == [NOW_MS + 5000]
    assert time_base.written
