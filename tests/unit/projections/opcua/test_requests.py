"""What the short way takes, and what it leaves to the library; any bytes are survived."""

import struct
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.store import PointStore
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.requests import MOST_NODES, Browses, Cache, Reads
from tests.support.modbus_site import site, store_of
from tests.support.opcua_raw import browse_request, read_request

FACTS = site(1)


def made() -> tuple[Reads, Browses, PointStore]:
    store = store_of(FACTS)
    model = Model(FACTS.points, FACTS.devices, store.definition)
    return Reads(Image(store, model, lambda _: None)), Browses(model, lambda key, deep: None), store


def put_twice(cache: Cache[bytes], key: bytes, size: int) -> None:
    for _ in range(2):
        cache.put(key, b"", size)


def parameters(request: Any) -> bytes:
    data: bytes = struct_to_binary(request.Parameters)
    return data


def test_values_of_points_are_taken() -> None:
    reads, _, _ = made()
    found = reads.get(parameters(read_request([d.id for d in FACTS.points], 2)))

    assert found is not None
    assert found.slots == tuple(2 * d.index for d in FACTS.points)
    assert found.timestamps == 2


@pytest.mark.parametrize(
    "request_",
    [
        read_request(["m1.voltage_l1"], attribute=4),
        read_request(["m1"]),
        read_request(["m1.voltage_l1", "m1.nothing"]),
        read_request([]),
    ],
)
def test_anything_else_is_left_to_the_library(request_: Any) -> None:
    reads, _, _ = made()

    assert reads.get(parameters(request_)) is None


def test_a_range_or_an_encoding_is_left_to_the_library() -> None:
    reads, _, _ = made()
    ranged, encoded, aged = (read_request(["m1.voltage_l1"]) for _ in range(3))
    ranged.Parameters.NodesToRead[0].IndexRange = "0:1"
    encoded.Parameters.NodesToRead[0].DataEncoding = ua.QualifiedName("Default XML", 0)
    aged.Parameters.MaxAge = -1.0

    assert [reads.get(parameters(one)) for one in (ranged, encoded, aged)] == [None] * 3


def test_more_nodes_than_the_limit_are_left_to_the_library() -> None:
    reads, browses, _ = made()
    head = struct.pack("<dIi", 0, 0, MOST_NODES + 1)

    assert reads.get(head + b"\0" * 100) is None
    assert browses.get(b"\0\0" + struct.pack("<qIIi", 0, 0, 0, MOST_NODES + 1) + b"\0" * 100) is None


def test_references_of_our_nodes_are_taken_and_of_others_not() -> None:
    _, browses, _ = made()

    assert browses.get(parameters(browse_request(["/Meters", "m1"]))) is not None
    assert browses.get(parameters(browse_request(["m1", "nobody"]))) is None


def test_a_client_that_wants_few_references_at_a_time_is_left_to_the_library() -> None:
    _, browses, _ = made()
    few = browse_request(["m1"])
    few.Parameters.RequestedMaxReferencesPerNode = 3

    assert browses.get(parameters(few)) is None


@given(st.binary(max_size=200), st.integers(0, 255), st.integers(0, 400))
def test_any_bytes_are_survived(noise: bytes, byte: int, at: int) -> None:
    reads, browses, _ = made()
    for compiled, good in ((reads, read_request(["m1.voltage_l1"])), (browses, browse_request(["m1"]))):
        data = parameters(good)
        spoilt = data[: at % len(data)] + bytes((byte,)) + data[at % len(data) + 1 :]
        for body in (noise, spoilt, data[: at % len(data)], data + noise):
            try:
                found = compiled.get(body)
            except (IndexError, struct.error):
                continue
            assert found is None or isinstance(found, tuple | bytes)


def test_a_cache_never_holds_more_than_it_may() -> None:
    cache = Cache[bytes](1000)
    for number in range(100):
        put_twice(cache, number.to_bytes(2, "big"), 120)
    put_twice(cache, b"huge", 200)

    assert 0 < len(cache) * 120 <= 1000
    assert b"huge" not in cache


# BARS I1: made-up requests come once each
def test_what_was_asked_for_only_once_is_not_kept() -> None:
    cache = Cache[bytes](1 << 20)
    for number in range(5000):
        cache.put(number.to_bytes(2, "big"), b"", 120)

    assert len(cache) == 0
    assert len(cache._once) <= 1024
