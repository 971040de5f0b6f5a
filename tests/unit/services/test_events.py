"""services.events: numbers, ring, threshold and warning."""

from bridge.core.event import Event, EventKind
from bridge.services.events import EventLog, EventSettings
from tests.support.clock import NEW_YEAR, ManualClock


def log() -> EventLog:
    return EventLog(ManualClock())


def fill(events: EventLog, count: int) -> None:
    for n in range(count):
        events.record(EventKind.SYSTEM, 64, f"{n}")


def test_numbers_have_no_gap_and_times_come_from_the_clock() -> None:
    events = log()

    fill(events, 3)

    assert [(e.number, e.time_ns) for e in events.events()] == [(1, NEW_YEAR), (2, NEW_YEAR), (3, NEW_YEAR)]


def test_an_event_at_or_below_the_threshold_is_nowhere_and_takes_no_number() -> None:
    # A-04, a-17
    events = log()
    heard: list[Event] = []
    events.subscribe(heard.append)

    assert events.record(EventKind.SYSTEM, 5, "too little") is None
    assert events.record(EventKind.SYSTEM, 6, "just enough") is not None
    assert [event.number for event in heard] == [1]


def test_the_ring_keeps_5000_and_lets_the_oldest_go() -> None:
    # A-16, BARS S6
    events = log()
    events.seen(10_000)

    for _ in range(6):
        fill(events, 1000)
        events.seen(10_000)

    kept = events.events()
    assert (len(kept), kept[0].number, kept[-1].number) == (5000, 1001, 6000)


def test_the_reader_is_warned_once_when_90_percent_are_unread() -> None:
    #
    events = log()

    fill(events, 4600)

    warnings = [event for event in events.events() if "90 %" in event.text]
    assert [event.number for event in warnings] == [4501]


def test_after_the_reader_has_read_he_can_be_warned_again() -> None:
    events = log()
    fill(events, 4600)

    events.seen(4601)
    fill(events, 4600)

    assert len([event for event in events.events(4601) if "90 %" in event.text]) == 1


def test_the_last_few_or_those_after_a_number_can_be_asked_for() -> None:
    #
    events = log()
    fill(events, 10)

    assert [e.number for e in events.events(after=7)] == [8, 9, 10]
    assert [e.number for e in events.events(most=2)] == [9, 10]


def test_numbers_go_on_after_a_restart() -> None:
    # BARS R8
    first = log()
    fill(first, 3)
    again = log()

    again.restore(first.events())
    fill(again, 1)

    assert [event.number for event in again.events()] == [1, 2, 3, 4]


def test_another_ring_size_keeps_what_fits() -> None:
    events = log()
    fill(events, 10)

    events.configure(EventSettings(ring=6000, threshold=70))

    assert len(events.events()) == 10
    assert events.record(EventKind.SYSTEM, 64, "") is None


def test_who_has_unsubscribed_hears_nothing() -> None:
    events = log()
    heard: list[Event] = []

    events.subscribe(heard.append)()
    fill(events, 1)

    assert heard == []


def test_events_after_a_number_are_found_also_where_a_damaged_history_has_lost_some() -> None:
    events = log()
    kept = log()
    fill(kept, 100)
    events.restore([event for event in kept.events() if event.number not in (7, 50)])
    fill(events, 2)

    assert [event.number for event in events.events(60)] == list(range(61, 103))
    assert [event.number for event in events.events(48)] == [49, *range(51, 103)]
    assert [event.number for event in events.events(102)] == []
    assert len(events.events()) == 100


def test_a_number_that_was_told_is_not_given_again_though_its_event_is_lost() -> None:
    # BARS R8
    events = log()

    events.restore([], told=17)
    fill(events, 1)

    assert [event.number for event in events.events()] == [18]
    assert [event.number for event in events.events(17)] == [18]
