"""bridge.projections.iec61850.mms_writes: bytes in, refusals out"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.projections.iec61850.mms_writes import MmsWrites, is_recorded_elsewhere


def element(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    length = bytes((len(body),)) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    head = bytes((tag,)) if tag < 256 else tag.to_bytes(2, "big")
    return head + length + body


def packet(data: bytes, last: bool = True) -> bytes:
    return b"\x03\x00" + (len(data) + 7).to_bytes(2, "big") + b"\x02\xf0" + (b"\x80" if last else b"\x00") + data


def presented(mms: bytes) -> bytes:
    return b"\x01\x00\x01\x00" + element(0x61, element(0x30, b"\x02\x01\x03", element(0xA0, mms)))


def write(invoke: int, *items: str) -> bytes:
    names = [
        element(0x30, element(0xA0, element(0xA1, element(0x1A, b"GW1m"), element(0x1A, item.encode()))))
        for item in items
    ]
    content = element(0xA5, element(0xA0, *names), element(0xA0, b"\x83\x01\x01" * len(items)))
    return presented(element(0xA0, element(0x02, bytes((invoke,))), content))


def answer(invoke: int, *results: bytes) -> bytes:
    return presented(element(0xA1, element(0x02, bytes((invoke,))), element(0xA5, *results)))


DENIED, DONE = b"\x80\x01\x03", b"\x81\x00"


def seen(*pieces: tuple[str, bytes]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    watch = MmsWrites(lambda item, reason: found.append((item, reason)))
    for direction, data in pieces:
        (watch.asked if direction == ">" else watch.answered)(data)
    return found


def test_each_refused_item_of_a_write_is_named_and_none_that_was_done() -> None:
    # BARS S1
    asked = packet(write(7, "MMXU1$MX$TotW$mag$f", "LLN0$DC$NamPlt$vendor"))

    assert seen((">", asked), ("<", packet(answer(7, DENIED, DONE)))) == [
        ("GW1m/MMXU1.TotW.mag.f [MX]", "object access denied")
    ]


def test_an_answer_counts_for_its_own_request_and_once() -> None:
    asked = packet(write(7, "A$CF$B$c"))
    refused = packet(answer(7, DENIED))

    assert seen((">", asked), ("<", packet(answer(8, DENIED)))) == []
    assert len(seen((">", asked), ("<", refused), ("<", refused))) == 1


@pytest.mark.parametrize(
    ("service", "named"),
    [
        pytest.param(0xAB, ["define data set"], id="define named variable list"),
        pytest.param(0xAD, ["delete data set"], id="delete named variable list"),
        pytest.param(0xBF4C, ["delete file"], id="file delete"),
        pytest.param(0xB4, ["service 20"], id="one nobody knows"),
        pytest.param(0xA4, [], id="a read"),
        pytest.param(0xBF4D, [], id="file directory"),
    ],
)
@pytest.mark.parametrize("kind", [0xA2, 0xA4])
def test_a_service_that_is_refused_is_named_unless_it_only_reads(service: int, named: list[str], kind: int) -> None:
    asked = packet(presented(element(0xA0, element(0x02, b"\x05"), element(service, b"\x30\x00"))))
    refused = packet(presented(element(kind, element(0x80, b"\x05"))))

    assert [item for item, _ in seen((">", asked), ("<", refused))] == named


@given(st.lists(st.integers(1, 60), max_size=20), st.integers(1, 80))
def test_messages_survive_any_cut_of_the_stream_and_of_the_message(cuts: list[int], part: int) -> None:
    whole = write(7, "MMXU1$MX$TotW$mag$f")
    stream = packet(whole[:part], last=False) + packet(whole[part:]) + packet(write(8, "A$CF$B$c"))
    pieces: list[tuple[str, bytes]] = []
    for length in [*cuts, len(stream)]:
        pieces.append((">", stream[:length]))
        stream = stream[length:]
    found = seen(*pieces, ("<", packet(answer(7, DENIED)) + packet(answer(8, DENIED))))

    assert [item for item, _ in found] == ["GW1m/MMXU1.TotW.mag.f [MX]", "GW1m/A.B.c [CF]"]


@given(st.lists(st.tuples(st.sampled_from("<>"), st.binary(max_size=80))), st.integers(0, 200), st.integers(0, 255))
def test_garbage_is_passed_over(pieces: list[tuple[str, bytes]], at: int, other: int) -> None:
    broken = bytearray(packet(write(7, "A$CF$B$c")))
    broken[at % len(broken)] = other
    inside = [(direction, packet(presented(data))) for direction, data in pieces]

    seen((">", bytes(broken)), ("<", packet(answer(7, DENIED))), *inside, *pieces)


def test_memory_is_bounded_whatever_is_asked_and_not_answered() -> None:
    asked = [(">", packet(write(n % 256, "A$CF$B$c"))) for n in range(1000)]
    endless = [(">", packet(bytes(1000), last=False)) for _ in range(100)]

    assert len(seen(*asked, *(("<", packet(answer(n, DENIED))) for n in range(256)))) == 64
    assert seen(*endless, (">", packet(write(7, "A$CF$B$c"))), ("<", packet(answer(7, DENIED)))) == []


def test_report_blocks_and_controls_with_a_handler_are_recorded_by_others() -> None:
    controls = frozenset({"GW1m/GGIO1.SPCSO1"})

    assert is_recorded_elsewhere("GW1m/GGIO1.SPCSO1.Oper [CO]", controls)
    assert is_recorded_elsewhere("GW1m/LLN0.brcbA01.RptEna [BR]", controls)
    assert not is_recorded_elsewhere("GW1m/GGIO1.SPCSO2.Oper [CO]", controls)
    assert not is_recorded_elsewhere("GW1m/GGIO1.SPCSO1.ctlModel [CF]", controls)
