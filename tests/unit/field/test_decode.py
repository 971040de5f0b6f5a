"""bridge.field.modbus.decode"""

import math
import struct
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from bridge.config.meter import RegisterType, Table, WordOrder
from bridge.config.model import Register
from bridge.core.accumulator import count_of_float
from bridge.core.point import Kind, PointDef
from bridge.core.quality import Quality
from bridge.core.quantity import Direction, Meaning
from bridge.field.modbus.decode import decoder_for, scale_factor, scaled
from bridge.field.modbus.words import packer, unpacker, words_of

ANALOG = PointDef(0, "m.active_power_total", Kind.ANALOG)
ENERGY = PointDef(0, "m.active_energy_import", Kind.ACCUMULATOR, unit="kWh", resolution=-2)
INTEGERS = {
    RegisterType.UINT16: (1, "H"),
    RegisterType.INT16: (1, "h"),
    RegisterType.UINT32: (2, "I"),
    RegisterType.INT32: (2, "i"),
    RegisterType.UINT64: (4, "Q"),
    RegisterType.INT64: (4, "q"),
}
NO_VALUE = (None, Quality.DEVICE_FAULT)
OUTSIDE = (None, Quality.OUT_OF_RANGE)


def register(kind: RegisterType, count: int, **more: Any) -> Register:
    return Register(Table.HOLDING, 100, count, kind, **more)


def on_the_wire(letter: str, value: float, order: WordOrder) -> bytes:
    """An encoder of its own: the letters of the order say which byte stands where, two letters a register."""
    straight = struct.pack(">" + letter, value)
    if len(straight) == 2:
        return straight
    pattern = [order.value.index(c) for c in "ABCD"] if len(straight) == 4 else None
    if pattern is None:
        long = {"ABCD": "ABCDEFGH", "CDAB": "GHEFCDAB", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}[order.value]
        return bytes(straight["ABCDEFGH".index(c)] for c in long)
    return bytes(straight["ABCD".index(c)] for c in order.value)


@given(st.sampled_from(sorted(INTEGERS, key=str)), st.sampled_from(WordOrder), st.data())
def test_every_integer_in_every_word_order_reads_as_it_was_written(
    kind: RegisterType, order: WordOrder, data: st.DataObject
) -> None:
    # M-42, M-43
    count, letter = INTEGERS[kind]
    bits = 16 * count
    low, high = (-(1 << bits - 1) + 1, (1 << bits - 1) - 1) if letter.islower() else (0, (1 << bits) - 2)
    value = data.draw(st.integers(low, high))
    wire = on_the_wire(letter, value, order)
    text = PointDef(0, "m.model", Kind.TEXT)

    assert unpacker(kind, order)(wire) == value
    assert packer(kind, order)(value) == wire
    assert decoder_for(register(kind, count, order=order), text)(wire) == (str(value), Quality.GOOD)
    assert decoder_for(register(kind, count, order=order), ANALOG)(wire) == (float(value), Quality.GOOD)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(WordOrder))
def test_float64_reads_as_it_was_written(value: float, order: WordOrder) -> None:
    decode = decoder_for(register(RegisterType.FLOAT64, 4, order=order), ANALOG)

    assert decode(on_the_wire("d", value, order)) == (value, Quality.GOOD)
    assert packer(RegisterType.FLOAT64, order)(value) == on_the_wire("d", value, order)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(WordOrder))
def test_float32_reads_as_it_was_written(value: float, order: WordOrder) -> None:
    decode = decoder_for(register(RegisterType.FLOAT32, 2, order=order), ANALOG)

    assert decode(on_the_wire("f", value, order)) == (value, Quality.GOOD)


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.sampled_from(["big", "little"]))
def test_it_agrees_with_pymodbus(value: int, order: Any) -> None:
    words = ModbusClientMixin.convert_to_registers(value, ModbusClientMixin.DATATYPE.INT32, word_order=order)
    ours = WordOrder.ABCD if order == "big" else WordOrder.CDAB

    raw = b"".join(word.to_bytes(2, "big") for word in words)

    assert decoder_for(register(RegisterType.INT32, 2, order=ours), ANALOG)(raw) == (value, Quality.GOOD)


@pytest.mark.parametrize(
    ("kind", "count", "raw"),
    [
        (RegisterType.INT16, 1, "8000"),
        (RegisterType.UINT16, 1, "ffff"),
        (RegisterType.INT32, 2, "80000000"),
        (RegisterType.UINT32, 2, "ffffffff"),
        (RegisterType.INT64, 4, "8000000000000000"),
        (RegisterType.FLOAT32, 2, "ffc00000"),
        (RegisterType.FLOAT32, 2, "7fc00001"),
        (RegisterType.FLOAT64, 4, "7ff8000000000000"),
    ],
)
@pytest.mark.parametrize("definition", [ANALOG, ENERGY], ids=["analog", "accumulator"])
def test_what_the_device_marks_as_no_value_is_never_a_number(
    kind: RegisterType, count: int, raw: str, definition: PointDef
) -> None:
    # M-44
    assert decoder_for(register(kind, count), definition)(bytes.fromhex(raw)) == NO_VALUE


def test_a_sentinel_is_met_in_the_word_order_of_the_value() -> None:
    decode = decoder_for(register(RegisterType.INT32, 2, order=WordOrder.CDAB), ANALOG)

    assert decode(bytes.fromhex("00008000")) == NO_VALUE


@pytest.mark.parametrize("raw", ["7f800000", "ff800000"])
def test_infinity_is_no_reading(raw: str) -> None:
    assert decoder_for(register(RegisterType.FLOAT32, 2), ANALOG)(bytes.fromhex(raw)) == OUTSIDE
    assert decoder_for(register(RegisterType.FLOAT32, 2), ENERGY)(bytes.fromhex(raw)) == OUTSIDE


def test_values_a_meter_file_calls_invalid_are_no_value_signed_or_as_bits() -> None:
    signed = decoder_for(register(RegisterType.INT16, 1, invalid=frozenset({0x7FFF, 0xFFFE})), ANALOG)
    real = decoder_for(register(RegisterType.FLOAT32, 2, invalid=frozenset({-1, 0x47C34F80})), ANALOG)

    assert [signed(bytes.fromhex(raw)) for raw in ("7fff", "fffe")] == [NO_VALUE, NO_VALUE]
    assert signed(b"\x00\x07") == (7.0, Quality.GOOD)
    assert real(struct.pack(">f", -1)) == NO_VALUE
    assert real(bytes.fromhex("47c34f80")) == NO_VALUE


def test_a_value_outside_its_limits_is_no_reading() -> None:
    frequency = PointDef(0, "m.frequency", Kind.ANALOG, unit="Hz", low=45.0, high=65.0)
    decode = decoder_for(register(RegisterType.UINT16, 1, scale=Fraction(1, 100)), frequency)

    assert decode((5001).to_bytes(2, "big")) == (50.01, Quality.GOOD)
    assert decode((501).to_bytes(2, "big")) == OUTSIDE
    assert decode((6501).to_bytes(2, "big")) == OUTSIDE


@given(st.integers(0, 10**7))
def test_a_scaled_integer_is_the_decimal_the_meter_means(raw: int) -> None:
    decode = decoder_for(register(RegisterType.UINT32, 2, scale=Fraction(1, 100)), ANALOG)

    assert decode(raw.to_bytes(4, "big"))[0] == float(f"{raw // 100}.{raw % 100:02d}")


def test_offset_and_a_turned_ct() -> None:
    offset = decoder_for(register(RegisterType.INT16, 1, scale=Fraction(1, 10), offset=-40.0), ANALOG)
    turned = decoder_for(register(RegisterType.INT16, 1, inverted=True), ANALOG)

    assert offset(b"\x02\x8f") == (25.5, Quality.GOOD)
    assert turned(b"\x00\x05") == (-5.0, Quality.GOOD)


@given(st.integers(0, 2**63 - 1))
def test_energy_is_the_same_integer_from_the_register_on(count: int) -> None:
    decode = decoder_for(register(RegisterType.UINT64, 4), ENERGY)

    assert decode(count.to_bytes(8, "big")) == (count, Quality.GOOD)


@given(st.integers(0, 10**13))
def test_energy_in_a_double_is_counted_exactly(count: int) -> None:
    decode = decoder_for(register(RegisterType.FLOAT64, 4, counts=Fraction(100)), ENERGY)

    assert decode(struct.pack(">d", count / 100)) == (count, Quality.GOOD)


@given(st.integers(0, 13_107_200))
def test_energy_in_a_single_is_the_step_it_is_nearest_to_while_it_can_tell_steps(count: int) -> None:
    decode = decoder_for(register(RegisterType.FLOAT32, 2, counts=Fraction(100)), ENERGY)

    assert decode(struct.pack(">f", count / 100)) == (count, Quality.GOOD)


def test_a_register_count_that_does_not_fit_the_type_is_refused() -> None:
    with pytest.raises(ValueError, match="float64 takes 4 register"):
        decoder_for(register(RegisterType.FLOAT64, 2), ANALOG)


def test_energy_is_never_rounded_up() -> None:
    real = decoder_for(register(RegisterType.FLOAT64, 4, counts=Fraction(100)), ENERGY)
    watt_hours = decoder_for(register(RegisterType.UINT32, 2, counts=Fraction(1, 10)), ENERGY)

    assert real(struct.pack(">d", 1.2399)) == (123, Quality.GOOD)
    assert watt_hours((1239).to_bytes(4, "big")) == (123, Quality.GOOD)


def test_energy_that_cannot_be_is_no_reading() -> None:
    signed = decoder_for(register(RegisterType.INT64, 4), ENERGY)
    beyond = decoder_for(register(RegisterType.UINT64, 4), ENERGY)
    digits = PointDef(0, "m.active_energy_import", Kind.ACCUMULATOR, unit="kWh", modulus=1_000_000)
    wrapped = decoder_for(register(RegisterType.UINT32, 2), digits)

    assert signed(struct.pack(">q", -1)) == OUTSIDE
    assert beyond((2**63).to_bytes(8, "big")) == OUTSIDE
    assert wrapped((1_000_000).to_bytes(4, "big")) == OUTSIDE
    assert wrapped((999_999).to_bytes(4, "big")) == (999_999, Quality.GOOD)


def test_a_balance_of_energies_may_be_negative() -> None:
    net = PointDef(0, "m.active_energy_net", Kind.ACCUMULATOR, unit="kWh", meaning=Meaning(direction=Direction.NET))

    assert decoder_for(register(RegisterType.INT64, 4), net)(struct.pack(">q", -5)) == (-5, Quality.GOOD)


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (RegisterType.UM10K, (65535, 9999), 655_359_999),
        (RegisterType.M10K, (-3, -42), -30_042),
        (RegisterType.M10K, (3, 42), 30_042),
    ],
)
def test_m10k_counts_ten_thousands_in_the_high_word(kind: RegisterType, raw: tuple[int, int], expected: int) -> None:
    wire = struct.pack(">HH" if kind is RegisterType.UM10K else ">hh", *raw)

    assert decoder_for(register(kind, 2), ANALOG)(wire) == (float(expected), Quality.GOOD)
    assert packer(kind, WordOrder.CDAB)(expected) == wire[2:] + wire[:2]


@pytest.mark.parametrize("raw", [(0, 10_000), (0x8000, 0x8000), (1, 0xFFFE)])
def test_what_is_no_m10k_is_no_value(raw: tuple[int, int]) -> None:
    assert decoder_for(register(RegisterType.M10K, 2), ANALOG)(struct.pack(">HH", *raw)) == NO_VALUE


def test_bits_of_a_table_and_of_a_register() -> None:
    binary = PointDef(0, "m.phase_loss_l1", Kind.BINARY)
    direction = PointDef(0, "m.energy_direction", Kind.MULTISTATE, states=((0, "import"), (1, "export")))
    coil = Register(Table.COIL, 5, 1, RegisterType.BOOL)

    assert [decoder_for(coil, binary)(raw) for raw in (b"\x00", b"\x01")] == [
        (False, Quality.GOOD),
        (True, Quality.GOOD),
    ]
    assert decoder_for(coil, direction)(b"\x01") == (1, Quality.GOOD)
    assert decoder_for(register(RegisterType.BOOL, 1, bit=9), binary)(b"\x02\x00") == (True, Quality.GOOD)
    assert decoder_for(register(RegisterType.BOOL, 1, bit=9), binary)(b"\xfd\xff") == (False, Quality.GOOD)
    assert decoder_for(register(RegisterType.BOOL, 1), binary)(b"\x00\x07") == OUTSIDE


def test_a_code_that_has_no_state_is_no_reading() -> None:
    state = PointDef(0, "m.network_type", Kind.MULTISTATE, states=((0, "3P4W"), (1, "3P3W")))
    decode = decoder_for(register(RegisterType.UINT16, 1), state)

    assert decode(b"\x00\x01") == (1, Quality.GOOD)
    assert decode(b"\x00\x02") == OUTSIDE


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"SOCOMEC \x00X", ("SOCOMEC", Quality.GOOD)),
        (b"  A1  ", ("A1", Quality.GOOD)),
        ("Zähler".encode() + b"\x00", ("Zähler", Quality.GOOD)),
        (b"E\xe9", ("E\ufffd", Quality.QUESTIONABLE)),
        (b"\x1b[2J", ("\ufffd[2J", Quality.QUESTIONABLE)),
        (b"\x00\x00", ("", Quality.GOOD)),
        (b"\xff\xff", NO_VALUE),
        (b"\x80\x00", NO_VALUE),
    ],
)
def test_text_loses_its_padding_and_shows_what_is_no_text(raw: bytes, expected: tuple[str, Quality]) -> None:
    name = PointDef(0, "m.model", Kind.TEXT)

    assert decoder_for(register(RegisterType.STRING, len(raw) // 2), name)(raw) == expected


def test_one_character_a_register() -> None:
    name = PointDef(0, "m.vendor", Kind.TEXT)

    assert decoder_for(register(RegisterType.STRING16, 4), name)(b"\0S\0O\0C\0O") == ("SOCO", Quality.GOOD)


def test_times_are_utc_nanoseconds() -> None:
    peak = PointDef(0, "m.demand_peak_timestamp", Kind.TIME)
    unix = decoder_for(register(RegisterType.UNIX_TIME, 2), peak)
    date = decoder_for(register(RegisterType.DATETIME4, 4), peak)
    # 2026-03-29 (a Sunday) 14:05:30.250
    words = (26, 3 << 8 | 7 << 5 | 29, 14 << 8 | 5, 30_250)

    assert unix((1_774_793_130).to_bytes(4, "big")) == (1_774_793_130 * 10**9, Quality.GOOD)
    assert date(struct.pack(">4H", *words)) == (1_774_793_130_250_000_000, Quality.GOOD)
    assert date(struct.pack(">4H", words[0], words[1], words[2] | 0x80, words[3])) == NO_VALUE
    assert date(struct.pack(">4H", 26, 2 << 8 | 30, 0, 0)) == OUTSIDE


def test_a_scale_register_multiplies_value_and_count() -> None:
    factor = scale_factor(b"\xff\xfe")

    assert factor == Fraction(1, 100)
    assert scale_factor(b"\x80\x00") is None
    assert scale_factor(b"\x00\x0b") is None
    decode = decoder_for(scaled(register(RegisterType.INT16, 1), factor), ANALOG)
    assert decode((2312).to_bytes(2, "big")) == (23.12, Quality.GOOD)


@given(st.sampled_from(RegisterType), st.sampled_from(WordOrder), st.sampled_from(Kind), st.binary(max_size=12))
def test_no_bytes_make_it_raise_or_show_a_number_that_is_none(
    kind: RegisterType, order: WordOrder, meant: Kind, raw: bytes
) -> None:
    # BARS I3
    definition = PointDef(0, "m.x", meant, low=-1e6, high=1e6)
    counts = words_of(kind) or 2
    value, quality = decoder_for(register(kind, counts, order=order, counts=Fraction(7, 3)), definition)(raw)

    assert (value is None) == (quality in (Quality.DEVICE_FAULT, Quality.OUT_OF_RANGE))
    if meant is Kind.ANALOG and isinstance(value, float):
        assert math.isfinite(value)
        assert -1e6 <= value <= 1e6
    if meant is Kind.ACCUMULATOR and value is not None and not isinstance(value, str):
        assert 0 <= value < 2**63


@given(
    st.floats(0, 2e7)
    | st.integers(0, 10**9).map(lambda n: n / 100 + 1e-8)
    | st.integers(0, 10**9).map(lambda n: n / 100),
    st.sampled_from([1, 10, 100, 1000]),
)
def test_the_short_way_to_a_count_gives_what_exact_arithmetic_gives(value: float, scale: int) -> None:
    steps = Fraction(value) * scale
    nearest = round(steps)
    tolerance = max(Fraction(1, 1_000_000), Fraction(math.ulp(value)) * scale / 2)
    expected = nearest if abs(steps - nearest) <= tolerance else math.floor(steps)

    assert count_of_float(value, Fraction(scale)) == expected
