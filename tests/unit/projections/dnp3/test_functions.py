"""Controls, freeze, writes, unsolicited responses, link."""

import struct

import pytest

from bridge.projections.dnp3.application import Iin
from bridge.projections.dnp3.controls import CommandStatus, Operation
from bridge.projections.dnp3.objects import PointType
from tests.support.dnp3_master import Master, fragments, iin, link, unlink

LATCH_ON_3 = "0c01 28 0100 0300 03 01 64000000 64000000 00"


def status(answer: bytes) -> int:
    return answer[-1]


def test_a_direct_operate_runs_and_echoes() -> None:
    master = Master()

    answer = master.ask(5, LATCH_ON_3)

    assert answer[4:] == bytes.fromhex(LATCH_ON_3)
    assert [name for name, _ in master.backend.log] == ["operate"]


def test_a_repeated_request_is_answered_and_not_done_again() -> None:
    master = Master()
    first = master.ask(5, LATCH_ON_3)

    again = master.ask(5, LATCH_ON_3, step=0)

    assert again == first
    assert len(master.backend.log) == 1


def test_an_operate_after_its_select_runs_once() -> None:
    master = Master()
    selected, operated = master.ask(3, LATCH_ON_3), master.ask(4, LATCH_ON_3)
    again = master.ask(4, LATCH_ON_3)

    assert (status(selected), status(operated), status(again)) == (0, 0, CommandStatus.NO_SELECT)
    assert [name for name, _ in master.backend.log] == ["select", "operate"]


@pytest.mark.parametrize("case", ["no select", "other object", "other sequence", "too late", "reconnected"])
def test_an_operate_that_does_not_follow_its_select_does_nothing(case: str) -> None:
    master = Master()
    if case != "no select":
        master.ask(3, LATCH_ON_3)
    if case == "too late":
        master.now_s += 10.1
    if case == "reconnected":
        master.reconnect()
    objects = LATCH_ON_3.replace("0300", "0400", 1) if case == "other object" else LATCH_ON_3

    answer = master.ask(4, objects, step=2 if case == "other sequence" else 1)

    assert status(answer) in (CommandStatus.NO_SELECT, CommandStatus.TIMEOUT)
    assert "operate" not in [name for name, _ in master.backend.log]


def test_a_select_of_another_master_does_not_count() -> None:
    one = Master()
    two = Master(one.tables)
    one.ask(3, LATCH_ON_3)

    assert status(two.ask(4, LATCH_ON_3, step=2)) == CommandStatus.NO_SELECT


@pytest.mark.parametrize(("variation", "data"), [(1, "<i"), (2, "<h"), (3, "<f"), (4, "<d")])
def test_every_analog_output_block_is_understood(variation: int, data: str) -> None:
    master = Master()

    answer = master.ask(5, f"29{variation:02x}170105" + struct.pack(data, 42).hex() + "00")

    assert status(answer) == 0
    _, command = master.backend.log[0]
    assert getattr(command, "value", None) == 42


def test_too_many_controls_are_refused_one_by_one() -> None:
    master = Master(max_controls=2)
    objects = "0c01 17 03" + "".join(f"{i:02x} 03 01 64000000 64000000 00" for i in range(3))

    assert status(master.ask(5, objects)) == CommandStatus.TOO_MANY_OPS
    assert len(master.backend.log) == 2


def test_a_slow_command_is_answered_when_it_is_done() -> None:
    master = Master()
    master.backend.slow = True
    nothing = master.ask(5, LATCH_ON_3)
    done = master.session.command_done(1, CommandStatus.SUCCESS)

    assert nothing == b""
    assert status(unlink(b"".join(done))[0]) == 0


def test_a_command_that_never_ends_is_answered_downstream_fail() -> None:
    master = Master()
    master.backend.slow = True
    master.ask(5, LATCH_ON_3)

    assert status(master.tick(5.1)[0]) == CommandStatus.DOWNSTREAM_FAIL


def test_a_late_status_is_not_told_to_a_master_that_went_on() -> None:
    master = Master()
    master.backend.slow = True
    master.ask(5, LATCH_ON_3)
    busy = master.ask(5, LATCH_ON_3)
    delay = master.ask(23)

    assert iin(busy) & Iin.ALREADY_EXECUTING
    assert delay[4:].hex() == "340207010000"
    assert master.session.command_done(1, CommandStatus.SUCCESS) == []
    master.backend.slow = False
    assert iin(master.ask(5, LATCH_ON_3)) & Iin.ALREADY_EXECUTING == 0


def test_a_slow_command_that_is_repeated_runs_once_and_is_answered_once() -> None:
    master = Master()
    master.backend.slow = True
    master.ask(5, LATCH_ON_3)
    repeat = master.ask(5, LATCH_ON_3, step=0)
    done = master.session.command_done(1, CommandStatus.SUCCESS)

    assert repeat == b""
    assert len(master.backend.log) == 1
    assert len(unlink(b"".join(done))) == 1


def test_a_slow_command_without_reply_gets_none_when_it_is_done() -> None:
    master = Master()
    master.backend.slow = True
    master.ask(6, LATCH_ON_3)

    assert master.session.command_done(1, CommandStatus.SUCCESS) == []


def test_a_direct_operate_without_reply_gets_none() -> None:
    master = Master()

    assert master.ask(6, LATCH_ON_3) == b""
    _, command = master.backend.log[0]
    assert getattr(command, "operation", None) is Operation.LATCH_ON


def test_a_freeze_copies_and_does_not_clear() -> None:
    master = Master()
    master.tables.update(PointType.COUNTER, 2, 777, 1, 0)

    assert iin(master.ask(7, "140006")) & 0x0F00 == 0
    assert master.ask(1, "1401000202")[9:] == struct.pack("<BI", 1, 777)
    assert master.tables[PointType.COUNTER].values[2] == 777
    master.tables.update(PointType.COUNTER, 2, 800, 1, 0)

    assert master.ask(1, "1501000202")[9:] == struct.pack("<BI", 1, 777)
    assert master.ask(1, "1505000202")[9:] == struct.pack("<BI", 1, 777) + (1_700_000_000_000).to_bytes(6, "little")
    assert master.ask(1, "1401000202")[9:] == struct.pack("<BI", 1, 800)


@pytest.mark.parametrize("function", [9, 11, 13, 14, 15, 25, 26, 27, 28, 29, 30, 0x70])
def test_what_is_not_offered_is_refused_and_changes_nothing(function: int) -> None:
    master = Master()
    master.tables.update(PointType.COUNTER, 2, 777, 1, 0)

    assert iin(master.ask(function, "140006")) & Iin.NO_FUNCTION
    assert master.tables[PointType.COUNTER].values[2] == 777


@pytest.mark.parametrize("function", [8, 10, 12])
def test_freezes_without_reply_get_none(function: int) -> None:
    assert Master().ask(function, "140006") == b""


def test_restart_is_told_until_it_is_cleared() -> None:
    master = Master()
    before = iin(master.ask(23))
    master.ask(2, "500100 07 07 00")

    assert before & Iin.RESTART
    assert not iin(master.ask(23)) & Iin.RESTART


def test_time_can_be_written_both_ways() -> None:
    master = Master()
    master.ask(2, "320107 01 0010203040 00".replace(" ", ""))
    master.ask(24)
    master.backend.clock_ms += 250
    master.ask(2, "320307 01 001020304000".replace(" ", ""))

    assert [value for _, value in master.backend.log] == [0x4030201000, 0x4030201000 + 250]


def test_a_deadband_can_be_written() -> None:
    master = Master()

    assert iin(master.ask(2, "2203 17 01 00 00002041")) & 0x0F00 == 0
    assert master.tables[PointType.ANALOG_INPUT].deadbands[0] == 10.0
    assert iin(master.ask(2, "2203 17 01 63 00002041")) & Iin.PARAM_ERROR


def test_without_unsolicited_nothing_is_sent_unasked() -> None:
    master = Master()
    master.tables.update(PointType.ANALOG_INPUT, 0, 50.0, 1, 0)

    assert master.hello == []
    assert master.tick(60) == []
    assert iin(master.ask(20, "3c0206 3c0306")) & Iin.NO_FUNCTION
    assert iin(master.ask(21, "3c0206 3c0306")) & 0x0F00 == 0


def test_unsolicited_starts_empty_then_needs_enable_then_tells() -> None:
    master = Master(unsolicited=True)
    master.tables.update(PointType.ANALOG_INPUT, 0, 50.0, 1, 0)
    hello = master.hello[0]
    assert hello[:2] == bytes((0xF0, 130))
    assert hello[4:] == b""
    assert master.confirm(hello) == []

    answers = master.send(bytes((0xC1, 20)) + bytes.fromhex("3c0306"))

    assert [answer[1] for answer in answers] == [129, 130]
    assert answers[1][4:9].hex() == "2007280100"
    again = master.tick(5.1)
    assert again == [answers[1]]
    master.confirm(answers[1])
    assert len(master.session.events) == 0
    assert master.tick(5.1) == []


def test_a_read_waits_for_the_unsolicited_confirm() -> None:
    master = Master(unsolicited=True)

    assert master.ask(1, "3c0106") == b""
    assert master.confirm(master.hello[0])[0][1] == 129


def test_a_read_of_a_master_that_never_confirms_is_answered_after_the_time_out() -> None:
    master = Master(unsolicited=True)
    master.ask(1, "1e05000001")

    assert [answer[1] for answer in master.tick(5.1)] == [129, 130]


def test_strangers_on_the_link_are_ignored() -> None:
    master = Master()
    request = bytes.fromhex("c0013c0106")

    assert master.send(request, source=7) == []
    assert master.send(request, destination=11) == []
    assert master.send(request) != []


def test_a_broadcast_is_told_in_the_next_answer_and_controls_nothing() -> None:
    master = Master()

    assert master.send(bytes((0xC0, 6)) + bytes.fromhex(LATCH_ON_3), destination=0xFFFF) == []
    assert master.backend.log == []
    assert iin(master.ask(23)) & Iin.BROADCAST
    assert not iin(master.ask(23)) & Iin.BROADCAST


def control_of(answer: list[bytes]) -> int:
    return b"".join(answer)[3]


def test_the_link_answers_reset_status_and_confirmed_data() -> None:
    master = Master()

    assert control_of(master.feed(link(control=0xC9))) == 0x0B
    assert control_of(master.feed(link(b"\xc0\xc0\x17", control=0xF3))) == 0x01
    assert control_of(master.feed(link(control=0xC0))) == 0x00
    answer = master.feed(link(b"\xc0\xc0\x17", control=0xF3))
    assert (answer[0][3], answer[1][3]) == (0x00, 0x44)
    assert len(master.feed(link(b"\xc0\xc0\x17", control=0xF3))) == 1


def test_a_silent_master_is_asked_and_then_given_up() -> None:
    master = Master(keepalive_s=60.0)
    asked = master.session.tick(60.5)

    assert asked[0][3] == 0x49
    assert not master.session.lost
    master.session.tick(66)
    assert master.session.lost


def test_a_select_waits_for_the_word_of_the_core_and_selects_only_what_it_would_accept() -> None:
    # BARS S1: never "yes" to what the operate would be refused
    master = Master()
    master.backend.slow = True
    waiting = master.ask(3, LATCH_ON_3)
    refused = fragments(master.session.command_done(1, CommandStatus.NOT_AUTHORIZED))
    operated = master.ask(4, LATCH_ON_3)

    assert waiting == b""
    assert status(refused[0]) == CommandStatus.NOT_AUTHORIZED
    assert status(operated) == CommandStatus.NO_SELECT
    assert [name for name, _ in master.backend.log] == ["select"]
