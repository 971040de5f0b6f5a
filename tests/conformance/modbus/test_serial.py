"""The bridge as an RTU server on a serial line of its own, read by clients that share no code with it."""

import asyncio
import os
import pty
import struct
import time
import tty
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from bridge.core.ports import SiteFacts
from bridge.projections.modbus.plan import SITE_UNIT, Plan
from tests.conformance.modbus.test_clients import compare
from tests.support.cable import null_modem
from tests.support.modbus_clients import ANSWER_S, HOLDING, HOST, INPUT_REGISTERS, Mbpoll, Pymodbus, Reader
from tests.support.modbus_site import projected, site, spec_of, store_of
from tests.support.workers import running, until

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(120)]
PORT = 21_000
FACTS = site(2)
ON_LINE = 100


def keys(path: str) -> dict[str, object]:
    return {"serial": [{"port": path, "baud": 115200, "site_unit": ON_LINE}]}


def plan_of(facts: SiteFacts) -> Plan:
    plan = projected(facts).plan
    assert isinstance(plan, Plan)
    return plan


class OnLine:
    """A reader to whom the whole site has the unit id it has on the line."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.close = reader, reader.close

    def read(self, table: int, unit_id: int, address: int, count: int) -> list[int]:
        return self.reader.read(table, ON_LINE if unit_id == SITE_UNIT else unit_id, address, count)


def pymodbus_rtu(path: str) -> Reader:
    client = ModbusSerialClient(path, framer=FramerType.RTU, baudrate=115200, timeout=ANSWER_S, retries=0)
    return Pymodbus(0, client)


def mbpoll_rtu(path: str) -> Reader:
    """Over the RTU of libmodbus."""
    return Mbpoll(0, path)


# G-14
@pytest.mark.parametrize("make", [pymodbus_rtu, mbpoll_rtu])
async def test_every_point_read_over_a_serial_line_equals_the_store(make: Callable[[str], Reader]) -> None:
    store, plan = store_of(FACTS), plan_of(FACTS)

    def ask(path: str) -> list[str]:
        reader = OnLine(make(path))
        try:
            found = compare(reader, store, plan, HOLDING)
            return found if make is mbpoll_rtu else found + compare(reader, store, plan, INPUT_REGISTERS)
        finally:
            reader.close()

    with null_modem() as (ours, theirs):
        async with running(store, [spec_of(FACTS, PORT, **keys(ours))]):
            assert await asyncio.to_thread(ask, theirs) == []


# G-09: function 17
async def test_pymodbus_is_told_who_the_server_of_the_line_is() -> None:
    def ask(path: str) -> bytes:
        client = ModbusSerialClient(path, framer=FramerType.RTU, baudrate=115200, timeout=ANSWER_S, retries=0)
        assert client.connect()
        reply = client.report_device_id(device_id=1)
        client.close()  # type: ignore[no-untyped-call]
        assert not reply.isError(), reply
        return bytes(getattr(reply, "identifier", b""))

    with null_modem() as (ours, theirs):
        async with running(store_of(FACTS), [spec_of(FACTS, PORT + 1, **keys(ours))]):
            assert (await asyncio.to_thread(ask, theirs)).startswith(b"meterbridge MB")


# BARS R3
async def test_a_line_that_is_pulled_is_served_again_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "line"

    def plug() -> int:
        near, far = pty.openpty()
        tty.setraw(near)
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(far))
        os.close(far)
        os.set_blocking(near, False)
        return near

    def answered(near: int) -> bool:
        # a read of four registers of unit 1; its reply is 13 bytes long
        try:
            os.write(near, bytes.fromhex("0103000000044409"))
            time.sleep(0.1)
            return len(os.read(near, 4096)) >= 13
        except OSError:
            return False

    near = plug()
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 2, **keys(str(path)))]):
        await until(partial(answered, near), 10)
        for _ in range(3):
            os.close(near)
            near = plug()
            await until(partial(answered, near), 10)
    os.close(near)


class Scattered(ModbusPDU):
    """Function 100/4 in pymodbus's terms (Schneider FAQ000241252)."""

    function_code = 100
    rtu_byte_count_pos = 2

    def __init__(self, addresses: list[int] | None = None, dev_id: int = 1, transaction_id: int = 0) -> None:
        super().__init__(dev_id=dev_id, transaction_id=transaction_id)
        self.addresses = addresses or []

    def encode(self) -> bytes:
        count = len(self.addresses)
        return struct.pack(f">BBB{count}H", 2 + 2 * count, 4, 0x5A, *self.addresses)

    def decode(self, data: bytes) -> None:
        assert data[1:3] == b"\4\x5a"
        self.registers = list(struct.unpack(f">{(len(data) - 3) // 2}H", data[3:]))


# G-08 G-13
async def test_pymodbus_reads_registers_that_stand_apart() -> None:
    wanted = [0, 3, 20, 1, 499]

    def ask() -> tuple[list[int], list[int]]:
        client = ModbusTcpClient(HOST, port=PORT + 3, timeout=ANSWER_S, retries=0)
        client.register(Scattered)
        assert client.connect()  # type: ignore[no-untyped-call]
        reply = client.execute(False, Scattered(wanted))
        assert not reply.isError(), reply
        singly = [client.read_holding_registers(address, count=1, device_id=1).registers[0] for address in wanted]
        client.close()  # type: ignore[no-untyped-call]
        return list(reply.registers), singly

    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 3)]):
        scattered, singly = await asyncio.to_thread(ask)

    assert scattered == singly
    assert len(set(scattered)) > 2
