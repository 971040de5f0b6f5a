"""Change of value on the wire: acknowledged, reported, capped; a dead meter at once"""

import pytest

from bridge.core.quality import Quality
from bridge.host.image import PointImage
from bridge.link.wire import Definitions, Snapshot
from tests.support.bacnet_client import Client, confirmed, object_id, read, subscribe, subscribe_property, value_of
from tests.support.bacnet_site import DEVICE_ID, asked, indexes_of, served, site
from tests.support.modbus_site import store_of

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
FACTS = site(1)
SIMPLE_ACK, ERROR = 2, 5
VOLTAGE = "m1.voltage_l1"


async def test_a_subscription_is_acknowledged_then_reported_until_it_is_cancelled() -> None:
    async with asked(FACTS) as (it, client):
        place = it.place(VOLTAGE)
        ack = await client.call(confirmed(9, 5, subscribe(1, *place)))
        first = await client.receive()
        it.publish(VOLTAGE, 321.0, Quality.COMM_LOST)
        second = await client.receive()
        cancelled = await client.call(confirmed(10, 5, subscribe(1, *place, is_confirmed=None, lifetime_s=None)))
        it.publish(VOLTAGE, 2.0)

        assert (ack[0] >> 4, cancelled[0] >> 4) == (SIMPLE_ACK, SIMPLE_ACK)
        assert first[:2] == b"\x10\x02"
        assert second.endswith(b"\x82\x04\x40\x2f\x4f")
        assert await client.receive(0.3) == b""


# Defect 7: no object of local.multistate could be subscribed to, and none without a lifetime
@pytest.mark.parametrize(
    "point", ["m1.energy_direction", "m1.phase_loss_l1", "m1.active_energy_import", "m1.serial_number", VOLTAGE]
)
async def test_every_type_can_be_subscribed_to_without_a_lifetime(point: str) -> None:
    async with asked(FACTS) as (it, client):
        ack = await client.call(confirmed(9, 5, subscribe(1, *it.place(point), lifetime_s=None)))
        report = await client.receive()

    assert ack[0] >> 4 == SIMPLE_ACK
    assert b"\x39\x00\x4e" in report


async def test_confirmed_notifications_are_repeated_until_acknowledged() -> None:
    async with asked(FACTS, cov={"timeout_s": 0.4}) as (it, client):
        await client.call(confirmed(9, 5, subscribe(2, *it.place(VOLTAGE), is_confirmed=True, lifetime_s=0)))
        first, again = await client.receive(), await client.receive(2)
        client.send(b"\x81\x0a\x00\x09\x01\x00\x20" + bytes((first[2], 1)))
        await client.drain()

        assert first == again
        assert first[0] == 0
        assert await client.receive(1.2) == b""


# Defect 14
async def test_the_seventeenth_subscription_of_a_peer_is_refused() -> None:
    async with asked(FACTS) as (it, client):
        kinds = []
        for k in range(17):
            client.send(confirmed(k, 5, subscribe(k + 1, *it.place(VOLTAGE))))
            replies = [await client.receive(), *await client.drain(0.05)]
            kinds.append(next(r for r in replies if r[0] >> 4 in (SIMPLE_ACK, ERROR)))

    assert [k[0] >> 4 for k in kinds] == [SIMPLE_ACK] * 16 + [ERROR]
    assert kinds[-1][3:] == b"\x91\x03\x91\x13"


async def test_wrong_subscriptions_get_the_error_of_the_standard() -> None:
    async with asked(FACTS) as (it, client):
        place = it.place(VOLTAGE)
        absent = await client.call(confirmed(1, 5, subscribe(1, 0, 4000)))
        too_long = await client.call(confirmed(1, 5, subscribe(1, *place, lifetime_s=90_000)))
        no_such = await client.call(confirmed(1, 28, subscribe_property(1, *place, 84)))
        device = await client.call(confirmed(1, 5, subscribe(1, 8, DEVICE_ID)))

    assert absent[3:] == b"\x91\x01\x91\x1f"
    assert too_long[3:] == b"\x91\x05\x91\x25"
    assert no_such[3:] == b"\x91\x02\x91\x20"
    assert device[3:] == b"\x91\x05\x91\x2d"


# Defect 5: SubscribeCOVProperty was not served
async def test_a_property_is_subscribed_to_with_an_increment_of_its_own() -> None:
    async with asked(FACTS) as (it, client):
        place = it.place(VOLTAGE)
        it.publish(VOLTAGE, 100.0)
        await client.call(confirmed(1, 28, subscribe_property(1, *place, 85, 10.0)))
        await client.receive()
        it.publish(VOLTAGE, 109.0)
        within = await client.receive(0.2)
        it.publish(VOLTAGE, 110.0)
        beyond = await client.receive()

    assert within == b""
    assert b"\x44\x42\xdc\x00\x00" in beyond


# Defect 2
async def test_every_subscriber_hears_of_a_dead_meter_at_once() -> None:
    points = ["m1.voltage_l1", "m1.active_energy_import", "m1.phase_loss_l1", "m1.energy_direction", "m1.serial_number"]
    async with asked(FACTS) as (it, client):
        for number, point in enumerate(points):
            await client.call(confirmed(1, 5, subscribe(number, *it.place(point))))
        await client.drain()
        lost = [(i, it.store.get(i)) for i in indexes_of(FACTS, "m1")]
        dead = Quality.COMM_LOST | Quality.STALE
        it.store.publish([(i, type(s)(s.value, s.quality | dead, s.source_ns, s.seq)) for i, s in lost])
        reports = await client.drain()
        value = value_of(await client.call(confirmed(1, 12, read(*it.place(VOLTAGE), 85))))
        reliability = value_of(await client.call(confirmed(1, 12, read(*it.place(VOLTAGE), 103))))

    assert len(reports) == len(points)
    assert all(report.endswith(b"\x82\x04\x40\x2f\x4f") for report in reports)
    assert any(b"\x2e" + value + b"\x2f" in report for report in reports)
    assert reliability == b"\x91\x0c"


async def test_subscribers_hear_when_the_core_is_gone_and_when_it_is_back() -> None:
    image = PointImage()
    image.define(Definitions(0, list(FACTS.points), list(FACTS.devices)))
    store = store_of(FACTS)
    image.load(Snapshot(0, [(point.index, store.get(point.index)) for point in FACTS.points]))
    async with served(FACTS, image) as it, Client.open(it.server.port) as client:
        await client.call(confirmed(1, 5, subscribe(1, *it.place(VOLTAGE))))
        first = await client.receive()
        image.core_lost()
        gone = await client.receive()
        image.core_back()
        back = await client.receive()

    assert [apdu[-3:-2] for apdu in (first, gone, back)] == [b"\x00", b"\x40", b"\x00"]


async def test_the_device_lists_its_subscriptions() -> None:
    async with asked(FACTS) as (it, client):
        await client.call(confirmed(1, 5, subscribe(77, *it.place(VOLTAGE))))
        await client.drain()
        rows = value_of(await client.call(confirmed(1, 12, read(8, DEVICE_ID, 152))))

    assert b"\x19\x4d" in rows
    assert object_id(*it.place(VOLTAGE)) in rows
