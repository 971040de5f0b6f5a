"""bridge.modbus.request"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modbus.request import Area, Effect, Extent, RequestError, only_reads, touched

READ, WRITE = Effect.READ, Effect.WRITE


@pytest.mark.parametrize(
    ("pdu", "extents"),
    [
        ("0100000010", [Extent(READ, Area.COILS, 0, 16)]),
        ("0200050001", [Extent(READ, Area.INPUTS, 5, 1)]),
        ("03000a007d", [Extent(READ, Area.HOLDING, 10, 125)]),
        ("04ffff0001", [Extent(READ, Area.INPUT_REGISTERS, 65_535, 1)]),
        ("050007ff00", [Extent(WRITE, Area.COILS, 7, 1)]),
        ("0600070001", [Extent(WRITE, Area.HOLDING, 7, 1)]),
        ("0f0003000a02ffff", [Extent(WRITE, Area.COILS, 3, 10)]),
        ("1000030002040001ffff", [Extent(WRITE, Area.HOLDING, 3, 2)]),
        ("16000400f20025", [Extent(WRITE, Area.HOLDING, 4, 1)]),
        ("1700030006000e00030600ff00ff00ff", [Extent(READ, Area.HOLDING, 3, 6), Extent(WRITE, Area.HOLDING, 14, 3)]),
        ("2b0e0100", []),
        ("64040a0102", []),
    ],
)
def test_what_a_request_touches(pdu: str, extents: list[Extent]) -> None:
    assert list(touched(bytes.fromhex(pdu))) == extents


@pytest.mark.parametrize(
    "pdu",
    [
        pytest.param("", id="nothing"),
        pytest.param("8300000001", id="an exception is no request"),
        pytest.param("0300000000", id="no registers"),
        pytest.param("030000007e", id="126 registers"),
        pytest.param("03ffff0002", id="beyond the last register"),
        pytest.param("03000000", id="cut short"),
        pytest.param("030000000100", id="a byte too many"),
        pytest.param("0500070001", id="half a coil"),
        pytest.param("10000300020400010002ff", id="more data than announced"),
        pytest.param("100003000202ffff", id="byte count against count"),
        pytest.param("0f0003000a03ffffff", id="coil bytes against count"),
        pytest.param("16000400f2", id="mask without or"),
        pytest.param("1700030006000e00030400ff00ff", id="read-write data short"),
    ],
)
def test_a_request_that_is_not_as_written_is_no_guess(pdu: str) -> None:
    with pytest.raises(RequestError, match="expected"):
        touched(bytes.fromhex(pdu))


def test_only_functions_that_change_nothing_count_as_reading() -> None:
    reading = [function for function in range(1, 128) if only_reads(bytes((function, 14)))]

    assert reading == [1, 2, 3, 4, 7, 11, 12, 17, 20, 24, 43]
    assert not only_reads(b"\x2b\x0d")
    assert not only_reads(b"\x2b")


@given(st.binary(min_size=1, max_size=253))
def test_what_it_touches_stays_within_a_table(pdu: bytes) -> None:
    try:
        extents = touched(pdu)
    except RequestError:
        return

    assert all(e.address >= 0 and e.count > 0 and e.address + e.count <= 65_536 for e in extents)
    assert only_reads(pdu) <= all(e.effect is READ for e in extents)
