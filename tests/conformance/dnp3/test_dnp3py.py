"""The same outstation, asked by a master of another make (dnp3py)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from dnp3.master import DefaultSOEHandler, Master, MasterConfig, MasterTcpRunner

from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Plan
from tests.support.dnp3_site import as_float32, expected, projected, spec_of
from tests.support.modbus_site import NOW_NS, site, store_of
from tests.support.workers import running

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
