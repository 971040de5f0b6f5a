"""Monitored items of events: queues that say what was lost, refreshes that cannot pile up."""

import struct

from bridge.core.clock import SystemClock
from bridge.projections.opcua.event_filter import Filter
from bridge.projections.opcua.event_items import EventItem
from bridge.projections.opcua.occurrences import QUEUE_OVERFLOW, REFRESH_END, REFRESH_START, Notice, types_of
from bridge.projections.opcua.sampling import DISABLED, REPORTING, SAMPLING

ALL = Filter(("EventType", "Message"), ())
NONE = Filter(("EventType", "Message"), (lambda event, worth: False,))


def notice(text: str, event_type: int = REFRESH_START) -> Notice:
    return Notice(event_type, text, b"id", 0)


def item(size: int = 3, *, discard_oldest: bool = True, wanted: Filter = ALL) -> EventItem:
    made = EventItem(SystemClock(), None, lambda ended: None)
    made.configure(7, wanted, size, discard_oldest=discard_oldest)
    made.set_mode(REPORTING)
    return made


def texts(taken: object) -> list[str]:
    """Messages of encoded EventFieldLists; an overflow by its name."""
    found = []
    assert isinstance(taken, list)
    for data in taken:
        assert data[:8] == struct.pack("<Ii", 7, 2)
        overflow = data[8:13] == b"\x11\x01\x00" + struct.pack("<H", QUEUE_OVERFLOW)
        found.append("lost" if overflow else data.rpartition(b"\x00\x00\x00")[2].decode())
    return found


def test_what_does_not_fit_is_lost_at_the_end_that_was_chosen_and_said() -> None:
    oldest, newest = item(), item(discard_oldest=False)
    for each in (oldest, newest):
        for text in "abcde":
            each.offer(notice(text))

    assert texts(oldest.take(10)) == ["lost", "c", "d", "e"]
    assert texts(newest.take(10)) == ["a", "b", "c", "lost"]
    assert not oldest.waiting()


# BARS I1
def test_a_refresh_waits_for_the_one_before() -> None:
    one = item()
    events = [notice(str(number)) for number in range(100)]
    one.refresh(notice("begin"), events, notice("end", REFRESH_END))

    assert one.is_refreshing()
    assert texts(one.take(50))[0] == "begin"
    assert one.is_refreshing()
    assert texts(one.take(100))[-1] == "end"
    assert not one.is_refreshing()


def test_begin_and_end_of_a_refresh_pass_every_filter() -> None:
    one = item(wanted=NONE)
    one.refresh(notice("begin"), [notice("x")], notice("end", REFRESH_END))
    one.offer(notice("y"))

    assert texts(one.take(10)) == ["begin", "end"]


def test_an_item_that_does_not_report_collects_and_a_disabled_one_does_not() -> None:
    one = item()
    one.set_mode(SAMPLING)
    one.offer(notice("a"))
    held = one.waiting()
    one.set_mode(REPORTING)
    found = texts(one.take(10))
    one.set_mode(DISABLED)
    one.offer(notice("b"))
    one.refresh(notice("begin"), [], notice("end"))
    one.set_mode(REPORTING)

    assert (held, found, one.waiting()) == (False, ["a"], False)


def test_an_event_is_of_its_type_and_all_above() -> None:
    assert types_of(REFRESH_START) == {2787, 2130, 2041}
