"""bridge.app.audit_events"""

import pytest

from bridge.app.audit_events import AccessPriorities, access_priorities, told_of
from bridge.commands.chain import GENESIS, Fact, Record, seal, unseal
from bridge.config.alarm_keys import EventsKey
from bridge.core.event import EventKind

SITE = access_priorities(EventsKey())


def record(**facts: object) -> Record:
    line, _ = seal(Fact(**facts), 12, "2026-01-31T12:00:00.000000Z", GENESIS)  # type: ignore[arg-type]
    return unseal(line)


def test_a_command_is_told_with_old_and_new_value_who_and_its_place_in_the_chain() -> None:
    # BARS S6
    done = record(
        kind="command",
        result="done",
        target="m1.demand_interval",
        protocol="cli",
        peer="local",
        user="root",
        old=15.0,
        new=20.0,
    )
    told = told_of(done, SITE)

    assert told is not None
    assert told.text == (f"command m1.demand_interval 15 -> 20: done, from cli local, audit 12 {done.hash[:16]}")
    assert (told.kind, told.priority, told.user, told.device) == (EventKind.COMMAND, 32, "root", "m1")


def test_a_command_is_told_once_at_its_end() -> None:
    assert told_of(record(kind="command", result="started", target="m1.p"), SITE) is None


@pytest.mark.parametrize(
    ("facts", "kind", "priority"),
    [
        ({"kind": "command", "result": "refused_by_policy"}, EventKind.COMMAND, 96),
        ({"kind": "command", "result": "timed_out"}, EventKind.COMMAND, 96),
        ({"kind": "login", "result": "admitted"}, EventKind.ACCESS, 0),
        ({"kind": "login", "result": "wrong"}, EventKind.ACCESS, 128),
        ({"kind": "login", "result": "wrong", "reason": "locked out now"}, EventKind.ACCESS, 255),
        ({"kind": "configuration", "result": "refused"}, EventKind.CONFIGURATION, 96),
        ({"kind": "user", "result": "locked"}, EventKind.ACCESS, 32),
        ({"kind": "audit", "result": "damaged"}, EventKind.SYSTEM, 224),
    ],
)
def test_what_is_worse_has_a_higher_priority(facts: dict[str, str], kind: EventKind, priority: int) -> None:
    told = told_of(record(**facts), SITE)

    assert told is not None
    assert (told.kind, told.priority) == (kind, priority)


def test_the_priorities_of_access_events_are_those_of_the_ion7400_and_each_can_be_changed() -> None:
    #
    changed = access_priorities(EventsKey(login="info", login_refused=77, lockout="medium"))

    assert AccessPriorities() == SITE == AccessPriorities(0, 128, 255)
    assert changed == AccessPriorities(32, 77, 160)
    for result, priority in (("admitted", 32), ("wrong", 77), ("locked", 160)):
        told = told_of(record(kind="login", result=result), changed)
        assert told is not None
        assert told.priority == priority
