"""What a master may do only where its configuration says so; attributes, deadbands, classes, silence."""

import struct

import pytest

from bridge.projections.dnp3.application import Iin
from bridge.projections.dnp3.attributes import attributes, objects
from bridge.projections.dnp3.events import Event
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Identity, Permit
from bridge.projections.dnp3.table import PointConfig
from bridge.projections.dnp3.tables import PointTables
from tests.support.dnp3_master import Master, iin, make_tables

TIME = 1_700_000_000_123
NOTHING: frozenset[Permit] = frozenset()


@pytest.mark.parametrize(
    ("function", "objects_"),
    [
        (7, "140006"),
        (22, "3c0206 1e0006"),
        (2, "320107 01 000000000000"),
        (2, "2203 17 01 00 00002041"),
    ],
)
def test_what_needs_a_permit_is_refused_without_it(function: int, objects_: str) -> None:
    refused, allowed = Master(permits=NOTHING), Master()

    assert iin(refused.ask(function, objects_)) & Iin.NO_FUNCTION
    assert not iin(allowed.ask(function, objects_)) & 0x0F00
    assert refused.backend.log == []
    assert refused.tables[PointType.ANALOG_INPUT].deadbands[0] == 1.0
    assert refused.tables[PointType.ANALOG_INPUT].events[0][0] == 2


def test_restart_may_be_cleared_without_any_permit() -> None:
    master = Master(permits=NOTHING)
    master.ask(2, "500100 07 07 00")

    assert not iin(master.ask(23)) & Iin.RESTART


@pytest.mark.parametrize(
    ("variation", "data"), [("22 00", "<2f"), ("22 01", "<2H"), ("22 02", "<2I"), ("22 03", "<2f")]
)
def test_deadbands_can_be_read(variation: str, data: str) -> None:
    master = Master()
    master.ask(2, "2203 17 01 01 0000c842")

    answer = master.ask(1, variation + "00 00 01")

    assert answer[4:6] == bytes((0x22, int(variation[-1]) or 3))
    assert struct.unpack(data, answer[9:]) == (1, 100)


def test_deadbands_of_points_that_are_not_there_set_param_error() -> None:
    assert iin(Master().ask(1, "2203 00 00 63")) & Iin.PARAM_ERROR


def test_all_deadbands_go_over_several_headers() -> None:
    master = Master(make_tables(analogs=120))

    assert len(master.read_all("220006")[0]) == 120 * 4 + 3 * 5


def test_a_class_is_assigned_and_taken_away() -> None:
    master = Master()
    answer = master.ask(22, "3c0206 1e000000 05 3c0106 1e00 17 01 07")
    for index in (3, 7, 8):
        master.tables.update(PointType.ANALOG_INPUT, index, 99.0, 1, TIME)

    class_1, _ = master.read_all("3c0206")
    class_2, _ = master.read_all("3c0306")
    assert not iin(answer) & 0x0F00
    assert class_1[5:7] == (3).to_bytes(2, "little")
    assert class_2[5:7] == (8).to_bytes(2, "little")


@pytest.mark.parametrize("objects_", ["1e0006", "3c0506 1e0006", "3c0206 1e000000 63", "3c0206 1e00 07 02", ""])
def test_an_assignment_that_makes_no_sense_is_refused(objects_: str) -> None:
    assert iin(Master().ask(22, objects_)) & (Iin.PARAM_ERROR | Iin.OBJECT_UNKNOWN)


# D-03
def test_attributes_are_listed_and_read_one_by_one() -> None:
    tables = make_tables(20, 10, 10)
    about = attributes(Identity(vendor="ACME", name="Tower \u00e9"), "1.2.3", tables, 8, 2048)
    master = Master(tables, about=about)

    listed = master.ask(1, "00ff 00 00 00")
    vendor = master.ask(1, "00fc 00 00 00")
    everything = master.ask(1, "00fe 06")

    assert vendor[4:] == bytes.fromhex("00fc000000 0104") + b"ACME"
    assert listed[4:11].hex() == "00ff000000fe" + f"{2 * len(about):02x}"
    assert listed[11::2] == bytes(sorted(about))
    assert everything[4:].count(b"ACME") == 1
    assert b"Tower ?" in everything
    assert about[233] == b"\x02\x01\x14"
    assert about[240] == b"\x02\x02\x00\x08"


def test_attributes_there_are_not_say_so() -> None:
    master = Master(about={252: b"\x01\x01A"})

    assert iin(master.ask(1, "00f8 00 00 00")) & Iin.OBJECT_UNKNOWN
    assert iin(master.ask(1, "00fc 00 01 01")) & Iin.PARAM_ERROR
    assert objects({}, 252) is None


def test_commands_are_told_as_events_of_their_own() -> None:
    tables = PointTables({PointType.BINARY_OUTPUT: [PointConfig(0)]})
    master = Master(tables)
    tables.report_command(Event(0, PointType.BINARY_COMMAND, 4, 2, 2, 0x80, 0, TIME))
    tables.report_command(Event(0, PointType.ANALOG_COMMAND, 5, 2, 8, 12, 1.5, TIME))

    body, _ = master.read_all("3c0306")

    time = TIME.to_bytes(6, "little")
    assert body == (
        bytes.fromhex("0d02280100 0400 80") + time + bytes.fromhex("2b08280100 0500 0c") + struct.pack("<d", 1.5) + time
    )


def test_the_status_of_a_command_survives_a_value_too_large_for_its_variation() -> None:
    master = Master(PointTables({}))
    master.tables.report_command(Event(0, PointType.ANALOG_COMMAND, 5, 2, 8, 9, 1e9, TIME))

    body, _ = master.read_all("2b0206")

    assert body == bytes.fromhex("2b02280100 0500 09 ff7f")


def test_unsolicited_responses_are_repeated_as_often_as_configured_and_then_not() -> None:
    master = Master(unsolicited=True, unsolicited_retries=2)
    repeats = [master.tick(5.1) for _ in range(4)]

    assert [len(answers) for answers in repeats] == [1, 1, 0, 0]
    assert master.session.timeouts == 3
    # the master is heard: it is told again
    assert [answer[1] for answer in master.send(bytes((0xC1, 23)))] == [129, 130]


def test_events_of_an_unsolicited_response_given_up_are_read_later() -> None:
    master = Master(unsolicited=True, unsolicited_retries=1)
    master.confirm(master.hello[0])
    master.ask(20, "3c0306")
    master.tables.update(PointType.ANALOG_INPUT, 0, 50.0, 1, TIME)
    told = master.tick(0.1)
    again = master.tick(5.1)
    master.tick(5.1)

    body, _ = master.read_all("3c0306")

    assert told == again != []
    assert body == told[0][4:]


def test_a_function_that_is_not_offered_is_refused_whatever_its_objects_are() -> None:
    master = Master()

    for function in (9, 11, 13, 14, 25, 26, 27, 28, 29, 30, 31):
        assert iin(master.ask(function, "46035b01 0000")) & Iin.NO_FUNCTION
    assert master.session.refused == 11
