"""`python -m tests.bench.pymodbus_forwarder PORT LINK BAUD`: a gateway made of pymodbus's server and serial client."""

import asyncio
import sys

from pymodbus.client import AsyncModbusSerialClient
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

REGISTERS = 20_000


async def serve(port: int, link: str, baud: int) -> None:
    client = AsyncModbusSerialClient(link, baudrate=baud, timeout=2, retries=0)
    assert await client.connect()

    async def forward(
        function: int, first: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        reply = await client.read_holding_registers(address, count=count, device_id=1)
        if reply.isError():
            return ExcCodes.GATEWAY_NO_RESPONSE
        registers[address - first : address - first + count] = reply.registers
        return None

    data = SimData(0, count=REGISTERS, values=0, datatype=DataType.REGISTERS)
    server = ModbusTcpServer(SimDevice(1, simdata=[data], action=forward), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    print("on", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
