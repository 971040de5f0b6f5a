"""bridge.simulator.words against pymodbus' own conversion and against registers written out by hand"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from bridge.config.meter import RegisterType, WordOrder
from bridge.simulator.words import raw_of, words_of

PEER = ModbusClientMixin.DATATYPE
TYPES = {
    RegisterType.UINT16: (PEER.UINT16, st.integers(0, 2**16 - 1)),
    RegisterType.INT16: (PEER.INT16, st.integers(-(2**15), 2**15 - 1)),
    RegisterType.UINT32: (PEER.UINT32, st.integers(0, 2**32 - 1)),
    RegisterType.INT32: (PEER.INT32, st.integers(-(2**31), 2**31 - 1)),
    RegisterType.UINT64: (PEER.UINT64, st.integers(0, 2**64 - 1)),
    RegisterType.INT64: (PEER.INT64, st.integers(-(2**63), 2**63 - 1)),
    RegisterType.FLOAT32: (PEER.FLOAT32, st.floats(width=32, allow_nan=False)),
    RegisterType.FLOAT64: (PEER.FLOAT64, st.floats(allow_nan=False)),
}


@pytest.mark.parametrize("kind", list(TYPES))
@given(data=st.data())
def test_numbers_stand_as_pymodbus_puts_them(kind: RegisterType, data: st.DataObject) -> None:
    peer, numbers = TYPES[kind]
    number = data.draw(numbers)

    high_first = ModbusClientMixin.convert_to_registers(number, peer)
    assert list(words_of(number, kind, WordOrder.ABCD, 0)) == high_first
    low_first = ModbusClientMixin.convert_to_registers(number, peer, word_order="little")
    assert list(words_of(number, kind, WordOrder.CDAB, 0)) == low_first


@pytest.mark.parametrize("order", list(WordOrder))
@pytest.mark.parametrize("kind", list(TYPES))
@given(data=st.data())
def test_what_a_master_writes_is_read_as_it_stands(kind: RegisterType, order: WordOrder, data: st.DataObject) -> None:
    number = data.draw(TYPES[kind][1])

    assert raw_of(words_of(number, kind, order, 0), kind, order) == number


@pytest.mark.parametrize(
    ("order", "shown"),
    [
        (WordOrder.ABCD, "0102 0304 0506 0708"),
        (WordOrder.CDAB, "0708 0506 0304 0102"),
        (WordOrder.BADC, "0201 0403 0605 0807"),
        (WordOrder.DCBA, "0807 0605 0403 0201"),
    ],
)
def test_the_four_orders_of_eight_bytes(order: WordOrder, shown: str) -> None:
    words = words_of(0x0102030405060708, RegisterType.UINT64, order, 4)

    assert " ".join(f"{w:04x}" for w in words) == shown


@pytest.mark.parametrize("order", list(WordOrder))
def test_one_register_is_high_byte_first_in_every_order(order: WordOrder) -> None:
    assert words_of(0x1234, RegisterType.UINT16, order, 1) == (0x1234,)


def test_ten_thousands_stand_in_the_first_word() -> None:
    assert words_of(123_456, RegisterType.UM10K, WordOrder.ABCD, 2) == (12, 3456)
    assert words_of(-123_456, RegisterType.M10K, WordOrder.ABCD, 2) == (0x10000 - 12, 0x10000 - 3456)
    assert words_of(123_456, RegisterType.UM10K, WordOrder.CDAB, 2) == (3456, 12)


def test_texts_are_padded_with_nul() -> None:
    assert words_of("SOCO", RegisterType.STRING16, WordOrder.ABCD, 5) == (0x53, 0x4F, 0x43, 0x4F, 0)
    assert words_of("ABC", RegisterType.STRING, WordOrder.ABCD, 3) == (0x4142, 0x4300, 0)
    with pytest.raises(ValueError, match="at most 4 characters"):
        words_of("ABCDE", RegisterType.STRING, WordOrder.ABCD, 2)


def test_a_date_stands_in_four_words() -> None:
    # Friday 2026-11-20 12:34:09.250 UTC
    at_ns = 1_795_178_049_250_000_000

    words = words_of(at_ns, RegisterType.DATETIME4, WordOrder.ABCD, 4)

    assert words == (26, 11 << 8 | 5 << 5 | 20, 12 << 8 | 34, 9250)
    assert raw_of(words, RegisterType.DATETIME4, WordOrder.ABCD) == at_ns


def test_unix_time_is_whole_seconds() -> None:
    words = words_of(1_795_178_049_999_999_999, RegisterType.UNIX_TIME, WordOrder.ABCD, 2)

    assert struct.unpack(">I", struct.pack(">2H", *words)) == (1_795_178_049,)


def test_a_number_too_large_is_refused() -> None:
    with pytest.raises(struct.error):
        words_of(70_000, RegisterType.UINT16, WordOrder.ABCD, 1)
