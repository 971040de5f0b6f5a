"""Arrays that claim more elements than the message has bytes."""

import struct
from collections.abc import Iterator

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary
from hypothesis import given
from hypothesis import strategies as st

from bridge.projections.opcua.bounds import bound_arrays

ARRAY = 0x80


@pytest.fixture(autouse=True, scope="module")
def bounded() -> Iterator[None]:
    before = ua_binary.unpack_uatype_array, ua_binary._reshape
    bound_arrays()
    bound_arrays()
    yield
    ua_binary.unpack_uatype_array, ua_binary._reshape = before


# BARS I1
@given(st.integers(0, 25), st.integers(6, 2**31 - 1))
def test_an_array_longer_than_its_message_is_refused_whatever_its_type(kind: int, length: int) -> None:
    with pytest.raises(ua.UaError, match="elements in"):
        ua_binary.variant_from_binary(Buffer(bytes((ARRAY | kind,)) + struct.pack("<i", length)))


@pytest.mark.parametrize("value", [[], [1, 2, 3]])
def test_arrays_that_are_there_are_read(value: list[int]) -> None:
    data = ua_binary.variant_to_binary(ua.Variant(value, ua.VariantType.Byte, is_array=True))

    assert list(ua_binary.variant_from_binary(Buffer(data)).Value) == value


# BARS I1: the library fills up to a million elements with empty lists
@pytest.mark.parametrize("dimensions", [[7], [1_000_000], [2, 4], [1000, 1000], []])
def test_dimensions_of_more_elements_than_there_are_are_refused(dimensions: list[int]) -> None:
    head = bytes((ARRAY | 0x40 | 3,)) + struct.pack("<i", 6) + bytes(6)
    data = head + struct.pack(f"<i{len(dimensions)}i", len(dimensions), *dimensions)
    if not dimensions:
        head = bytes((0x40 | 3, 1))
        data = head + struct.pack("<ii", 1, 5)
    with pytest.raises(ua.UaError, match="dimensions"):
        ua_binary.variant_from_binary(Buffer(data))


def test_dimensions_that_fit_are_kept() -> None:
    data = bytes((ARRAY | 0x40 | 3,)) + struct.pack("<i", 6) + bytes(6) + struct.pack("<iii", 2, 2, 3)

    assert ua_binary.variant_from_binary(Buffer(data)).Value == [[0, 0, 0], [0, 0, 0]]


def test_a_null_array_and_one_cut_short_are_as_before() -> None:
    assert ua_binary.variant_from_binary(Buffer(b"\x83\xff\xff\xff\xff")).Value is None
    with pytest.raises(Exception, match="buffer"):
        ua_binary.variant_from_binary(Buffer(b"\x83\xff"))
