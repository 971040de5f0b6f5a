"""bridge.link.wire: a test is bytes in, frames out"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.alarm import Alarm
from bridge.core.client import Census, Client
from bridge.core.command import Command, Origin
from bridge.core.errors import FrameError, RawFailure
from bridge.core.login import Admission, LoginResult
from bridge.core.point import NEVER_READ
from bridge.core.quality import Quality
from bridge.core.rights import Right
from bridge.link import codec, wire
from tests.support.workers import definition, sample

ORIGIN = Origin("dnp3", "10.0.0.7:20000", "")
# A change of these bytes is a change of WIRE_VERSION.
GOLDEN = {
    "hello": (wire.Hello(1, "snmp", b"\x80", "var"), "0000000f950101a4736e6d70c40180a3766172"),
    "defs": (
        wire.Definitions(0, [definition(7)], []),
        "0000006b94020091dc001507a56d302e7037a6616e616c6f67a156c3cf00000002540be400ab736974652e79616d6c3a31ab6d6561737572656d656e7497a56f74686572a5746f74616ca46e6f6e65a770726573656e74000100a0000090c0c0c0cb000000000000000000c290a090",
    ),
    "changes": (
        wire.Changes([(7, sample(230.5)), (9, NEVER_READ)]),
        "00000021920492920794cb406cd0000000000000cf17979cfe362a000000920994c0010000",
    ),
    "command": (
        wire.CommandRequest(3, Command(7, True, ORIGIN, 5)),
        "000000249316039507c393a4646e7033ae31302e302e302e373a3230303030a005a6646972656374",
    ),
    "login": (wire.LoginRequest(4, "10.0.0.7", "anna", b"x", 5), "00000015961e04a831302e302e302e37a4616e6e61c4017805"),
    "login done": (
        wire.LoginDone(4, LoginResult(Admission.ADMITTED, "viewer", (Right.READ,))),
        "0000001a930f0493a861646d6974746564a676696577657291a472656164",
    ),
    "write refused": (
        wire.WriteRefused(ORIGIN, "unit 1", "exception 0x01", 2),
        "0000002f951d93a4646e7033ae31302e302e302e373a3230303030a0a6756e69742031ae657863657074696f6e203078303102",
    ),
    "stop": (wire.Stop(), "00000002910a"),
    "raw": (
        wire.RawRequest(4, "riser", "10.0.0.9:1", 11, b"\x03\0\0\0\2", 5, 0.5, "reader"),
        "0000002d991704a57269736572aa31302e302e302e393a310bc405030000000205cb3fe0000000000000a6726561646572",
    ),
    # came with the grant TUNNELS; no other worker sees them
    "tunnel open": (
        wire.TunnelOpen(5, "riser", "10.0.0.9:1", 30.0),
        "0000001d951805a57269736572aa31302e302e302e393a31cb403e000000000000",
    ),
    "tunnel send": (wire.TunnelSend(5, b"ask"), "00000008931905c40361736b"),
    "tunnel read": (wire.TunnelRead(5, 4), "00000004931a0504"),
    "tunnel end": (wire.TunnelEnd(5), "00000003921b05"),
    "tunnel taken": (wire.TunnelTaken(5, 3), "00000004930b0503"),
    "tunnel bytes": (wire.TunnelBytes(5, b"told"), "00000009930c05c404746f6c64"),
    "tunnel over": (wire.TunnelOver(5, RawFailure.IDLE, ""), "00000009940d05a469646c65a0"),
    # came with the grant ALARMS; no other worker sees them
    "alarms": (
        wire.Alarms([Alarm(7, "over", "Over", "m", 3, 150, 1)]),
        "00000020920e91dc001007a46f766572a44f766572a16d03cc96010000c0c0c000a000a0",
    ),
    "acknowledge": (
        wire.Acknowledge(4, 7, ORIGIN, 5),
        "0000001b951c040793a4646e7033ae31302e302e302e373a3230303030a005",
    ),
    "confirm": (
        wire.Confirm(4, 7, ORIGIN, 5),
        "0000001b9521040793a4646e7033ae31302e302e302e373a3230303030a005",
    ),
    # came with the grant NOTICES; no other worker sends it
    "notice": (wire.Notice("port closed", True), "0000000f9328ab706f727420636c6f736564c3"),
    # came with the grant OPERATIONS; no other worker sees them
    "question": (
        wire.CoreRequest(6, "status", {"device": "m"}, 5),
        "00000015951f06a673746174757381a6646576696365a16d05",
    ),
    # came with the grant ORDERS; no other worker sees them
    "order": (
        wire.OrderRequest(6, "reload", {"a": "b"}, ORIGIN, 5),
        "00000026962406a672656c6f616481a161a16293a4646e7033ae31302e302e302e373a3230303030a005",
    ),
    # asked of a worker only when a person looks: an older worker is replaced with the core
    "census wanted": (wire.CensusWanted(7), "00000003921307"),
    "census taken": (
        wire.CensusTaken(7, Census([Client("10.0.0.7", 502, 1, 2, 3.0, 0.5)], 1.5, 9.0)),
        "00000038932307939196a831302e302e302e37cd01f60102cb4008000000000000cb3fe0000000000000cb3ff8000000000000cb4022000000000000",
    ),
    "answer": (wire.CoreAnswer(6, b'{"a":1}', ""), "0000000d941006c4077b2261223a317da0"),
}


@pytest.mark.parametrize(("frame", "wanted"), GOLDEN.values(), ids=GOLDEN.keys())
def test_the_bytes_of_version_3(frame: wire.Frame, wanted: str) -> None:
    assert wire.WIRE_VERSION == 3
    assert codec.encode(frame).hex() == wanted


@given(st.lists(st.integers(1, 40), max_size=30))
def test_frames_survive_any_cut_of_the_stream(cuts: list[int]) -> None:
    sent: list[wire.ToWorker] = [
        wire.Hello(1, "snmp", b"\x80", "var"),
        wire.Changes([(i, sample(i / 3)) for i in range(20)]),
        wire.Ping(1),
    ]
    stream = b"".join(codec.encode(frame) for frame in sent)
    decoder, got = codec.worker_decoder(), []
    for length in [*cuts, len(stream)]:
        piece, stream = stream[:length], stream[length:]
        got += decoder.feed(piece)

    assert got == sent


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param("00000000", "frame of 0 bytes", id="empty"),
        pytest.param("00004001", "frame of 16385 bytes", id="oversize, before any byte of it has come"),
        pytest.param("ffffffff", "frame of 4294967295 bytes", id="a length that is none"),
        pytest.param("0000000191", "truncated", id="cut short inside"),
        pytest.param("00000002910a", "Invalid value", id="a frame only the core may send"),
        pytest.param("000000059314a16101", "Expected `int`", id="wrong type"),
        pytest.param("0000000493140101", "", id="fine"),
        pytest.param("000000059414010101", "Expected `array` of at most length 2", id="a field too many"),
    ],
)
def test_what_a_worker_may_not_send(data: str, says: str) -> None:
    decoder = codec.core_decoder()
    if not says:
        assert decoder.feed(bytes.fromhex(data)) == [wire.Ready(1, 1)]
        return

    with pytest.raises(FrameError, match=says):
        decoder.feed(bytes.fromhex(data))


@given(st.binary(max_size=200))
def test_garbage_is_a_frame_error_or_nothing(data: bytes) -> None:
    try:
        codec.core_decoder().feed(data)
    except FrameError:
        return


@given(st.one_of(st.floats(allow_nan=False), st.integers(-(2**63), 2**64 - 1), st.booleans(), st.text(), st.none()))
def test_a_value_keeps_its_type(value: float | int | bool | str | None) -> None:
    sent = wire.Changes([(0, msgspec.structs.replace(NEVER_READ, value=value))])

    (got,) = codec.worker_decoder().feed(codec.encode(sent))

    assert isinstance(got, wire.Changes)
    assert repr(got.samples[0][1].value) == repr(value)
    assert got.samples[0][1].quality is Quality.NEVER_READ
