"""Alarms of the bridge as BACnet events: state, notifications, what waits for an acknowledgement, who may give it"""

import asyncio
import dataclasses
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest
from rusty_bacnet import BACnetClient, BACnetTimeStamp, EventState, ObjectIdentifier, ObjectType

from bridge.core.alarm import Alarm, Watched
from bridge.core.command import Outcome
from bridge.core.quality import Quality
from bridge.projections.bacnet import wire
from tests.support.bacnet_client import Client, confirmed, object_id, read, subscribe, tagged, value_of
from tests.support.bacnet_site import DEVICE_ID, Served, served, site
from tests.support.kept_alarms import Alarms
from tests.support.modbus_site import NOW_NS
from tests.support.workers import spare_ports

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
FACTS = site(2)
VOLTAGE = "m1.voltage_l1"
INDEX = {point.id: point.index for point in FACTS.points}
# event notification services and BACnetEventState
CONFIRMED, UNCONFIRMED = 2, 3
OFFNORMAL, HIGH_LIMIT, LOW_LIMIT, NORMAL = 2, 3, 4, 0


def alarm_of(
    point: str, priority: int = 200, *, id_: int = 1, limit: float | None = 220.0, name: str = "voltage"
) -> Alarm:
    index = next((p.index for p in FACTS.points if p.id == point), -1)
    device = point.partition(".")[0]
    return Alarm(id_, name, "Voltage too high", device, index, priority, NOW_NS, limit=limit)


def ended(alarm: Alarm) -> Alarm:
    return msgspec.structs.replace(alarm, end_ns=NOW_NS + 3 * 10**9)


@asynccontextmanager
async def told(alarms: Alarms, *, to: bool = True, confirmed_: bool = False) -> AsyncIterator[tuple[Served, Client]]:
    """The projection, and a client that is (or is not) a recipient of its notifications."""
    async with Client.open(0) as client:
        assert client.transport is not None
        port = client.transport.get_extra_info("sockname")[1]
        classes = ["high", "medium", "low"]
        one = {"address": f"127.0.0.1:{port}", "process": 77, "confirmed": confirmed_, "classes": classes}
        wanted = {"acknowledge": True, "recipients": [one] if to else []}
        async with served(FACTS, None, alarms, alarms=wanted) as it:
            client.server = ("127.0.0.1", it.server.port)
            yield it, client


async def state(it: Served, client: Client, point: str = VOLTAGE) -> tuple[bytes, bytes]:
    """Event_State and Status_Flags."""
    place = it.place(point)
    event = value_of(await client.call(confirmed(1, 12, read(*place, 36))))
    return event, value_of(await client.call(confirmed(1, 12, read(*place, 111))))


async def test_an_alarm_is_the_event_state_of_its_object_and_a_flag_every_subscriber_hears_of() -> None:
    alarms = Alarms()
    async with told(alarms, to=False) as (it, client):
        it.publish(VOLTAGE, 230.0)
        await client.call(confirmed(1, 5, subscribe(1, *it.place(VOLTAGE))))
        await client.drain()
        alarms.put(alarm_of(VOLTAGE))
        report = await client.receive()
        during = await state(it, client)
        alarms.put(ended(alarm_of(VOLTAGE)))
        await client.drain()
        after = await state(it, client)

    assert report.endswith(b"\x82\x04\x80\x2f\x4f")
    assert during == (b"\x91\x03", b"\x82\x04\x80")
    assert after == (b"\x91\x00", b"\x82\x04\x00")


async def test_a_value_below_its_limit_is_low_and_an_alarm_without_a_limit_is_offnormal() -> None:
    alarms = Alarms()
    async with told(alarms, to=False) as (it, client):
        it.publish(VOLTAGE, 200.0)
        alarms.put(alarm_of(VOLTAGE))
        alarms.put(alarm_of("m1.phase_loss_l1", id_=2, limit=None))
        low = await state(it, client)
        off = await state(it, client, "m1.phase_loss_l1")

    assert (low[0], off[0]) == (b"\x91\x04", b"\x91\x02")


# Defect 6: priorities and ackRequired of the transitions were swapped
@pytest.mark.parametrize(
    ("priority", "number", "off", "normal", "must_ack"),
    [(255, 1, 96, 160, True), (130, 2, 128, 200, True), (70, 3, 192, 224, False)],
)
async def test_a_transition_is_told_with_the_priority_and_the_ack_of_its_class(
    priority: int, number: int, off: int, normal: int, must_ack: bool
) -> None:
    alarms = Alarms()
    async with told(alarms) as (it, client):
        it.publish(VOLTAGE, 230.0)
        alarms.put(alarm_of(VOLTAGE, priority))
        begin = await client.receive()
        alarms.put(ended(alarm_of(VOLTAGE, priority)))
        end = await client.receive()

    head = b"\x10\x03" + tagged(0, 77) + b"\x1c" + object_id(8, DEVICE_ID) + b"\x2c" + object_id(*it.place(VOLTAGE))
    assert begin.startswith(head)
    assert tagged(4, number) + tagged(5, off) + b"\x69\x05" in begin
    # notify type alarm, ack required, from normal, to high-limit
    assert b"\x89\x00\x99" + bytes((must_ack,)) + b"\xa9\x00\xb9\x03" in begin
    assert b"Voltage too high" in begin
    assert tagged(4, number) + tagged(5, normal) in end
    assert b"\x89\x00\x99\x00\xa9\x03\xb9\x00" in end


@pytest.mark.slow
async def test_a_confirmed_notification_is_repeated_until_it_is_acknowledged() -> None:
    alarms = Alarms()
    async with told(alarms, confirmed_=True) as (it, client):
        alarms.put(alarm_of(VOLTAGE))
        first, again = await client.receive(), await client.receive(6)
        client.send(b"\x81\x0a\x00\x09\x01\x00\x20" + bytes((again[2], CONFIRMED)))
        quiet = await client.receive(4)

    assert (first[0] >> 4, first[3], first[2:]) == (0, CONFIRMED, again[2:])
    assert quiet == b""
    assert it.counters["events_unanswered"] == 0


async def test_what_was_there_before_the_worker_is_shown_and_not_told_again() -> None:
    alarms = Alarms()
    alarms.put(alarm_of(VOLTAGE))
    async with told(alarms) as (it, client):
        nothing = await client.receive(0.2)
        event, _ = await state(it, client)

    assert nothing == b""
    assert event != b"\x91\x00"


async def test_a_silent_meter_is_a_fault_of_its_first_measurement_told_as_such() -> None:
    alarms = Alarms()
    async with told(alarms) as (it, client):
        it.publish("m2.voltage_l1", 231.0, Quality.COMM_LOST)
        silent = alarm_of("m2", limit=None, name="communication_loss")
        alarms.put(silent)
        begin = await client.receive()
        event, _ = await state(it, client, "m2.voltage_l1")
        alarms.put(ended(silent))
        end = await client.receive()
        alarms.put(alarm_of("m2", id_=2, limit=None, name="identity_changed"))
        await client.receive()
        changed, _ = await state(it, client, "m2.voltage_l1")

    assert event == b"\x91\x01"
    # change-of-reliability, from normal, to fault, communication-failure
    assert b"\x69\x13" in begin
    assert b"\xa9\x00\xb9\x01\xce\xfe\x13\x09\x0c" in begin
    assert b"\xa9\x01\xb9\x00" in end
    assert changed == b"\x91\x02"


@asynccontextmanager
async def rusty(it: Served) -> AsyncIterator[tuple[BACnetClient, str]]:
    client = BACnetClient(interface="127.0.0.1", port=spare_ports(1), broadcast_address="127.255.255.255")
    async with client:
        yield client, f"127.0.0.1:{it.server.port}"


def oid(it: Served, point: str) -> ObjectIdentifier:
    kind, instance = it.place(point)
    return ObjectIdentifier(ObjectType.from_raw(kind), instance)


REPORTING = dataclasses.replace(
    FACTS,
    watched={
        INDEX[VOLTAGE]: Watched(200, 253.0, 207.0, 3.0, (), 10.0, 2.5),
        INDEX["m1.phase_loss_l1"]: Watched(130, states=(1,)),
        INDEX["m1.energy_direction"]: Watched(10, states=(1,)),
    },
    lossy={"m1": 160, "m2": 160},
)


# Defect 6: Event_Enable, limits and acknowledgements of the points were not what the alarms are
async def test_objects_that_are_watched_have_the_limits_delays_and_states_of_the_alarm_service() -> None:
    async with served(REPORTING) as it, Client.open(it.server.port) as client:

        async def shown(point: str, *properties: int) -> list[bytes]:
            place = it.place(point)
            return [value_of(await client.call(confirmed(1, 12, read(*place, prop)))) for prop in properties]

        # class, high and low limit, dead band, limit enable, delays, notify type, event enable, detection
        analog = await shown(VOLTAGE, 17, 45, 59, 25, 52, 113, 356, 72, 35, 353)
        binary = await shown("m1.phase_loss_l1", 17, 6, 35)
        states = await shown("m1.energy_direction", 17, 7)
        bearer = await shown("m2.voltage_l1", 17, 52, 35)
        nothing = await client.call(confirmed(1, 12, read(*it.place("m1.voltage_l2"), 17)))

    reals = [b"\x44" + struct.pack(">f", value) for value in (253.0, 207.0, 3.0)]
    assert analog == [
        b"\x21\x01",
        *reals,
        b"\x82\x06\xc0",
        b"\x21\x0a",
        b"\x21\x03",
        b"\x91\x00",
        b"\x82\x05\xe0",
        b"\x11",
    ]
    assert binary == [b"\x21\x02", b"\x91\x01", b"\x82\x05\xa0"]
    assert states == [b"\x21\x03", b"\x21\x02"]
    assert bearer == [b"\x21\x02", b"\x82\x06\x00", b"\x82\x05\xe0"]
    assert nothing[3:] == b"\x91\x02\x91\x20"


@pytest.mark.parametrize("slow", [False, True])
async def test_what_waits_for_an_acknowledgement_and_since_when_stands_in_the_object(slow: bool) -> None:
    alarms = Alarms()
    async with served(REPORTING, None, alarms) as it, Client.open(it.server.port) as client:
        await it.slow(slow)
        it.publish(VOLTAGE, 260.0)

        async def shown(*properties: int) -> list[bytes]:
            place = it.place(VOLTAGE)
            return [value_of(await client.call(confirmed(1, 12, read(*place, prop)))) for prop in properties]

        before = await shown(36, 0, 130)
        alarms.put(alarm_of(VOLTAGE))
        during = await shown(36, 0, 130)
        listed = await client.call(confirmed(1, 29, b""))
        alarms.put(ended(alarm_of(VOLTAGE)))
        after = await shown(36, 0, 130)
        seen = msgspec.structs.replace(ended(alarm_of(VOLTAGE)), acknowledged_ns=NOW_NS)
        alarms.put(seen)
        quiet = await shown(36, 0, 130)

    never, start, end = (wire.time_stamps([at_ns]) for at_ns in (0, NOW_NS, NOW_NS + 3 * 10**9))
    assert before == [b"\x91\x00", b"\x82\x05\xe0", never * 3]
    assert during == [b"\x91\x03", b"\x82\x05\x60", start + never * 2]
    # GetEventInformation says the same: state, acknowledged transitions, time stamps
    assert b"\x19\x03\x2a\x05\x60\x3e" + start + never * 2 + b"\x3f" in listed
    assert after == [b"\x91\x00", b"\x82\x05\x60", start + never + end]
    assert quiet == [b"\x91\x00", b"\x82\x05\xe0", start + never + end]


# clause 13.2.2
async def test_a_watched_object_is_in_fault_while_its_value_is_unreliable() -> None:
    alarms = Alarms()
    async with served(REPORTING, None, alarms) as it, Client.open(it.server.port) as client:
        it.publish(VOLTAGE, 260.0)
        alarms.put(alarm_of(VOLTAGE))
        it.publish(VOLTAGE, 260.0, Quality.COMM_LOST)
        lost = await state(it, client)
        listed = await client.call(confirmed(1, 29, b""))
        it.publish("m1.voltage_l2", 260.0, Quality.COMM_LOST)
        plain = await state(it, client, "m1.voltage_l2")
        it.publish(VOLTAGE, 261.0)
        back = await state(it, client)
        alarms.put(ended(alarm_of(VOLTAGE)))
        normal = await state(it, client)

    assert lost == (b"\x91\x01", b"\x82\x04\xc0")
    assert b"\x0c" + object_id(*it.place(VOLTAGE)) + b"\x19\x01" in listed
    assert plain == (b"\x91\x00", b"\x82\x04\x40")
    assert back == (b"\x91\x03", b"\x82\x04\x80")
    assert normal == (b"\x91\x00", b"\x82\x04\x00")


# Defect 5: GetEventInformation and AcknowledgeAlarm were not served
async def test_another_makers_client_sees_the_alarm_and_acknowledges_it() -> None:
    #
    alarms = Alarms()
    async with told(alarms) as (it, client), rusty(it) as (other, address):
        it.publish(VOLTAGE, 230.0)
        alarms.put(alarm_of(VOLTAGE))
        await client.receive()
        (row,) = await other.get_alarm_summary(address)
        local = datetime.fromtimestamp(NOW_NS // 10**9, UTC).astimezone()
        date = (local.year, local.month, local.day, local.isoweekday())
        hundredths = NOW_NS % 10**9 // 10**7
        stamp = BACnetTimeStamp.date_time(date, (local.hour, local.minute, local.second, hundredths))
        high, now = EventState.HIGH_LIMIT, BACnetTimeStamp.sequence_number(1)
        await other.acknowledge_alarm_request(address, 9, oid(it, VOLTAGE), high, stamp, "operator", now)
        note = await client.receive()
        after = await other.get_event_information(address)
        alarms.put(msgspec.structs.replace(alarms.kept[1], end_ns=NOW_NS + 9 * 10**9))
        gone = await other.get_event_information(address)

    assert row["object_id"] == oid(it, VOLTAGE)
    assert row["alarm_state"] == EventState.HIGH_LIMIT
    assert [origin.user for _, origin in alarms.asked] == ["operator"]
    # notify type ack-notification, to-state high-limit
    assert b"\x89\x02\xb9\x03" in note
    # all transitions acknowledged; nothing listed
    assert b"\x19\x03\x2a\x05\xe0" in after
    assert gone == b"\x0e\x0f\x19\x00"


async def test_an_alarm_that_ended_unacknowledged_is_still_listed_as_normal() -> None:
    alarms = Alarms()
    async with told(alarms, to=False) as (it, client):
        alarms.put(alarm_of(VOLTAGE))
        alarms.put(ended(alarm_of(VOLTAGE)))
        reply = await client.call(confirmed(1, 29, b""))
        summary = await client.call(confirmed(1, 3, b""))

    # object, normal, acknowledged transitions 011
    assert b"\x0c" + object_id(*it.place(VOLTAGE)) + b"\x19\x00\x2a\x05\x60" in reply
    assert summary == b"\x30\x01\x03"


async def test_many_alarms_come_in_pages() -> None:
    alarms = Alarms()
    async with told(alarms, to=False) as (it, client):
        for number, point in enumerate(FACTS.points[:20]):
            alarms.put(alarm_of(point.id, id_=number + 1, limit=None))
        first = await client.call(confirmed(1, 29, b""))
        last = object_id(*it.place(FACTS.points[14].id))
        second = await client.call(confirmed(1, 29, b"\x0c" + last))

    assert (first[-1], second[-1]) == (1, 0)
    assert first[-2:-1] == second[-2:-1] == b"\x19"
    assert object_id(*it.place(FACTS.points[15].id)) in second


@pytest.mark.parametrize(
    ("outcome", "event_state", "second", "error"),
    [
        (Outcome.REFUSED_BY_POLICY, OFFNORMAL, 0, b"\x91\x05\x91\x1d"),
        (Outcome.DONE, HIGH_LIMIT, 0, b"\x91\x05\x91\x49"),
        (Outcome.DONE, OFFNORMAL, 1, b"\x91\x05\x91\x0e"),
    ],
)
# BARS S1
async def test_an_acknowledgement_that_is_wrong_or_not_permitted_is_refused(
    outcome: Outcome, event_state: int, second: int, error: bytes
) -> None:
    alarms = Alarms(outcome)
    async with told(alarms, to=False) as (it, client):
        alarms.put(alarm_of(VOLTAGE, limit=None))
        reply = await client.call(confirmed(1, 29, b""))
        at = reply.index(b"\x2e\xa4")
        stamp = bytearray(reply[at : at + 12])
        stamp[9] = (stamp[9] + second) % 60
        body = tagged(0, 1) + b"\x1c" + object_id(*it.place(VOLTAGE)) + tagged(2, event_state)
        body += b"\x3e" + bytes(stamp) + b"\x3f\x4b\x00op\x5e\x19\x01\x5f"

        refused = await client.call(confirmed(1, 0, body))

    assert refused[3:] == error
    assert not alarms.kept[1].acknowledged


async def test_a_recipient_that_never_answers_holds_up_nobody() -> None:
    alarms = Alarms()
    async with told(alarms, confirmed_=True) as (it, client):
        for number in range(100):
            alarms.put(alarm_of(FACTS.points[number % 20].id, id_=number + 1, limit=None))
        await asyncio.sleep(0.2)
        client.forget()
        async with Client.open(it.server.port) as other:
            alive = await other.call(confirmed(1, 12, read(8, DEVICE_ID, 75)))

    assert alive[0] == 0x30
    assert it.counters["events_lost"] == 100 - 64
