"""Foreign clients read and write meters on a line through the real gateway worker."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

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

pytestmark = pytest.mark.real_time
PORT = 28_000
SITE = facts(device("tenant-1", "riser", 11), device("tenant-2", "riser", 12))
LIBMODBUS = Path(__file__).with_name("read_blocks.c")


def libmodbus(folder: Path) -> Callable[[int], Reader]:
    return lambda port: Libmodbus(port, folder, LIBMODBUS)


@pytest.mark.parametrize("name", ["pymodbus", "pyModbusTCP", "mbpoll", "libmodbus"])
async def test_foreign_clients_read_the_meters_themselves(name: str, tmp_path: Path) -> None:
    # G-01 G-02
    clients: dict[str, Callable[[int], Reader]] = {
        "pymodbus": Pymodbus,
        "pyModbusTCP": PyModbusTcp,
        "mbpoll": Mbpoll,
        "libmodbus": libmodbus(tmp_path),
    }

    def ask(port: int) -> list[list[int]]:
        reader = clients[name](port)
        found = [
            reader.read(HOLDING, 11, 100, 125 if name != "mbpoll" else 100),
            reader.read(INPUT_REGISTERS, 12, 7, 2),
            reader.read(HOLDING, 12, 65_535, 1),
        ]
        reader.close()
        return found

    async with gateway(tmp_path, PORT, SITE) as running:
        block, inputs, last = await asyncio.to_thread(ask, running.port)

    assert block == list(range(100, 100 + len(block)))
    assert inputs == [7, 8]
    assert last == [65_535]
