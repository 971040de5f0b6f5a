"""The same outstation, asked by a master of another make (dnp3py)."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest
from dnp3.application.builder import build_all_objects_request, build_count_request, build_write_request
from dnp3.application.fragment import ObjectBlock
from dnp3.core.enums import FunctionCode
from dnp3.core.flags import IIN
from dnp3.master import DefaultSOEHandler, Master, MasterConfig, MasterTcpRunner

from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Plan
from tests.support.dnp3_site import as_float32, expected, projected, spec_of
from tests.support.modbus_site import NOW_NS, site, store_of
from tests.support.workers import running, status, until

pytestmark = [pytest.mark.real_time, pytest.mark.slow]
PORT = 23030
FACTS = site(5)
# dnp3py knows no octet strings: those are left out of its class 0.
WITHOUT_TEXT = [{"match": "*.serial_number", "skip": True}]
READ_WRITE = {"access": "read-write", "masters": [{"allow": ["control"]}]}


def runner(port: int, handler: DefaultSOEHandler) -> MasterTcpRunner:
    master = Master(handler=handler, config=MasterConfig(address=1, outstation_address=10))
    return MasterTcpRunner(master=master, host="127.0.0.1", port=port)


def values(handler: DefaultSOEHandler) -> dict[tuple[PointType, int], object]:
    tables: dict[PointType, Mapping[int, Any]] = {
        PointType.BINARY_INPUT: handler.binary_inputs,
        PointType.BINARY_OUTPUT: handler.binary_outputs,
        PointType.COUNTER: handler.counters,
        PointType.ANALOG_INPUT: handler.analog_inputs,
        PointType.ANALOG_OUTPUT: handler.analog_outputs,
    }
    return {(point_type, index): row.value for point_type, rows in tables.items() for index, row in rows.items()}


# D-01, D-02
async def test_a_master_of_another_make_reads_every_point() -> None:
    plan = projected(FACTS, rules=WITHOUT_TEXT).plan
    assert isinstance(plan, Plan)
    wanted = expected(plan, FACTS)
    narrow = {(p.type, p.number) for p in plan.points if p.static_variation == 0}
    handler = DefaultSOEHandler()
    async with running(store_of(FACTS), [spec_of(FACTS, PORT, rules=WITHOUT_TEXT)]), runner(PORT, handler) as asking:
        await asking.integrity_poll()
        got = values(handler)

    analogs = (PointType.ANALOG_INPUT, PointType.ANALOG_OUTPUT)
    assert got == {
        key: as_float32(float(str(value))) if key in narrow and key[0] in analogs else value
        for key, value in wanted.items()
    }


async def test_events_of_a_class_are_told_once() -> None:
    store = store_of(FACTS)
    alarm = next(d for d in FACTS.points if d.kind is Kind.BINARY)
    handler = DefaultSOEHandler()
    async with running(store, [spec_of(FACTS, PORT + 1, rules=WITHOUT_TEXT)]), runner(PORT + 1, handler) as asking:
        await asking.integrity_poll()
        store.publish([(alarm.index, Sample(False, Quality.COMM_LOST, NOW_NS, 2))])
        await asyncio.sleep(0.3)
        handler.clear()
        first = values(handler) if await asking.class_poll(class_1=True) else {}
        handler.clear()
        await asking.class_poll(class_1=True)
        second = values(handler)

    assert list(first.values()) == [False]
    assert second == {}


async def test_a_control_goes_to_the_core_where_it_may() -> None:
    store = store_of(FACTS)
    spec = spec_of(FACTS, PORT + 2, rules=WITHOUT_TEXT, **READ_WRITE)
    reset = next(d for d in FACTS.points if d.name == "reset_demand_peak" and store.get(d.index).value is False)
    plan = projected(FACTS, **READ_WRITE).plan
    assert isinstance(plan, Plan)
    number = next(p.number for p in plan.points if p.index == reset.index)
    handler = DefaultSOEHandler()
    async with running(store, [spec]), runner(PORT + 2, handler) as asking:
        builder = asking.master.command_builder()
        builder.latch_on(index=number)
        await asking.request(asking.master.build_select(builder.build_select()))
        unchanged = store.get(reset.index).value
        await asking.request(asking.master.build_operate(builder.build_operate()))
        done = store.get(reset.index).value

    assert (unchanged, done) == (False, True)


async def test_a_direct_operate_goes_to_the_core_and_a_mid_point_has_no_output() -> None:
    store = store_of(FACTS)
    plan = projected(FACTS, **READ_WRITE).plan
    assert isinstance(plan, Plan)
    threshold = next(d for d in FACTS.points if d.name == "overload_threshold")
    number = next(p.number for p in plan.points if p.index == threshold.index)
    handler = DefaultSOEHandler()
    async with (
        running(store, [spec_of(FACTS, PORT + 3, rules=WITHOUT_TEXT, **READ_WRITE)]),
        runner(PORT + 3, handler) as asking,
    ):
        task = asking.master.command_builder().add_analog(number, 95.0).build_direct_operate()
        await asking.request(asking.master.build_direct_operate(task))
        done = store.get(threshold.index).value
        beyond = asking.master.command_builder().add_analog(number, 500.0).build_direct_operate()
        await asking.request(asking.master.build_direct_operate(beyond))

    outputs = {p.index for p in plan.points if p.type in (PointType.ANALOG_OUTPUT, PointType.BINARY_OUTPUT)}
    assert done == 95.0
    assert store.get(threshold.index).value == 95.0
    assert not outputs & {d.index for d in FACTS.points if d.mid}


async def test_counters_are_frozen_and_never_cleared() -> None:
    store = store_of(FACTS)
    plan = projected(FACTS).plan
    assert isinstance(plan, Plan)
    energy = next(d for d in FACTS.points if d.kind is Kind.ACCUMULATOR)
    number = next(p.number for p in plan.points if (p.index, p.type) == (energy.index, PointType.COUNTER))
    value = int(str(store.get(energy.index).value))
    handler = DefaultSOEHandler()
    spec = spec_of(FACTS, PORT + 4, rules=WITHOUT_TEXT, masters=[{"allow": ["freeze"]}])
    async with running(store, [spec]), runner(PORT + 4, handler) as asking:
        answers = []
        for function in (FunctionCode.IMMEDIATE_FREEZE, FunctionCode.FREEZE_CLEAR):
            sequence = asking.master.next_request_sequence()
            answers += await asking.request(build_all_objects_request(function, 20, 0, sequence))
        store.publish([(energy.index, Sample(value + 5, Quality.GOOD, NOW_NS, 2))])
        await asyncio.sleep(0.3)
        await asking.integrity_poll()
        frozen, counting = handler.frozen_counters[number].value, handler.counters[number].value

    assert [bool(answer.iin & IIN.NO_FUNC_CODE_SUPPORT) for answer in answers] == [False, True]
    assert (frozen, counting) == (value % 2**32, (value + 5) % 2**32)


async def test_time_is_read_and_taken_from_the_master_that_may_set_it() -> None:
    hour_ms = 3_600_000
    handler = DefaultSOEHandler()
    spec = spec_of(FACTS, PORT + 5, rules=WITHOUT_TEXT, masters=[{"allow": ["time"]}])
    async with running(store_of(FACTS), [spec]) as supervisor, runner(PORT + 5, handler) as asking:
        sequence = asking.master.next_request_sequence
        before = await asking.request(asking.master.build_delay_measure())
        header = build_count_request(FunctionCode.WRITE, 50, 1, 1).objects[0]
        when = int(time.time() * 1000) + hour_ms
        block = ObjectBlock(header=header.header, data=header.data + when.to_bytes(6, "little"))
        await asking.request(build_write_request((block,), sequence()))
        after = await asking.request(asking.master.build_delay_measure())
        await until(lambda: status(supervisor, "dnp3").counters["clock_offset_ms"] > 0)
        moved = status(supervisor, "dnp3").counters["clock_offset_ms"]

    assert [bool(one[0].iin & IIN.NEED_TIME) for one in (before, after)] == [True, False]
    assert abs(moved - hour_ms) < 2_000


async def test_unsolicited_events_are_told_where_configured_and_confirmed() -> None:
    store = store_of(FACTS)
    alarm = next(d for d in FACTS.points if d.kind is Kind.BINARY)
    handler = DefaultSOEHandler()
    spec = spec_of(FACTS, PORT + 6, rules=WITHOUT_TEXT, masters=[{"unsolicited": True}])
    async with running(store, [spec]), runner(PORT + 6, handler) as asking:
        greeting = await asking.listen_unsolicited()
        await asking.enable_unsolicited()
        store.publish([(alarm.index, Sample(False, Quality.COMM_LOST, NOW_NS, 2))])
        told = await asking.listen_unsolicited()
        rows = values(handler)
        handler.clear()
        await asking.class_poll()
        left = values(handler)

    assert greeting is not None
    assert told is not None
    assert told.con
    assert list(rows.values()) == [False]
    assert left == {}
