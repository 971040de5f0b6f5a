"""bridge.gateway.modbus.streams"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gateway.modbus.streams import MbapStream, Request, RtuStream, Stream, StreamError
from bridge.modbus.frame import rtu_frame, tcp_frame

# one request of every function whose length is known, and two that nobody knows
PDUS = [
    bytes.fromhex(text)
    for text in [
        "0100000010",
        "0200050001",
        "03000a007d",
        "04ffff0001",
        "050007ff00",
        "0600070001",
        "07",
        "0800010000",
        "0b",
        "0c",
        "0f0003000a02ffff",
        "1000030002040001ffff",
        "11",
        "140706000400010002",
        "15090600040007000100ff",
        "16000400f20025",
        "1700030006000e00030600ff00ff00ff",
        "1804de",
        "2b0e0100",
    ]
]


def requests(stream: Stream, *pieces: bytes) -> list[Request]:
    found = []
    for piece in pieces:
        stream.feed(piece)
        while (request := stream.next()) is not None:
            found.append(request)
    return found


@given(st.lists(st.integers(1, 30), max_size=40))
def test_rtu_requests_survive_any_cut_of_the_stream(cuts: list[int]) -> None:
    sent = b"".join(rtu_frame(11, pdu) for pdu in PDUS)
    pieces = []
    for length in [*cuts, len(sent)]:
        piece, sent = sent[:length], sent[length:]
        pieces.append(piece)

    assert requests(RtuStream(), *pieces) == [(0, 11, pdu) for pdu in PDUS]


def test_pipelined_and_split_mbap_requests_are_cut() -> None:
    sent = b"".join(tcp_frame(number, 11, pdu) for number, pdu in enumerate(PDUS))

    assert requests(MbapStream(), *(sent[n : n + 1] for n in range(len(sent)))) == [
        (number, 11, pdu) for number, pdu in enumerate(PDUS)
    ]


@pytest.mark.parametrize("pdu", ["64040a0102", "41", "2b0d0102030405"])
def test_a_function_nobody_knows_ends_where_its_crc_says(pdu: str) -> None:
    frame = rtu_frame(11, bytes.fromhex(pdu))

    assert requests(RtuStream(), frame) == [(0, 11, bytes.fromhex(pdu))]
    assert requests(RtuStream(), frame[:3], frame[3:]) == [(0, 11, bytes.fromhex(pdu))]


def test_a_wrong_crc_is_no_request() -> None:
    frame = bytearray(rtu_frame(11, PDUS[2]))
    frame[3] ^= 1

    with pytest.raises(StreamError, match="CRC"):
        requests(RtuStream(), bytes(frame))


def test_what_is_longer_than_any_frame_is_refused() -> None:
    with pytest.raises(StreamError, match="256 bytes"):
        requests(RtuStream(), b"\x0b\x64" + bytes(range(255)) * 2)
    with pytest.raises(StreamError, match="256 bytes"):
        requests(RtuStream(), b"\x0b\x10\0\0\0\x7b\xff" + bytes(300))


def test_a_bad_mbap_header_is_refused() -> None:
    with pytest.raises(StreamError, match="protocol 0"):
        requests(MbapStream(), b"GET / HTTP/1.1\r\n\r\n")


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_is_an_error_or_nothing(pieces: list[bytes]) -> None:
    for stream in (RtuStream(), MbapStream()):
        try:
            found = requests(stream, *pieces)
        except StreamError:
            continue
        assert all(len(pdu) >= 1 for _, _, pdu in found)
