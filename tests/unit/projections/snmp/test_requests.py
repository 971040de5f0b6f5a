"""v1 and v2c, bytes in and bytes out (RFC 3416, 4.2; RFC 3584, 4)."""

from pathlib import Path

import pytest

from bridge.projections.snmp.ber import Syntax, encode_integer
from bridge.projections.snmp.pdu import GET, GETBULK, GETNEXT, RESPONSE, SET, ErrorStatus
from tests.support.snmp_agent import ENERGY, LIMIT, NAME, NULL, POWER, ROOT, SECRET, Bench, contents, integer, v2c

END = b"\x82\x00"


def test_a_get_of_sysdescr_is_answered_byte_for_byte(bench: Bench) -> None:
    request = bytes.fromhex("3026 020101 04067075626c6963 a019 020101 020100 020100300e 300c 06082b06010201010100 0500")

    answer = bench.handle(request)

    assert answer == bytes.fromhex(
        "302c 020101 04067075626c6963 a21f 020101 020100 0201003014 3012 06082b06010201010100 0406627269646765"
    )


def test_a_v1_get_of_what_is_not_there_is_answered_byte_for_byte(bench: Bench) -> None:
    request = bytes.fromhex("3024 020100 04067075626c6963 a017 020105 020100 020100 300c 300a 06062b0601020163 0500")

    answer = bench.handle(request)

    assert answer == bytes.fromhex(
        "3024 020100 04067075626c6963 a217 020105 020102 020101 300c 300a 06062b0601020163 0500"
    )


def test_get_tells_no_such_object_from_no_such_instance(bench: Bench) -> None:
    reply = bench.ask(GET, (*NAME, 1), (*NAME, 9), (*ROOT, 9, 1), (*POWER, 2), NAME, (*SECRET, 1), (*SECRET, 9))

    assert reply.values == [b"\x04\x02M1", b"\x81\0", b"\x80\0", b"\x81\0", b"\x81\0", b"\x80\0", b"\x80\0"]
    assert (reply.kind, reply.request_id, reply.status, reply.index) == (RESPONSE, 7, 0, 0)


def test_getnext_passes_absent_instances_and_hidden_subtrees(bench: Bench) -> None:
    reply = bench.ask(GETNEXT, (*POWER, 1), (*POWER, 3), (*LIMIT, 3), ROOT, (*NAME, 1, 5))

    assert reply.names[:2] == contents((*POWER, 3), (*ENERGY, 1))
    assert reply.names[2] == contents((1, 3, 6, 1, 6, 3, 10, 2, 1, 1, 0))[0]
    assert reply.names[3:] == contents((*NAME, 1), (*NAME, 2))


def test_getnext_behind_the_last_row_is_the_end_of_the_view(bench: Bench) -> None:
    assert bench.ask(GETNEXT, (1, 3, 6, 1, 7)).varbinds == [(b"\x2b\x06\x01\x07", END)]
    assert bench.ask(GETNEXT, (0, 0)).names == contents((1, 3, 6, 1, 2, 1, 1, 1, 0))


def test_v1_errors_name_the_first_bad_varbind_and_echo_the_request(bench: Bench) -> None:
    reply = bench.ask(GET, (*NAME, 1), (*POWER, 2), (*NAME, 9), version=0)

    assert (reply.status, reply.index) == (ErrorStatus.NO_SUCH_NAME, 2)
    assert reply.values == [NULL] * 3


def test_v1_never_sees_a_counter64(bench: Bench) -> None:
    assert bench.ask(GET, (*ENERGY, 1), version=0).status == ErrorStatus.NO_SUCH_NAME
    assert bench.ask(GETNEXT, (*POWER, 3), version=0).names == contents((*LIMIT, 1))
    assert bench.ask(GETNEXT, (1, 3, 6, 1, 7), version=0).status == ErrorStatus.NO_SUCH_NAME


def test_getbulk_answers_non_repeaters_once_and_then_row_by_row(bench: Bench) -> None:
    reply = bench.ask(GETBULK, NAME, NAME, LIMIT, first=1, second=2)

    assert reply.names == contents((*NAME, 1), (*NAME, 1), (*LIMIT, 1), (*NAME, 2), (*LIMIT, 2))


def test_getbulk_repeats_the_end_of_a_column_while_another_goes_on(bench: Bench) -> None:
    last = (1, 3, 6, 1, 6, 3, 15, 1, 1, 6, 0)
    reply = bench.ask(GETBULK, (1, 3, 6, 1, 6, 3, 15, 1, 1, 5, 0), NAME, second=3)

    assert reply.names[::2] == contents(last, last, last)
    assert reply.values[2::2] == [END, END]
    alone = bench.ask(GETBULK, (1, 3, 6, 1, 6, 3, 15, 1, 1, 5, 0), second=50)
    assert alone.values[1:] == [END]


@pytest.mark.parametrize("count", [0, -1, -(2**31)])
def test_getbulk_without_repetitions_is_empty(bench: Bench, count: int) -> None:
    assert bench.ask(GETBULK, NAME, second=count).varbinds == []


@pytest.mark.parametrize("count", [65535, 2**31 - 1])
def test_getbulk_stops_at_the_message_size(tmp_path: Path, count: int) -> None:
    reply = Bench(tmp_path, meters=500).ask(GETBULK, ROOT, second=count)

    assert 1400 < reply.size <= 1472
    assert reply.names[:2] == contents((*NAME, 1), (*NAME, 2))


def test_getbulk_of_70_repeaters_is_cut_not_refused(bench: Bench) -> None:
    reply = bench.ask(GETBULK, *[(*NAME, 1)] * 70, second=10)

    assert reply.status == 0
    assert len(reply.varbinds) > 30
    assert reply.size <= 1472


def test_getbulk_with_more_non_repeaters_than_names(bench: Bench) -> None:
    assert bench.ask(GETBULK, NAME, first=100, second=10).names == contents((*NAME, 1))


def test_a_get_that_does_not_fit_is_too_big_and_v1_hears_nothing(bench: Bench) -> None:
    names = [(*NAME, 1)] * 100
    reply = bench.ask(GET, *names)

    assert (reply.status, reply.index, reply.varbinds) == (ErrorStatus.TOO_BIG, 0, [])
    assert bench.handle(v2c(GET, [(name, NULL) for name in names], version=0)) is None
    assert bench.counters.silent_drops == 1


def test_1000_varbinds_are_too_big(bench: Bench) -> None:
    assert bench.ask(GET, *[(*NAME, 1)] * 1000).status == ErrorStatus.TOO_BIG


def test_a_value_is_encoded_once_until_it_changes(bench: Bench) -> None:
    for _ in range(5):
        assert bench.ask(GET, (*POWER, 1)).values == [b"\x02\x01\x9c"]
    assert bench.reads == 1

    bench.powers[1] = 2**40
    bench.tree.changed(bench.table, 1)
    assert bench.ask(GET, (*POWER, 1)).values == [b"\x02\x04\x7f\xff\xff\xff"]

    bench.powers[1] = None
    bench.tree.changed(bench.table, 1)
    assert bench.ask(GET, (*POWER, 1)).values == [b"\x81\x00"]
    assert bench.ask(GETNEXT, (*NAME, 3)).names == contents((*POWER, 3))


@pytest.mark.parametrize(
    ("community", "name", "value", "status"),
    [
        (b"public", (*LIMIT, 1), integer(1), ErrorStatus.NO_ACCESS),
        (b"private", (*POWER, 1), integer(1), ErrorStatus.NO_ACCESS),
        (b"private", (*NAME, 1), b"\x04\x01a", ErrorStatus.NOT_WRITABLE),
        (b"private", (*ROOT, 9, 1), integer(1), ErrorStatus.NOT_WRITABLE),
        (b"private", (*LIMIT, 1), b"\x04\x01a", ErrorStatus.WRONG_TYPE),
        (b"private", (*LIMIT, 1), encode_integer(1, Syntax.GAUGE32), ErrorStatus.WRONG_TYPE),
        (b"private", (*LIMIT, 1), b"\x02\x05\x01\0\0\0\0", ErrorStatus.WRONG_ENCODING),
        (b"private", (*LIMIT, 1), b"\x02\x00", ErrorStatus.WRONG_ENCODING),
        (b"private", (*LIMIT, 1), integer(13), ErrorStatus.WRONG_VALUE),
        (b"private", (*LIMIT, 9), integer(1), ErrorStatus.NO_CREATION),
    ],
)
def test_a_set_is_refused_with_the_index_of_the_bad_varbind(
    bench: Bench, community: bytes, name: tuple[int, ...], value: bytes, status: ErrorStatus
) -> None:
    good = ((*LIMIT, 2), integer(5))
    varbinds = [good, (name, value), good] if community == b"private" else [(name, value)]
    reply = bench.send(SET, varbinds, community=community)

    assert (reply.status, reply.index) == (status, len(varbinds) // 2 + 1)
    assert bench.counters.in_bad_uses == (community == b"public")
    assert set(bench.limits.values()) == {7}


def test_a_change_that_fails_after_another_was_done_cannot_be_undone(bench: Bench) -> None:
    failing, good = ((*LIMIT, 1), integer(666)), ((*LIMIT, 2), integer(5))
    first = bench.send(SET, [failing, good], community=b"private")
    assert (first.status, first.index, bench.limits[2]) == (ErrorStatus.COMMIT_FAILED, 1, 7)

    second = bench.send(SET, [good, failing], community=b"private")
    assert (second.status, second.index, bench.limits[2]) == (ErrorStatus.UNDO_FAILED, 0, 5)


def test_v1_hears_the_old_errors_of_a_set(bench: Bench) -> None:
    wanted = {13: ErrorStatus.BAD_VALUE, 666: ErrorStatus.GEN_ERR, 5: ErrorStatus.NO_ERROR}
    for value, status in wanted.items():
        got = bench.send(SET, [((*LIMIT, 1), integer(value))], version=0, community=b"private")
        assert got.status == status
    assert bench.send(SET, [((*LIMIT, 1), integer(5))], version=0).status == ErrorStatus.NO_SUCH_NAME


def test_a_set_that_is_allowed_is_done_and_read_back(bench: Bench) -> None:
    reply = bench.send(SET, [((*LIMIT, 1), integer(-5)), ((*LIMIT, 3), integer(6))], community=b"private")

    assert (reply.status, reply.values) == (0, [integer(-5), integer(6)])
    assert bench.ask(GET, (*LIMIT, 1), (*LIMIT, 3)).values == reply.values


def test_wrong_versions_and_communities_are_silent_and_counted(bench: Bench) -> None:
    for version in (2, 5, -1):
        assert bench.handle(v2c(GET, [((*NAME, 1), NULL)], version=version)) is None
    assert bench.handle(v2c(GET, [], community=b"guess")) is None

    assert (bench.counters.in_bad_versions, bench.counters.in_bad_communities) == (3, 1)


@pytest.mark.parametrize("kind", [0xA2, 0xA4, 0xA6, 0xA7, 0xA8, 0xBF])
def test_pdus_that_are_no_requests_are_silent(bench: Bench, kind: int) -> None:
    assert bench.handle(v2c(kind, [((*NAME, 1), NULL)])) is None


def test_getbulk_in_v1_is_silent(bench: Bench) -> None:
    assert bench.handle(v2c(GETBULK, [], version=0)) is None
