"""bridge.app.operations: whoever looks at a page never ends the polling."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.app.bridge import Bridge
from bridge.app.operations import Operations
from bridge.app.orders import Orders
from bridge.core.clock import SystemClock
from bridge.core.errors import OperationRefused
from bridge.core.event import EventKind
from bridge.services.events import EventLog


def operations(**parts: object) -> Operations:
    bridge = cast("Bridge", SimpleNamespace(**parts))
    return Operations(bridge, Orders(bridge))


async def test_a_question_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(OperationRefused, match=r"expected one of status, registers, .* found reload"):
        await operations().ask("reload", {})


async def test_a_fault_in_an_answer_is_a_refusal_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OperationRefused, match="the bridge has a fault, see its log"):
        await operations().ask("status", {})

    assert "question_failed what=status" in caplog.text


async def test_events_are_the_newest_of_those_asked_for_oldest_first() -> None:
    log = EventLog(SystemClock())
    for number in range(10):
        log.record(EventKind.SYSTEM if number % 2 else EventKind.COMMUNICATION, 128, f"event {number}", device="m")
    asked = operations(own=SimpleNamespace(events=log))

    found = await _events(asked, most="2", kind="system", after="3", device="m")

    assert [event["text"] for event in found["events"]] == ["event 7", "event 9"]
    assert found["last"] == 10


@pytest.mark.parametrize("text", ["-1", "x", "9" * 40, "\u0661"])
async def test_a_number_that_is_none_is_refused(text: str) -> None:
    asked = operations(own=SimpleNamespace(events=EventLog(SystemClock())))

    with pytest.raises(OperationRefused, match="after: expected a number"):
        await asked.ask("events", {"after": text})


async def _events(asked: Operations, **arguments: str) -> Any:
    return json.loads(await asked.ask("events", arguments))
