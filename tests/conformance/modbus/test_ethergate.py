"""Raw bytes through the real EtherGate worker: foreign masters speak RTU to meters behind it."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.client import ModbusTcpClient

from bridge.core.errors import LineBusy
from bridge.core.ports import ChannelFacts
from bridge.field.line import Use
from bridge.modbus.frame import rtu_frame
from tests.support.certificates import Authority
from tests.support.gateway_site import HOST, device, ethergate, facts
from tests.support.workers import until

pytestmark = pytest.mark.real_time
PORT = 28_020
SITE = facts(device("tenant-1", "riser", 11), riser=ChannelFacts("rtu", ethergate=True))
READ = bytes.fromhex("0300640002")
FRAME, REPLY = rtu_frame(11, READ), rtu_frame(11, bytes.fromhex("030400640065"))


async def raw(port: int = PORT, **options: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, port, **options)  # type: ignore[arg-type]


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def refused(port: int, **options: object) -> bool:
    """Try to talk to the meter; tell whether the other side ended it within a second."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await raw(port, **options)
            try:
                writer.write(FRAME)
                return await reader.read() == b""
            finally:
                await hang_up(writer)
    except TimeoutError:
        return False
    except OSError:
        return True


async def test_pymodbus_speaks_rtu_to_a_meter(tmp_path: Path) -> None:
    # G-04
    def ask() -> list[int]:
        client = ModbusTcpClient(HOST, port=PORT, framer=FramerType.RTU, timeout=3, retries=0)
        assert client.connect()  # type: ignore[no-untyped-call]
        found = [client.read_holding_registers(n, count=2, device_id=11).registers[0] for n in range(10)]
        client.close()  # type: ignore[no-untyped-call]
        return found

    async with ethergate(tmp_path, PORT, SITE):
        assert await asyncio.to_thread(ask) == list(range(10))


async def test_a_tool_on_a_virtual_serial_port_reaches_a_meter(tmp_path: Path) -> None:
    port = tmp_path / "com1"

    def ask() -> list[str]:
        asked = ["-m", "rtu", "-b", "9600", "-P", "none", "-a", "11", "-t", "4", "-0", "-r", "100", "-c", "3", "-1"]
        said = subprocess.run(["mbpoll", *asked, port], capture_output=True, text=True, timeout=20, check=False)
        return re.findall(r"^\[\d+\]:\s+(\S+)", said.stdout, re.M)

    async with ethergate(tmp_path, PORT, SITE):
        socat = await asyncio.create_subprocess_exec("socat", f"pty,raw,echo=0,link={port}", f"tcp:{HOST}:{PORT}")
        try:
            await until(port.exists)
            assert await asyncio.to_thread(ask) == ["100", "101", "102"]
        finally:
            socat.terminate()
            await socat.wait()


async def test_a_client_that_says_nothing_takes_nothing_and_one_that_talks_takes_the_line(tmp_path: Path) -> None:
    async with ethergate(tmp_path, PORT, SITE) as running:
        channel = running.channels["riser"]
        reader, writer = await raw()
        await asyncio.sleep(0.2)
        assert not channel.leased

        writer.write(FRAME)
        assert await asyncio.wait_for(reader.readexactly(len(REPLY)), 2) == REPLY
        assert channel.leased
        with pytest.raises(LineBusy):
            await channel.ask(Use.POLL, "p", 11, READ, 0.3)
        await hang_up(writer)
        await until(lambda: not channel.leased)
        assert await channel.ask(Use.POLL, "p", 11, READ, 0.3) == REPLY[1:-2]


async def test_the_second_client_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    # G-04, BARS L2
    async with ethergate(tmp_path, PORT, SITE):
        reader, writer = await raw()
        writer.write(FRAME)
        await reader.readexactly(len(REPLY))
        assert await refused(PORT)
        writer.write(FRAME)
        assert await asyncio.wait_for(reader.readexactly(len(REPLY)), 2) == REPLY
        await hang_up(writer)


async def test_silence_gives_the_line_back(tmp_path: Path) -> None:
    async with ethergate(tmp_path, PORT, SITE, listener={"port": PORT, "idle_s": 0.5}) as running:
        reader, writer = await raw()
        writer.write(FRAME)
        await reader.readexactly(len(REPLY))
        assert running.channels["riser"].leased

        await until(lambda: not running.channels["riser"].leased, 2)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        await hang_up(writer)


async def test_a_worker_that_is_killed_gives_the_line_back(tmp_path: Path) -> None:
    async with ethergate(tmp_path, PORT, SITE) as running:
        reader, writer = await raw()
        writer.write(FRAME)
        await reader.readexactly(len(REPLY))
        os.kill(running.supervisor.statuses()[0].pid, signal.SIGKILL)

        await until(lambda: not running.channels["riser"].leased, 2)
        await hang_up(writer)


async def test_a_line_that_goes_away_ends_the_client(tmp_path: Path) -> None:
    async with ethergate(tmp_path, PORT, SITE) as running:
        reader, writer = await raw()
        writer.write(FRAME)
        await reader.readexactly(len(REPLY))
        running.channels["riser"].close()

        assert await asyncio.wait_for(reader.read(), 2) == b""
        await hang_up(writer)


async def test_megabytes_for_a_slow_line_wait_in_the_client(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def answer(unit_id: int, pdu: bytes) -> tuple[float, bytes]:
        heard.append(pdu)
        return 0.0, b"\x03\x02\x00\x01"

    async with ethergate(tmp_path, PORT, SITE, answer, baud=9600) as running:
        _, writer = await raw()
        writer.write(bytes(4_000_000))
        await asyncio.sleep(1.5)
        sent = sum(len(piece) + 3 for piece in heard)
        await until(lambda: running.counters().get("bytes_in", 0) > 0)
        taken = running.counters()["bytes_in"]
        writer.transport.abort()

    # 960 bytes a second, and what the windows hold
    assert 256 <= sent <= 3000
    assert taken < 600_000


async def test_a_listener_whose_own_certificate_is_of_another_authority_is_well(tmp_path: Path) -> None:
    # its probe of itself has no certificate that it would let in
    authority, plant = Authority(tmp_path), Authority(tmp_path, "plant ca")
    certificate, key = authority.issue("gateway")
    tls = {"certificate": str(certificate), "key": str(key), "client_ca": str(plant.file)}
    async with ethergate(tmp_path, PORT, SITE, listener={"port": PORT, "tls": tls}) as running:
        context = authority.client_context(plant.issue("tool"))
        reader, writer = await raw(ssl=context)
        writer.write(FRAME)
        assert await asyncio.wait_for(reader.readexactly(len(REPLY)), 2) == REPLY
        await hang_up(writer)
        assert running.counters()["probe_failed"] == 0


@pytest.mark.parametrize("mutual", [False, True], ids=["server certificate", "client certificate"])
async def test_secure_ethergate_with_and_without_client_certificate(mutual: bool, tmp_path: Path) -> None:
    # G-05
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway")
    own = authority.issue("tool")
    tls = {"certificate": str(certificate), "key": str(key)}
    if mutual:
        tls["client_ca"] = str(authority.file)
    async with ethergate(tmp_path, PORT, SITE, secure={"port": PORT + 1, "tls": tls}):
        reader, writer = await raw(PORT + 1, ssl=authority.client_context(own if mutual else None))
        writer.write(FRAME)
        assert await asyncio.wait_for(reader.readexactly(len(REPLY)), 2) == REPLY
        # the same line by the other door: taken
        second, theirs = await raw()
        theirs.write(FRAME)
        assert await asyncio.wait_for(second.read(), 2) == b""
        await hang_up(theirs)
        await hang_up(writer)
        if mutual:
            assert await refused(PORT + 1, ssl=authority.client_context())
