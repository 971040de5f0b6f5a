"""Alarms as events, as node-opcua sees them: begin, end, refresh, acknowledge, confirm, filters, who may."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import argon2
import msgspec
import pytest

from bridge.core.alarm import Alarm
from bridge.workers.supervisor import Supervisor
from tests.support.kept_alarms import Alarms
from tests.support.modbus_site import NOW_NS, site, store_of
from tests.support.opcua_site import NodeClient, needs_node, node_client, spec_of
from tests.support.workers import running, services

pytestmark = [pytest.mark.real_time, pytest.mark.slow, needs_node, pytest.mark.timeout(120)]
PORT = 24_060
FACTS = site(2)
VOLTAGE = next(d for d in FACTS.points if d.id == "m1.voltage_l1")
PHASE = next(d for d in FACTS.points if d.id == "m2.phase_loss_l1")
CONDITION = "ns=2;s=m1.voltage_l1/over_voltage"
FIELDS = [
    "EventId", "EventType", "SourceNode", "SourceName", "Message", "Severity", "ConditionName", "BranchId", "Retain",
    "ActiveState.Id", "AckedState.Id", "ConfirmedState.Id", "Comment", "ClientUserId", "Quality", "Time",
]  # fmt: skip
HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
USERS = {
    "vera": {"role": "viewer", "password": HASHER.hash("v-secret")},
    "otto": {"role": "operator", "password": HASHER.hash("o-secret")},
}
EVERYTHING = "i=2253"
S = 10**9


@dataclass
class Site:
    client: NodeClient
    alarms: Alarms
    supervisor: Supervisor
    refused: list[tuple[str, str]]

    def put(self, alarm: Alarm) -> None:
        """As the core does it."""
        self.alarms.put(alarm)

    async def events(self, count: int, wait_ms: int = 2000) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.client.ask("events", count=count, wait=wait_ms)
        return found


@asynccontextmanager
async def served(
    tmp_path: Path, user: str = "otto", acknowledge: str = "confirmed", *alarms: Alarm
) -> AsyncIterator[Site]:
    store, port = store_of(FACTS), Alarms(kept={alarm.id: alarm for alarm in alarms})
    refused: list[tuple[str, str]] = []

    async def note(origin: Any, target: str, reason: str, times: int) -> None:
        del reason, times
        refused.append((origin.user, target))

    core = replace(services(store), alarms=port, refusals=argparse.Namespace(refused_by_server=note))
    security = {"no_security": "allowed", "anonymous": "allowed"}
    settings = {"users": USERS, "security": security, "alarms": {"acknowledge": acknowledge}}
    async with running(store, [spec_of(FACTS, PORT, tmp_path, **settings)], core=core) as supervisor:
        port.subscribe(supervisor.alarm_changed)
        async with node_client(tmp_path) as client:
            named = {"user": user, "password": f"{user[0]}-secret"} if user else {}
            await client.connect(PORT, **named)
            yield Site(client, port, supervisor, refused)


def over_voltage(id_: int = 1) -> Alarm:
    return Alarm(
        id_, "over_voltage", "Voltage too high", "m1", VOLTAGE.index, 200, NOW_NS + id_ * S, limit=250.0, extreme=255.5
    )


def ended(alarm: Alarm) -> Alarm:
    return msgspec.structs.replace(alarm, end_ns=alarm.start_ns + 3 * S, extreme=260.0)


def state(event: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(event[name] for name in ("ActiveState.Id", "AckedState.Id", "ConfirmedState.Id", "Retain"))


# O-01, issue 9: events, acknowledge and confirm
async def test_an_alarm_lives_as_a_condition_until_it_is_over_acknowledged_and_confirmed(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        watched = await it.client.ask("watchEvents", nodeId=EVERYTHING, fields=FIELDS)
        it.put(over_voltage())
        (began,) = await it.events(1)
        early = await it.client.ask("note", conditionId=CONDITION, eventId=began["EventId"], comment="x", confirm=True)
        seen = await it.client.ask("note", conditionId=CONDITION, eventId=began["EventId"], comment="on my way")
        (acknowledged,) = await it.events(1)
        again = await it.client.ask("note", conditionId=CONDITION, eventId=began["EventId"], comment="twice")
        it.put(ended(it.alarms.kept[1]))
        (over,) = await it.events(1)
        event_id = over["EventId"]
        dealt = await it.client.ask("note", conditionId=CONDITION, eventId=event_id, comment="fuse", confirm=True)
        (confirmed,) = await it.events(1)
        after = await it.client.ask("note", conditionId=CONDITION, eventId=event_id, comment="fuse", confirm=True)

    assert watched["status"] == "Good"
    assert (began["EventType"], began["SourceNode"], began["SourceName"]) == (
        "ns=0;i=2915",
        "ns=2;s=m1.voltage_l1",
        "m1.voltage_l1",
    )
    assert (began["Message"], began["Severity"], began["ConditionName"], began["BranchId"]) == (
        "Voltage too high began, furthest 255.5, limit 250",
        709,
        "over_voltage",
        "ns=0;i=0",
    )
    assert (began["Quality"], began["Time"]) == ("Good", "2023-11-14T22:13:21.123Z")
    assert [state(one) for one in (began, acknowledged, over, confirmed)] == [
        (True, False, True, True),
        (True, True, False, True),
        (False, True, False, True),
        (False, True, True, False),
    ]
    assert (acknowledged["Comment"], acknowledged["ClientUserId"], confirmed["Comment"]) == ("on my way", "", "fuse")
    assert len({one["EventId"] for one in (began, acknowledged, over, confirmed)}) == 4
    assert (early, seen, again) == ("BadInvalidState", "Good", "BadConditionBranchAlreadyAcked")
    assert (dealt, after) == ("Good", "BadConditionBranchAlreadyConfirmed")
    assert [(alarm, origin.protocol, origin.user) for alarm, origin in it.alarms.asked + it.alarms.confirmed] == [
        (1, "opcua", "otto")
    ] * 2


async def test_a_refresh_tells_what_still_matters_between_its_begin_and_its_end(tmp_path: Path) -> None:
    earlier = ended(over_voltage(1))
    done = msgspec.structs.replace(ended(over_voltage(2)), acknowledged_ns=NOW_NS + 9 * S, confirmed_ns=NOW_NS + 10 * S)
    now = over_voltage(3)
    other = Alarm(4, "phase_loss", "Phase lost", "m2", PHASE.index, 70, NOW_NS)
    async with served(tmp_path, "vera", "confirmed", earlier, done, now, other) as it:
        await it.client.ask("watchEvents", nodeId=EVERYTHING, fields=FIELDS)
        before = await it.events(1, 300)
        whole = await it.client.ask("refresh")
        events = await it.events(5)
        foreign = await it.client.ask("refresh", subscriptionId=9999)
        one = await it.client.ask("refresh", item=True)
        again = await it.events(5)

    assert (before, whole, foreign, one) == ([], "Good", "BadSubscriptionIdInvalid", "Good")
    assert [event["EventType"] for event in events] == [
        "ns=0;i=2787",
        "ns=0;i=2915",
        "ns=0;i=2915",
        "ns=0;i=10637",
        "ns=0;i=2788",
    ]
    assert [event["BranchId"] for event in events[1:4]] == [f"{CONDITION}#1", "ns=0;i=0", "ns=0;i=0"]
    assert [event["Severity"] for event in events[1:4]] == [709, 709, 182]
    assert [event["SourceName"] for event in again[1:4]] == ["m1.voltage_l1", "m1.voltage_l1", "m2.phase_loss_l1"]


async def test_an_alarm_that_comes_again_leaves_the_one_before_as_a_branch(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        await it.client.ask("watchEvents", nodeId=EVERYTHING, fields=FIELDS)
        it.put(over_voltage(1))
        it.put(ended(over_voltage(1)))
        it.put(over_voltage(2))
        events = await it.events(4)
        branch = events[2]
        noted = await it.client.ask("note", conditionId=CONDITION, eventId=branch["EventId"], comment="late")
        (acknowledged,) = await it.events(1)

    assert [event["BranchId"] for event in events] == ["ns=0;i=0", "ns=0;i=0", f"{CONDITION}#1", "ns=0;i=0"]
    assert [event["ActiveState.Id"] for event in events] == [True, False, False, True]
    assert (noted, acknowledged["BranchId"]) == ("Good", f"{CONDITION}#1")


async def test_a_place_and_a_filter_choose_what_is_told(tmp_path: Path) -> None:
    phase = Alarm(2, "phase_loss", "Phase lost", "m2", PHASE.index, 70, NOW_NS)
    disk = Alarm(3, "disk_full", "Disk full", "bridge", -1, 230, NOW_NS)
    wanted = {
        ("ns=2;s=m1", None): ["m1.voltage_l1"],
        ("ns=2;s=m2", None): ["m2.phase_loss_l1"],
        ("ns=2;s=/Meters", None): ["m1.voltage_l1", "m2.phase_loss_l1"],
        (EVERYTHING, None): ["m1.voltage_l1", "m2.phase_loss_l1", "bridge"],
        (EVERYTHING, "OffNormalAlarmType"): ["m2.phase_loss_l1"],
        (EVERYTHING, "AlarmConditionType"): ["m1.voltage_l1", "m2.phase_loss_l1", "bridge"],
    }
    found = {}
    async with served(tmp_path, "vera", "refused", over_voltage(1), phase, disk) as it:
        for place, of_type in wanted:
            await it.client.ask("watchEvents", nodeId=place, fields=FIELDS, ofType=of_type)
            await it.client.ask("refresh")
            events = await it.events(2 + len(wanted[place, of_type]))
            found[place, of_type] = [event["SourceName"] for event in events[1:-1]]
            assert events[-1]["EventType"] == "ns=0;i=2788"

    assert found == wanted


async def test_more_events_than_the_queue_holds_are_lost_with_a_word(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        made = await it.client.ask("watchEvents", nodeId=EVERYTHING, fields=FIELDS, queueSize=3, interval=1000)
        await it.client.ask("sleep", ms=300)
        for number in range(1, 7):
            it.put(Alarm(number, f"a{number}", "A", "m1", VOLTAGE.index, 200, NOW_NS))
        events = await it.events(4)

    assert made["queueSize"] == 3
    assert [event["EventType"] for event in events] == ["ns=0;i=3035", *["ns=0;i=2915"] * 3]
    assert [event["ConditionName"] for event in events[1:]] == ["a4", "a5", "a6"]


# P-05, S1: out of the box nobody acknowledges, and who tries is recorded
@pytest.mark.parametrize(("acknowledge", "users"), [("confirmed", ("vera", "")), ("refused", ("otto",))])
async def test_who_may_not_acknowledge_is_refused_and_recorded(
    tmp_path: Path, acknowledge: str, users: tuple[str, ...]
) -> None:
    noted = []
    async with served(tmp_path, users[0], acknowledge, over_voltage()) as it:
        for user in users:
            if user != users[0]:
                await it.client.ask("disconnect")
                await it.client.connect(PORT)
            await it.client.ask("watchEvents", nodeId=EVERYTHING, fields=FIELDS)
            await it.client.ask("refresh")
            event_id = (await it.events(3))[1]["EventId"]
            noted.append(await it.client.ask("note", conditionId=CONDITION, eventId=event_id, comment="me"))
        await it.client.ask("sleep", ms=100)

    assert noted == ["BadUserAccessDenied"] * len(users)
    assert it.alarms.asked == []
    assert it.refused == [(user, "Acknowledge m1.voltage_l1/over_voltage") for user in users]


async def test_without_confirmation_an_acknowledged_alarm_that_is_over_is_done(tmp_path: Path) -> None:
    async with served(tmp_path, "otto", "allowed") as it:
        await it.client.ask("watchEvents", nodeId=EVERYTHING, fields=FIELDS)
        it.put(ended(over_voltage()))
        (over,) = await it.events(1)
        event_id = over["EventId"]
        confirm = await it.client.ask("note", conditionId=CONDITION, eventId=event_id, comment="", confirm=True)
        unknown = await it.client.ask("note", conditionId=CONDITION, eventId="AAAA", comment="")
        elsewhere = await it.client.ask("note", conditionId="ns=2;s=m1/none", eventId=event_id, comment="")
        noted = await it.client.ask("note", conditionId=CONDITION, eventId=event_id, comment="")
        (done,) = await it.events(1)

    assert (confirm, unknown, elsewhere, noted) == (
        "BadMethodInvalid",
        "BadEventIdUnknown",
        "BadNodeIdUnknown",
        "Good",
    )
    assert state(over) == (False, False, None, True)
    assert state(done) == (False, True, None, False)
