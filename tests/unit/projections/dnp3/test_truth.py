"""What a master must not be misled about: flags, variations without flags, strings, times."""

import struct

import pytest

from bridge.core.quality import Quality
from bridge.projections.dnp3.application import Iin
from bridge.projections.dnp3.flags import FlagTable, flags_of
from bridge.projections.dnp3.objects import Flag, PointType
from bridge.projections.dnp3.strings import octets
from bridge.projections.dnp3.table import PointConfig
from bridge.projections.dnp3.tables import PointTables
from tests.support.dnp3_master import Master, iin, make_tables

TIME = 1_700_000_000_123
ANALOG, COUNTER, BINARY = PointType.ANALOG_INPUT, PointType.COUNTER, PointType.BINARY_INPUT


@pytest.mark.parametrize(
    ("quality", "analog", "counter", "binary"),
    [
        (Quality.GOOD, 0x01, 0x01, 0x01),
        (Quality.NEVER_READ, 0x02, 0x02, 0x02),
        (Quality.NEVER_READ | Quality.COMM_LOST, 0x06, 0x06, 0x06),
        (Quality.COMM_LOST, 0x04, 0x04, 0x04),
        (Quality.STALE, 0x04, 0x04, 0x04),
        (Quality.DEVICE_FAULT, 0x00, 0x00, 0x00),
        (Quality.OUT_OF_RANGE, 0x20, 0x00, 0x00),
        (Quality.SUBSTITUTED, 0x11, 0x11, 0x11),
        (Quality.ROLLOVER, 0x01, 0x01, 0x01),
        (Quality.DISCONTINUITY, 0x01, 0x41, 0x01),
        (Quality.CLOCK_UNSYNCED, 0x01, 0x01, 0x01),
        (Quality.QUESTIONABLE, 0x41, 0x00, 0x00),
    ],
)
def test_every_quality_has_its_flags(quality: Quality, analog: int, counter: int, binary: int) -> None:
    assert (flags_of(ANALOG, quality), flags_of(COUNTER, quality), flags_of(BINARY, quality)) == (
        analog,
        counter,
        binary,
    )
    assert FlagTable(ANALOG)[int(quality)] == analog


@pytest.mark.parametrize(
    ("point_type", "bare", "flagged"),
    [(ANALOG, "1e03", "1e01"), (ANALOG, "1e04", "1e02"), (COUNTER, "1405", "1401"), (COUNTER, "1406", "1402")],
)
def test_a_variation_without_flags_answers_with_them_when_a_point_is_not_online(
    point_type: PointType, bare: str, flagged: str
) -> None:
    master = Master()
    for i in range(4):
        master.tables.update(point_type, i, i, Flag.ONLINE, TIME)
    plain = master.ask(1, bare + "000003")
    master.tables.update(point_type, 2, 2, Flag.COMM_LOST, TIME)

    mixed = master.ask(1, bare + "000003")
    rest = master.ask(1, bare + "000001")

    assert plain[4:6].hex() == rest[4:6].hex() == bare
    assert mixed[4:6].hex() == flagged
    assert Flag.COMM_LOST in mixed[9:]


def test_packed_bits_answer_with_flags_when_a_point_is_not_online() -> None:
    master = Master(make_tables(binaries=3))
    for i in range(3):
        master.tables.update(BINARY, i, i % 2, Flag.ONLINE, TIME)
    packed = master.ask(1, "010106")
    master.tables.update(BINARY, 2, 0, Flag.COMM_LOST, TIME)

    assert packed[4:] == bytes.fromhex("0101 00 00 02 02")
    assert master.ask(1, "010106")[4:] == bytes.fromhex("0102 00 00 02 01 81 04")


def test_a_value_that_does_not_fit_a_variation_without_flags_is_told_with_over_range() -> None:
    master = Master()
    master.tables.update(ANALOG, 0, 100_000, Flag.ONLINE, TIME)

    answer = master.ask(1, "1e04000000")

    assert answer[4:] == bytes.fromhex("1e02000000") + struct.pack("<Bh", Flag.ONLINE | Flag.OVER_RANGE, 32767)


def test_an_indexed_read_without_flags_answers_with_them_too() -> None:
    master = Master()
    master.tables.update(ANALOG, 3, 7, Flag.COMM_LOST, TIME)

    assert master.ask(1, "1e03 17 01 03")[4:] == bytes.fromhex("1e01280100 0300 04 07000000")


def strings(*texts: str, event_class: int = 0) -> PointTables:
    tables = PointTables({PointType.OCTET_STRING: [PointConfig(i, event_class) for i in range(len(texts))]})
    for index, text in enumerate(texts):
        tables.update_string(index, octets(text), TIME)
    return tables


def test_strings_of_one_length_share_a_header_and_class_0_has_them() -> None:
    master = Master(strings("AB", "CD", "EFG", ""))

    expected = bytes.fromhex("6e020000014142 4344 6e0300020245 4647 6e01000303 00")
    assert master.ask(1, "6e0006")[4:] == master.ask(1, "3c0106")[4:] == expected
    assert master.ask(1, "6e00000202")[4:] == bytes.fromhex("6e03000202") + b"EFG"
    assert iin(master.ask(1, "6e00000209")) & Iin.PARAM_ERROR


def test_a_string_that_changes_is_an_event_of_its_class() -> None:
    master = Master(strings("AB", event_class=3))
    master.tables.update_string(0, b"XYZ", TIME)
    master.tables.update_string(0, b"XYZ", TIME)

    body, _ = master.read_all("3c0406")
    assert body == bytes.fromhex("6f03280100 0000") + b"XYZ"


def test_long_strings_are_cut_at_a_whole_character() -> None:
    assert octets("\u00e9" * 200) == ("\u00e9" * 127).encode()
    assert octets("") == b"\0"


def test_many_strings_go_over_several_fragments() -> None:
    master = Master(strings(*[f"{n:0100}" for n in range(60)]))

    body, got = master.read_all("6e0006")

    assert len(got) == 3
    assert all(f"{n:0100}".encode() in body for n in range(60))


def relative_tables() -> PointTables:
    return PointTables({BINARY: [PointConfig(i, 1, 0, 3) for i in range(4)]})


def test_relative_times_follow_the_common_time_they_count_from() -> None:
    master = Master(relative_tables())
    for index, (after_ms, synced) in enumerate(((0, True), (65_535, True), (65_536, True), (65_540, False))):
        master.tables.update(BINARY, index, 1, Flag.ONLINE, TIME + after_ms, synced)

    body, _ = master.read_all("3c0206")

    def common(after_ms: int, variation: int) -> bytes:
        return bytes((0x33, variation, 7, 1)) + (TIME + after_ms).to_bytes(6, "little")

    assert body == (
        common(0, 1)
        + bytes.fromhex("0203280200 0000 81 0000 0100 81 ffff")
        + common(65_536, 1)
        + bytes.fromhex("0203280100 0200 81 0000")
        + common(65_540, 2)
        + bytes.fromhex("0203280100 0300 81 0000")
    )


def test_absolute_time_can_be_asked_for_instead() -> None:
    master = Master(relative_tables())
    master.tables.update(BINARY, 0, 1, Flag.ONLINE, TIME)

    body, _ = master.read_all("020206")

    assert body == bytes.fromhex("0202280100 0000 81") + TIME.to_bytes(6, "little")


def test_a_frozen_value_is_told_with_the_time_of_its_freeze() -> None:
    tables = PointTables({COUNTER: [PointConfig(0)], PointType.FROZEN_COUNTER: [PointConfig(0, event_class=3)]})
    master = Master(tables)
    tables.update(COUNTER, 0, 777, Flag.ONLINE, TIME)
    master.ask(7, "140006")

    frozen_ms = master.backend.clock_ms
    assert master.ask(1, "150006")[4:] == bytes.fromhex("1505000000") + struct.pack("<BI", 1, 777) + (
        frozen_ms.to_bytes(6, "little")
    )
    body, _ = master.read_all("3c0406")
    assert body[:2].hex() == "1705"
