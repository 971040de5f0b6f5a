"""Input from outside is hostile: lengths, nesting, mutations; memory stays where it was."""

import random

import psutil
import pytest

from bridge.projections.snmp.ber import tlv
from bridge.projections.snmp.pdu import GET, GETBULK, GETNEXT, SET
from tests.support.snmp_agent import LIMIT, NAME, NULL, ROOT, Bench, get, integer, pdu, v2c

# datagrams after which the caches are full
SETTLED = 5_000
GOOD = v2c(GET, [((*NAME, 1), NULL)])


def nested(depth: int) -> bytes:
    data = NULL
    for _ in range(depth):
        data = tlv(0x30, data)
    return data


def named(contents: bytes) -> bytes:
    varbinds = tlv(0x30, tlv(0x30, tlv(6, contents) + NULL))
    return tlv(0x30, b"\x02\x01\x01\x04\x06public" + tlv(0xA1, b"\x02\x01\x01" * 3 + varbinds))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80" + GOOD[2:] + b"\0\0",
        b"\x30\x84\xff\xff\xff\xff" + GOOD[2:],
        b"\x30\x85\0\0\0\0" + GOOD[1:],
        GOOD + b"xxxx",
        GOOD[:-1],
        GOOD.replace(b"\x02\x01\x07", b"\x02\x09" + b"\x01" * 9),
        GOOD.replace(b"\x02\x01\x07", b"\x02\x00"),
        nested(3000),
        b"\x30\x80" * 5000,
        b"\x30\x10\x02\x01\x03\x30\x0b" + b"\xff" * 11,
        named(b"\x2b\xa0\x80\x80\x80\x80\x80\x80\x01"),
        named(b"\x2b\x80\x01"),
        named(b"\x2b\x81"),
        named(b""),
        named(b"\x01" * 5000),
        named(b"\x01" * 128),
    ],
    ids=lambda data: data[:12].hex(),
)
def test_what_is_no_message_is_silent_and_counted(bench: Bench, data: bytes) -> None:
    assert bench.handle(data) is None
    assert bench.counters.in_parse_errors == 1
    assert bench.handle(GOOD) is not None


def test_a_name_in_a_longer_form_is_the_same_name(bench: Bench) -> None:
    name = b"\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00"
    varbinds = tlv(0x30, tlv(0x30, b"\x06\x81" + name[1:] + NULL))
    request = tlv(0x30, b"\x02\x01\x01\x04\x06public" + tlv(0xA0, b"\x02\x01\x01\x02\x01\x00\x02\x01\x00" + varbinds))

    assert (bench.handle(request) or b"").endswith(b"\x04\x06bridge")


def seeds(bench: Bench) -> list[bytes]:
    bulk = [((*NAME, 1), NULL), (ROOT, NULL)]
    return [
        GOOD,
        v2c(GETNEXT, bulk),
        v2c(GETBULK, bulk, first=1, second=20),
        v2c(SET, [((*LIMIT, 1), integer(5))], community=b"private"),
        v2c(GETNEXT, bulk, version=0),
        bench.v3(b"ops", 3, get((*NAME, 1))),
        bench.v3(b"look", 1, pdu(GETBULK, bulk, second=20)),
        bench.v3(b"look", 0, get(NAME)),
        bench.v3(b"", 0, get(NAME), engine_id=b""),
    ]


def mutate(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(changed))
        match dice.randrange(4):
            case 0:
                changed[at] = dice.randrange(256)
            case 1 if len(changed) > 2:
                del changed[at]
            case 2:
                changed.insert(at, dice.choice((0, 0x7F, 0x80, 0x82, 0x84, 0xFF)))
            case _:
                changed[at] ^= 1 << dice.randrange(8)
    return bytes(changed)


def hostile(bench: Bench) -> list[bytes]:
    """The requests that other agents died of, as they are."""
    repeaters = [(ROOT, NULL)] * 70
    return [
        *(v2c(GETBULK, [(ROOT, NULL)], second=count) for count in (0, -1, 65535, 2**31 - 1)),
        v2c(GETBULK, repeaters, second=70),
        v2c(GETBULK, repeaters, first=2**31 - 1, second=2**31 - 1),
        v2c(GET, [(NAME, NULL)] * 1000),
        bench.v3(b"ops", 3, pdu(GETBULK, repeaters, second=70), max_size=484),
        bench.v3(b"ops", 3, get(NAME), max_size=483),
    ]


# issue 6: memory flat over 100,000 of them
def test_100000_hostile_and_mutated_datagrams_raise_nothing_and_leave_no_memory(bench: Bench) -> None:
    dice = random.Random(3)
    originals = seeds(bench)
    for data in originals:
        assert bench.handle(data) is not None
    as_they_are = hostile(bench)
    answered = before = 0
    memory = psutil.Process().memory_info
    for number in range(100_000):
        if number == SETTLED:
            before = memory().rss
        data = dice.choice(as_they_are) if number % 10 == 0 else mutate(dice, dice.choice(originals))
        answer = bench.handle(data)
        assert answer is None or len(answer) <= 1472
        answered += answer is not None
    grown = memory().rss - before

    assert answered > 1000
    # 11 bytes for each
    assert grown < 1 << 20
    assert bench.handle(GOOD) is not None


def test_a_signed_but_mutated_pdu_raises_nothing(bench: Bench) -> None:
    """An attacker who has a key: the garbage is inside a genuine message."""
    dice = random.Random(4)
    inner = [get((*NAME, 1)), pdu(GETBULK, [(ROOT, NULL)], second=20), pdu(SET, [((*LIMIT, 1), integer(5))])]
    for _ in range(3000):
        bench.handle(bench.v3(b"ops", 3, mutate(dice, dice.choice(inner))))

    assert bench.handle(GOOD) is not None
