"""Events: reported until confirmed, honest about loss."""

import struct

from bridge.projections.dnp3.application import Iin
from bridge.projections.dnp3.objects import Flag, PointType
from tests.support.dnp3_master import Master, iin, make_tables

CLASSES = "3c0206 3c0306 3c0406"
TIME = 1_700_000_000_123


def change(master: Master, index: int, value: float, flags: int = 1) -> None:
    master.tables.update(PointType.ANALOG_INPUT, index, value, flags, TIME)


def test_an_event_carries_the_time_of_its_sample() -> None:
    master = Master()
    change(master, 5, 123.75)

    answer = master.ask(1, "3c0306")

    assert answer[0] & 0x20
    assert answer[4:] == bytes.fromhex("2007280100 0500") + struct.pack("<Bf", 1, 123.75) + TIME.to_bytes(6, "little")


def test_class_bits_tell_what_waits() -> None:
    master = Master()
    change(master, 5, 123.75)
    master.tables.update(PointType.BINARY_INPUT, 1, 1, 1, TIME)

    before = iin(master.ask(23))
    answer = master.ask(1, "3c0306")
    master.confirm(answer)

    assert before & 0x0E == Iin.CLASS_1 | Iin.CLASS_2
    assert iin(answer) & 0x0E == Iin.CLASS_1
    assert iin(master.ask(23)) & 0x0E == Iin.CLASS_1


def test_unconfirmed_events_are_reported_again_after_a_reconnect() -> None:
    master = Master()
    change(master, 5, 123.75)
    first = master.ask(1, CLASSES)
    master.reconnect()
    second = master.ask(1, CLASSES)
    master.confirm(second)

    assert first[4:] == second[4:] != b""
    assert master.ask(1, CLASSES)[4:] == b""


def test_unconfirmed_events_are_reported_again_after_the_confirm_time_out() -> None:
    master = Master()
    change(master, 5, 123.75)
    first = master.ask(1, CLASSES)
    master.tick(5.1)
    late = master.confirm(first)

    assert late == []
    assert master.ask(1, CLASSES)[4:] == first[4:]


def test_overflow_is_set_and_ends_after_a_confirmed_drain() -> None:
    master = Master(event_capacity=(5, 5, 5))
    for k in range(8):
        change(master, k, 100.0 + k)
    first = master.ask(1, CLASSES)
    assert iin(first) & Iin.OVERFLOW
    assert first[4:9].hex() == "2007280500"
    assert first[9] == 3

    master.confirm(first)

    assert not iin(master.ask(23)) & Iin.OVERFLOW


def test_events_dropped_while_they_wait_for_a_confirm_do_not_confuse_the_count() -> None:
    master = Master(event_capacity=(5, 5, 5))
    for k in range(5):
        change(master, k, 100.0)
    first = master.ask(1, CLASSES)
    for k in range(5, 8):
        change(master, k, 100.0)
    assert iin(first) & Iin.CLASS_2 == 0
    master.confirm(first)
    rest = master.ask(1, CLASSES)

    assert rest[4:9].hex() == "2007280300"
    master.confirm(rest)
    assert iin(master.ask(23)) & (Iin.CLASS_2 | Iin.OVERFLOW) == 0


def test_the_deadband_holds_small_changes_back_until_they_add_up() -> None:
    master = Master()
    for value in (10.0, 10.5, 10.9, 11.1):
        change(master, 0, value)

    body, _ = master.read_all("200506")

    assert body == bytes.fromhex("2005280200 0000") + struct.pack("<Bf", 1, 10.0) + b"\0\0" + struct.pack(
        "<Bf", 1, 11.1
    )


def test_a_lost_meter_is_an_event_whatever_the_deadband() -> None:
    master = Master()
    change(master, 0, 10.0)
    change(master, 0, 10.0, Flag.COMM_LOST)

    body, _ = master.read_all("200506")

    assert body[14] == Flag.COMM_LOST


def test_a_quantity_limits_the_events_and_the_rest_follows() -> None:
    master = Master()
    for k in range(5):
        change(master, k, 100.0)

    first, _ = master.read_all("3c03 07 02")
    second, _ = master.read_all("3c0306")

    assert first[:5].hex() == "2007280200"
    assert second[:5].hex() == "2007280300"


def test_a_counter_event_at_the_wrap() -> None:
    master = Master()
    master.tables.update(PointType.COUNTER, 0, 2**32 - 1, 1, TIME)
    master.tables.update(PointType.COUNTER, 0, 2**32 + 4, 1, TIME)

    body, _ = master.read_all("160106")

    assert body == bytes.fromhex("1601280200 0000 01ffffffff 0000 0104000000")


def test_two_masters_have_their_own_events() -> None:
    tables = make_tables()
    one, two = Master(tables), Master(tables)
    tables.update(PointType.ANALOG_INPUT, 1, 50.0, 1, TIME)
    one.confirm(one.ask(1, CLASSES))

    assert one.ask(1, CLASSES)[4:] == b""
    assert two.ask(1, CLASSES)[4:] != b""


def test_events_and_class_0_of_one_read_come_in_this_order() -> None:
    master = Master()
    change(master, 5, 123.75)

    body, got = master.read_all("3c0106 3c0306")

    assert body[:2].hex() == "2007"
    assert got[0][0] & 0x20


def test_more_events_than_fit_a_fragment_are_confirmed_piece_by_piece() -> None:
    master = Master(make_tables(600, 0, 0))
    for k in range(600):
        change(master, k, 100.0)
    first = master.ask(1, CLASSES)
    master.confirm(first)
    master.reconnect()

    again, _ = master.read_all(CLASSES)

    assert again[5:7] != b"\0\0"
    assert len(master.session.events) == 0


def test_events_dropped_between_two_fragments_are_not_counted_twice() -> None:
    master = Master(make_tables(600, 0, 0), event_capacity=(5, 600, 5))
    for k in range(600):
        change(master, k, 100.0)
    first = master.ask(1, CLASSES)
    for k in range(500):
        change(master, k, 200.0)
    second = master.confirm(first)[0]
    last = master.read_all(CLASSES)[1][-1]

    assert iin(second) & Iin.CLASS_2
    assert len(master.session.events) == 0
    assert iin(last) & Iin.CLASS_2 == 0
    assert iin(master.ask(23)) & (Iin.CLASS_2 | Iin.OVERFLOW) == 0


def test_a_class_without_a_buffer_is_no_overflow() -> None:
    master = Master(event_capacity=(0, 2, 0))
    master.tables.update(PointType.BINARY_INPUT, 1, 1, 1, TIME)
    for k in range(3):
        change(master, k, 100.0)
    before = iin(master.ask(23))
    master.read_all(CLASSES)

    assert before & (Iin.CLASS_1 | Iin.OVERFLOW) == Iin.OVERFLOW
    assert not iin(master.ask(23)) & Iin.OVERFLOW


def test_written_events_are_not_selected_again_until_released() -> None:
    master = Master()
    change(master, 5, 123.75)
    events = master.session.events
    chosen = events.select((1, 2, 3), None, 10)
    events.mark_written(chosen)
    none = events.select((1, 2, 3), None, 10)
    events.release()

    assert none == []
    assert events.select((2,), None, 10) == chosen
