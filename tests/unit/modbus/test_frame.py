"""bridge.modbus.frame"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modbus.frame import (
    FrameKind,
    MbapError,
    MbapReader,
    ReplyReader,
    crc_holds,
    read_pdu,
    reply_length,
    rtu_frame,
    tcp_frame,
)
from tests.support.fake_wire import read, read_reply

cuts = st.lists(st.integers(1, 255), max_size=20)


def test_the_crc_is_that_of_the_standard() -> None:
    # Modbus over Serial Line V1.02, 6.2.2: 02 07 -> CRC 1241h, sent 41 12
    assert rtu_frame(2, b"\x07") == bytes.fromhex("02074112")


@given(st.integers(0, 60000), st.integers(1, 125), cuts)
def test_a_reply_is_complete_exactly_at_its_last_byte(address: int, count: int, sizes: list[int]) -> None:
    frame = rtu_frame(7, read_reply(address, count))
    reader = ReplyReader(7, read(address, count))
    at = 0
    for size in [*sizes, len(frame)]:
        piece = frame[at : at + size]
        at += len(piece)
        missing = reader.feed(piece)

        assert (missing == 0) == (at == len(frame))
        assert missing <= len(frame) - at
        if at == len(frame):
            break
    assert reader.take() == (FrameKind.REPLY, frame[1:-2])


def test_an_exception_is_complete_at_five_bytes() -> None:
    reader = ReplyReader(1, read(0, 125))

    assert reader.feed(rtu_frame(1, b"\x83\x02")) == 0
    assert reader.take() == (FrameKind.REPLY, b"\x83\x02")


@given(st.binary(max_size=12), cuts)
def test_foreign_bytes_before_a_reply_never_change_its_value(junk: bytes, sizes: list[int]) -> None:
    frame = rtu_frame(1, read_reply(100, 4))
    reader = ReplyReader(1, read(100, 4))
    stream = junk + frame
    at = 0
    for size in [*sizes, len(stream)]:
        at += size
        if reader.feed(stream[at - size : at]) == 0:
            break
    kind, pdu = reader.take()

    assert kind is not FrameKind.REPLY or pdu == read_reply(100, 4)


def test_a_glitch_byte_before_the_reply_is_skipped() -> None:
    reader = ReplyReader(1, read(5, 2))

    assert reader.feed(b"\x00\xff" + rtu_frame(1, read_reply(5, 2))) == 0
    assert reader.take() == (FrameKind.REPLY, read_reply(5, 2))


def test_a_reply_of_another_length_is_not_ours() -> None:
    reader = ReplyReader(1, read(5, 2))
    reader.feed(rtu_frame(1, read_reply(5, 3)))

    assert reader.take()[0] is not FrameKind.REPLY


def test_a_write_reply_must_repeat_address_and_value() -> None:
    reader = ReplyReader(1, b"\x06\x00\x10\x00\x01")
    reader.feed(rtu_frame(1, b"\x06\x00\x11\x00\x01"))

    assert reader.take()[0] is FrameKind.NOT_OURS


def test_the_echo_of_the_request_is_cut_off() -> None:
    request = rtu_frame(1, read(5, 2))
    reader = ReplyReader(1, read(5, 2), echo=request)

    assert reader.feed(request[:3]) > 0
    assert reader.feed(request[3:] + rtu_frame(1, read_reply(5, 2))) == 0
    assert reader.take() == (FrameKind.REPLY, read_reply(5, 2))


@pytest.mark.parametrize(
    ("pdu", "length"),
    [
        (read_pdu(1, 0, 9), 7),
        (read_pdu(4, 0, 125), 255),
        (b"\x06\x00\x00\x00\x01", 8),
        (b"\x10\x00\x00\x00\x02\x04aaaa", 8),
        (b"\x16" + bytes(6), 10),
        (b"\x17\x00\x00\x00\x03\x00\x00\x00\x01\x02aa", 11),
        (b"\x07", 5),
        (b"\x08\x00\x00\xa5\x37", 8),
        (b"\x11", None),
        (b"\x2b\x0e\x01\x00", None),
    ],
)
def test_the_reply_length_follows_from_the_request(pdu: bytes, length: int | None) -> None:
    assert reply_length(pdu) == length


@given(st.lists(st.tuples(st.integers(0, 65535), st.binary(min_size=1, max_size=253)), max_size=6), cuts)
def test_pipelined_and_split_requests_are_all_found(sent: list[tuple[int, bytes]], sizes: list[int]) -> None:
    stream = b"".join(tcp_frame(transaction, 5, pdu) for transaction, pdu in sent)
    reader = MbapReader()
    found = []
    at = 0
    for size in [*sizes, len(stream)]:
        reader.feed(stream[at : at + size])
        at += size
        found += [(request.transaction, request.pdu) for request in reader.requests()]

    assert found == sent


@pytest.mark.parametrize("header", ["000100050006010300000002", "00010000012c010300000002", "0001000000010103"])
def test_a_wrong_mbap_header_is_refused(header: str) -> None:
    reader = MbapReader()
    reader.feed(bytes.fromhex(header))

    with pytest.raises(MbapError):
        list(reader.requests())


@given(st.binary(min_size=1, max_size=300))
def test_no_input_breaks_the_reader(data: bytes) -> None:
    reader = ReplyReader(1, read(0, 10))
    reader.feed(data)
    kind, pdu = reader.take()

    assert kind is not FrameKind.REPLY or crc_holds(rtu_frame(1, pdu))
