"""SNMPv3: discovery, levels, time window, sizes (RFC 3412, 7; RFC 3414, 3)."""

from pathlib import Path

import pytest

from bridge.projections.snmp.ber import encode_oid
from bridge.projections.snmp.pdu import GETBULK, REPORT, RESPONSE, ErrorStatus
from bridge.projections.snmp.settings import Auth
from bridge.projections.snmp.usm import MAX_BOOTS, EngineClock, password_to_key
from tests.support.snmp_agent import ENGINE_ID, NAME, NULL, ROOT, Bench, get, pdu

USM = (1, 3, 6, 1, 6, 3, 15, 1, 1)


def reported(bench: Bench, message: bytes) -> tuple[int, int]:
    """(number of the usmStats counter, level of the report)."""
    header, reply = bench.open(bench.handle(message))
    assert reply.kind == REPORT
    number = reply.names[0][-2]
    assert reply.names[0] == encode_oid((*USM, number, 0))
    return number, header.level


def test_keys_are_those_of_the_standard() -> None:
    """RFC 3414, A.3.2."""
    key = password_to_key(Auth.SHA1, b"maplesyrup", bytes.fromhex("000000000000000000000002"))

    assert key.hex() == "6695febc9288e36282235fc7151f128497b38f3f"


def test_discovery_tells_engine_boots_and_time(bench: Bench) -> None:
    bench.now_ns += 12_000_000_000
    header, reply = bench.open(bench.handle(bench.v3(b"", 0, get(NAME), engine_id=b"")))

    assert (header.engine_id, header.boots, header.time_s, header.message_id) == (ENGINE_ID, 1, 12, 99)
    assert (reply.kind, reply.request_id, reply.values) == (REPORT, 7, [b"\x41\x01\x01"])


@pytest.mark.parametrize(("user", "level"), [(b"ops", 3), (b"big", 3), (b"look", 1)])
def test_a_user_is_answered_at_the_level_it_came_with(bench: Bench, user: bytes, level: int) -> None:
    header, reply = bench.open(bench.handle(bench.v3(user, level, get((*NAME, 1)))))

    assert (header.level, reply.kind, reply.values) == (level, RESPONSE, [b"\x04\x02M1"])


@pytest.mark.parametrize(("user", "level"), [(b"ops", 0), (b"ops", 1), (b"look", 0)])
def test_a_level_below_the_grant_is_refused(bench: Bench, user: bytes, level: int) -> None:
    _, reply = bench.open(bench.handle(bench.v3(user, level, get((*NAME, 1)))))

    assert (reply.status, reply.values) == (ErrorStatus.AUTHORIZATION_ERROR, [NULL])


def test_reports_for_unknown_user_level_digest_and_cipher(bench: Bench) -> None:
    assert reported(bench, bench.v3(b"nobody", 0, get(NAME))) == (3, 0)
    assert reported(bench, bench.v3(b"look", 1, get(NAME)).replace(b"\x04\x01\x05", b"\x04\x01\x07")) == (
        1,
        0,
    )
    good = bench.v3(b"ops", 3, get(NAME))
    assert reported(bench, good[:-1] + bytes((good[-1] ^ 1,))) == (5, 0)
    counters = bench.counters
    assert (counters.unknown_users, counters.unsupported_levels, counters.wrong_digests) == (1, 1, 1)


@pytest.mark.parametrize(("boots", "time_s"), [(2, 200), (0, 200), (MAX_BOOTS, 200), (1, 49), (1, 351), (1, 2**31 - 1)])
def test_outside_the_time_window_the_report_is_signed(bench: Bench, boots: int, time_s: int) -> None:
    bench.now_ns += 200_000_000_000

    assert reported(bench, bench.v3(b"ops", 3, get(NAME), boots=boots, time_s=time_s)) == (2, 1)


@pytest.mark.parametrize("time_s", [50, 350])
def test_the_edges_of_the_time_window_are_inside(bench: Bench, time_s: int) -> None:
    bench.now_ns += 200_000_000_000
    _, reply = bench.open(bench.handle(bench.v3(b"ops", 3, get((*NAME, 1)), time_s=time_s)))

    assert reply.kind == RESPONSE


def test_nothing_is_reported_to_who_does_not_ask(bench: Bench) -> None:
    assert bench.handle(bench.v3(b"nobody", 0, get(NAME), flags=0)) is None
    assert bench.counters.unknown_users == 1


@pytest.mark.parametrize("user", [b"ops", b"big"])
@pytest.mark.parametrize("max_size", [484, 700, 1472, 2**31 - 1])
def test_the_managers_message_size_is_kept(tmp_path: Path, user: bytes, max_size: int) -> None:
    bench = Bench(tmp_path, meters=500)
    request = bench.v3(user, 3, pdu(GETBULK, [(ROOT, NULL)], second=200), max_size=max_size)
    answer = bench.handle(request)

    assert answer is not None
    assert min(max_size, 1472) - 100 < len(answer) <= min(max_size, 1472)
    assert bench.open(answer)[1].status == 0


def test_headers_that_are_not_allowed_are_silent(bench: Bench) -> None:
    assert bench.handle(bench.v3(b"ops", 3, get(NAME), max_size=100)) is None
    assert bench.handle(bench.v3(b"ops", 0, get(NAME), flags=2)) is None
    other_model = bench.v3(b"look", 0, get(NAME)).replace(b"\x04\x01\x04\x02\x01\x03", b"\x04\x01\x04\x02\x01\x04")
    assert bench.handle(other_model) is None
    assert (bench.counters.invalid_messages, bench.counters.unknown_security_models) == (2, 1)


def test_an_unknown_context_is_reported_at_the_level_of_the_request(bench: Bench) -> None:
    request = bench.v3(b"ops", 3, get(NAME), context=b"x")
    header, reply = bench.open(bench.handle(request))

    assert (header.level, reply.kind, bench.counters.unknown_contexts) == (3, REPORT, 1)


def test_boots_count_up_over_starts_and_a_broken_file_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "boots"
    assert [EngineClock(file, lambda: 0).boots for _ in range(3)] == [1, 2, 3]

    file.write_text("")
    with pytest.raises(ValueError, match="invalid literal"):
        EngineClock(file, lambda: 0)


def test_an_engine_at_the_last_boot_answers_nobody(tmp_path: Path) -> None:
    (tmp_path / "boots").write_text(str(MAX_BOOTS))
    bench = Bench(tmp_path)

    assert reported(bench, bench.v3(b"ops", 3, get(NAME))) == (2, 1)
