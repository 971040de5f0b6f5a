"""Nothing can be written out of the box; what may be goes to the meter, and the reply tells what became of it"""

import dataclasses
import struct

import pytest

from bridge.core.alarm import Watched
from bridge.core.command import Outcome
from bridge.projections.bacnet.stack.transactions import CHANGING
from tests.support.bacnet_client import Client, confirmed, object_id, read, value_of, write, write_many
from tests.support.bacnet_site import DEVICE_ID, Served, asked, site

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PLAIN = site(1)
FACTS = dataclasses.replace(PLAIN, watched={point.index: Watched(200, 250.0) for point in PLAIN.points})
SIMPLE_ACK, ERROR = 2, 5
ACCESS_DENIED, OUT_OF_RANGE, WRONG_TYPE = b"\x91\x02\x91\x28", b"\x91\x02\x91\x25", b"\x91\x02\x91\x09"
NULL, ACTIVE = b"\x00", b"\x91\x01"
THRESHOLD, RESET, INTERVAL = "m1.overload_threshold", "m1.reset_demand_peak", "m1.demand_interval"


def real(value: float) -> bytes:
    return struct.pack(">Bf", 0x44, value)


async def written(it: Served, client: Client, point: str, value: bytes, priority: int | None = None) -> bytes:
    return await client.call(confirmed(1, 15, write(*it.place(point), 85, value, priority)))


# BARS S1, defect 1: every property tried was remotely writable
async def test_no_property_of_any_object_can_be_written_out_of_the_box() -> None:
    async with asked(FACTS) as (it, client):
        targets = [it.place(point.id) for point in FACTS.points] + [(8, DEVICE_ID), (56, 1), (29, 1)]
        kinds = {kind: instance for kind, instance in reversed(targets)}
        for kind, instance in kinds.items():
            for prop in (85, 77, 28, 81, 22, 117, 121, 65, 104, 76, 110, 45, 59, 52, 35, 17, 0, 113, 353):
                for value in (real(5.0), ACTIVE, b"\x21\x01", b"\x72\x00x", NULL):
                    reply = await client.call(confirmed(1, 15, write(kind, instance, prop, value, 8)))
                    assert reply[0] >> 4 == ERROR, (kind, prop)
                    assert reply[3:] in (ACCESS_DENIED, b"\x91\x02\x91\x20"), (kind, prop)
        for point in FACTS.points:
            reply = await client.call(confirmed(1, 16, write_many(*it.place(point.id), 85, NULL)))
            assert reply[0] >> 4 == ERROR
        unchanged = [it.store.get(point.index).seq for point in FACTS.points]

    assert it.meters.seen == []
    assert set(unchanged) == {1}
    assert it.counters["writes_refused"] == len(it.refusals.seen) > 500


@pytest.mark.parametrize("service", [7, 8, 9, 10, 11, 6, 27, 1, 2, 18])
# BARS S1: file, object and list services
async def test_services_that_change_something_are_not_known(service: int) -> None:
    async with asked(FACTS) as (it, client):
        reply = await client.call(confirmed(1, service, b"\x0c\x00\x00\x00\x01"))

    assert reply[0] >> 4 == 6
    assert len(it.refusals.seen) == (service in CHANGING)


async def test_what_the_core_refuses_the_core_records() -> None:
    async with asked(FACTS, writable=True) as (it, client):
        it.meters.outcome = Outcome.REFUSED_BY_POLICY
        await written(it, client, THRESHOLD, real(95.0))
        await written(it, client, THRESHOLD, real(500.0))

    assert [(target, reason) for _, target, reason in it.refusals.seen] == [(THRESHOLD, "valueOutOfRange")]
    assert it.counters["writes_refused"] == 2


async def test_a_setting_reaches_the_meter_and_shows_its_value_when_it_does() -> None:
    async with asked(FACTS, writable=True) as (it, client):
        ack = await written(it, client, THRESHOLD, real(95.0), 8)
        value = value_of(await client.call(confirmed(1, 12, read(*it.place(THRESHOLD), 85))))
        slot = value_of(await client.call(confirmed(1, 12, read(*it.place(THRESHOLD), 87, 8))))
        rank = value_of(await client.call(confirmed(1, 12, read(*it.place(THRESHOLD), 431))))

    assert ack[0] >> 4 == SIMPLE_ACK
    assert (value, slot, rank) == (real(95.0), real(95.0), b"\x21\x08")
    assert [(c.value, c.origin.protocol) for c in it.meters.seen] == [(95.0, "bacnet")]


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome.REFUSED_BY_POLICY, ACCESS_DENIED),
        (Outcome.NOT_WRITABLE, ACCESS_DENIED),
        (Outcome.OUT_OF_RANGE, OUT_OF_RANGE),
        (Outcome.BUSY, b"\x91\x00\x91\x03"),
        (Outcome.TIMED_OUT, b"\x91\x00\x91\x1e"),
        (Outcome.DEVICE_REFUSED, b"\x91\x00\x91\x19"),
    ],
)
async def test_the_reply_tells_what_became_of_a_command(outcome: Outcome, error: bytes) -> None:
    async with asked(FACTS, writable=True) as (it, client):
        it.meters.outcome = outcome

        reply = await written(it, client, THRESHOLD, real(95.0))
        slots = value_of(await client.call(confirmed(1, 12, read(*it.place(THRESHOLD), 87))))

    assert reply[3:] == error
    assert slots == NULL * 16


# Defect 12: 5 into a binary output was taken
@pytest.mark.parametrize(
    ("point", "value", "error"),
    [
        (RESET, b"\x91\x05", OUT_OF_RANGE),
        (RESET, real(1.0), WRONG_TYPE),
        (RESET, b"\x21\x01", WRONG_TYPE),
        (INTERVAL, b"\x91\x01", WRONG_TYPE),
        (THRESHOLD, real(121.0), OUT_OF_RANGE),
        (THRESHOLD, real(79.9), OUT_OF_RANGE),
        (THRESHOLD, struct.pack(">Bf", 0x44, float("nan")), OUT_OF_RANGE),
        (THRESHOLD, b"\x21\x05", WRONG_TYPE),
        (INTERVAL, b"\x21\x00", OUT_OF_RANGE),
        (INTERVAL, b"\x21\x03", OUT_OF_RANGE),
        (INTERVAL, NULL, WRONG_TYPE),
        ("m1.voltage_l1", real(1.0), ACCESS_DENIED),
        ("m1.active_energy_import", b"\x21\x05", ACCESS_DENIED),
    ],
)
async def test_a_value_the_object_cannot_hold_never_reaches_the_meter(point: str, value: bytes, error: bytes) -> None:
    async with asked(FACTS, writable=True) as (it, client):
        reply = await written(it, client, point, value)

    assert reply[3:] == error
    assert it.meters.seen == []


async def test_state_numbers_become_the_meters_own_codes() -> None:
    async with asked(FACTS, writable=True) as (it, client):
        ack = await written(it, client, INTERVAL, b"\x21\x02")

    assert ack[0] >> 4 == SIMPLE_ACK
    assert [c.value for c in it.meters.seen] == [15]


async def test_a_lower_priority_waits_and_null_relinquishes() -> None:
    async with asked(FACTS, writable=True) as (it, client):
        await written(it, client, THRESHOLD, real(110.0), 8)
        await written(it, client, THRESHOLD, real(90.0), 12)
        before = [c.value for c in it.meters.seen]
        await written(it, client, THRESHOLD, NULL, 8)
        after = [c.value for c in it.meters.seen]
        await written(it, client, THRESHOLD, NULL, 12)
        value = value_of(await client.call(confirmed(1, 12, read(*it.place(THRESHOLD), 85))))

    assert (before, after) == ([110.0], [110.0, 90.0])
    # nothing is commanded any more: the meter keeps what it has
    assert value == real(90.0)
    assert len(it.meters.seen) == 2


@pytest.mark.parametrize(
    ("priority", "error"), [(6, ACCESS_DENIED), (0, b"\x91\x05\x91\x50"), (17, b"\x91\x05\x91\x50")]
)
async def test_a_priority_that_is_none_is_refused(priority: int, error: bytes) -> None:
    async with asked(FACTS, writable=True) as (it, client):
        reply = await written(it, client, THRESHOLD, real(95.0), priority)

    assert reply[3:] == error
    assert it.meters.seen == []


async def test_a_multiple_write_names_the_first_that_failed() -> None:
    async with asked(FACTS, writable=True) as (it, client):
        good = write_many(*it.place(THRESHOLD), 85, real(95.0))
        bad = write_many(*it.place("m1.voltage_l1"), 85, real(95.0))

        reply = await client.call(confirmed(1, 16, good + bad + good))

    assert reply[:3] == b"\x50\x01\x10"
    assert object_id(*it.place("m1.voltage_l1")) in reply
    assert len(it.meters.seen) == 1
