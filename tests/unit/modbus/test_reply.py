"""bridge.modbus.reply"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modbus.frame import FrameKind, ReplyReader, rtu_frame
from bridge.modbus.reply import mismatch, pdu_length

IDENTIFICATION = bytes.fromhex("2b0e010100000200024142010143")


@pytest.mark.parametrize(
    ("request_pdu", "reply"),
    [
        ("0100000009", "01020001"),
        ("0200000008", "0201ff"),
        ("0300000002", "030400010002"),
        ("0400000001", "04020001"),
        ("0500010000", "0500010000"),
        ("0600010002", "0600010002"),
        ("07", "0755"),
        ("080000a537", "080000a537"),
        ("0b", "0b00000001"),
        ("0f0000000a02ffff", "0f0000000a"),
        ("100000000102abcd", "1000000001"),
        ("11", "110301ff02"),
        ("16000100f20025", "16000100f20025"),
        ("170000000200000001020001", "170400010002"),
        ("180000", "1800060002000a000b"),
        ("2b0e0100", IDENTIFICATION.hex()),
        ("6401020304", "64aabb"),
        ("6406042a00650067", "6406042a120a740c"),
        ("6406042a00650067", "e402"),
        ("4100", "41"),
        ("0300000002", "8302"),
        ("4100", "c101"),
    ],
)
def test_the_answer_to_the_request_is_accepted(request_pdu: str, reply: str) -> None:
    assert mismatch(bytes.fromhex(request_pdu), bytes.fromhex(reply)) is None


@pytest.mark.parametrize(
    ("request_pdu", "reply", "why"),
    [
        ("0300000002", "", "found nothing"),
        ("0300000002", "040400010002", "expected function 3, found 4"),
        ("0300000002", "8402", "expected function 3"),
        ("0300000002", "830200", "2 bytes of exception"),
        ("0300000002", "83", "2 bytes of exception"),
        ("0300000002", "03020001", "expected 6 bytes, found 4"),
        ("0300000002", "030200010002", "byte count of 4, found 02"),
        ("0300000002", "030600010002", "byte count of 4, found 06"),
        ("0100000009", "010101", "expected 4 bytes"),
        ("0600010002", "0600020002", "0600010002 repeated"),
        ("0600010002", "0600010003", "0600010002 repeated"),
        ("100000000102abcd", "1000000002", "1000000001 repeated"),
        ("16000100f20025", "16000100f20026", "repeated"),
        ("080000a537", "080001a537", "repeated"),
        ("6406042a00650067", "6406042b120a740c", "6406042a repeated"),
        ("6406042a00650067", "6404042a120a", "expected 8 bytes, found 6"),
        ("6406042a00650067", "6406042a120a740c00", "expected 8 bytes, found 9"),
        ("11", "1103", "byte count"),
        ("11", "11", "byte count"),
        ("180000", "1800070002000a000b", "byte count"),
        ("2b0e0100", "2b0d0101", "interface type"),
        ("2b0e0100", "2b0e020100000100", "identification that was asked for"),
        ("2b0e0100", "2b0e0101000001000541", "expected 14 bytes of identification"),
        ("2b0e0100", "2b0e01010000020001ff", "objects, found fewer"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(request_pdu: str, reply: str, why: str) -> None:
    found = mismatch(bytes.fromhex(request_pdu), bytes.fromhex(reply))

    assert found is not None
    assert why in found


@given(st.binary(min_size=1, max_size=253), st.binary(max_size=260))
def test_no_pair_of_pdus_breaks_the_check(request_pdu: bytes, reply: bytes) -> None:
    if mismatch(request_pdu, reply) is None:
        assert reply[0] in (request_pdu[0], request_pdu[0] | 0x80)
        assert len(reply) in (2, pdu_length(request_pdu) or len(reply))


@given(st.integers(1, 247))
def test_the_only_device_of_a_line_may_answer_under_its_own_unit_id(unit_id: int) -> None:
    # F-08
    reader = ReplyReader(248, bytes.fromhex("0300000001"))

    assert reader.feed(rtu_frame(unit_id, b"\x03\x02\x00\x07")) == 0
    assert reader.take() == (FrameKind.REPLY, b"\x03\x02\x00\x07")


streams = st.lists(st.sampled_from([b"\x01", b"\x03", b"\x04", b"\x83", b"\x02", b"\x00\x07", b"\xff"]), max_size=30)


@given(streams, st.lists(st.integers(1, 9), max_size=30))
def test_how_the_bytes_are_cut_never_changes_what_is_read(pieces: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(pieces) + rtu_frame(1, b"\x03\x04\x00\x07\x00\x08")
    whole, cut = (ReplyReader(1, bytes.fromhex("0300000002")) for _ in range(2))
    whole.feed(stream)
    at = 0
    for size in [*sizes, len(stream)]:
        if cut.feed(stream[at : at + size]) == 0:
            break
        at += size
    kind, pdu = cut.take()

    if kind is FrameKind.REPLY:
        assert whole.take() == (kind, pdu)
