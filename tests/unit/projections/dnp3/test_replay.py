"""A repeated READ: the same bytes while nothing changed, and never an old value."""

import struct

from bridge.projections.dnp3.application import Iin
from bridge.projections.dnp3.objects import Flag, PointType
from tests.support.dnp3_master import CLASS_0123, Master, fragments, iin, link, make_tables
from tests.unit.projections.dnp3.test_truth import strings

ANALOG = PointType.ANALOG_INPUT
TIME = 1_700_000_000_123


def test_a_repeated_poll_is_answered_with_the_same_objects_fragment_by_fragment() -> None:
    master = Master(make_tables(2000, 100, 100))
    first, got = master.read_all(CLASS_0123)
    second, again = master.read_all(CLASS_0123)

    assert first == second
    assert [len(fragment) for fragment in got] == [len(fragment) for fragment in again]
    assert [fragment[0] & 0xF0 for fragment in got] == [fragment[0] & 0xF0 for fragment in again]


def test_a_change_of_value_flags_string_or_class_is_in_the_next_answer() -> None:
    master = Master(make_tables(3, 0, 0))
    read = "1e0006"
    master.ask(1, read)
    master.tables.update(ANALOG, 1, 7.5, Flag.ONLINE, TIME)
    value = master.ask(1, read)
    master.tables.update(ANALOG, 1, 7.5, Flag.COMM_LOST, TIME)
    flags = master.ask(1, read)
    texts = Master(strings("AB"))
    texts.ask(1, "6e0006")
    texts.tables.update_string(0, b"XY", TIME)

    assert struct.pack("<Bf", Flag.ONLINE, 7.5) in value
    assert struct.pack("<Bf", Flag.COMM_LOST, 7.5) in flags
    assert b"XY" in texts.ask(1, "6e0006")


def test_an_event_is_not_kept_back_by_a_repeated_poll() -> None:
    master = Master(make_tables(3, 0, 0))
    master.read_all(CLASS_0123)
    master.read_all(CLASS_0123)
    master.tables.update(ANALOG, 1, 7.5, Flag.ONLINE, TIME)
    told, _ = master.read_all(CLASS_0123)
    after, _ = master.read_all(CLASS_0123)

    assert told[:2].hex() == "2007"
    assert after[:2].hex() == "1e05"


def test_a_change_between_two_fragments_is_not_kept() -> None:
    master = Master(make_tables(2000, 0, 0))
    answer = master.ask(1, "1e0506")
    master.tables.update(ANALOG, 0, 7.5, Flag.ONLINE, TIME)
    while answer[0] & 0x20:
        answer = master.confirm(answer)[0]

    assert struct.pack("<Bf", Flag.ONLINE, 7.5) in master.read_all("1e0506")[0]


def test_what_could_not_be_given_is_said_each_time() -> None:
    master = Master(make_tables(3, 0, 0))

    assert [iin(master.ask(1, "1e05000009")) & Iin.PARAM_ERROR for _ in range(3)] == [Iin.PARAM_ERROR] * 3


def test_time_indications_and_deadbands_are_always_new() -> None:
    master = Master(make_tables(3, 0, 0))
    times, deadbands = [], []
    for step in range(2):
        times.append(master.ask(1, "320107 01")[4:])
        deadbands.append(master.ask(1, "220006")[4:])
        master.backend.clock_ms += 1000
        master.ask(2, f"2203 17 01 00 0000{step + 1:02x}42")

    assert times[0] != times[1]
    assert deadbands[0] != deadbands[1]


def test_a_broadcast_is_told_in_the_answer_to_a_read() -> None:
    master = Master(make_tables(3, 0, 0))
    master.ask(1, "1e0006")
    assert fragments(master.feed(link(b"\xc0\xc0\x18", destination=0xFFFF, control=0xC4))) == []

    assert [iin(master.ask(1, "1e0006")) & Iin.BROADCAST for _ in range(2)] == [Iin.BROADCAST, 0]
