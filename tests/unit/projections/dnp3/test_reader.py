"""bridge.projections.dnp3.reader through a session: bytes in, bytes out."""

import math
import struct

import pytest

from bridge.projections.dnp3.application import Iin
from bridge.projections.dnp3.objects import Flag, PointType
from bridge.projections.dnp3.table import PointConfig
from bridge.projections.dnp3.tables import PointTables
from tests.support.dnp3_master import CLASS_0123, Master, iin, make_tables


def test_class_0_lists_every_point_in_its_default_variation() -> None:
    master = Master(make_tables(3, 2, 2))
    for i in range(3):
        master.tables[PointType.ANALOG_INPUT].update(i, i + 0.5, 1, 0)
    master.tables[PointType.COUNTER].update(1, 0x1_0000_0007, 1, 0)
    master.tables[PointType.BINARY_INPUT].update(1, 1, 1, 0)

    answer = master.ask(1, "3c0106")

    assert answer[4:].hex().startswith("0102000001" + "0281")
    assert "14010000010200000000" + "0107000000" in answer[4:].hex()
    assert answer[4:].hex().endswith("1e05000002" + "".join(struct.pack("<Bf", 1, i + 0.5).hex() for i in range(3)))


def test_a_range_and_a_variation_are_honoured() -> None:
    master = Master()
    for i in range(20):
        master.tables[PointType.ANALOG_INPUT].update(i, i + 0.75, 1, 0)

    floats, ints = master.ask(1, "1e05000304"), master.ask(1, "1e010103000400")
    doubles, bare, short = (
        master.ask(1, "1e06000303"),
        master.ask(1, "1e03000303"),
        master.ask(1, "1e04000303"),
    )

    assert floats[4:] == bytes.fromhex("1e05000304") + struct.pack("<BfBf", 1, 3.75, 1, 4.75)
    assert ints[4:] == bytes.fromhex("1e01000304") + struct.pack("<BiBi", 1, 4, 1, 5)
    assert doubles[4:] == bytes.fromhex("1e06000303") + struct.pack("<Bd", 1, 3.75)
    assert bare[4:] == bytes.fromhex("1e03000303") + struct.pack("<i", 4)
    assert short[4:] == bytes.fromhex("1e04000303") + struct.pack("<h", 4)


def test_indexes_and_quantities_are_honoured() -> None:
    master = Master()

    indexed = master.ask(1, "1e05 17 02 03 07")
    wide = master.ask(1, "1e05 28 0100 0700")
    first = master.ask(1, "1401 07 02")

    assert indexed[4:9].hex() == "1e05280200"
    assert [indexed[9 + 7 * k] for k in range(2)] == [3, 7]
    assert wide[4:11].hex() == "1e052801000700"
    assert first[4:9].hex() == "1401000001"


@pytest.mark.parametrize("objects", ["1e05000019", "1e050110012001", "1e05170163"])
def test_points_that_are_not_there_set_param_error(objects: str) -> None:
    assert iin(Master().ask(1, objects)) & Iin.PARAM_ERROR


@pytest.mark.parametrize("objects", ["1e0900", "560006", "1e6306", "0c0106"])
def test_objects_that_are_not_known_say_so(objects: str) -> None:
    answer = Master().ask(1, objects + ("0001" if objects.endswith("00") else ""))

    assert iin(answer) & (Iin.OBJECT_UNKNOWN | Iin.PARAM_ERROR)
    assert answer[4:] == b""


@pytest.mark.parametrize(
    ("value", "raw"), [(math.nan, 0), (math.inf, 2**31 - 1), (-1e30, -(2**31)), (2.0**31, 2**31 - 1)]
)
def test_a_value_beyond_an_integer_is_over_range_and_its_neighbours_are_not(value: float, raw: int) -> None:
    master = Master()
    for i, number in enumerate((1.0, value, 3.0)):
        master.tables[PointType.ANALOG_INPUT].update(i, number, 1, 0)

    answer = master.ask(1, "1e01000002")

    flags = 1 | Flag.OVER_RANGE
    assert answer[9:] == struct.pack("<BiBiBi", 1, 1, flags, raw, 1, 3)


def test_a_double_beyond_a_float_is_over_range() -> None:
    master = Master()
    master.tables[PointType.ANALOG_INPUT].update(0, 1e300, 1, 0)

    assert master.ask(1, "1e05000000")[9] & Flag.OVER_RANGE


def test_packed_bits_are_right_for_odd_lengths() -> None:
    master = Master(make_tables(binaries=11))
    for i in range(11):
        master.tables[PointType.BINARY_INPUT].update(i, i in (0, 3, 8, 10), 1, 0)

    assert master.ask(1, "010106")[4:] == bytes.fromhex("0101 00 00 0a 09 05")


def test_holes_in_the_numbering_are_left_out() -> None:
    points = [PointConfig(0), PointConfig(1), PointConfig(300, static_variation=1), PointConfig(301)]
    master = Master(PointTables({PointType.ANALOG_INPUT: points}))

    body = master.ask(1, "1e0006")[4:]

    assert body[:5].hex() == "1e05000001"
    assert body[15:22].hex() == "1e01012c012c01"
    assert body[27:34].hex() == "1e05012d012d01"


def test_a_long_response_waits_for_a_confirm_of_each_fragment() -> None:
    master = Master(make_tables(2000, 1000, 1000))

    body, got = master.read_all("3c0106")

    sequences = [fragment[0] & 15 for fragment in got]
    assert len(got) > 5
    assert sequences == [(sequences[0] + k) & 15 for k in range(len(got))]
    assert got[0][0] & 0xE0 == 0xA0
    assert all(fragment[0] & 0xE0 == 0x20 for fragment in got[1:-1])
    assert got[-1][0] & 0xE0 == 0x40
    assert all(len(fragment) <= 2048 for fragment in got)
    assert len(body) == 2000 * 5 + 1000 * 5 * 2 + 1000 + 7 * _headers(body)


def _headers(body: bytes) -> float:
    at, short, long = 0, 0, 0
    sizes = {1: 1, 20: 5, 21: 5, 30: 5}
    while at < len(body):
        if body[at + 2] == 0:
            first, last, at, short = body[at + 3], body[at + 4], at, short + 1
            at += 5 + (last - first + 1) * sizes[body[at]]
        else:
            first, last = struct.unpack_from("<HH", body, at + 3)
            at, long = at + 7 + (last - first + 1) * sizes[body[at]], long + 1
    return (5 * short + 7 * long) / 7


def test_a_wrong_confirm_does_not_move_a_response_on() -> None:
    master = Master(make_tables(2000, 0, 0))
    first = master.ask(1, "3c0106")

    assert master.send(bytes((0xC0 | ((first[0] + 3) & 15), 0))) == []
    assert master.confirm(first)[0][0] & 15 == (first[0] + 1) & 15


def test_a_new_request_ends_a_response_under_way() -> None:
    master = Master(make_tables(2000, 0, 0))
    first = master.ask(1, "3c0106")

    answer = master.ask(1, "1e05000001")

    assert answer[0] & 0xE0 == 0xC0
    assert master.confirm(first) == []


def test_a_response_without_confirm_is_given_up_after_the_time_out() -> None:
    master = Master(make_tables(2000, 0, 0))
    first = master.ask(1, "3c0106")
    master.tick(5.1)

    assert master.confirm(first) == []


def test_time_and_indications_can_be_read() -> None:
    master = Master()

    assert master.ask(1, "320107 01")[4:] == b"\x32\x01\x07\x01" + (1_700_000_000_000).to_bytes(6, "little")
    assert master.ask(1, "500100 00 0f")[4:7].hex() == "500100"


def test_changed_values_are_seen_by_the_next_read() -> None:
    master = Master(make_tables(300, 0, 0))
    master.read_all(CLASS_0123)
    master.tables[PointType.ANALOG_INPUT].update(250, 7.0, 1, 0)

    assert master.ask(1, "1e0500fafa")[9:] == struct.pack("<Bf", 1, 7.0)
