"""Trend Logs: what the bridge recorded, by position, by number and by time, as another maker's client reads it"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyIdentifier, decode_log_records

from bridge.app.past import Past
from bridge.core.history import NoHistory, Recorded
from bridge.core.quality import Quality
from bridge.history.database import Database
from bridge.history.rows import IndexRow, Pending, SampleRow, Tidying
from bridge.services.events import EventLog
from tests.conformance.bacnet import epics
from tests.support.bacnet_client import Client, Narrow, confirmed, object_id, read, read_many, tagged, value_of, write
from tests.support.bacnet_site import DEVICE_ID, Served, served, site
from tests.support.clock import ManualClock
from tests.support.modbus_site import NOW_NS, store_of
from tests.support.workers import spare_ports

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PLAIN = site(2)
INDEX = {point.id: point.index for point in PLAIN.points}
VOLTAGE, ENERGY, STATE = "m1.voltage_l1", "m1.active_energy_import", "m2.phase_loss_l1"
TEXT, DIRECTION = "m1.serial_number", "m1.energy_direction"
FACTS = dataclasses.replace(
    PLAIN,
    recorded={
        INDEX[VOLTAGE]: Recorded(5.0, 1000),
        INDEX[ENERGY]: Recorded(900.0, 3360),
        INDEX[STATE]: Recorded(0.0),
        INDEX[TEXT]: Recorded(0.0),
        INDEX[DIRECTION]: Recorded(60.0, 10),
    },
)
SECOND = 10**9
COUNT, GONE = 100, 10
LOG_BUFFER, RECORDS, TOTAL = (
    PropertyIdentifier.LOG_BUFFER,
    PropertyIdentifier.RECORD_COUNT,
    PropertyIdentifier.TOTAL_RECORD_COUNT,
)


def recorded(path: Path) -> None:
    """100 voltages of which the first ten are gone, five indexes with an outage, and a state, a code and a text."""
    made = Pending()
    made.samples += [SampleRow(VOLTAGE, NOW_NS + n * SECOND, 200.0 + n, 0) for n in range(1, COUNT + 1)]
    made.samples.append(SampleRow(VOLTAGE, NOW_NS + 101 * SECOND, 300.0, int(Quality.COMM_LOST)))
    made.samples.append(SampleRow(STATE, NOW_NS, 1, 0))
    made.samples.append(SampleRow(DIRECTION, NOW_NS, 1, 0))
    made.samples.append(SampleRow(TEXT, NOW_NS, "SN-1", 0))
    counts = [5, 6, None, 2**32 + 7, 2**32 + 8]
    made.profile += [IndexRow(ENERGY, NOW_NS + n * 900 * SECOND, count, 1, 0, 0) for n, count in enumerate(counts)]
    with Database(path) as database:
        database.commit(made)
        database.tidy([Tidying(VOLTAGE, samples_ns=NOW_NS + (GONE + 1) * SECOND)])


@asynccontextmanager
async def logged(tmp_path: Path) -> AsyncIterator[tuple[Served, BACnetClient, str]]:
    """The projection over a real history, and another maker's client."""
    recorded(tmp_path / "history.sqlite")
    past = Past(store_of(FACTS), EventLog(ManualClock()))
    past.open(tmp_path / "history.sqlite")
    client = BACnetClient(interface="127.0.0.1", port=spare_ports(1), broadcast_address="127.255.255.255")
    async with served(FACTS, None, None, past) as it, client:
        yield it, client, f"127.0.0.1:{it.server.port}"
    past.close()


def log_of(it: Served, point: str) -> ObjectIdentifier:
    position = list(it.model.catalogue.indexes).index(INDEX[point])
    trend = next(trend for trend in it.plan.trends if trend.position == position)
    return ObjectIdentifier(ObjectType.TREND_LOG, trend.instance)


def reals(result: Mapping[str, Any]) -> list[float]:
    assert result["violations"] == []
    return [record["datum"]["real"] for record in decode_log_records(result)]  # type: ignore[arg-type] # the library names the type for checkers only


# defect 5: ReadRange was not served, a Trend Log did not record
async def test_records_are_read_by_position_from_both_ends(tmp_path: Path) -> None:
    async with logged(tmp_path) as (it, client, at):
        log = log_of(it, VOLTAGE)
        counts = [(await client.read_property(at, log, prop)).value for prop in (RECORDS, TOTAL)]
        oldest = await client.read_range(at, log, LOG_BUFFER, None, "position", 1, None, 3)
        newest = await client.read_range(at, log, LOG_BUFFER, None, "position", 91, None, -3)
        beyond = await client.read_range(at, log, LOG_BUFFER, None, "position", 92, None, 3)
        everything = await client.read_range(at, log, LOG_BUFFER)

    assert counts == [COUNT - GONE + 1, COUNT + 1]
    assert (reals(oldest), oldest["result_flags"]) == ([211.0, 212.0, 213.0], (True, False, False))
    assert (reals(newest), newest["result_flags"]) == ([299.0, 300.0, 300.0], (False, True, False))
    assert (beyond["item_count"], beyond["result_flags"]) == (0, (False, False, False))
    assert (len(reals(everything)), everything["result_flags"]) == (91, (True, True, False))
    assert decode_log_records(newest)[-1]["status_flags"] in (0x40, 4, (4, b"\x40"))


async def test_records_are_read_by_sequence_number(tmp_path: Path) -> None:
    async with logged(tmp_path) as (it, client, at):
        log = log_of(it, VOLTAGE)
        on = await client.read_range(at, log, LOG_BUFFER, None, "sequence", None, 20, 2)
        back = await client.read_range(at, log, LOG_BUFFER, None, "sequence", None, 20, -2)
        gone = await client.read_range(at, log, LOG_BUFFER, None, "sequence", None, 10, 2)

    assert (reals(on), on["first_sequence_number"]) == ([220.0, 221.0], 20)
    assert (reals(back), back["first_sequence_number"]) == ([219.0, 220.0], 19)
    assert gone["item_count"] == 0


async def test_records_are_read_by_time(tmp_path: Path) -> None:
    when = datetime.fromtimestamp(NOW_NS // SECOND + 50, UTC).astimezone()
    hundredths = NOW_NS % SECOND // 10**7
    at_ref = (when.year, when.month, when.day, when.isoweekday()), (when.hour, when.minute, when.second, hundredths)
    async with logged(tmp_path) as (it, client, at):
        log = log_of(it, VOLTAGE)
        newer = await client.read_range(at, log, LOG_BUFFER, None, "time", None, None, 2, reference_time=at_ref)
        older = await client.read_range(at, log, LOG_BUFFER, None, "time", None, None, -2, reference_time=at_ref)
        future = ((2090, 1, 1, 7), (0, 0, 0, 0))
        none = await client.read_range(at, log, LOG_BUFFER, None, "time", None, None, 2, reference_time=future)
        last = await client.read_range(at, log, LOG_BUFFER, None, "time", None, None, -1, reference_time=future)

    assert (reals(newer), newer["first_sequence_number"]) == ([251.0, 252.0], 51)
    assert (reals(older), older["first_sequence_number"]) == ([248.0, 249.0], 48)
    assert none["item_count"] == 0
    assert (last["first_sequence_number"], last["result_flags"]) == (101, (False, True, False))


async def test_a_client_pages_through_a_whole_log_with_small_apdus(tmp_path: Path) -> None:
    async with logged(tmp_path) as (it, client, at), Narrow.open(("127.0.0.1", it.server.port), 206) as (_, narrow):
        log, cursor, seen = log_of(it, VOLTAGE), None, []
        while True:
            page = await client.read_log_page(at, log, cursor, 40)
            seen += [record["datum"]["real"] for record in page["records"]]
            cursor = page["next"]
            assert (page["gap"], page["violations"]) == (None, [])
            if page["done"]:
                break
        in_segments = await client.read_range(narrow, log, LOG_BUFFER)

    assert seen == [200.0 + n for n in range(GONE + 1, COUNT + 1)] + [300.0]
    assert len(reals(in_segments)) == 91


async def test_what_does_not_fit_is_said_to_be_missing(tmp_path: Path) -> None:
    async with logged(tmp_path) as (it, _, _), Client.open(it.server.port) as client:
        log = object_id(20, log_of(it, VOLTAGE).instance)
        body = b"\x0c" + log + tagged(1, 131)
        on = await client.call(confirmed(1, 26, body + b"\x3e\x21\x01\x31\x5b\x3f", limit=206, flags=0))
        back = await client.call(confirmed(1, 26, body + b"\x6e\x21\x65\x31\xa5\x6f", limit=206, flags=0))

    # neither first nor last but more; the records next to where the client began to count
    assert on[10:13] == b"\x3a\x05\xa0"
    assert back[10:13] == b"\x3a\x05\x60"
    assert len(on) <= 206
    assert b"\x2c\x43\x53\x00\x00" in on
    assert back[-2:] == b"\x69" + bytes((101 - back[14] + 1,))


# E-12: an outage is a record
async def test_records_have_the_datatype_of_their_point_and_outages_say_so(tmp_path: Path) -> None:
    async with logged(tmp_path) as (it, client, at):
        found = {}
        for point in (ENERGY, STATE, TEXT, DIRECTION):
            result = await client.read_range(at, log_of(it, point), LOG_BUFFER)
            found[point] = [record["datum"] for record in decode_log_records(result)]

    assert [datum.get("unsigned") for datum in found[ENERGY]] == [5, 6, None, 7, 8]
    assert found[ENERGY][2]["kind"] == "log_status"
    assert [datum["enumerated"] for datum in found[STATE]] == [1]
    # states are counted from 1
    assert [datum["unsigned"] for datum in found[DIRECTION]] == [2]
    assert found[TEXT][0]["any"].endswith(b"SN-1")


async def test_a_trend_log_is_a_lawful_object_whose_buffer_only_read_range_reads(tmp_path: Path) -> None:
    async with logged(tmp_path) as (it, _, _), Client.open(it.server.port) as client:
        instance = log_of(it, VOLTAGE).instance

        async def ask(kind: int, number: int, prop: int) -> bytes:
            reply = await client.call(confirmed(1, 12, read(kind, number, prop)))
            return (
                value_of(reply) or b"\x00"
                if reply[0] >> 4 == 3
                else b"\x00"
                if reply[3:] == b"\x91\x02\x91\x1b"
                else b""
            )

        faults = await epics.object_faults(20, instance, ask)
        denied = await client.call(confirmed(1, 12, read(20, instance, 131)))
        named = [value_of(await client.call(confirmed(1, 12, read(20, instance, prop)))) for prop in (77, 134, 197)]
        multiple = await client.call(confirmed(1, 14, read_many(20, instance, 141, 131, 145)))
        other = await client.call(confirmed(1, 26, b"\x0c" + object_id(8, DEVICE_ID) + tagged(1, 77)))
        recipients = await client.call(confirmed(1, 26, b"\x0c" + object_id(15, 1) + tagged(1, 102)))

    assert faults == []
    assert denied[3:] == b"\x91\x02\x91\x1b"
    assert named == [b"\x75\x14\x00m1.voltage_l1.trend"[:2] + b"\x00m1.voltage_l1.trend", b"\x22\x01\xf4", b"\x91\x00"]
    assert b"\x29\x8d\x4e\x21\x5b\x4f" in multiple
    # services, property-is-not-a-list; an empty list is first and last of nothing
    assert other[3:] == b"\x91\x05\x91\x16"
    assert recipients.endswith(b"\x3a\x05\x00\x49\x00\x5e\x5f")


async def test_a_bridge_whose_history_does_not_answer_says_so() -> None:
    async with served(FACTS, None, None, NoHistory()) as it, Client.open(it.server.port) as client:
        instance = log_of(it, VOLTAGE).instance
        counted = await client.call(confirmed(1, 12, read(20, instance, 141)))
        ranged = await client.call(confirmed(1, 26, b"\x0c" + object_id(20, instance) + tagged(1, 131)))

    assert counted[3:] == ranged[3:] == b"\x91\x00\x91\x19"


# BARS S1: no BMS purges, stops or shortens the history of a meter
@pytest.mark.parametrize(("prop", "value"), [(141, b"\x21\x00"), (133, b"\x10"), (126, b"\x21\x01"), (131, b"")])
async def test_a_trend_log_cannot_be_written(tmp_path: Path, prop: int, value: bytes) -> None:
    async with logged(tmp_path) as (it, _, _), Client.open(it.server.port) as client:
        instance = log_of(it, VOLTAGE).instance
        refused = await client.call(confirmed(1, 15, write(20, instance, prop, value)))
        purged = await client.call(confirmed(1, 9, b"\x0c" + object_id(20, instance) + tagged(1, 131) + b"\x3e\x3f"))
        counted = value_of(await client.call(confirmed(1, 12, read(20, instance, 141))))

    # property, write-access-denied; RemoveListElement is no service of this device
    assert refused[3:] == b"\x91\x02\x91\x28"
    assert purged[0] >> 4 == 6
    assert counted == b"\x21\x5b"
    assert len(it.refusals.seen) == 2


async def test_floods_of_range_requests_leave_the_readings_served(tmp_path: Path) -> None:
    async with logged(tmp_path) as (it, _, _), Client.open(it.server.port) as client:
        log = object_id(20, log_of(it, VOLTAGE).instance)
        for invoke_id in range(200):
            client.send(confirmed(invoke_id, 26, b"\x0c" + log + tagged(1, 131)))
        await asyncio.sleep(0)
        async with Client.open(it.server.port) as other:
            fine = await other.call(confirmed(1, 12, read(*it.place(VOLTAGE), 85)))

    assert fine[0] == 0x30
