"""Every point of a site, read from the real worker by clients that share no code with it, equals the store."""

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from bridge.core.point import Kind, Sample
from bridge.core.ports import SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.modbus.formats import Format
from bridge.projections.modbus.plan import SITE_UNIT, Block, Item, Place, Plan
from tests.support.modbus_clients import (
    COILS,
    HOLDING,
    INPUT_REGISTERS,
    INPUTS,
    Connect,
    Libmodbus,
    Mbpoll,
    Pymodbus,
    PyModbusTcp,
    Reader,
)
from tests.support.modbus_site import projected, site, spec_of, store_of
from tests.support.workers import running, until

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PORT = 20400
SOURCE = Path(__file__).with_name("read_blocks.c")
FACTS = site(5)
# Registers of one read: V1.1b3, 6.3.
MOST = 125


def plan_of(facts: SiteFacts) -> Plan:
    plan = projected(facts).plan
    assert isinstance(plan, Plan)
    return plan


def expected(kind: Kind, form: Format, sample: Sample) -> bytes:
    """What the protocol page promises, said without the server's own code."""
    value = sample.value
    assert value is not None
    if isinstance(value, str):
        return value.encode().ljust(32, b"\0")
    if form is Format.TIME:
        return struct.pack(">q", int(value) // 1_000_000)
    if form is Format.INT64:
        return struct.pack(">q", value)
    if form in (Format.FLOAT64, Format.FLOAT32):
        shown = value / 100 if kind is Kind.ACCUMULATOR else value
        return struct.pack(">d" if form is Format.FLOAT64 else ">f", shown)
    return struct.pack(">H", value)


def words(data: bytes) -> list[int]:
    return [word for (word,) in struct.iter_unpack(">H", data)]


def whole(reader: Reader, table: int, unit_id: int, first: int, count: int, most: int = MOST) -> list[int]:
    """Read `count` registers from `first` in as few requests as the protocol allows."""
    found: list[int] = []
    while len(found) < count:
        found += reader.read(table, unit_id, first + len(found), min(most, count - len(found)))
    return found


def differences(store: PointStore, block: Block, place: Place, registers: list[int], bits: list[int]) -> Iterator[str]:
    for item in block.items:
        definition, sample = store.definition(item.index), store.get(item.index)
        for field in item.fields:
            found = registers[field.address : field.address + field.registers]
            wanted = words(expected(definition.kind, field.format, sample))
            if found != wanted:
                yield f"unit {place.unit}: {definition.id} {field.format}: {found}, expected {wanted}"
        yield from meta_differences(item, sample, registers, definition.id)
        if item.state >= 0 and bits[item.state : item.state + 2] != [int(bool(sample.value)), 1]:
            yield f"unit {place.unit}: {definition.id}: bits {bits[item.state : item.state + 2]}"


def meta_differences(item: Item, sample: Sample, registers: list[int], name: str) -> Iterator[str]:
    if registers[item.quality] != int(sample.quality):
        yield f"{name}: quality {registers[item.quality]}"
    if registers[item.time : item.time + 4] != words(struct.pack(">q", sample.source_ns // 1_000_000)):
        yield f"{name}: time {registers[item.time : item.time + 4]}"


def compare(reader: Reader, store: PointStore, plan: Plan, table: int) -> list[str]:
    found: list[str] = []
    for block in plan.blocks:
        for place in block.places:
            registers = whole(reader, table, place.unit, place.registers, block.registers)
            bits = whole(reader, INPUTS, place.unit, place.inputs, block.inputs)
            found += differences(store, block, place, registers, bits)
            coils = whole(reader, COILS, place.unit, place.coils, block.coils)
            for item in block.items:
                if item.coil >= 0 and coils[item.coil] != int(bool(store.get(item.index).value)):
                    found.append(f"unit {place.unit}: coil {item.coil}")
    return found


def connect(name: str, folder: Path) -> Connect:
    clients: dict[str, Connect] = {
        "pymodbus": Pymodbus,
        "pyModbusTCP": PyModbusTcp,
        "mbpoll": Mbpoll,
        "libmodbus": lambda port: Libmodbus(port, folder, SOURCE),
    }
    return clients[name]


# G-10
@pytest.mark.parametrize("client", ["pymodbus", "pyModbusTCP", "mbpoll", "libmodbus"])
async def test_every_point_read_by_a_foreign_client_equals_the_store(client: str, tmp_path: Path) -> None:
    store, plan = store_of(FACTS), plan_of(FACTS)

    def ask() -> list[str]:
        reader = connect(client, tmp_path)(PORT)
        try:
            found = compare(reader, store, plan, HOLDING)
            return found if client == "mbpoll" else found + compare(reader, store, plan, INPUT_REGISTERS)
        finally:
            reader.close()

    async with running(store, [spec_of(FACTS, PORT)]):
        assert await asyncio.to_thread(ask) == []


async def test_a_lost_meter_shows_reserved_values_and_a_meter_that_is_back_its_energy() -> None:
    store, plan = store_of(FACTS), plan_of(FACTS)
    energy, voltage = plan.blocks[0].items[0], plan.blocks[0].items[3]
    held = [(i.index, store.get(i.index)) for i in plan.blocks[0].items]

    def read(reader: Reader) -> list[list[int]]:
        asked = [(energy.fields[0].address, 10), (voltage.fields[0].address, 2), (energy.quality, 1), (energy.time, 4)]
        return [reader.read(HOLDING, 1, address, count) for address, count in asked]

    async with running(store, [spec_of(FACTS, PORT + 1)]):
        reader = await asyncio.to_thread(Pymodbus, PORT + 1)
        store.publish([(i, Sample(s.value, Quality.COMM_LOST, s.source_ns, 2)) for i, s in held])
        await asyncio.sleep(0.1)
        lost = await asyncio.to_thread(read, reader)
        count = 2**63 - 1
        store.publish([(energy.index, Sample(count, Quality.GOOD, 1_800_000_000_000_000_000, 3))])
        await asyncio.sleep(0.1)
        back = await asyncio.to_thread(read, reader)
        reader.close()

    old_time = words(struct.pack(">q", held[0][1].source_ns // 1_000_000))
    assert lost == [[0x8000, 0, 0, 0, 0xFFF8, 0, 0, 0, 0xFFC0, 0], [0xFFC0, 0], [4], old_time]
    assert back[0][:4] == [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF]
    assert back[2:] == [[0], words(struct.pack(">q", 1_800_000_000_000))]


# G-09
async def test_pymodbus_reads_who_the_bridge_is() -> None:
    def ask() -> dict[int, bytes]:
        client = Pymodbus(PORT + 2)
        reply = client.client.read_device_information(read_code=2, object_id=0, device_id=SITE_UNIT)
        assert isinstance(reply, ReadDeviceInformationResponse), reply
        client.close()
        return dict(reply.information)

    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 2)]):
        found = await asyncio.to_thread(ask)

    assert (found[0], found[1], found[4], found[6]) == (b"meterbridge", b"MB", b"meterbridge", b"tower")


async def test_pymodbus_writes_a_setting_and_a_command_where_the_map_lets_it() -> None:
    store, plan = store_of(FACTS), plan_of(FACTS)
    index = {p.id: p.index for p in FACTS.points}
    limit = next(i for i in plan.blocks[1].items if i.index == index["m2.overload_threshold"]).fields[0].address
    interval = next(i for i in plan.blocks[1].items if i.index == index["m2.demand_interval"]).fields[0].address

    def ask() -> list[bool]:
        reader = Pymodbus(PORT + 3)
        client = reader.client
        replies = [
            client.write_registers(limit, words(struct.pack(">f", 97.5)), device_id=2),
            client.write_register(interval, 15, device_id=2),
            client.write_coil(0, True, device_id=2),
            client.write_coils(0, [True], device_id=2),
            client.mask_write_register(address=interval, and_mask=0xFFF0, or_mask=5, device_id=2),
            client.write_register(limit, 1, device_id=2),
            client.write_registers(0, [0, 0, 0, 0], device_id=2),
        ]
        reader.close()
        return [reply.isError() for reply in replies]

    async with running(store, [spec_of(FACTS, PORT + 3, access="read-write")]):
        errors = await asyncio.to_thread(ask)
        await until(lambda: store.get(index["m2.reset_demand_peak"]).value is True)

    assert errors == [False, False, False, False, False, True, True]
    assert store.get(index["m2.overload_threshold"]).value == 97.5
    assert store.get(index["m2.demand_interval"]).value == 5
    assert (
        store.get(index["m2.active_energy_import"]).value == 2**53 + 12_345_679 * index["m2.active_energy_import"] + 1
    )


# S1
async def test_out_of_the_box_every_write_of_pymodbus_is_refused_and_changes_nothing() -> None:
    store, plan = store_of(FACTS), plan_of(FACTS)
    before = {p.index: store.get(p.index) for p in FACTS.points}

    def ask() -> list[int]:
        reader = Pymodbus(PORT + 4)
        client = reader.client
        replies = []
        for unit_id in (1, SITE_UNIT):
            for address in (0, 4, 8, 40, 250):
                replies += [
                    client.write_register(address, 1, device_id=unit_id),
                    client.write_registers(address, [1, 2, 3, 4], device_id=unit_id),
                    client.mask_write_register(address=address, and_mask=0, or_mask=1, device_id=unit_id),
                    client.readwrite_registers(
                        read_address=0, read_count=1, address=address, values=[1], device_id=unit_id
                    ),
                ]
            replies += [
                client.write_coil(0, True, device_id=unit_id),
                client.write_coils(0, [True] * 8, device_id=unit_id),
                client.write_file_record([], device_id=unit_id),
            ]
        assert compare(reader, store, plan, HOLDING) == []
        reader.close()
        return [reply.exception_code for reply in replies]

    async with running(store, [spec_of(FACTS, PORT + 4)]):
        codes = await asyncio.to_thread(ask)

    assert set(codes) <= {1, 2, 3}
    assert {p.index: store.get(p.index) for p in FACTS.points} == before
