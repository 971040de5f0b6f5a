"""bridge.verify: what counts as the same, and what must be caught."""

from dataclasses import replace
from fractions import Fraction

import pytest

from bridge.config.meter import Certainty, PollClass, RegisterType, Table, WordOrder
from bridge.config.model import FieldPoint, Register
from bridge.core.point import Kind, PointDef
from bridge.core.quality import Quality
from bridge.verify.compare import Held, Precision, Shown, Verdict, expected, judge, same_as_meter, too_old
from bridge.verify.reference import RawBlock, raw_value, registers_of

ENERGY = PointDef(0, "m.active_energy_import", Kind.ACCUMULATOR, "kWh", resolution=-2, stale_after_ns=10)
POWER = PointDef(1, "m.active_power_total", Kind.ANALOG, "kW")
REGISTER = Register(Table.HOLDING, 100, 2, RegisterType.UINT32)
GOOD = Held(13107201, Quality.GOOD, 5)


def point(definition: PointDef, register: Register) -> FieldPoint:
    return FieldPoint(definition, register, PollClass.SLOW, Certainty.CERTAIN)


@pytest.mark.parametrize(
    ("shown", "held", "verdict"),
    [
        (Shown(Fraction("131072.01"), Precision.EXACT, True), GOOD, Verdict.GOOD),
        (Shown(Fraction("131072.02"), Precision.EXACT, True), GOOD, Verdict.DIFFERENT),
        # a wrong scale
        (Shown(Fraction("13107201"), Precision.EXACT, True), GOOD, Verdict.DIFFERENT),
        # a float32 cannot tell 131072.01 from 131072.015625: as a count that is a difference
        (Shown(131072.015625, Precision.EXACT, True), GOOD, Verdict.DIFFERENT),
        (Shown(131072.015625, Precision.FLOAT32, True), GOOD, Verdict.GOOD),
        # a stale value shown as good
        (
            Shown(Fraction("131072.01"), Precision.EXACT, True),
            replace(GOOD, quality=Quality.STALE),
            Verdict.STALE_SHOWN_GOOD,
        ),
        (Shown(Fraction("131072.01"), Precision.EXACT, False), replace(GOOD, quality=Quality.COMM_LOST), Verdict.GOOD),
        (Shown(None, Precision.EXACT, False), replace(GOOD, quality=Quality.COMM_LOST), Verdict.GOOD),
        (Shown(Fraction(1), Precision.EXACT, False), GOOD, Verdict.GOOD_SHOWN_BAD),
        (Shown(None, Precision.EXACT, True), GOOD, Verdict.MISSING),
        (None, GOOD, Verdict.MISSING),
    ],
)
def test_a_server_is_judged_by_what_the_bridge_holds(shown: Shown | None, held: Held, verdict: Verdict) -> None:
    assert judge(ENERGY, held, shown) is verdict


def test_swapped_words_are_no_longer_the_meters_value() -> None:
    data = bytes.fromhex("00c80041")
    plain = point(ENERGY, REGISTER)
    swapped = point(ENERGY, replace(REGISTER, order=WordOrder.CDAB))
    assert plain.read is not None
    assert swapped.read is not None
    want = expected(plain, raw_value(plain.read, data))

    assert same_as_meter(plain, want, Held(0x00C80041, Quality.GOOD, 5))
    assert expected(swapped, raw_value(swapped.read, data)) != want


def test_a_float_energy_is_floored_to_its_step_never_rounded_up() -> None:
    register = replace(REGISTER, count=4, type=RegisterType.FLOAT64, counts=Fraction(100))
    energy = point(ENERGY, register)

    assert expected(energy, Fraction(1.15)) == Fraction("1.15")
    assert expected(energy, Fraction("1.159")) == Fraction("1.15")


def test_an_analog_is_scaled_offset_and_turned_round() -> None:
    register = replace(REGISTER, type=RegisterType.INT32, scale=Fraction("0.01"), offset=1.0, inverted=True)

    assert expected(point(POWER, register), Fraction(250)) == Fraction("-3.5")


def test_the_registers_of_the_sample_are_taken_before_newer_ones() -> None:
    blocks = [RawBlock(3, 100, bytes(4), 7), RawBlock(3, 99, b"\0\0\x11\x11\x22\x22", 9)]

    assert registers_of(REGISTER, blocks, 7) == (bytes(4), 7)
    assert registers_of(REGISTER, blocks, 8) == (b"\x11\x11\x22\x22", 9)
    assert registers_of(replace(REGISTER, address=101), blocks[:1], 7) is None
    assert registers_of(replace(REGISTER, table=Table.INPUT), blocks, 7) is None


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (RegisterType.INT16, "fffe", -2),
        (RegisterType.M10K, "00010002", 10002),
        (RegisterType.UNIX_TIME, "00000001", 10**9),
        (RegisterType.FLOAT32, "7fc00000", None),
        (RegisterType.STRING, "41420000", "AB"),
        (RegisterType.STRING16, "00410042", "AB"),
        (RegisterType.DATETIME4, "0018010201030000", 1_704_157_380_000_000_000),
    ],
)
def test_registers_are_read_without_the_bridges_own_decoder(
    kind: RegisterType, data: str, value: int | str | None
) -> None:
    assert raw_value(replace(REGISTER, type=kind), bytes.fromhex(data)) == value


def test_a_bit_is_found_in_the_packed_bits_of_a_reply() -> None:
    register = replace(REGISTER, table=Table.DISCRETE_INPUT, address=9, count=1, type=RegisterType.BOOL)
    found = registers_of(register, [RawBlock(2, 0, b"\x00\x02", 3)], 3)

    assert found == (b"\x01", 3)
    assert raw_value(register, b"\x01") == 1


def test_a_good_point_may_not_be_older_than_its_limit() -> None:
    assert not too_old(ENERGY, GOOD, 15)
    assert too_old(ENERGY, GOOD, 16)


@pytest.mark.parametrize(
    ("count", "shown", "verdict"),
    [(2**32 + 7, 7, Verdict.GOOD), (7, 7, Verdict.GOOD), (2**32 + 7, 8, Verdict.DIFFERENT)],
)
def test_a_counter_that_starts_again_is_compared_as_far_as_it_counts(count: int, shown: int, verdict: Verdict) -> None:
    definition = PointDef(1, "m.e", Kind.ACCUMULATOR, resolution=-2)
    step = Fraction(1, 100)

    found = Shown(shown * step, Precision.EXACT, good=True, modulus=2**32 * step)

    assert judge(definition, Held(count, Quality.GOOD, 1), found) is verdict


def test_a_time_is_compared_as_finely_as_the_protocol_tells_it() -> None:
    definition = PointDef(1, "m.t", Kind.TIME)
    found = Shown(Fraction(1_230_000_000), Precision.EXACT, good=True, step=Fraction(10_000_000))

    assert judge(definition, Held(1_239_999_999, Quality.GOOD, 1), found) is Verdict.GOOD
    assert judge(definition, Held(1_240_000_000, Quality.GOOD, 1), found) is Verdict.DIFFERENT


def test_the_padding_of_a_newer_reply_is_no_bit_of_the_device() -> None:
    register = Register(Table.DISCRETE_INPUT, 12, 1, RegisterType.BOOL)
    blocks = [RawBlock(2, 0, b"\xff\x0f", 9, 12), RawBlock(2, 12, b"\x01", 3, 1)]

    assert registers_of(register, blocks, 5) == (b"\x01", 3)
