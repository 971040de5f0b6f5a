"""Replies longer than one APDU arrive whole, within what the client takes, whatever is lost on the way"""

import pytest

from tests.support.bacnet_client import LIMIT_NIBBLE, collect, confirmed, read, read_many
from tests.support.bacnet_site import DEVICE_ID, asked, site

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
# 20 points of their own each, and enough more: 8,000 objects.
FACTS = site(80, analogs=80)
OBJECTS = len(FACTS.points) + len(FACTS.devices) + 5
SMALL = site(2)


def listed(body: bytes) -> int:
    return (len(body) - 9) // 5


@pytest.mark.parametrize("limit", [128, 206, 480, 1024, 1476])
@pytest.mark.parametrize("window", [1, 4, 16])
# Defect 3: 1481 octets for a client that takes 1476
async def test_the_object_list_of_8000_arrives_whole_within_the_clients_apdu(limit: int, window: int) -> None:
    assert OBJECTS >= 8000
    async with asked(FACTS) as (_, client):
        got = await collect(client, confirmed(3, 12, read(8, DEVICE_ID, 76), limit=limit), 3, window=window)

    assert max(got.sizes) <= limit
    assert listed(got.body) == OBJECTS


# Defect 3: a lost first SegmentACK raised
async def test_a_lost_first_segment_ack_is_answered_by_a_repeat() -> None:
    async with asked(FACTS) as (_, client):
        got = await collect(client, confirmed(4, 12, read(8, DEVICE_ID, 76), limit=480), 4, lose_first_ack=True)

    assert listed(got.body) == OBJECTS


@pytest.mark.parametrize("lost", [{5, 6}, {-1}, {-2}, {-2, -1}, {1}])
async def test_lost_segments_are_repeated_to_the_last_one(lost: set[int]) -> None:
    count = -(-(OBJECTS * 5 + 9) // 475)
    async with asked(FACTS) as (_, client):
        got = await collect(
            client,
            confirmed(5, 12, read(8, DEVICE_ID, 76), limit=480),
            5,
            window=16,
            lose=frozenset(n % count for n in lost),
        )

    assert listed(got.body) == OBJECTS


# a client that takes 50 octets needs more than 256 segments: their numbers are counted modulo 256
async def test_a_reply_of_more_than_256_segments_arrives_whole() -> None:
    async with asked(FACTS) as (_, client):
        got = await collect(client, confirmed(6, 12, read(8, DEVICE_ID, 76), limit=128), 6, window=16)

    assert len(got.sizes) > 256
    assert listed(got.body) == OBJECTS


async def test_a_reply_over_the_limit_without_segmentation_is_aborted() -> None:
    async with asked(SMALL) as (it, client):
        places = [it.place(f"m{m}.voltage_{p}") for m in (1, 2) for p in ("l1", "l2", "l3", "total")]
        body = b"".join(read_many(*place, 85, 111, 77, 28) for place in places)

        reply = await client.call(confirmed(6, 14, body, limit=206, flags=0))

    assert reply == bytes((0x71, 6, 4))


async def test_a_reply_of_exactly_the_limit_is_not_segmented() -> None:
    async with asked(SMALL) as (it, client):
        place = it.place("m1.voltage_l1")
        sizes = set()
        for count in range(1, 12):
            reply = await client.call(confirmed(6, 14, read_many(*place, 85, 111) * count, limit=128))
            sizes.add((len(reply), reply[0] & 8))
            # abort what was segmented
            client.send(b"\x81\x0a\x00\x09\x01\x00\x70\x06\x00")

    assert all(size <= 128 for size, _ in sizes)
    assert {segmented for _, segmented in sizes} == {0, 8}
    assert LIMIT_NIBBLE[128] == 1


async def test_requests_that_never_end_are_bounded_and_others_are_served() -> None:
    async with asked(FACTS) as (_, client):
        for invoke_id in range(256):
            client.send(confirmed(invoke_id, 12, read(8, DEVICE_ID, 76), limit=480))
        replies = await client.drain(0.3)
        fine = await client.call(confirmed(1, 12, read(8, DEVICE_ID, 76, 0)))

    assert bytes((0x71,)) in {reply[:1] for reply in replies}
    assert fine[0] == 0x30
