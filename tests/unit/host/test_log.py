"""bridge.host.log: one line per event, and not the same line for ever"""

import io
import logging

import pytest

from bridge.host import log


class HandClock:
    def __init__(self) -> None:
        self.now_ns = 0

    def utc_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns


class Desk:
    """A logger that writes as a worker's does, into `lines`."""

    def __init__(self) -> None:
        self.clock, self._out = HandClock(), io.StringIO()
        handler = logging.StreamHandler(self._out)
        handler.setFormatter(log.OneLine("bacnet"))
        handler.addFilter(log.Collapse(self.clock))
        self.logger = logging.Logger("bridge.test")
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        return self._out.getvalue().splitlines()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_event_is_one_line(desk: Desk) -> None:
    desk.logger.warning("refused_full port=%d peer=%s", 502, "10.0.0.7")

    assert desk.lines == ["warning bacnet bridge.test: refused_full port=502 peer=10.0.0.7"]


def test_what_a_stranger_sends_cannot_forge_a_line(desk: Desk) -> None:
    desk.logger.warning("bad_name name=%s", "x\ncritical bacnet: all is lost\x1b[2J")

    assert desk.lines == [r"warning bacnet bridge.test: bad_name name=x\ncritical bacnet: all is lost\x1b[2J"]


def test_an_exception_is_one_line_with_its_way(desk: Desk) -> None:
    try:
        int("ten")
    except ValueError:
        desk.logger.exception("stumbled")

    (line,) = desk.lines
    assert "stumbled error=ValueError(" in line
    assert "test_log.py:" in line


def test_a_flood_of_one_message_is_five_lines_and_a_number(desk: Desk) -> None:
    for n in range(1000):
        desk.logger.warning("refused peer=%d", n)
    desk.logger.warning("something_else")
    desk.clock.now_ns += 10_000_000_000
    desk.logger.warning("refused peer=%d", 1000)

    assert len(desk.lines) == 7
    assert desk.lines[5].endswith("something_else")
    assert desk.lines[6].endswith("refused peer=1000 suppressed=995")


def test_messages_told_apart_are_bounded() -> None:
    collapse = log.Collapse(HandClock())
    for n in range(5000):
        collapse.filter(logging.LogRecord("x", logging.INFO, "", 0, f"message {n}", (), None))

    assert len(collapse._seen) <= 512


def test_of_a_group_of_errors_the_causes_are_told_and_not_the_group() -> None:
    taken = OSError(98, "address already in use")
    group = BaseExceptionGroup("unhandled errors in a TaskGroup", [ExceptionGroup("inner", [taken]), ValueError("ten")])

    told = log.describe(group)

    assert "address already in use" in told
    assert "ValueError('ten')" in told
    assert "Group" not in told
    assert "\n" not in told


def test_a_group_of_many_errors_is_one_short_line() -> None:
    told = log.describe(ExceptionGroup("many", [ValueError(str(n)) for n in range(100)]))

    assert told.endswith("and 97 more")
    assert len(told) < 300
