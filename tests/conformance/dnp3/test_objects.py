"""Every object the outstation knows, asked for by an opendnp3 master and read by tshark as the second opinion."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.core.point import PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.dnp3.objects import EVENT_TYPES, LAYOUTS, STATIC_TYPES, Layout, PointType
from bridge.projections.dnp3.plan import Plan
from tests.support.captures import captured, dissected, needs_tshark, objects_seen
from tests.support.dnp3_site import Opendnp3, as_float32, opendnp3, projected, spec_of
from tests.support.modbus_site import NOW_NS, site, store_of, value_of
from tests.support.workers import running

pytestmark = [pytest.mark.real_time, pytest.mark.slow]
PORT = 23100
FACTS = site(1)
POINTS = {d.name: d for d in FACTS.points}
MORE: dict[str, object] = {
    "masters": [{"allow": ["freeze", "control"]}],
    "access": "read-write",
    "command_class": 1,
    "rules": [
        {"match": "*.energy_direction", "as": "double_bit", "class": 1},
        {"match": "*.reset_demand_peak", "class": 1},
        {"match": "*.overload_threshold", "class": 2},
        {"match": "*.serial_number", "class": 3},
        {"match": "*.active_energy_import", "frozen_class": 3},
    ],
}
SHOWN = {
    PointType.BINARY_INPUT: "phase_loss_l1",
    PointType.DOUBLE_BIT: "energy_direction",
    PointType.BINARY_OUTPUT: "reset_demand_peak",
    PointType.COUNTER: "active_energy_import",
    PointType.FROZEN_COUNTER: "active_energy_import",
    PointType.ANALOG_INPUT: "voltage_l1",
    PointType.ANALOG_OUTPUT: "overload_threshold",
    PointType.BINARY_COMMAND: "reset_demand_peak",
    PointType.ANALOG_COMMAND: "overload_threshold",
    PointType.OCTET_STRING: "serial_number",
}
ONLINE, STATE = 0x01, 0x80
DOUBLE_BITS = ("INTERMEDIATE", "DETERMINED_OFF", "DETERMINED_ON", "INDETERMINATE")


def numbers() -> dict[str, int]:
    plan = projected(FACTS, **MORE).plan
    assert isinstance(plan, Plan)
    primary = [p for p in plan.points if not (p.type is PointType.ANALOG_INPUT and p.static_variation == 6)]
    names = {d.index: d.name for d in FACTS.points}
    return {names[p.index]: p.number for p in primary}


def told(layout: Layout, point_type: PointType, value: float | bool) -> object:
    """Return what a master must make of `value` in this layout."""
    if point_type is PointType.DOUBLE_BIT:
        return DOUBLE_BITS[int(value)]
    for letter in layout.fields:
        match letter:
            case "I" | "H":
                return int(value) % (2**32 if letter == "I" else 2**16)
            case "i" | "h":
                return float(round(value))
            case "f":
                return as_float32(float(value))
            case "d":
                return float(value)
            case _:
                pass
    return bool(value)


@needs_tshark
async def test_every_static_object_is_read_as_it_stands(tmp_path: Path) -> None:
    store, places, capture = store_of(FACTS), numbers(), tmp_path / "static.pcap"
    static = [layout for layout in LAYOUTS.values() if layout.group in STATIC_TYPES]
    wrong = []
    async with (
        captured(PORT, capture),
        running(store, [spec_of(FACTS, PORT, **MORE)]),
        opendnp3(PORT) as master,
    ):
        await master.started()
        await master.ask("freeze", headers=[[20, 0]])
        for layout in static:
            point_type = STATIC_TYPES[layout.group]
            definition = POINTS[SHOWN[point_type]]
            number, value = places[definition.name], value_of(definition)
            header = [layout.group, layout.variation, number, number]
            rows = [row[:3] for row in (await master.ask("scan", headers=[header]))["rows"]]
            assert not isinstance(value, str)
            name = f"Group{layout.group}Var{layout.variation}"
            if rows != [[name, number, told(layout, point_type, value)]]:
                wrong.append((name, rows))
        texts = await master.ask("scan", headers=[[110, 0]])
    _, faults = await asyncio.to_thread(dissected, capture, PORT)
    seen = await asyncio.to_thread(objects_seen, capture, PORT)

    serial = str(value_of(POINTS["serial_number"])).encode()
    assert wrong == []
    assert [bytes.fromhex(row[2]) for row in texts["rows"]] == [serial]
    assert faults == []
    assert {(layout.group, layout.variation) for layout in static} | {(110, 0)} <= seen


class Site:
    """Changes values, and asks for the events they make."""

    def __init__(self, store: PointStore, master: Opendnp3) -> None:
        self.store, self.master = store, master
        self.turn = 0
        self.places = numbers()

    async def event(self, layout: Layout) -> tuple[list[list[object]], list[list[object]]]:
        """Change the point of `layout` and read its events; return what came and what had to come."""
        self.turn += 1
        point_type = EVENT_TYPES[layout.group]
        definition = POINTS[SHOWN[point_type]]
        value = self._next(definition)
        at_ms = NOW_NS // 1_000_000 + self.turn * 1000
        status = None
        if point_type in (PointType.BINARY_COMMAND, PointType.ANALOG_COMMAND):
            status = await self._command(point_type, definition, value)
        else:
            self.store.publish([(definition.index, Sample(value, Quality.GOOD, at_ms * 1_000_000, self.turn + 1))])
        if point_type is PointType.FROZEN_COUNTER:
            await asyncio.sleep(0.1)
            await self.master.ask("freeze", headers=[[20, 0]])
        rows = await self._read(layout)
        timed = bool(set(layout.fields) & {"T", "R"})
        # only a freeze and a command have a time of their own
        own_time = status is not None or point_type is PointType.FROZEN_COUNTER
        came = [row[0:3] + ([row[4] > 0] if own_time else [row[4]]) + ([row[3]] if status else []) for row in rows]
        when: object = timed if own_time else at_ms if timed else 0
        name = f"Group{layout.group}Var{layout.variation}"
        shown = told(layout, point_type, value)
        wanted = [name, self.places[definition.name], shown, when, *([status] if status else [])]
        return came, [wanted]

    def _next(self, definition: PointDef) -> float | bool:
        match definition.name:
            case "phase_loss_l1" | "reset_demand_peak" | "energy_direction":
                now = self.store.get(definition.index).value
                return int(not now) if definition.name == "energy_direction" else not now
            case "active_energy_import":
                return int(str(value_of(definition))) + self.turn
            case _:
                return 90.0 + self.turn / 8

    async def _command(self, point_type: PointType, definition: PointDef, value: float | bool) -> str:
        number = self.places[definition.name]
        if point_type is PointType.ANALOG_COMMAND:
            how: dict[str, object] = {"type": "AnalogOutputDouble64", "value": value}
        else:
            how = {"type": "ControlRelayOutputBlock", "value": "LATCH_ON" if value else "LATCH_OFF"}
        done = await self.master.ask("control", index=number, **how)
        return str(done["result"][1])

    async def _read(self, layout: Layout) -> list[list[Any]]:
        rows: list[list[Any]] = []
        for _ in range(40):
            rows = (await self.master.ask("scan", headers=[[layout.group, layout.variation]]))["rows"]
            if rows:
                break
            await asyncio.sleep(0.05)
        # a command changes its point too, and an energy that is frozen has an event of its own
        await self.master.ask("events")
        return rows


@needs_tshark
async def test_every_event_object_is_told_once_with_its_time(tmp_path: Path) -> None:
    store, capture = store_of(FACTS), tmp_path / "events.pcap"
    events = [layout for layout in LAYOUTS.values() if layout.group in EVENT_TYPES]
    wrong = []
    async with (
        captured(PORT + 1, capture),
        running(store, [spec_of(FACTS, PORT + 1, **MORE)]),
        opendnp3(PORT + 1) as master,
    ):
        await master.started()
        changing = Site(store, master)
        for layout in events:
            came, wanted = await changing.event(layout)
            if came != wanted:
                wrong.append((came, wanted))
        text = POINTS["serial_number"]
        store.publish([(text.index, Sample("SN-2", Quality.GOOD, NOW_NS, 2))])
        await asyncio.sleep(0.3)
        texts = (await master.ask("scan", headers=[[111, 0]]))["rows"]
    _, faults = await asyncio.to_thread(dissected, capture, PORT + 1)
    seen = await asyncio.to_thread(objects_seen, capture, PORT + 1)

    assert wrong == []
    assert [(row[0], bytes.fromhex(row[2])) for row in texts] == [("Group111Var0", b"SN-2")]
    assert faults == []
    assert {(layout.group, layout.variation) for layout in events} | {(111, 0)} <= seen
