"""S1: every function of a master that could change something, byte by byte, at an outstation nobody has opened."""

import asyncio
import struct

import pytest

from bridge.core.point import Kind
from tests.support.dnp3_site import CLASS_0, Peer, spec_of
from tests.support.modbus_site import site, store_of
from tests.support.workers import running, status, until

pytestmark = [pytest.mark.real_time]
PORT = 23090
FACTS = site(2)
CROB = "0c01 28 0100 0000 03 01 64000000 64000000 00"
FLOAT = "2903 28 0100 0000 0000b442 00"
EVERY_COUNTER = "140006"
# IIN2.0 and IIN2.2: function, or parameter, refused
NO_FUNCTION, PARAM_ERROR = 0x01, 0x04
NOT_AUTHORIZED, NO_SELECT = 9, 2

# function, objects, and what is answered: a bit of IIN2, or a command status
REFUSED_BY_IIN = [
    ("write time", 2, "320107 01 000000000000", NO_FUNCTION),
    ("write last recorded time", 2, "320307 01 000000000000", NO_FUNCTION),
    ("write deadband", 2, "2203 17 01 00 00002041", NO_FUNCTION),
    ("write octet string", 2, "6e02 00 00 00 4142", 0x02),
    ("write attribute", 2, "00f5 00 00 00 01 01 41", 0x02),
    ("write indication", 2, "500100 04 04 00", PARAM_ERROR),
    *((f"freeze {function}", function, EVERY_COUNTER, NO_FUNCTION) for function in (7, 9, 11)),
    ("cold restart", 13, "", NO_FUNCTION),
    ("warm restart", 14, "", NO_FUNCTION),
    ("initialise data", 15, "", NO_FUNCTION),
    *((f"application {function}", function, "5a01 06", NO_FUNCTION) for function in (16, 17, 18)),
    ("save configuration", 19, "", NO_FUNCTION),
    ("enable unsolicited", 20, "3c0206", NO_FUNCTION),
    ("assign class", 22, "3c0206 1e0006", NO_FUNCTION),
    *((f"file {function}", function, "4603 5b 01 0000", NO_FUNCTION) for function in range(25, 31)),
    ("activate configuration", 31, "4608 5b 01 0000", NO_FUNCTION),
    *((f"authentication {function}", function, "7801 5b 01 0000", NO_FUNCTION) for function in (32, 33)),
]
REFUSED_BY_STATUS = [
    ("select relay", 3, CROB, NOT_AUTHORIZED),
    ("select value", 3, FLOAT, NOT_AUTHORIZED),
    ("operate relay", 4, CROB, NO_SELECT),
    ("operate value", 4, FLOAT, NO_SELECT),
    ("direct operate relay", 5, CROB, NOT_AUTHORIZED),
    ("direct operate value", 5, FLOAT, NOT_AUTHORIZED),
]
WITHOUT_REPLY = [(6, CROB), (6, FLOAT), (8, EVERY_COUNTER), (10, EVERY_COUNTER), (12, EVERY_COUNTER)]


def request(sequence: int, function: int, objects: str) -> bytes:
    return bytes((0xC0, 0xC0 | sequence & 15, function)) + bytes.fromhex(objects)


# BARS S1, S2
async def test_out_of_the_box_no_function_changes_anything() -> None:
    store = store_of(FACTS)
    before = {d.index: store.get(d.index) for d in FACTS.points}
    wrong: list[str] = []
    async with running(store, [spec_of(FACTS, PORT)]) as supervisor:
        peer = await Peer.connect(PORT)
        for at, (name, function, objects, bit) in enumerate(REFUSED_BY_IIN):
            answer = await peer.ask(request(at, function, objects))
            if not answer or not answer[0][3] & bit or answer[0][4:]:
                wrong.append(f"{name}: {answer}")
        for at, (name, function, objects, code) in enumerate(REFUSED_BY_STATUS):
            answer = await peer.ask(request(at, function, objects))
            if not answer or answer[0][-1] != code:
                wrong.append(f"{name}: {answer}")
        for at, (function, objects) in enumerate(WITHOUT_REPLY):
            assert await peer.ask(request(at, function, objects), wait_s=0.2) == []
        await peer.ask(CLASS_0)
        counters = await peer.ask(request(3, 1, "14010000 00"))
        frozen = await peer.ask(request(4, 1, "150006"))
        expected = len(REFUSED_BY_IIN) - 6
        await until(lambda: status(supervisor, "dnp3").counters["refused_functions"] >= expected)
        await until(lambda: status(supervisor, "dnp3").counters["controls_refused"] >= 4)
        await asyncio.sleep(0.1)
        peer.close()

    energy = next(d for d in FACTS.points if d.kind is Kind.ACCUMULATOR)
    count = before[energy.index].value
    assert wrong == []
    assert {d.index: store.get(d.index) for d in FACTS.points} == before
    assert isinstance(count, int)
    assert counters
    assert counters[0][9:] == struct.pack("<BI", 1, count % 2**32)
    # without `allow: [freeze]` there are no frozen counters at all
    assert frozen
    assert frozen[0][4:] == b""
