"""Our channels against a server that is not ours: pymodbus behind a serial line, a device server and TCP."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymodbus import ModbusDeviceIdentification
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer

from bridge.config.site import Channel, RtuChannel, RtuOverTcpChannel, TcpChannel
from bridge.core.errors import FramingError, ReplyTimeout
from bridge.field.arbiter import Use
from bridge.field.channel import FieldChannel
from tests.support.cable import null_modem
from tests.support.real_meter import real_channel

pytestmark = pytest.mark.real_time


def device() -> ModbusServerContext:
    bits = ModbusSequentialDataBlock(1, [n % 3 == 0 for n in range(100)])  # type: ignore[no-untyped-call]
    words = ModbusSequentialDataBlock(1, list(range(1000, 1200)))  # type: ignore[no-untyped-call]
    return ModbusServerContext(devices=ModbusDeviceContext(di=bits, co=bits, hr=words, ir=words), single=True)


IDENTITY = ModbusDeviceIdentification(  # type: ignore[no-untyped-call]
    info_name={"VendorName": "peer", "ProductCode": "P", "MajorMinorRevision": "1"}
)


@contextlib.asynccontextmanager
async def peer(kind: str, folder: Path) -> AsyncIterator[FieldChannel]:
    with contextlib.ExitStack() as stack:
        server: ModbusSerialServer | ModbusTcpServer
        if kind == "rtu":
            ours, theirs = stack.enter_context(null_modem())
            server = ModbusSerialServer(
                device(), framer=FramerType.RTU, identity=IDENTITY, port=theirs, baudrate=115200
            )
        else:
            framer = FramerType.RTU if kind == "rtu-over-tcp" else FramerType.SOCKET
            server = ModbusTcpServer(device(), framer=framer, identity=IDENTITY, address=("127.0.0.1", 0))
            ours = ""
        await server.serve_forever(background=True)
        config: Channel
        if kind == "rtu":
            config = RtuChannel(port=ours, baud=115200)
        else:
            port = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
            config = TcpChannel(host="127.0.0.1", port=port)
            if kind == "rtu-over-tcp":
                config = RtuOverTcpChannel(host="127.0.0.1", port=port, baud=115200)
        channel = real_channel(config)
        try:
            yield channel
        finally:
            channel.close()
            await server.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("kind", ["rtu", "rtu-over-tcp", "tcp"])
async def test_every_function_of_a_client_is_understood(kind: str, tmp_path: Path) -> None:
    # F-07, F-09: 1 2 3 4 5 6 15 16 17 22 23 43/14, a refused address, an unknown function
    async with peer(kind, tmp_path) as channel:

        async def ask(request: str) -> str:
            return (await channel.ask(Use.POLL, "p", 1, bytes.fromhex(request), 1.0, 1)).hex()

        assert await ask("010000000a") == "01024902"
        assert await ask("0200010003") == "020104"
        assert await ask("0300000003") == "030603e803e903ea"
        assert await ask("0400050001") == "040203ed"
        assert await ask("030000007d") == "03fa" + "".join(f"{n:04x}" for n in range(1000, 1125))
        assert await ask("050001ff00") == "050001ff00"
        assert await ask("0600070abc") == "0600070abc"
        assert await ask("0f000a000902ff01") == "0f000a0009"
        assert await ask("10000800020400010002") == "1000080002"
        assert await ask("16000700f20025") == "16000700f20025"
        assert await ask("0300070003") == "030600b500010002"
        assert await ask("170000000200100001020011") == "170403e803e9"
        assert (await ask("11"))[:2] == "11"
        assert bytes.fromhex(await ask("2b0e0100"))[7:] == b"\x00\x04peer\x01\x01P\x02\x011"
        assert await ask("0303e70001") == "8302"
        assert channel.counters.bad_crc == channel.counters.timeouts == 0
        # pymodbus 3.16.1 answers an unknown function with function code 80h: no answer to what was asked
        with pytest.raises((FramingError, ReplyTimeout)):
            await ask("4100")
