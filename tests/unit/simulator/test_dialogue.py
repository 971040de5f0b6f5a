"""bridge.simulator.dialogue: bytes in, bytes out, with the faults a device can have"""

import pytest
from fastcrc import crc16
from hypothesis import given
from hypothesis import strategies as st

from bridge.simulator.dialogue import LATE_TIMEOUTS, BadStream, Dialogue
from bridge.simulator.meters import Fault, SimulatedMeter
from tests.support.sim_site import device

NOON_NS = 1_795_176_000 * 10**9


def make(fault: Fault | None = None, rate: float | None = None) -> tuple[Dialogue, SimulatedMeter]:
    meter = SimulatedMeter(device(timeout_s=0.4), 1, NOON_NS)
    meter.fault, meter.noise_rate = fault, rate
    return Dialogue({1: meter, 2: SimulatedMeter(device("b"), 1, NOON_NS)}, 1), meter


def rtu(body: str) -> bytes:
    data = bytes.fromhex(body)
    return data + crc16.modbus(data).to_bytes(2, "little")


def ask(dialogue: Dialogue, body: str) -> bytes | None:
    frame = dialogue.rtu_request(rtu(body))
    reply = dialogue.unknown_function(rtu(body)) if frame is None else dialogue.rtu_reply(frame)
    return None if reply is None else reply.frame


def test_a_read_is_answered_with_the_registers() -> None:
    dialogue, meter = make()
    meter.pin("active_energy_import", 1000)

    # Modbus Application Protocol V1.1b3, 6.3; 100,000 counts of 10 Wh
    assert ask(dialogue, "01 03 0BB8 0002") == rtu("01 03 04 0001 86A0")


@pytest.mark.parametrize(
    ("request_body", "reply_body", "why"),
    [
        ("01 03 0000 0001", "01 83 02", "unmapped register"),
        ("01 03 0BC8 0002", "01 83 02", "forbidden registers"),
        ("01 04 0066 0002", "01 84 01", "the device has no input registers"),
        ("01 03 0066 0000", "01 83 03", "nothing asked for"),
        ("01 03 0066 007E", "01 83 03", "126 registers"),
        ("01 06 0066 0001", "01 86 03", "read-only"),
        ("01 06 0FAA 001E", "01 06 0FAA 001E", "a setting"),
        ("01 10 0FAA 0001 02 001E", "01 10 0FAA 0001", "a setting"),
        ("01 10 0FAA 0001 02 0064", "01 90 03", "outside of its range"),
        ("01 02 0007 0001", "01 02 01 00", "a discrete input"),
        ("01 08 0000 1234", "01 88 01", "diagnostics"),
        ("01 2B 0E 01 00", "01 AB 01", "device identification"),
    ],
)
def test_requests_and_what_a_real_meter_says(request_body: str, reply_body: str, why: str) -> None:
    dialogue, _ = make()

    assert ask(dialogue, request_body) == rtu(reply_body), why


def test_a_function_nobody_knows_is_refused_after_silence() -> None:
    dialogue, _ = make()
    with pytest.raises(BadStream):
        dialogue.rtu_request(rtu("01 64 0000 0001"))
    reply = dialogue.unknown_function(rtu("01 64 0000 0001"))

    assert reply is not None
    assert reply.frame == rtu("01 E4 01")
    assert dialogue.unknown_function(b"\x01\x64\x00\x00\x00\x00") is None, "wrong CRC"


def test_silence_of_strangers_and_after_broadcasts() -> None:
    dialogue, meter = make()

    assert ask(dialogue, "09 03 0066 0002") is None
    assert ask(dialogue, "00 10 0FAA 0001 02 001E") is None
    assert meter.shown_point("demand_interval") == 30.0, "the broadcast was carried out"


def test_dead_says_nothing_and_exception_says_04_to_everything() -> None:
    assert ask(make(Fault.DEAD)[0], "01 03 0066 0002") is None
    assert ask(make(Fault.EXCEPTION)[0], "01 03 0066 0002") == rtu("01 83 04")
    assert ask(make(Fault.EXCEPTION)[0], "01 06 0FAA 001E") == rtu("01 86 04")
    assert ask(make(Fault.DEAD)[0], "02 03 0066 0002") is not None, "its neighbour is healthy"


def test_late_is_after_the_masters_time_out() -> None:
    dialogue, meter = make(Fault.LATE)
    reply = dialogue.rtu_reply(rtu("01 03 0066 0002"))

    assert reply is not None
    assert reply.is_late
    assert reply.after_s == pytest.approx(LATE_TIMEOUTS * meter.device.limits.timeout_s) == pytest.approx(0.6)


@given(st.integers(0, 2**32), st.integers(1, 20))
def test_noise_always_shows_in_the_crc_or_the_length(seed: int, registers: int) -> None:
    _, meter = make(Fault.NOISE)
    dialogue = Dialogue({1: meter}, seed)
    reply = dialogue.rtu_reply(rtu(f"01 03 0066 {registers:04X}"))

    assert reply is not None
    assert len(reply.frame) < 5 + 2 * registers or crc16.modbus(reply.frame) != 0


def test_noise_on_tcp_shows_in_the_header() -> None:
    dialogue, _ = make(Fault.NOISE)
    reply = dialogue.tcp_reply(bytes.fromhex("0007 0000 0006 01 03 0066 0002"))

    assert reply is not None
    assert reply.frame[2:4] != b"\0\0"


def test_noise_of_a_rate_spoils_that_share_of_bytes() -> None:
    dialogue, meter = make(Fault.NOISE, 0.01)
    clean = make()[0].rtu_reply(rtu("01 03 0066 0026"))
    assert clean is not None
    spoilt = total = 0
    for _ in range(500):
        reply = dialogue.rtu_reply(rtu("01 03 0066 0026"))
        assert reply is not None
        spoilt += sum(a != b for a, b in zip(reply.frame, clean.frame, strict=True))
        total += len(reply.frame)

    assert 0.007 < spoilt / total < 0.013
    assert meter.noise_rate == 0.01


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_rubbish_but_never_an_error(data: bytes) -> None:
    dialogue, _ = make()

    for take, answer in (
        (dialogue.rtu_request, dialogue.rtu_reply),
        (dialogue.tcp_request, dialogue.tcp_reply),
    ):
        try:
            frame = take(data)
        except BadStream:
            continue
        assert frame is None or data.startswith(frame)
        if frame is not None:
            answer(frame)
    dialogue.unknown_function(data)


@given(st.binary(min_size=1, max_size=252))
def test_any_pdu_gets_a_whole_reply(pdu: bytes) -> None:
    dialogue, _ = make()
    reply = dialogue.tcp_reply(b"\x00\x01\x00\x00" + (len(pdu) + 1).to_bytes(2, "big") + b"\x01" + pdu)

    assert reply is not None
    assert int.from_bytes(reply.frame[4:6], "big") == len(reply.frame) - 6
    assert reply.frame[7] & 0x7F == pdu[0] & 0x7F
