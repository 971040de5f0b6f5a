"""When notifications go: at once, by buffer, by hold time, by level; what is dropped is counted."""

import asyncio
from typing import cast

import msgspec
import pytest

from bridge.core.clock import Clock
from bridge.core.event import Event, EventKind
from bridge.core.point import NEVER_READ, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.devices import Devices, Status
from bridge.projections.snmp.notifier import Notifier
from bridge.projections.snmp.notify import (
    AUTHENTICATION_FAILURE,
    COLD_START,
    LINK_UP,
    QUEUE_MOST,
    Notification,
    Outbox,
    level_of,
    own_oid,
)
from bridge.projections.snmp.plan import Plan, TrapPlan
from tests.support.snmp_site import NOW_NS, facts, plan_of, point, projected, sample_of, store_of, turn

RECEIVER = {"host": "127.0.0.1", "community": "reader"}
SECOND_NS = 1_000_000_000


def plan_with(*receivers: dict[str, object], **traps: object) -> Plan:
    return plan_of(projected(traps={"receivers": [{**RECEIVER, **r} for r in receivers], **traps}))


def outbox(*receivers: dict[str, object], **traps: object) -> Outbox:
    return Outbox(plan_with(*receivers, **traps).traps)


def taken(box: Outbox) -> list[tuple[int, int]]:
    """(receiver, uptime) of all that is to be sent."""
    found = []
    while (item := box.take()) is not None:
        found.append((item[0], item[1].uptime_cs))
    return found


def note(number: int) -> Notification:
    return Notification(COLD_START, number)


# S-06
def test_alarms_are_held_until_the_buffer_is_full() -> None:
    box = outbox({"buffer": 3, "hold_s": 300})

    for number in range(7):
        assert box.hold(note(number), 255, 0)

    assert taken(box) == [(0, number) for number in range(6)]


# S-06
def test_alarms_are_held_until_the_hold_time_is_over() -> None:
    box = outbox({"buffer": 30, "hold_s": 10})
    box.hold(note(1), 64, 5 * SECOND_NS)
    box.hold(note(2), 64, 14 * SECOND_NS)

    assert box.next_due_ns() == 15 * SECOND_NS
    box.release_due(15 * SECOND_NS - 1)
    assert taken(box) == []
    box.release_due(15 * SECOND_NS)
    assert taken(box) == [(0, 1), (0, 2)]
    assert box.next_due_ns() is None


# S-06
def test_each_receiver_has_a_buffer_of_its_own_and_generic_ones_pass_it() -> None:
    box = outbox({"buffer": 1}, {"port": 163, "buffer": 2})
    box.hold(note(1), 200, 0)
    box.at_once(note(2))
    box.hold(note(3), 200, 0)

    assert taken(box) == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 1), (1, 3)]


# S-05
@pytest.mark.parametrize(
    ("priority", "level"), [(0, -1), (63, -1), (64, 0), (127, 0), (128, 1), (191, 1), (192, 2), (255, 2)]
)
def test_priorities_are_in_the_bands_of_the_ion7400(priority: int, level: int) -> None:
    assert level_of(priority) == level


# S-05
def test_a_level_that_is_switched_off_is_silent() -> None:
    box = outbox({}, medium=False)

    assert [box.hold(note(p), p, 0) for p in (63, 64, 128, 192)] == [False, True, False, True]


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    box = outbox({})
    for number in range(QUEUE_MOST + 5):
        box.at_once(note(number))

    assert box.dropped == 5
    assert len(taken(box)) == QUEUE_MOST


class FakeSender:
    def __init__(self, accepts: bool = True) -> None:
        self.accepts = accepts
        self.sent: list[Notification] = []

    def send(self, at: int, notification: Notification) -> bool:
        self.sent.append(notification)
        return self.accepts

    def close(self) -> None:
        return


class LoopClock:
    """The clock of the virtual-time loop."""

    def utc_ns(self) -> int:
        return NOW_NS + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9)


class Scene:
    def __init__(self, **traps: object) -> None:
        self.plan = plan_with({"buffer": 1}, **traps)
        self.store: PointStore = store_of(facts())
        self.counters = Counters()
        clock = cast("Clock", LoopClock())
        self.notifier = Notifier(self.plan, self.store, clock, lambda: 42, self.counters)
        places = {row.index: at for at, row in enumerate(self.plan.rows)}
        self.devices = Devices(self.plan, self.store, lambda: 42, places)
        indexes = [row.index for row in self.plan.rows]
        self.devices.update([(i, self.store.get(i)) for i in indexes], lambda *_: None)
        self.store.subscribe(indexes, lambda batch: self.devices.update(batch, self.notifier.device_changed))
        self.sender = FakeSender()

    async def run(self, seconds: float) -> list[Notification]:
        task = asyncio.ensure_future(self.notifier.run(self.sender))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait([task])
        return self.sender.sent

    def status(self, device: str) -> Status:
        return next(d.status for d in self.devices.devices if d.definition.id == device)


# S-05
async def test_the_start_is_told_at_once() -> None:
    scene = Scene()
    scene.notifier.started(3)

    sent = await scene.run(0.1)

    assert [notification.oid for notification in sent] == [COLD_START, LINK_UP]
    assert [bind.oid[-1] for bind in sent[1].varbinds] == [3, 3, 3]
    assert scene.counters.out_traps == 2


async def test_a_meter_is_lost_once_and_back_once_whatever_its_points_do_meanwhile() -> None:
    scene = Scene()
    turn(scene.store, "main", Quality.COMM_LOST)
    assert scene.status("main") is Status.OFFLINE
    turn(scene.store, "main", Quality.COMM_LOST | Quality.STALE)
    turn(scene.store, "main", Quality.DEVICE_FAULT)
    assert scene.status("main") is Status.DEGRADED
    turn(scene.store, "main", Quality.GOOD)
    assert scene.status("main") is Status.ONLINE

    sent = await scene.run(0.1)

    assert [notification.oid for notification in sent] == [own_oid(scene.plan, 4), own_oid(scene.plan, 5)]
    assert sent[0].varbinds[2].value == b"main does not answer"


async def test_a_meter_with_a_status_of_its_own_is_lost_when_that_says_so_whatever_the_bridge_still_computes() -> None:
    scene = Scene()
    status = point("main.communication_status")
    for definition in facts().points:
        if definition.device == "main" and definition.name not in ("communication_status", "demand_interval"):
            scene.store.publish([(definition.index, sample_of(definition, Quality.COMM_LOST))])
    assert scene.status("main") is Status.DEGRADED
    scene.store.publish([(status.index, Sample(False, Quality.GOOD, NOW_NS, 2))])
    assert scene.status("main") is Status.OFFLINE
    scene.store.publish([(status.index, Sample(True, Quality.GOOD, NOW_NS, 3))])
    assert scene.status("main") is Status.DEGRADED

    assert [n.oid[-1] for n in await scene.run(0.1)] == [4, 5]


async def test_a_meter_that_answers_for_the_first_time_is_no_news() -> None:
    scene = Scene()
    scene.store.publish([(p.index, NEVER_READ) for p in facts().points if p.device == "main"])
    assert scene.status("main") is Status.UNKNOWN
    turn(scene.store, "main", Quality.GOOD)

    assert await scene.run(0.1) == []


# S-03
async def test_wrong_communities_are_told_not_more_often_than_allowed() -> None:
    scene = Scene(authentication_s=10)
    task = asyncio.ensure_future(scene.run(25))
    for _ in range(21):
        scene.notifier.wrong_community("192.0.2.1")
        await asyncio.sleep(1)

    assert [notification.oid for notification in await task] == [AUTHENTICATION_FAILURE] * 3


async def test_an_event_of_the_core_carries_its_point_and_low_ones_are_silent() -> None:
    scene = Scene()
    wanted = point("landlord.active_power_total")
    event = Event(9, wanted.index, scene.store.get(wanted.index), "too much", EventKind.ALARM_START, 128, 5)
    scene.notifier.happened(event)
    scene.notifier.happened(msgspec.structs.replace(event, priority=63))
    scene.notifier.happened(msgspec.structs.replace(event, kind=EventKind.COMMUNICATION))
    scene.notifier.happened(msgspec.structs.replace(event, index=999_999))

    (sent,) = await scene.run(0.1)

    assert sent.oid == own_oid(scene.plan, 2)
    assert [bind.value for bind in sent.varbinds[5:7]] == [b"landlord", b"active_power_total"]
    assert sent.varbinds[0].value == 9


async def test_what_a_receiver_cannot_be_sent_and_what_came_too_fast_is_counted() -> None:
    scene = Scene()
    scene.sender.accepts = False
    scene.notifier.started(1)
    scene.notifier.events_lost(5, 9)
    scene.notifier.inform_lost()

    await scene.run(0.1)

    assert (scene.counters.out_traps, scene.counters.traps_dropped) == (0, 8)


# S-06
async def test_a_held_alarm_goes_when_its_time_is_over() -> None:
    scene = Scene()
    held = msgspec.structs.replace(scene.plan.traps.targets[0], buffer=30, hold_s=60.0)
    plan = msgspec.structs.replace(scene.plan, traps=TrapPlan((held,)))
    scene.notifier = Notifier(plan, scene.store, cast("Clock", LoopClock()), lambda: 42, scene.counters)
    task = asyncio.ensure_future(scene.run(100))
    await asyncio.sleep(1)
    scene.notifier.device_changed(scene.devices.devices[0], Status.ONLINE, Status.OFFLINE)
    await asyncio.sleep(59)
    assert scene.sender.sent == []
    await asyncio.sleep(2)
    assert len(scene.sender.sent) == 1
    await task
