"""The device is what it says: properties, bit strings, lists; see epics.py"""

import dataclasses

import pytest

from bridge.core.alarm import Watched
from bridge.core.history import Recorded
from tests.conformance.bacnet import epics
from tests.support.bacnet_client import Client, confirmed, read, value_of
from tests.support.bacnet_site import DEVICE_ID, asked, site

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PLAIN = site(1)
# one point of each kind that can report events, and records of two
KINDS = ("voltage_l1", "overload_threshold", "phase_loss_l1", "energy_direction", "active_energy_import")
INDEXES = [point.index for point in PLAIN.points if point.name in KINDS]
FACTS = dataclasses.replace(
    PLAIN,
    watched={index: Watched(200, 250.0, states=(1,)) for index in INDEXES},
    recorded={index: Recorded(60.0, 100) for index in INDEXES[:2]},
)


async def value(client: Client, kind: int, instance: int, prop: int) -> bytes:
    reply = await client.call(confirmed(1, 12, read(kind, instance, prop)))
    if reply[0] >> 4 == 3 or (prop == 131 and reply[3:] == b"\x91\x02\x91\x1b"):
        # a log buffer is there and may be read by ReadRange only
        return (value_of(reply) if prop != 131 else b"") or b"\x00"
    return b""


async def objects(client: Client) -> list[tuple[int, int]]:
    octets = await value(client, 8, DEVICE_ID, 76)
    numbers = [int.from_bytes(octets[k : k + 4], "big") for k in range(1, len(octets), 5)]
    return [(n >> 22, n & 0x3FFFFF) for n in numbers]


@pytest.mark.parametrize("slow", [False, True])
# Defect 4: forbidden ids in Property_List. Defect 8: Structured View raised
async def test_every_object_has_what_it_must_and_lists_what_it_has(slow: bool) -> None:
    async with asked(FACTS) as (it, client):
        await it.slow(slow)

        async def ask(kind: int, instance: int, prop: int) -> bytes:
            return await value(client, kind, instance, prop)

        faults = []
        seen = set()
        for kind, instance in await objects(client):
            if kind not in seen:
                seen.add(kind)
                faults += await epics.object_faults(kind, instance, ask)

    assert faults == []
    assert {0, 1, 3, 4, 8, 15, 19, 23, 29, 40, 44, 56} <= seen


# Defect 4: Protocol_Object_Types_Supported was empty
async def test_the_object_types_supported_are_those_of_the_object_list() -> None:
    async with asked(FACTS) as (_, client):
        kinds = {kind for kind, _ in await objects(client)}
        said = epics.bits(await value(client, 8, DEVICE_ID, 96))

    assert said == kinds


# Defects 4 and 5: the bits were wrong
async def test_a_service_is_executed_if_and_only_if_its_bit_is_set() -> None:
    async with asked(FACTS) as (_, client):
        supported = epics.bits(await value(client, 8, DEVICE_ID, 97))

        async def ask(service: int) -> tuple[int, int]:
            reply = await client.call(confirmed(1, service, b"\x0c\x00\x00\x00\x01"))
            return reply[0] >> 4, reply[2]

        faults = await epics.service_faults(supported, ask)

    assert faults == []
    # ReadProperty, ReadPropertyMultiple, SubscribeCOV, SubscribeCOVProperty, Who-Is, Who-Has
    assert {12, 14, 5, 38, 34, 33} <= supported


async def test_every_structured_view_lists_the_points_of_its_meter() -> None:
    async with asked(FACTS) as (it, client):
        octets = await value(client, 29, 1, 211)
        name = await value(client, 29, 1, 77)

    # DeviceObjectReference without a device: one context-tagged identifier of five octets
    assert len(octets) == 5 * len(FACTS.points)
    assert name.endswith(b"m1")
    assert all(octets[k + 1 : k + 5] for k in range(0, len(octets), 5))
    assert it.model.views


async def test_the_checker_finds_what_is_wrong() -> None:
    async def broken(kind: int, instance: int, prop: int) -> bytes:
        del kind, instance
        return {371: b"\x91\x4b\x91\x55\x91\x55"}.get(prop, b"" if prop == 117 else b"\x10")

    found = {fault.what for fault in await epics.object_faults(0, 1, broken)}

    assert {"75 is listed", "85 is listed twice", "required 117 is missing"} <= found
