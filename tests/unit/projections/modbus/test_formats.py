"""bridge.projections.modbus.formats"""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.accumulator import as_float
from bridge.core.point import Kind, PointDef, Value
from bridge.projections.modbus.formats import (
    Format,
    WordOrder,
    decoder,
    encoder,
    ordered,
    registers_of,
    sentinel_of,
    unit_ratio,
)

ENERGY = PointDef(0, "m.e", Kind.ACCUMULATOR, unit="kWh", resolution=-2)
ANALOG = PointDef(0, "m.a", Kind.ANALOG)


# M-44, a-34: the table of seed 004, l.3238-3247
@pytest.mark.parametrize(
    ("form", "reserved"),
    [
        (Format.INT16, "8000"),
        (Format.UINT16, "ffff"),
        (Format.INT32, "80000000"),
        (Format.UINT32, "ffffffff"),
        (Format.INT64, "8000000000000000"),
        (Format.FLOAT32, "ffc00000"),
    ],
)
def test_reserved_values_are_those_of_the_ion_table(form: Format, reserved: str) -> None:
    assert sentinel_of(form, registers_of(form)).hex() == reserved


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_an_energy_is_exact_in_int64(count: int) -> None:
    data = encoder(ENERGY, Format.INT64, 4, (1, 1))(count)

    assert data is not None
    assert int.from_bytes(data, "big", signed=True) == count


@given(st.integers(0, 2**63 - 1))
def test_an_energy_in_float64_is_the_nearest_float_of_its_decimal(count: int) -> None:
    data = encoder(ENERGY, Format.FLOAT64, 4, unit_ratio(ENERGY, 1, 1))(count)

    assert data is not None
    assert struct.unpack(">d", data)[0] == as_float(count, -2)


@pytest.mark.parametrize(("count", "shown"), [(12_345_699, 123_456), (12_345_600, 123_456), (99, 0)])
def test_an_energy_in_coarser_steps_is_floored(count: int, shown: int) -> None:
    data = encoder(ENERGY, Format.UINT32, 2, unit_ratio(ENERGY, 1, 1))(count)

    assert data == shown.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("form", "ratio", "value", "hexed"),
    [
        (Format.FLOAT32, (1, 1), 230.5, "43668000"),
        (Format.INT32, (100, 1), 230.12, "000059e4"),
        (Format.INT16, (1, 1), -5.0, "fffb"),
        (Format.M10K, (1, 1), 123_456_789.0, "30391a85"),
        (Format.M10K_SIGNED, (1, 1), -20_001.0, "fffeffff"),
    ],
)
def test_an_analog_in_registers(form: Format, ratio: tuple[int, int], value: float, hexed: str) -> None:
    data = encoder(ANALOG, form, registers_of(form), ratio)(value)

    assert data is not None
    assert data.hex() == hexed


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (Format.INT16, 32768.0),
        (Format.UINT16, -1.0),
        # 0xFFFF says "no value"
        (Format.UINT16, 65535.0),
        (Format.FLOAT32, 1e39),
        (Format.FLOAT32, math.nan),
        (Format.INT32, math.inf),
        (Format.M10K, -1.0),
        (Format.INT16, None),
        (Format.FLOAT32, "text"),
    ],
)
def test_what_a_format_cannot_carry_is_no_value(form: Format, value: Value) -> None:
    assert encoder(ANALOG, form, registers_of(form), (1, 1))(value) is None


@pytest.mark.parametrize(
    ("order", "hexed"),
    [
        (WordOrder.ABCD, "0102030405060708"),
        (WordOrder.CDAB, "0708050603040102"),
        (WordOrder.BADC, "0201040306050807"),
        (WordOrder.DCBA, "0807060504030201"),
    ],
)
def test_word_orders_go_there_and_back(order: WordOrder, hexed: str) -> None:
    data = bytes(range(1, 9))

    assert ordered(data, order).hex() == hexed
    assert ordered(ordered(data, order), order) == data


def test_a_text_is_cut_between_characters() -> None:
    encode = encoder(PointDef(0, "m.t", Kind.TEXT), Format.TEXT, 2, (1, 1))

    assert encode("abc\u00e9") == b"abc\0"
    assert encode("ab") == b"ab\0\0"


@given(st.sampled_from([Format.INT16, Format.INT32, Format.INT64]), st.integers(-32767, 32767))
def test_a_write_is_the_inverse_of_a_read(form: Format, steps: int) -> None:
    ratio = unit_ratio(ANALOG, 1, 10)
    data = encoder(ANALOG, form, registers_of(form), ratio)(steps / 10)

    assert data is not None
    assert decoder(ANALOG, form, ratio)(data) == steps / 10


@pytest.mark.parametrize(
    ("kind", "form", "hexed", "value"),
    [
        (Kind.BINARY, Format.BOOLEAN, "0001", True),
        (Kind.BINARY, Format.BOOLEAN, "0002", None),
        (Kind.MULTISTATE, Format.UINT16, "0005", 5),
        (Kind.MULTISTATE, Format.FLOAT32, "3f000000", None),
        (Kind.ANALOG, Format.FLOAT32, "7f800000", None),
        (Kind.ANALOG, Format.FLOAT32, "ffc00000", None),
        (Kind.TIME, Format.TIME, "0000000000000001", 1_000_000),
        (Kind.TEXT, Format.TEXT, "4100ff00", None),
        (Kind.TEXT, Format.TEXT, "41420000", "AB"),
        (Kind.ACCUMULATOR, Format.INT64, "0000000000000001", None),
    ],
)
def test_what_a_command_makes_of_registers(kind: Kind, form: Format, hexed: str, value: Value) -> None:
    assert decoder(PointDef(0, "m.p", kind), form, (1, 1))(bytes.fromhex(hexed)) == value
