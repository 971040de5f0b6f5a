"""services.syslog: an event is bytes of RFC 5424."""

import pytest

from bridge.core.event import Event, EventKind
from bridge.core.point import NEVER_READ
from bridge.services.syslog import framed, header, message_of, severity_of
from tests.support.clock import NEW_YEAR

EVENT = Event(7, -1, NEVER_READ, "phase loss began", EventKind.ALARM_START, 150, NEW_YEAR + 1_234_567, "anna", "flat-1")


def with_text(text: str, user: str = "") -> bytes:
    return message_of(Event(7, -1, NEVER_READ, text, EventKind.SYSTEM, 30, NEW_YEAR, user), 16, "tower")


def test_a_message_has_every_field_of_rfc_5424() -> None:
    assert message_of(EVENT, 16, "tower a") == (
        b"<132>1 2026-01-01T00:00:00.001234Z tower_a meterbridge - alarm_start "
        b'[event@32473 number="7" priority="150" device="flat-1" user="anna"] phase loss began'
    )


@pytest.mark.parametrize(
    ("priority", "severity"), [(0, 6), (63, 6), (64, 5), (127, 5), (128, 4), (191, 4), (192, 2), (255, 2)]
)
def test_four_severities_follow_the_bands_of_priority(priority: int, severity: int) -> None:
    # A-19, BARS S6
    assert severity_of(priority) == severity


def test_a_quote_a_backslash_and_a_bracket_cannot_leave_their_field() -> None:
    assert b'user="a\\"b\\\\c\\]d"' in with_text("x", user='a"b\\c]d')


def test_a_line_break_cannot_begin_a_message_of_its_own() -> None:
    assert with_text("one\n<0>1 two", user="a\r\nb").count(b"\n") == 0


def test_text_beyond_ascii_announces_itself() -> None:
    assert with_text("surcharge détectée").endswith(b"\xef\xbb\xbfsurcharge d\xc3\xa9tect\xc3\xa9e")


def test_a_message_is_cut_at_2048_octets_and_tears_no_character() -> None:
    message = with_text("é" * 3000)

    assert 2046 <= len(message) <= 2048
    message.decode()


def test_half_a_surrogate_pair_from_a_meter_is_no_fault() -> None:
    assert with_text("\ud800").endswith(b"?")


def test_on_a_stream_the_length_comes_first() -> None:
    assert framed(b"abc") == b"3 abc"


def test_a_name_is_printable_ascii_without_spaces() -> None:
    assert (header("Tour Été"), header("")) == ("Tour__t_", "-")
