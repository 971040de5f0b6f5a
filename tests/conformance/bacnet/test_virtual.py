"""Layout device-per-meter: a router, and behind it one device for every meter"""

import pytest

from bridge.core.errors import ProjectionError
from bridge.core.quality import Quality
from tests.support.bacnet_client import (
    Client,
    collect,
    confirmed,
    object_id,
    read,
    read_many,
    subscribe,
    unicast,
    value_of,
)
from tests.support.bacnet_site import DEVICE_ID, Served, asked, plan_of, site

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
FACTS = site(5)
NETWORKS = {"number": 2000, "virtual_number": 2001}
LAYOUT = {"layout": "device-per-meter", "network": NETWORKS}


def route(it: Served, device: str) -> bytes:
    """DNET, DLEN, DADR of a meter's device."""
    view = next(view for view in it.plan.views if view.device == device)
    return (2001).to_bytes(2, "big") + b"\x03" + view.mac.to_bytes(3, "big")


def instance(it: Served, device: str) -> int:
    return next(view.instance for view in it.plan.views if view.device == device)


async def ask(it: Served, client: Client, device: str, body: bytes, service: int = 12) -> bytes:
    return await client.call(confirmed(1, service, body, route=route(it, device)))


async def test_every_meter_is_a_device_of_its_own_with_its_points_and_no_others() -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        for device in ("m1", "m5"):
            number = instance(it, device)
            octets = value_of(await ask(it, client, device, read(8, number, 76)))
            name = value_of(await ask(it, client, device, read(8, number, 77)))
            listed = {octets[k : k + 4] for k in range(1, len(octets), 5)}
            own = {object_id(*it.place(p.id)) for p in FACTS.points if p.device == device}

            assert name.endswith(device.encode())
            assert listed == own | {object_id(8, number), object_id(56, 1)} | {object_id(15, n) for n in (1, 2, 3)}


@pytest.mark.parametrize("slow", [False, True])
async def test_a_routed_read_gets_the_meters_value_from_the_model_and_from_the_stack(slow: bool) -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        it.publish("m3.voltage_l1", 100.0)
        await it.slow(slow)
        one = await ask(it, client, "m3", read(*it.place("m3.voltage_l1"), 85))
        many = await ask(it, client, "m3", read_many(*it.place("m3.voltage_l1"), 85, 111), 14)
        foreign = await ask(it, client, "m2", read(*it.place("m3.voltage_l1"), 85))

    assert value_of(one) == b"\x44\x42\xc8\x00\x00"
    assert b"\x44\x42\xc8\x00\x00\x4f\x29\x6f\x4e\x82\x04\x00" in many
    assert foreign[0] >> 4 == 5


async def test_a_global_who_is_finds_the_router_and_every_meter() -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        # DNET 65535, DLEN 0, hop count 255
        client.send(unicast(b"\x01\x20\xff\xff\x00\xff\x10\x08"))
        found = [apdu for apdu in await client.drain(0.3) if apdu[:2] == b"\x10\x00"]

    numbers = {int.from_bytes(apdu[3:7], "big") & 0x3FFFFF for apdu in found}
    assert numbers == {DEVICE_ID} | {instance(it, f"m{n}") for n in range(1, 6)}


def composed(it: Served) -> set[str]:
    """Meters whose device is there."""
    assert it.server.stack is not None
    numbers = {app.device_object.objectIdentifier[1] for app in it.server.stack.devices}
    return {view.device for view in it.plan.views if view.instance in numbers}


async def test_a_meters_device_is_composed_when_it_is_asked_for_and_not_before() -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        client.send(unicast(b"\x01\x20\xff\xff\x00\xff\x10\x08"))
        await client.drain(0.3)
        at_first = composed(it)
        await ask(it, client, "m3", read(*it.place("m3.voltage_l1"), 85))
        nobody = await client.call(confirmed(1, 12, read(8, 1, 75), route=b"\x07\xd1\x03\xff\xff\xff"), 0.3)

        assert (at_first, composed(it), nobody) == (set(), {"m3"}, b"")


async def test_an_i_am_from_the_plan_is_that_of_the_composed_device() -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        number = instance(it, "m2").to_bytes(2, "big")
        who_is = unicast(b"\x01\x20\xff\xff\x00\xff\x10\x08\x0a" + number + b"\x1a" + number)
        before = await client.call_raw(who_is)
        assert composed(it) == set()
        await ask(it, client, "m2", read(8, instance(it, "m2"), 75))
        after = await client.call_raw(who_is)

    assert before == after


@pytest.mark.parametrize("wanted", [b"\x3d\x0e\x00m4.voltage_l1", b"\x3b\x00m4", b"\x2c"])
async def test_who_has_finds_an_object_of_a_device_that_nobody_has_asked_for_yet(wanted: bytes) -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        place = (8, instance(it, "m4")) if b"volt" not in wanted and wanted != b"\x2c" else it.place("m4.voltage_l1")
        body = wanted + object_id(*place) if wanted == b"\x2c" else wanted
        client.send(unicast(b"\x01\x20\xff\xff\x00\xff\x10\x07" + body))
        found = await client.drain(0.3)

        assert composed(it) == {"m4"}
    assert [apdu[:2] for apdu in found] == [b"\x10\x01"]
    assert object_id(*place) in found[0]


async def test_who_has_an_object_of_every_device_finds_all() -> None:
    async with asked(FACTS, **LAYOUT) as (_, client):
        client.send(unicast(b"\x01\x20\xff\xff\x00\xff\x10\x07\x2c" + object_id(15, 1)))
        found = await client.drain(0.5)

    assert len(found) == 6


async def test_another_device_with_a_meters_number_is_noticed() -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        i_am = b"\xc4" + object_id(8, instance(it, "m5")) + b"\x22\x05\xc4\x91\x03\x21\x05"
        client.send(unicast(b"\x01\x20\xff\xff\x00\xff\x10\x00" + i_am))
        await client.drain(0.2)

    assert it.counters["device_id_conflicts"] == 1


@pytest.mark.parametrize("octets", [b"\x10\x08\x0a", b"\x10\x07", b"\x10\x07\x2c\x00", b"\x10\x00\xc4", b"\x10"])
async def test_half_a_broadcast_composes_nothing_wrong(octets: bytes) -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        client.send(unicast(b"\x01\x20\xff\xff\x00\xff" + octets))
        await client.drain(0.1)
        alive = await ask(it, client, "m1", read(*it.place("m1.voltage_l1"), 85))

    assert alive[0] == 0x30


async def test_a_subscription_to_a_meter_is_acknowledged_before_it_is_reported() -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        place = it.place("m2.voltage_l1")
        client.send(confirmed(1, 5, subscribe(1, *place), route=route(it, "m2")))
        order = [await client.receive(), await client.receive()]
        it.publish("m2.voltage_l1", 5.0, Quality.COMM_LOST)
        report = await client.receive()

    assert [apdu[0] >> 4 for apdu in order] == [2, 1]
    assert object_id(8, instance(it, "m2")) in report
    assert report.endswith(b"\x82\x04\x40\x2f\x4f")


async def test_a_meters_long_reply_comes_in_segments_through_the_router() -> None:
    facts = site(2, analogs=300)
    async with asked(facts, **LAYOUT) as (it, client):
        number = instance(it, "m2")
        request = confirmed(1, 12, read(8, number, 76), limit=206, route=route(it, "m2"))
        mac = route(it, "m2")

        def acknowledge(invoke_id: int, sequence: int, window: int, *, negative: bool = False) -> None:
            apdu = bytes((0x42 if negative else 0x40, invoke_id, sequence, window))
            client.send(unicast(b"\x01\x20" + mac + b"\xff" + apdu))

        client.acknowledge = acknowledge  # type: ignore[method-assign]
        got = await collect(client, request, 1)

    assert max(got.sizes) <= 206
    assert (len(got.body) - 9) // 5 == len([p for p in facts.points if p.device == "m2"]) + 5


async def test_who_is_router_names_the_network_of_the_meters() -> None:
    async with asked(FACTS, **LAYOUT) as (_, client):
        client.send(unicast(b"\x01\x80\x00\x07\xd1"))
        raw = await client.raw.get()

    assert raw[4:] == b"\x01\x80\x01\x07\xd1"


async def test_a_dead_meter_makes_its_device_non_operational() -> None:
    async with asked(FACTS, **LAYOUT) as (it, client):
        number = instance(it, "m4")
        before = value_of(await ask(it, client, "m4", read(8, number, 112)))
        for point in FACTS.points:
            if point.device == "m4":
                it.publish(point.id, it.store.get(point.index).value or 0, Quality.COMM_LOST)
        after = value_of(await ask(it, client, "m4", read(8, number, 112)))
        other = value_of(await ask(it, client, "m5", read(8, instance(it, "m5"), 112)))

    assert (before, after, other) == (b"\x91\x00", b"\x91\x04", b"\x91\x00")


async def test_one_meter_is_silenced_and_the_others_go_on() -> None:
    password = b"\x2d\x06\x00s3cre"
    async with asked(FACTS, **LAYOUT, password="s3cre") as (it, client):
        off = await ask(it, client, "m2", b"\x09\x01\x19\x01" + password, 17)
        client.forget()
        client.send(confirmed(1, 12, read(*it.place("m2.voltage_l1"), 85), route=route(it, "m2")))
        silent = await client.receive(0.4)
        other = await ask(it, client, "m3", read(*it.place("m3.voltage_l1"), 85))

    assert (off[0] >> 4, silent, other[0] >> 4) == (2, b"", 3)


def test_two_network_numbers_are_needed() -> None:
    with pytest.raises(ProjectionError, match="network numbers"):
        plan_of(FACTS, layout="device-per-meter")
