"""Foreign clients read and write meters on a line through the real gateway worker."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.field.channel import FieldChannel
from bridge.field.line import Use
from bridge.modbus.frame import read_pdu
from tests.support.gateway_site import device, facts, gateway
from tests.support.modbus_clients import (
    HOLDING,
    INPUT_REGISTERS,
    Libmodbus,
    Mbpoll,
    Pymodbus,
    PyModbusTcp,
    Reader,
)
from tests.support.real_meter import prompt

pytestmark = pytest.mark.real_time
PORT = 28_000
POLLED = 13
SITE = facts(device("tenant-1", "riser", 11), device("tenant-2", "riser", 12))
LIBMODBUS = Path(__file__).with_name("read_blocks.c")


class Counted:
    """Takes 2 ms for a reading. `asked`: requests by unit id."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()

    def __call__(self, unit_id: int, pdu: bytes) -> tuple[float, bytes]:
        self.asked[unit_id] += 1
        return 0.002, prompt(unit_id, pdu)[1]


async def poll(channel: FieldChannel) -> None:
    """A poller that always wants the line."""
    while True:
        await channel.ask(Use.POLL, "poller", POLLED, read_pdu(3, 0, 2), 1.0)


def libmodbus(folder: Path) -> Callable[[int], Reader]:
    return lambda port: Libmodbus(port, folder, LIBMODBUS)


@pytest.mark.parametrize("name", ["pymodbus", "pyModbusTCP", "mbpoll", "libmodbus"])
async def test_foreign_clients_read_the_meters_themselves_and_the_poller_keeps_half_of_the_line(
    name: str, tmp_path: Path
) -> None:
    # G-01 G-02, BARS P1
    clients: dict[str, Callable[[int], Reader]] = {
        "pymodbus": Pymodbus,
        "pyModbusTCP": PyModbusTcp,
        "mbpoll": Mbpoll,
        "libmodbus": libmodbus(tmp_path),
    }

    def ask(port: int) -> list[list[int]]:
        reader = clients[name](port)
        for n in range(12):
            reader.read(HOLDING, 11, 200 + n, 2)
        found = [
            reader.read(HOLDING, 11, 100, 125 if name != "mbpoll" else 100),
            reader.read(INPUT_REGISTERS, 12, 7, 2),
            reader.read(HOLDING, 12, 65_535, 1),
        ]
        reader.close()
        return found

    meter = Counted()
    async with gateway(tmp_path, PORT, SITE, meter, cache_ms=0) as running:
        polling = asyncio.create_task(poll(running.channels["riser"]))
        block, inputs, last = await asyncio.to_thread(ask, running.port)
        polling.cancel()
        await asyncio.wait([polling])

    of_clients = meter.asked[11] + meter.asked[12]
    assert of_clients >= 15
    assert meter.asked[POLLED] >= of_clients - 1
    assert block == list(range(100, 100 + len(block)))
    assert inputs == [7, 8]
    assert last == [65_535]
