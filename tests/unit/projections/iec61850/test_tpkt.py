"""The guard lets a connection through to the library only with a whole connection request."""

import pytest

from bridge.projections.iec61850.probe import _REQUEST
from bridge.projections.iec61850.tpkt import is_whole_request


@pytest.mark.parametrize("length", range(1, len(_REQUEST)))
def test_a_part_of_a_request_is_waited_for(length: int) -> None:
    assert is_whole_request(_REQUEST[:length]) is False


def test_a_whole_request_is_let_through_with_what_follows_it() -> None:
    assert is_whole_request(_REQUEST)
    assert is_whole_request(_REQUEST + b"more")


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"\x16\x03\x01\x02\x00",
        b"\x03\x00\x00\x04",
        b"\x03\x00\x00\x0a",
        b"\x03\x00\xff\xff",
        b"\x03\x00\x00\x16\x11\xf0",
    ],
    ids=["no TPKT", "TLS", "empty", "too short", "too long", "data before the connection"],
)
def test_what_can_never_become_a_request_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"TPKT|COTP"):
        is_whole_request(data)
