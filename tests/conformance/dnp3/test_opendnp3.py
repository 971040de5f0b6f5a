"""The outstation in its worker process, asked by an opendnp3 master (yadnp3)."""

import asyncio
import csv
import io

import msgspec
import pytest

from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from bridge.projections.dnp3.export import point_list
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Plan
from tests.support.dnp3_site import as_float32, by_point, expected, opendnp3, projected, spec_of, static_values
from tests.support.modbus_site import NOW_NS, good, site, store_of, value_of
from tests.support.workers import running

pytestmark = [pytest.mark.real_time, pytest.mark.slow]
PORT = 23010
FACTS = site(5)
ONLINE, RESTART, COMM_LOST = 0x01, 0x02, 0x04


def plan_of(**more: object) -> Plan:
    plan = projected(FACTS, **more).plan
    assert isinstance(plan, Plan)
    return plan


# D-01, D-02, D-03
async def test_a_master_reads_every_point_of_the_site_exactly() -> None:
    wanted = expected(plan_of(), FACTS)
    async with running(store_of(FACTS), [spec_of(FACTS, PORT)]), opendnp3(PORT) as master:
        await master.started()
        class_0 = static_values(await master.ask("integrity"))
        doubles = static_values(await master.ask("scan", headers=[[30, 6], [40, 4]]))

    assert class_0.keys() == wanted.keys()
    for key, value in wanted.items():
        got, flags, name = class_0[key]
        narrow = name in ("Group30Var5", "Group40Var3")
        assert got == (as_float32(float(str(value))) if narrow else value), key
        assert flags in (None, ONLINE, ONLINE | 0x80)
    assert {key: row[0] for key, row in doubles.items()} == {
        key: value for key, value in wanted.items() if key[0] in (PointType.ANALOG_INPUT, PointType.ANALOG_OUTPUT)
    }


async def test_counter_and_double_together_give_the_whole_count() -> None:
    energies = [definition for definition in FACTS.points if definition.kind is Kind.ACCUMULATOR]
    places = {(place.index, place.type): place.number for place in plan_of().points}
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 1)]), opendnp3(PORT + 1) as master:
        read = static_values(await master.started())

    for definition in energies:
        low = read[PointType.COUNTER, places[definition.index, PointType.COUNTER]][0]
        double = read[PointType.ANALOG_INPUT, places[definition.index, PointType.ANALOG_INPUT]][0]
        whole = low + 2**32 * round((double * 100 - low) / 2**32)
        assert whole == value_of(definition)


async def test_a_lost_meter_shows_within_a_second_with_its_last_value_and_its_old_time() -> None:
    store = store_of(FACTS)
    voltage = next(d for d in FACTS.points if d.name == "voltage_l1")
    number = next(p.number for p in plan_of().points if p.index == voltage.index)
    async with running(store, [spec_of(FACTS, PORT + 2)]), opendnp3(PORT + 2) as master:
        await master.started()
        sample = good(voltage)
        store.publish([(voltage.index, Sample(sample.value, Quality.COMM_LOST, sample.source_ns, 2))])
        await asyncio.sleep(0.3)
        events = by_point(await master.ask("events"))
        read = static_values(await master.ask("integrity"))

    value = as_float32(float(str(sample.value)))
    assert events["Group32Var7", number][:3] == [value, COMM_LOST, sample.source_ns // 1_000_000]
    assert read[PointType.ANALOG_INPUT, number][:2] == [value, COMM_LOST]


async def test_events_come_with_the_time_of_their_samples_and_only_once() -> None:
    store = store_of(FACTS)
    changed = [d for d in FACTS.points if d.name in ("voltage_l1", "phase_loss_l1", "active_energy_import")]
    async with running(store, [spec_of(FACTS, PORT + 3)]), opendnp3(PORT + 3) as master:
        await master.started()
        at_ms = NOW_NS // 1_000_000 + 5_000
        for definition in changed:
            value = not value_of(definition) if definition.kind is Kind.BINARY else 77
            store.publish([(definition.index, Sample(value, Quality.GOOD, at_ms * 1_000_000, 2))])
        await asyncio.sleep(0.3)
        events = await master.ask("events")
        again = await master.ask("events")

    assert sorted({row[0] for row in events["rows"]}) == ["Group22Var5", "Group2Var2", "Group32Var7"]
    assert {row[4] for row in events["rows"]} == {at_ms}
    assert len(events["rows"]) == len(changed)
    assert again["rows"] == []


# BARS S1
async def test_out_of_the_box_every_write_is_refused() -> None:
    store = store_of(FACTS)
    before = [store.get(d.index) for d in FACTS.points]
    counters: dict[str, int] = {}
    async with running(store, [spec_of(FACTS, PORT + 4)]) as supervisor, opendnp3(PORT + 4) as master:
        await master.started()
        crob = {"type": "ControlRelayOutputBlock", "value": "LATCH_ON", "index": 0}
        analog = {"type": "AnalogOutputFloat32", "value": 90.0, "index": 0}
        controls = [
            (await master.ask("control", **control, sbo=sbo))["result"]
            for control in (crob, analog)
            for sbo in (False, True)
        ]
        freezes = [
            (await master.ask("freeze", headers=[[20, 0]], type=kind))["result"]
            for kind in ("ImmediateFreeze", "FreezeAndClear")
        ]
        restart = await master.ask("restart")
        deadband = await master.ask("deadband", index=0, value=5.0)
        functions = [
            (await master.ask("function", code=code, headers=headers))["result"]
            for code, headers in (
                ("ASSIGN_CLASS", [[60, 2], [30, 0]]),
                ("FREEZE_AT_TIME", [[20, 0]]),
                ("ACTIVATE_CONFIG", [[70, 8]]),
                ("START_APPLICATION", [[90, 1]]),
            )
        ]
        await asyncio.sleep(0.4)
        counters = supervisor.statuses()[0].counters

    assert controls == [["SUCCESS", "NOT_AUTHORIZED"]] * 4
    assert freezes == [["FAILURE_BAD_RESPONSE"]] * 2
    assert restart["result"] == deadband["result"] == ["FAILURE_BAD_RESPONSE"]
    assert functions == [["FAILURE_BAD_RESPONSE"]] * 4
    assert [store.get(d.index) for d in FACTS.points] == before
    assert counters["controls_refused"] >= 2
    assert counters["refused_functions"] >= 8


# D-04
async def test_time_is_taken_only_from_the_master_that_may_set_it() -> None:
    # T-02
    masters = [{"address": 1, "allow": ["time"]}, {"address": 2}]
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 5, masters=masters)]) as supervisor:
        async with opendnp3(PORT + 5, master=2, time="LAN", offset_ms=3_600_000) as other:
            asked = await other.started()
            await asyncio.sleep(0.4)
            untouched = supervisor.statuses()[0].counters["clock_offset_ms"]
        async with opendnp3(PORT + 5, master=1, time="LAN", offset_ms=3_600_000) as chosen:
            await chosen.started()
            await asyncio.sleep(0.4)
            moved = supervisor.statuses()[0].counters["clock_offset_ms"]
            after = await chosen.ask("integrity")

    # IIN1.4, need time
    assert not asked["iin"][0] & 0x10
    assert untouched == 0
    assert abs(moved - 3_600_000) < 2_000
    assert not after["iin"][0] & 0x10


async def test_counters_are_frozen_where_allowed_and_never_cleared() -> None:
    store = store_of(FACTS)
    places = {p.index: p.number for p in plan_of().points if p.type is PointType.COUNTER}
    energy = next(d for d in FACTS.points if d.kind is Kind.ACCUMULATOR)
    number, value = places[energy.index], int(value_of(energy))
    async with (
        running(store, [spec_of(FACTS, PORT + 6, masters=[{"allow": ["freeze"]}])]),
        opendnp3(PORT + 6) as master,
    ):
        await master.started()
        frozen = await master.ask("freeze", headers=[[20, 0]])
        cleared = await master.ask("freeze", headers=[[20, 0]], type="FreezeAndClear")
        store.publish([(energy.index, Sample(value + 5, Quality.GOOD, NOW_NS, 2))])
        await asyncio.sleep(0.3)
        read = by_point(await master.ask("scan", headers=[[20, 1], [21, 5]]))

    assert frozen["result"] == ["SUCCESS"]
    assert cleared["result"] == ["FAILURE_BAD_RESPONSE"]
    assert read["Group21Var5", number][0] == value % 2**32
    assert read["Group20Var1", number][0] == (value + 5) % 2**32


async def test_unsolicited_events_arrive_unasked_where_configured() -> None:
    store = store_of(FACTS)
    voltage = next(d for d in FACTS.points if d.name == "voltage_l1")
    async with (
        running(store, [spec_of(FACTS, PORT + 7, masters=[{"unsolicited": True}])]),
        opendnp3(PORT + 7, unsolicited=True) as master,
    ):
        await master.started()
        await master.ask("wait", seconds=0.5)
        store.publish([(voltage.index, Sample(77.0, Quality.GOOD, NOW_NS, 2))])
        told = await master.ask("wait", seconds=0.5)
        left = await master.ask("events")

    assert [(row[0], row[2]) for row in told["rows"]] == [("Group32Var7", 77.0)]
    assert left["rows"] == []


async def test_attributes_say_what_the_outstation_is() -> None:
    identity = {"vendor": "ACME", "location": "Cellar", "serial_number": "0815"}
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 8, identity=identity)]), opendnp3(PORT + 8) as master:
        await master.started()
        about = (await master.ask("scan", headers=[[0, 254]]))["attributes"]

    assert about["252"] == "ACME"
    assert about["245"] == "Cellar"
    assert about["248"] == "0815"
    assert about["247"] == "tower"
    assert about["229"] == sum(d.kind is Kind.ACCUMULATOR for d in FACTS.points)


async def test_relative_times_and_deadbands_and_classes_are_understood() -> None:
    store = store_of(FACTS)
    binary = next(d for d in FACTS.points if d.name == "phase_loss_l1")
    masters = [{"allow": ["deadband", "assign_class"]}]
    rules = [{"match": "*.phase_loss_l1", "event_variation": 3}]
    async with (
        running(store, [spec_of(FACTS, PORT + 9, masters=masters, rules=rules)]),
        opendnp3(PORT + 9) as master,
    ):
        await master.started()
        written = await master.ask("deadband", index=0, value=2.5)
        deadbands = by_point(await master.ask("scan", headers=[[34, 3]]))
        assigned = await master.ask("function", code="ASSIGN_CLASS", headers=[[60, 4], [1, 0]])
        store.publish([(binary.index, Sample(not value_of(binary), Quality.CLOCK_UNSYNCED, NOW_NS, 2))])
        await asyncio.sleep(0.3)
        event = await master.ask("scan", headers=[[60, 4]])

    assert written["result"] == ["SUCCESS"]
    assert deadbands["Group34Var3", 0][0] == 2.5
    assert assigned["result"] == ["SUCCESS"]
    assert [(row[0], row[4], row[5]) for row in event["rows"]] == [
        ("Group2Var3", NOW_NS // 1_000_000, "UNSYNCHRONIZED")
    ]


def test_the_plan_of_the_site_survives_its_travel_to_the_worker() -> None:
    plan = plan_of(masters=[{"allow": ["freeze", "time"], "serial": {"port": "/dev/ttyS1"}}])

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan) == plan


# D-03: what is exported is what is served
async def test_the_exported_point_list_is_what_the_worker_serves() -> None:
    more = {"masters": [{"allow": ["freeze"]}]}
    rows = list(csv.DictReader(io.StringIO(point_list(plan_of(**more), FACTS.points))))
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 10, **more)]), opendnp3(PORT + 10) as master:
        await master.started()
        served = await master.ask("integrity")

    listed = {
        (f"Group{row['group']}Var{0 if row['type'] == 'octet_string' else row['static_variation']}", int(row["index"]))
        for row in rows
    }
    assert {(row[0], row[1]) for row in served["rows"]} == listed
