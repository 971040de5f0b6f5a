"""bridge.field.modbus.scan: who answers, and which meter of the library it is."""

import asyncio
from fractions import Fraction

import pytest

from bridge.config.fingerprints import fingerprints
from bridge.config.meter import RegisterType, Table
from bridge.config.model import Fingerprint, Register, Signature
from bridge.core.errors import ConnectionLost, ReplyTimeout
from bridge.field.arbiter import Use
from bridge.field.modbus.scan import Behind, Found, identify, objects_of, scan, server_id_of

TEXT = Register(Table.HOLDING, 100, 2, RegisterType.STRING)
NUMBER = Register(Table.HOLDING, 200, 1, RegisterType.UINT16, scale=Fraction(1))
KNOWN = [
    Fingerprint("both", (Signature(TEXT, "ABCD"), Signature(NUMBER, "201"))),
    Fingerprint("text", (Signature(TEXT, "AB", equals=False),)),
]


class Line:
    """Units with registers; everybody else is silent."""

    def __init__(
        self, units: dict[int, dict[int, bytes]], identity: bytes = b"\xab\x01", server_id: bytes = b"\x91\x01"
    ) -> None:
        self.units, self.identity, self.server_id = units, identity, server_id
        self.asked: list[tuple[int, int]] = []

    async def ask(self, use: Use, user: str, unit_id: int, pdu: bytes, timeout_s: float, attempts: int = 2) -> bytes:
        assert attempts == 1
        self.asked.append((unit_id, pdu[0]))
        if unit_id not in self.units:
            await asyncio.sleep(timeout_s)
            raise ReplyTimeout("line", unit_id, "no reply")
        if pdu[0] == 0x2B:
            return self.identity
        if pdu == b"\x11":
            return self.server_id
        data = self.units[unit_id].get(int.from_bytes(pdu[1:3], "big"))
        return bytes((0x83, 2)) if data is None else bytes((3, len(data))) + data


async def test_every_signature_must_hold() -> None:
    line = Line({1: {100: b"ABCD", 200: b"\x00\xc9"}, 2: {100: b"ABCD", 200: b"\x00\xca"}, 3: {100: b"XYZ\0"}})

    assert await identify(line, 1, KNOWN, 0.3) == Found(1, "both", {})
    assert await identify(line, 2, KNOWN, 0.3) == Found(2, "text", {})
    assert await identify(line, 3, KNOWN, 0.3) == Found(3, "", {})


async def test_an_exception_is_an_answer_too() -> None:
    assert await identify(Line({9: {}}), 9, KNOWN, 0.3) == Found(9, "", {})


async def test_a_silent_unit_costs_one_question() -> None:
    line = Line({2: {100: b"ABxx"}})

    found = [one async for one in scan(line, [1, 2, 3], KNOWN, 0.3)]

    assert found == [1, Found(2, "text", {}), 3]
    assert [unit for unit, _ in line.asked].count(1) == 1


async def test_what_a_device_says_of_itself_is_told() -> None:
    identity = bytes((0x2B, 0x0E, 1, 1, 0, 0, 2, 0, 3)) + b"ACM" + bytes((1, 2)) + b"M1"

    found = await identify(Line({5: {}}, identity), 5, KNOWN, 0.3)

    assert found == Found(5, "", {"vendor": "ACM", "product": "M1"})


# F-07: 17 on serial lines only
async def test_a_device_of_a_line_that_knows_no_identification_is_asked_for_its_server_id() -> None:
    reply = bytes((17, 6)) + b"PM-8\xff\x07"

    line, network = Line({5: {}}, server_id=reply), Line({5: {}}, server_id=reply)

    assert await identify(line, 5, KNOWN, 0.3, Behind.SERIAL) == Found(5, "", {"product": "PM-8", "state": "running"})
    assert await identify(network, 5, KNOWN, 0.3) == Found(5, "", {})
    assert (5, 17) not in network.asked


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", {}),
        (b"\x05\xff", {"product": "05", "state": "running"}),
        (b"\x00\x00", {"product": "00", "state": "stopped"}),
        (b"METER", {"product": "METER"}),
        (b"M\x00more\xff", {"product": "M", "state": "stopped"}),
    ],
)
def test_what_a_server_id_says(body: bytes, told: dict[str, str]) -> None:
    assert server_id_of(bytes((17, len(body))) + body) == told


@pytest.mark.parametrize("cut", range(1, 16))
def test_an_identification_that_is_cut_short_gives_what_is_whole(cut: int) -> None:
    whole = bytes((0x2B, 0x0E, 1, 1, 0, 0, 2, 0, 3)) + b"ACM" + bytes((1, 2)) + b"M1"

    assert objects_of(whole[:cut]).items() <= objects_of(whole).items()


async def test_a_line_that_is_down_ends_the_scan() -> None:
    class Dead(Line):
        async def ask(
            self, use: Use, user: str, unit_id: int, pdu: bytes, timeout_s: float, attempts: int = 2
        ) -> bytes:
            raise ConnectionLost("line", unit_id, "unplugged")

    with pytest.raises(ConnectionLost):
        await identify(Dead({}), 1, KNOWN, 0.3)


def test_the_library_knows_its_own_signatures() -> None:
    known = {fingerprint.meter: fingerprint.signatures for fingerprint in fingerprints()}

    assert known["socomec-countis-e2x"][0].text == "SOCO"
    assert [s.text for s in known["sunspec-203"]] == ["SunS", "203"]
    assert known["ion7400"][0].equals is False
