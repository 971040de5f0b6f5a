"""Input from outside is hostile: garbage, mutations, endless streams."""

import random

from tests.support.dnp3_master import Master, fragments, link

POLL = bytes.fromhex("c0013c02063c03063c04063c0106")
SEEDS = [
    POLL,
    bytes.fromhex("c0050c0128010000000301640000006400000000"),
    bytes.fromhex("c0023201070100000000000000"[:26]),
    bytes.fromhex("c0011e05000005"),
    bytes.fromhex("c0163c02061e0006"),
    bytes.fromhex("c007140006"),
    bytes.fromhex("c00222030000010000000000000000"[:30]),
    bytes.fromhex("c0032901280100000064000000" + "00"),
    bytes.fromhex("c00250010007070" + "0"),
    bytes.fromhex("c0143c02063c03063c0406"),
]


def answers(master: Master) -> bool:
    return bool(fragments(master.feed(link(b"\xc0" + POLL))))


def test_a_poll_after_200_kb_of_garbage_is_answered() -> None:
    master = Master()
    dice = random.Random(1)
    for _ in range(200):
        master.feed(dice.randbytes(1000))

    # A false start may hold at most one frame back.
    assert answers(master) or answers(master)
    assert len(master.decoder._rest) <= 292


def test_frames_are_found_whatever_the_pieces_they_come_in() -> None:
    master = Master()
    stream = b"\x05\x05\x64\xff" + link(b"\xc0" + POLL) + b"\x05"
    got: list[bytes] = []
    for octet in stream:
        got += master.feed(bytes((octet,)))

    assert len(fragments(got)) == 1


def test_a_frame_with_a_wrong_crc_is_dropped_and_the_next_is_read() -> None:
    master = Master()
    good = link(b"\xc0" + POLL)
    for at in range(2, len(good)):
        broken = bytearray(good)
        broken[at] ^= 0x10
        assert master.feed(bytes(broken) + bytes(300)) == []

    assert answers(master)


def test_20000_mutated_fragments_raise_nothing() -> None:
    dice = random.Random(2)
    for unsolicited in (False, True):
        master = Master(unsolicited=unsolicited)
        for _ in range(10000):
            fragment = bytearray(dice.choice(SEEDS))
            for _ in range(dice.randint(1, 4)):
                at = dice.randrange(len(fragment))
                match dice.randrange(4):
                    case 0:
                        fragment[at] = dice.randrange(256)
                    case 1 if len(fragment) > 2:
                        del fragment[at]
                    case 2:
                        fragment.insert(at, dice.randrange(256))
                    case _:
                        fragment += dice.choice(SEEDS)[2:]
            master.now_s += 0.1
            fragments(master.feed(link(b"\xc0" + bytes(fragment[:240]))))
            fragments(master.session.tick(master.now_s))
        master.reconnect()
        for hello in master.hello:
            master.confirm(hello)

        assert answers(master)


def test_segments_out_of_order_make_no_fragment() -> None:
    master = Master()
    halves = bytes.fromhex("40c00117"), bytes.fromhex("823c0106"), bytes.fromhex("813c0106")

    assert master.feed(link(halves[0][:3] + POLL[2:5])) == []
    assert master.feed(link(halves[1])) == []
    assert master.feed(link(halves[2])) == []
    master.feed(link(b"\x40" + POLL[:5]))
    assert fragments(master.feed(link(b"\x81" + POLL[5:]))) != []


def test_a_stream_without_end_is_dropped() -> None:
    master = Master()
    for number in range(3000):
        header = (0x40 if number == 0 else 0) | (number & 63)
        master.feed(link(bytes((header,)) + bytes(240)))

    assert master.session._reassembler._held is None
    assert answers(master)


def test_announced_quantities_reserve_nothing() -> None:
    master = Master()

    for objects in ("0c0128ffff", "0c01 01 0000ffff", "1e0528ffff", "500101 0000ffff", "0c0108ffff"):
        for function in (1, 2, 3, 5):
            assert len(master.ask(function, objects)) < 300


def test_a_request_with_65_headers_is_refused() -> None:
    assert len(Master().ask(1, "1e0006" * 65)) == 4
