"""DeviceCommunicationControl and ReinitializeDevice want a password; TimeSynchronization moves no clock"""

import asyncio

import pytest

from tests.support.bacnet_client import confirmed, read, subscribe, unconfirmed
from tests.support.bacnet_site import asked, site

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
FACTS = site(1)
SIMPLE_ACK, ERROR = 2, 5
DISABLE, ENABLE, DISABLE_INITIATION = b"\x09\x01\x19\x01", b"\x09\x01\x19\x00", b"\x09\x01\x19\x02"
PASSWORD_FAILURE = b"\x91\x04\x91\x1a"
# context tag 2, six octets, UTF-8
PASSWORD = b"\x2d\x06\x00s3cre"
WARMSTART = b"\x09\x01"


def reinitialize(password: bytes) -> bytes:
    return WARMSTART + (b"\x1d" + password[1:] if password else b"")


@pytest.mark.parametrize("given", [b"", PASSWORD, b"\x2d\x06\x00wrong"])
# BARS S1: without a password of its own nobody manages the device
async def test_nobody_manages_a_device_without_a_password(given: bytes) -> None:
    async with asked(FACTS) as (it, client):
        dcc = await client.call(confirmed(1, 17, DISABLE + given))
        reinit = await client.call(confirmed(2, 20, reinitialize(given)))
        alive = await client.call(confirmed(3, 12, read(*it.place("m1.voltage_l1"), 85)))

    assert (dcc[3:], reinit[3:]) == (PASSWORD_FAILURE, PASSWORD_FAILURE)
    assert alive[0] >> 4 == 3
    assert it.counters["management_refused"] == 2


async def test_a_disabled_device_says_nothing_until_enabled() -> None:
    async with asked(FACTS, password="s3cre") as (it, client):
        request = confirmed(2, 12, read(*it.place("m1.voltage_l1"), 85))
        off = await client.call(confirmed(1, 17, DISABLE + PASSWORD))
        silent = await client.call(request, 0.4)
        client.send(unconfirmed(8, b""))
        nobody = await client.receive(0.4)
        # a further defect of the stock server: the enable got no answer
        on = await client.call(confirmed(3, 17, ENABLE + PASSWORD))
        again = await client.call(request)

    assert (off[0] >> 4, silent, nobody, on[0] >> 4, again[0] >> 4) == (SIMPLE_ACK, b"", b"", SIMPLE_ACK, 3)


async def test_a_device_that_may_not_initiate_answers_and_reports_nothing() -> None:
    async with asked(FACTS, password="s3cre") as (it, client):
        await client.call(confirmed(1, 5, subscribe(1, *it.place("m1.voltage_l1"))))
        await client.drain()
        await client.call(confirmed(2, 17, DISABLE_INITIATION + PASSWORD))
        it.publish("m1.voltage_l1", 9.0)
        quiet = await client.receive(0.3)
        answer = await client.call(confirmed(3, 12, read(*it.place("m1.voltage_l1"), 85)))
        client.send(confirmed(4, 17, ENABLE + PASSWORD))
        after = [await client.receive(), await client.receive()]

    assert quiet == b""
    assert answer[0] >> 4 == 3
    assert {apdu[0] >> 4 for apdu in after} == {SIMPLE_ACK, 1}


async def test_a_warmstart_with_the_password_ends_the_worker_for_the_supervisor_to_start() -> None:
    async with asked(FACTS, password="s3cre") as (it, client):
        wrong = await client.call(confirmed(1, 20, reinitialize(b"\x2d\x06\x00wrong")))
        right = await client.call(confirmed(2, 20, reinitialize(PASSWORD)))
        async with asyncio.timeout(3):
            await asyncio.wait([it.task])

    assert wrong[3:] == PASSWORD_FAILURE
    assert right[0] >> 4 == SIMPLE_ACK
    assert it.task.exception() is None


async def test_time_synchronization_changes_nothing() -> None:
    # T-02
    async with asked(FACTS) as (it, client):
        before = await client.call(confirmed(1, 12, read(*it.place("m1.demand_peak_timestamp"), 85)))
        client.send(unconfirmed(6, b"\xa4\x64\x01\x01\x01\xb4\x00\x00\x00\x00"))
        nothing = await client.receive(0.2)
        after = await client.call(confirmed(1, 12, read(*it.place("m1.demand_peak_timestamp"), 85)))

    assert nothing == b""
    assert before == after
    assert it.counters["time_messages"] == 1


# BARS S3
async def test_after_eight_wrong_passwords_the_right_one_is_not_looked_at_either() -> None:
    async with asked(FACTS, password="s3cre") as (_, client):
        for _ in range(8):
            await client.call(confirmed(1, 17, DISABLE + b"\x2d\x06\x00wrong"))
        right = await client.call(confirmed(2, 17, DISABLE + PASSWORD))

    assert right[3:] == PASSWORD_FAILURE
