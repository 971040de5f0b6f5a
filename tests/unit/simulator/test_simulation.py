"""bridge.simulator.simulation: foreign masters read the simulated meters through pseudo-terminals and TCP"""

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import httpx
import pytest
from fastcrc import crc16
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerType

from bridge.config.model import SiteConfig
from bridge.config.site import RtuOverTcpChannel
from bridge.core.clock import SystemClock
from bridge.simulator.simulation import Endpoints, PtyEndpoint, Simulation, SimulationSettings, TcpEndpoint
from tests.support.sim_site import device, energy, point, register, rtu, site

pytestmark = pytest.mark.real_time

Client = AsyncModbusTcpClient | AsyncModbusSerialClient
Opened = Callable[[Endpoints, float], contextlib.AbstractAsyncContextManager[Client]]
INT32, FLOAT32 = AsyncModbusTcpClient.DATATYPE.INT32, AsyncModbusTcpClient.DATATYPE.FLOAT32


@contextlib.asynccontextmanager
async def running(
    made: SiteConfig, *, paced: bool = False, step_s: float = 0.5
) -> AsyncIterator[tuple[Endpoints, httpx.AsyncClient]]:
    simulation = Simulation(SystemClock(), SimulationSettings(step_s=step_s))
    endpoints = await simulation.start(made, 0, paced)
    try:
        async with httpx.AsyncClient(base_url=endpoints.control, timeout=5) as control:
            yield endpoints, control
    finally:
        await simulation.stop()


def two_lines() -> SiteConfig:
    return site([device("a", "line", 1), device("b", "line", 2), device("c", "lan", 5)])


def pty(endpoints: Endpoints, channel: str = "line") -> str:
    endpoint = endpoints.channels[channel]
    assert isinstance(endpoint, PtyEndpoint)
    return endpoint.path


def port(endpoints: Endpoints, channel: str = "lan") -> int:
    endpoint = endpoints.channels[channel]
    assert isinstance(endpoint, TcpEndpoint)
    return endpoint.port


@contextlib.asynccontextmanager
async def tcp_client(endpoints: Endpoints, timeout_s: float = 2.0) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=port(endpoints), timeout=timeout_s, retries=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


@contextlib.asynccontextmanager
async def rtu_client(endpoints: Endpoints, timeout_s: float = 2.0) -> AsyncIterator[AsyncModbusSerialClient]:
    client = AsyncModbusSerialClient(pty(endpoints), framer=FramerType.RTU, timeout=timeout_s, retries=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


async def test_a_pinned_energy_is_read_to_the_last_count_on_tcp_and_serial() -> None:
    async with running(two_lines(), step_s=0.02) as (endpoints, control):
        for name in ("a", "c"):
            answer = await control.put(f"/points/{name}/active_energy_import", content="131072.01")
            assert (answer.status_code, answer.text) == (200, '{"value":131072.01}')
        await asyncio.sleep(0.1)
        async with tcp_client(endpoints) as over_tcp, rtu_client(endpoints) as over_serial:
            for client, unit_id in ((over_tcp, 5), (over_serial, 1)):
                reply = await client.read_holding_registers(3000, count=2, device_id=unit_id)
                assert client.convert_from_registers(reply.registers, INT32) == 13_107_201


async def test_every_reported_value_is_what_a_foreign_master_reads() -> None:
    async with running(two_lines(), step_s=60) as (endpoints, control):
        shown = (await control.get("/points")).json()
        async with tcp_client(endpoints) as client:
            for name, address in (("voltage_l1_n", 102), ("active_power_total", 128), ("demand_peak_current", 3014)):
                reply = await client.read_holding_registers(address, count=2, device_id=5)
                assert client.convert_from_registers(reply.registers, FLOAT32) == shown["c"][name]
            block = await client.read_holding_registers(140, count=2, device_id=5)
            text = await client.read_holding_registers(3030, count=8, device_id=5)

    assert [block.registers[0] / 1000, block.registers[1] / 100] == [
        shown["c"]["power_factor_total"],
        shown["c"]["frequency"],
    ]
    assert client.convert_from_registers(text.registers, client.DATATYPE.STRING) == "ACME" == shown["c"]["vendor"]


async def mbpoll(*arguments: str) -> tuple[int, str]:
    program = shutil.which("mbpoll")
    assert program is not None, "Debian package mbpoll"
    process = await asyncio.create_subprocess_exec(
        program, "-1", "-q", "-0", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(10):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_mbpoll_and_libmodbus_read_and_write_over_serial_and_tcp() -> None:
    async with running(two_lines()) as (endpoints, control):
        await control.put("/points/b/active_energy_import", content="1000")
        await control.put("/points/c/frequency", content="50.02")
        serial = ("-m", "rtu", "-b", "9600", "-P", "none", "-a", "2")
        read = await mbpoll(*serial, "-t", "4:hex", "-r", "3000", "-c", "2", pty(endpoints))
        written = await mbpoll(*serial, "-t", "4", "-r", "4010", pty(endpoints), "20")
        unmapped = await mbpoll(*serial, "-t", "4", "-r", "9000", pty(endpoints))
        lan = ("-m", "tcp", "-a", "5", "-p", str(port(endpoints)))
        frequency = await mbpoll(*lan, "-t", "4", "-r", "141", "127.0.0.1")
        interval = (await control.get("/points/b/demand_interval")).json()

    assert "0x0001" in read[1]
    assert "0x86A0" in read[1]
    assert written[0] == 0, written[1]
    assert interval == {"value": 20.0}
    assert "Illegal data address" in unmapped[1]
    assert "5002" in frequency[1]


async def test_requests_in_one_segment_and_split_ones_are_all_answered() -> None:
    async with running(two_lines()) as (endpoints, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port(endpoints))
        frames = [bytes.fromhex(f"{n:04x} 0000 0006 05 03 0066 0002") for n in range(3)]
        writer.write(frames[0] + frames[1] + frames[2][:5])
        await asyncio.sleep(0.05)
        writer.write(frames[2][5:])
        async with asyncio.timeout(2):
            replies = [await reader.readexactly(13) for _ in frames]
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(2):
            rest = await reader.read()
        writer.close()

    assert [r[:2] for r in replies] == [b"\x00\x00", b"\x00\x01", b"\x00\x02"]
    assert rest == b"", "what is no Modbus is hung up on"


async def test_rtu_frames_over_tcp() -> None:
    channels = {"far": RtuOverTcpChannel(host="192.0.2.1", port=4001)}
    async with running(site([device("d", "far", 3)], dict(channels))) as (endpoints, _):
        client = AsyncModbusTcpClient(
            "127.0.0.1", port=port(endpoints, "far"), framer=FramerType.RTU, timeout=2, retries=0
        )
        await client.connect()
        reply = await client.read_holding_registers(102, count=2, device_id=3)
        client.close()

    assert len(reply.registers) == 2


@pytest.mark.parametrize(("name", "unit_id", "opened"), [("a", 1, rtu_client), ("c", 5, tcp_client)])
async def test_each_fault_is_what_a_master_sees_and_goes_away(name: str, unit_id: int, opened: Opened) -> None:
    async with running(two_lines()) as (endpoints, control):
        for fault in ("dead", "noise", "late"):
            assert (await control.put(f"/devices/{name}", json={"fault": fault})).json()["fault"] == fault
            async with opened(endpoints, 0.1) as client:
                with pytest.raises(ModbusIOException):
                    await client.read_holding_registers(102, count=2, device_id=unit_id)
        await asyncio.sleep(0.3)
        async with opened(endpoints, 1.0) as client:
            await control.put(f"/devices/{name}", json={"fault": "exception"})
            refused = await client.read_holding_registers(102, count=2, device_id=unit_id)
            await control.put(f"/devices/{name}", json={"fault": None})
            healthy = await client.read_holding_registers(102, count=2, device_id=unit_id)

    assert refused.exception_code == 4
    assert len(healthy.registers) == 2


async def test_a_late_reply_comes_after_the_time_out_of_the_master() -> None:
    async with running(two_lines()) as (endpoints, control):
        await control.put("/devices/a", json={"fault": "late"})
        async with rtu_client(endpoints, 2.0) as client:
            before = time.monotonic()
            reply = await client.read_holding_registers(102, count=2, device_id=1)
            took_s = time.monotonic() - before

    assert len(reply.registers) == 2
    assert 0.29 < took_s < 0.6


async def test_the_control_port_refuses_what_is_wrong_with_json() -> None:
    async with running(two_lines()) as (_, control):
        seen = {
            (path, body[:12]): (await control.put(path, content=body)).status_code
            for path, body in (
                ("/points/zz/frequency", "1"),
                ("/points/a/zz", "1"),
                ("/points/a/reset_demand_peak", "1"),
                ("/points/a/frequency", ""),
                ("/points/a/frequency", "{"),
                ("/points/a/frequency", '"fifty"'),
                ("/points/a/frequency", "NaN"),
                ("/points/a/frequency", "1e999999999"),
                ("/points/a/frequency", "true"),
                ("/points/a/frequency", "[" * 4000),
                ("/points/a/frequency", "9" * 4001),
                ("/points/a/frequency", "9" * 5000),
                ("/points/a/frequency", "\xff"),
                ("/points/a/frequency", "700"),
                ("/points/a/communication_status", "9"),
                ("/points/a/active_energy_import", "1000000"),
                ("/points/a/active_energy_import", "-1"),
                ("/devices/a", '{"fault": "asleep"}'),
                ("/devices/a", '{"fault": null, "more": 1}'),
                ("/devices/a", '{"fault": "dead", "rate": 0.1}'),
                ("/devices/a", "[]"),
                ("/devices/zz", '{"fault": null}'),
                ("/points", "1"),
                ("/elsewhere", "1"),
            )
        }
        errors = [await control.request(method, "/points") for method in ("POST", "DELETE")]
        after = (await control.get("/devices")).json()

    assert [code for code in seen.values() if code not in (400, 404, 405, 413)] == []
    assert seen["/points/zz/frequency", "1"] == seen["/points/a/zz", "1"] == seen["/elsewhere", "1"] == 404
    assert seen["/points", "1"] == 405
    assert seen["/points/a/frequency", "9" * 12] == 413
    assert seen["/points/a/frequency", "NaN"] == seen["/devices/a", "[]"] == 400
    assert [(e.status_code, list(e.json())) for e in errors] == [(405, ["error"])] * 2
    assert after["a"] == {"channel": "line", "unit": 1, "meter": "toy", "fault": None}


async def test_null_releases_a_point() -> None:
    async with running(two_lines(), step_s=0.02) as (_, control):
        await control.put("/points/a/frequency", content="47.11")
        await asyncio.sleep(0.05)
        held = (await control.get("/points/a/frequency")).json()
        released = await control.put("/points/a/frequency", content="null")
        free = (await control.get("/points")).json()["a"]["frequency"]

    assert held == {"value": 47.11}
    assert released.status_code == 200
    assert 49 < free < 51


async def exchange(path: str, request: bytes, length: int) -> float:
    """Return the s from the request to the last byte of the reply."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    received = b""

    def readable() -> None:
        nonlocal received
        received += os.read(descriptor, 512)
        if len(received) >= length and not done.done():
            done.set_result(time.monotonic())

    loop.add_reader(descriptor, readable)
    try:
        before = time.monotonic()
        os.write(descriptor, request)
        async with asyncio.timeout(5):
            return await done - before
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


@pytest.mark.parametrize("baud", [9600, 19200])
async def test_a_paced_line_keeps_its_speed(baud: int) -> None:
    made = device(points=[point(f"voltage_l1_n_t{n}", register(2 * n), unit="V") for n in range(1, 63)])
    body = bytes.fromhex("01 03 0002 007C")
    request = body + crc16.modbus(body).to_bytes(2, "little")
    expected_s = (8 + 5 + 248) * 10 / baud + 0.01
    async with running(site([made], {"line": rtu(baud)}), paced=True) as (endpoints, _):
        took = sorted([await exchange(pty(endpoints), request, 253) for _ in range(5)])

    assert took[0] >= expected_s * 0.999, "never faster than the line"
    assert took[2] == pytest.approx(expected_s, rel=0.05)


def tower() -> SiteConfig:
    """BARS: 100 meters of 80 points; ten lines."""
    names = [f"{q}_{p}" for q in ("active_power", "reactive_power", "apparent_power", "current") for p in ("l1", "l2")]
    points = [
        *(point(f"{name}_t{t}", register(100 + 20 * n + 2 * t)) for n, name in enumerate(names) for t in range(1, 10)),
        *(energy(f"active_energy_import_l{p}", 1000 + 2 * p) for p in (1, 2, 3)),
        *(energy(f"active_energy_export_l{p}", 1010 + 2 * p) for p in (1, 2, 3)),
        energy("active_energy_import", 1020),
        energy("active_energy_export", 1022),
    ]
    assert len(points) == 80
    devices = [device(f"m{n}", f"line{n // 10}", n % 10 + 1, points) for n in range(100)]
    return site(devices, {f"line{n}": rtu() for n in range(10)})


async def test_a_tower_of_a_hundred_meters_starts_in_a_second_and_runs_quietly() -> None:
    made = tower()
    before_s, before_cpu_s = time.monotonic(), time.process_time()
    async with running(made) as (_, control):
        started_cpu_s = time.process_time() - before_cpu_s
        await asyncio.sleep(1.2)
        idle_cpu_s = time.process_time() - before_cpu_s - started_cpu_s
        points = (await control.get("/points")).json()

    assert time.monotonic() - before_s < 5
    assert started_cpu_s < 1.5
    assert idle_cpu_s < 0.12
    assert sum(len(values) for values in points.values()) == 8000


async def test_nothing_is_left_after_a_stop() -> None:
    async with running(two_lines()):
        pass
    descriptors, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
    for _ in range(5):
        async with running(two_lines()) as (endpoints, _), tcp_client(endpoints) as client:
            await client.read_holding_registers(102, count=2, device_id=5)

    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert len(asyncio.all_tasks()) <= tasks


async def test_a_taken_control_port_is_an_error_that_leaves_nothing_open() -> None:
    async with running(two_lines()) as (endpoints, _):
        descriptors = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="in use"):
            await Simulation(SystemClock()).start(two_lines(), int(endpoints.control.rpartition(":")[2]), False)

        assert len(os.listdir("/proc/self/fd")) <= descriptors


async def test_json_of_an_energy_keeps_its_digits() -> None:
    async with running(two_lines()) as (_, control):
        await control.put("/points/a/active_energy_import", content="120.50")
        answer = (await control.get("/points")).text

    assert json.loads(answer, parse_float=Decimal)["a"]["active_energy_import"] == Decimal("120.50")
    assert '"active_energy_import":120.50,' in answer
