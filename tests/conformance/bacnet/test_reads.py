"""The model answers what the stack answers, octet for octet, and leaves alone what it does not know."""

import dataclasses
from collections import Counter

import pytest

from bridge.core.alarm import Watched
from bridge.core.quality import Quality
from tests.support.bacnet_client import Client, confirmed, object_id, read, read_many, unconfirmed, value_of
from tests.support.bacnet_site import DEVICE_ID, Served, asked, site

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PLAIN = site(2)
# every object that can report events does
FACTS = dataclasses.replace(
    PLAIN,
    watched={point.index: Watched(200, 250.0, 200.5, 1.5, (1,), 10.0, 2.0) for point in PLAIN.points},
    lossy={device.id: 160 for device in PLAIN.devices},
)
# One point of every object type.
POINTS = (
    "m1.voltage_l1",
    "m1.active_energy_import",
    "m1.phase_loss_l1",
    "m1.energy_direction",
    "m1.reset_demand_peak",
    "m1.overload_threshold",
    "m1.serial_number",
    "m1.demand_peak_timestamp",
)
PROPERTIES = [p for p in [*range(220), 353, 355, 356, 371, 431] if p not in (8, 80, 105)]


async def replies(it: Served, client: Client, requests: list[bytes], slow: bool) -> list[bytes]:
    await it.slow(slow)
    return [await client.call_raw(request) for request in requests]


@pytest.mark.parametrize("point", POINTS)
async def test_every_property_reads_the_same_from_the_model_as_from_the_stack(point: str) -> None:
    async with asked(FACTS, writable=True) as (it, client):
        place = it.place(point)
        requests = [confirmed(7, 12, read(*place, p)) for p in PROPERTIES]
        requests += [confirmed(7, 14, read_many(*place, p, 85, 111)) for p in PROPERTIES]

        fast = await replies(it, client, requests, slow=False)
        slow = await replies(it, client, requests, slow=True)

    assert fast == slow


@pytest.mark.parametrize("point", POINTS)
async def test_reading_all_gives_the_same_set_as_the_stack(point: str) -> None:
    async with asked(FACTS) as (it, client):
        request = [confirmed(1, 14, read_many(*it.place(point), 8))]

        (fast,) = await replies(it, client, request, slow=False)
        (slow,) = await replies(it, client, request, slow=True)

    assert len(fast) == len(slow)
    assert sorted(fast) == sorted(slow)


# ALL, REQUIRED, OPTIONAL
@pytest.mark.parametrize("group", [8, 105, 80])
async def test_the_device_reads_the_same_from_the_model_as_from_the_stack(group: int) -> None:
    async with asked(FACTS) as (it, client):
        request = [confirmed(1, 14, read_many(8, DEVICE_ID, group))]

        (fast,) = await replies(it, client, request, slow=False)
        (slow,) = await replies(it, client, request, slow=True)

    differing = Counter(fast) - Counter(slow)
    assert len(fast) == len(slow)
    # the seconds and hundredths of Local_Time
    assert differing.total() <= 2


async def test_the_bvlc_length_is_the_datagram_length() -> None:
    async with asked(FACTS) as (it, client):
        for _ in range(2):
            reply = await client.call_raw(confirmed(1, 12, read(*it.place("m1.voltage_l1"), 117)))

            assert int.from_bytes(reply[2:4], "big") == len(reply)


async def test_a_poll_of_reals_equals_the_same_objects_read_one_by_one() -> None:
    async with asked(FACTS) as (it, client):
        it.publish("m1.voltage_l2", -7.5, Quality.COMM_LOST)
        places = [it.place(f"m{m}.{name}") for m in (1, 2) for name in ("voltage_l1", "voltage_l2", "current_l1")]

        together = await client.call(confirmed(1, 14, b"".join(read_many(*p, 85, 111) for p in places)))
        singly = [(await client.call(confirmed(1, 14, read_many(*p, 85, 111))))[3:] for p in places]

    assert together[3:] == b"".join(singly)


async def test_a_value_too_large_for_a_real_keeps_the_last_one_and_says_over_range() -> None:
    async with asked(FACTS) as (it, client):
        place = it.place("m1.voltage_l1")
        it.publish("m1.voltage_l1", 231.5)
        it.publish("m1.voltage_l1", 1e300)

        value = value_of(await client.call(confirmed(1, 12, read(*place, 85))))
        reliability = value_of(await client.call(confirmed(1, 12, read(*place, 103))))

    assert (value, reliability) == (b"\x44\x43\x67\x80\x00", b"\x91\x02")


@pytest.mark.parametrize(
    "body", [b"", b"\x0c\x00\x00", b"\x1c\x00\x00\x00\x01\x19\x55", b"\x0c\x00\x00\x00\x01", b"\xff" * 9]
)
# Defect 11: no Reject, and the invoke id blocked for 3 s
async def test_a_malformed_request_is_rejected_and_its_invoke_id_is_free(body: bytes) -> None:
    async with asked(FACTS) as (it, client):
        first = await client.call(confirmed(77, 12, body))
        second = await client.call(confirmed(77, 12, read(*it.place("m1.voltage_l1"), 85)))

    assert first[0] >> 4 == 6
    assert second[0] >> 4 == 3


# Defect 9: the wildcard instance is unknown-object
async def test_the_device_answers_to_the_wildcard_instance_and_says_its_own() -> None:
    async with asked(FACTS) as (_, client):
        one = await client.call(confirmed(1, 12, read(8, 4194303, 75)))
        many = await client.call(confirmed(1, 14, read_many(8, 4194303, 75)))

    assert one.count(object_id(8, DEVICE_ID)) == 2
    assert many.count(object_id(8, DEVICE_ID)) == 2


async def test_every_property_of_the_device_reads_the_same_from_the_model_as_from_the_stack() -> None:
    # without Local_Time
    requests = [confirmed(7, 12, read(8, DEVICE_ID, p)) for p in PROPERTIES if p != 57]
    async with asked(FACTS) as (it, client):
        fast = await replies(it, client, requests, slow=False)
        slow = await replies(it, client, requests, slow=True)

    assert fast == slow


async def test_a_request_for_more_than_there_is_room_for_is_refused_at_once() -> None:
    async with asked(site(20)) as (_, client):
        greedy = await client.call(confirmed(1, 14, read_many(8, DEVICE_ID, 8) * 100, limit=480))
        modest = await client.call(confirmed(2, 14, read_many(8, DEVICE_ID, 77)))

    assert greedy == b"\x50\x01\x0e\x91\x03\x91\x85"
    assert modest[0] == 0x30


async def test_who_has_by_name_finds_a_point_that_was_never_built() -> None:
    async with asked(FACTS) as (it, client):
        name = b"\x00m2.voltage_l1"

        client.send(unconfirmed(7, b"\x3d" + bytes((len(name),)) + name))
        reply = await client.receive()

    assert reply[:2] == b"\x10\x01"
    assert object_id(*it.place("m2.voltage_l1")) in reply


async def test_who_is_is_answered_to_the_asker_and_only_for_its_own_number() -> None:
    async with asked(FACTS) as (_, client):
        client.send(unconfirmed(8, b"\x0a\x03\xe9\x1a\x03\xe9"))
        found = await client.receive()
        client.send(unconfirmed(8, b"\x0a\x03\xea\x1a\x03\xff"))
        other = await client.receive(0.3)

    assert found[:7] == b"\x10\x00\xc4" + object_id(8, DEVICE_ID)
    assert other == b""
