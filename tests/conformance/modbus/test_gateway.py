"""What reaches the line through the real gateway worker, and what comes back: functions, policy, framings, roles."""

import asyncio
import json
import os
import signal
import ssl
from pathlib import Path

import msgspec
import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient

from bridge.commands.policy import WritePolicy
from bridge.commands.raw import RawPolicy
from bridge.config.access import AccessFile
from bridge.core.command import Origin
from bridge.modbus.frame import rtu_frame
from tests.support.billed_meters import billed_meters
from tests.support.certificates import Authority
from tests.support.gateway_site import HOST, Everything, device, facts, gateway, nothing_written
from tests.support.modbus_raw import RawClient
from tests.support.real_meter import prompt
from tests.support.workers import until

pytestmark = pytest.mark.real_time
PORT = 28_010
RTU_PORT, SECURE_PORT, PLAIN_PORT = 28_011, 28_012, 28_013
SITE = facts(device("tenant-1", "riser", 11), device("tenant-2", "riser", 12))
ALLOW_ALL = [{"access": "allow", "units": ["0-248"]}]
READ = bytes.fromhex("0300000002")
# function -> a request as the standard writes it, and the reply of a device that does it
WRITES = {
    5: ("050007ff00", "050007ff00"),
    6: ("0600070001", "0600070001"),
    15: ("0f000700010101", "0f00070001"),
    16: ("100007000102ffff", "1000070001"),
    21: ("15090600040007000100ff", "15090600040007000100ff"),
    22: ("16000700f20025", "16000700f20025"),
    23: ("17000300020007000102ffff", "170400030004"),
}


class Meter:
    """Answers what `prompt` does, writes and unknown functions as a device that knows them; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bytes]] = []

    def __call__(self, unit_id: int, pdu: bytes) -> tuple[float, bytes]:
        self.asked.append((unit_id, pdu))
        if pdu[0] in (5, 6):
            return 0.0, pdu
        if pdu[0] in WRITES:
            return 0.0, bytes.fromhex(WRITES[pdu[0]][1])
        if pdu[0] in (65, 100):
            return 0.0, pdu[:1] + b"\x02ok"
        return prompt(unit_id, pdu)

    def writes(self) -> list[tuple[int, bytes]]:
        return [(unit_id, pdu) for unit_id, pdu in self.asked if pdu[0] not in (3, 4)]


@pytest.mark.parametrize("function", WRITES)
async def test_a_gateway_nobody_configured_writes_nothing(function: int, tmp_path: Path) -> None:
    # BARS S1
    meter, pdu = Meter(), bytes.fromhex(WRITES[function][0])
    async with gateway(tmp_path, PORT, SITE, meter) as running, await RawClient.connect(running.port) as client:
        codes = [await client.ask(unit, pdu) for unit in (0, 11, 248, 255)]
        assert (await client.ask(11, READ))[0] == 3
        await until(lambda: running.counters()["refused_policy"] >= 2)

    assert {code[0] for code in codes} == {function | 0x80}
    assert {code[1] for code in codes} <= {0x01, 0x0A}
    assert meter.writes() == []


async def test_what_the_mapping_allows_the_core_still_refuses(tmp_path: Path) -> None:
    # BARS S1 S2: the core lets nothing be written unless its own policy does, whichever way it is sent
    meter = Meter()
    async with (
        gateway(tmp_path, PORT, SITE, meter, policy=ALLOW_ALL) as running,
        await RawClient.connect(running.port) as client,
    ):
        for function, (pdu, _) in WRITES.items():
            for unit in (11, 0):
                assert await client.ask(unit, bytes.fromhex(pdu)) == bytes((function | 0x80, 0x01))
        assert await client.ask(11, b"\x64\x04") == b"\xe4\x01"
        await until(lambda: running.counters()["refused_core"] >= 15)

    assert meter.writes() == []


@pytest.mark.parametrize("client_of", ["pymodbus", "raw"])
async def test_nothing_that_is_billed_by_is_written_whichever_way(client_of: str, tmp_path: Path) -> None:
    # BARS S1 S2, P-10: a site whose rules allow every function, unit id and register
    meter, energy, setting = Meter(), 3000, 4010
    rules = {
        "identities": [{"protocol": "gateway", "role": "technician"}],
        "gateway": [{"channel": "line", "units": [0, 1], "functions": [*WRITES, 100]}],
    }
    access = msgspec.convert(rules, AccessFile)
    judge = RawPolicy(access, billed_meters(), WritePolicy(access).roles)
    site = facts(device("mid", "line", 1, mid=True))
    word = energy.to_bytes(2, "big")
    tries = [
        b"\x05" + word + b"\xff\0",
        b"\x06" + word + b"\0\1",
        b"\x0f" + word + b"\0\1\1\1",
        b"\x10" + word + b"\0\1\2\0\1",
        b"\x10" + (energy - 2).to_bytes(2, "big") + b"\0\3\6" + bytes(6),
        b"\x15\x09\x06\0\4\0\7\0\1\0\xff",
        b"\x16" + word + b"\0\xf2\0\x25",
        b"\x17\0\3\0\2" + word + b"\0\1\2\0\1",
        b"\x64\4",
    ]
    async with gateway(tmp_path, PORT, site, meter, judge, policy=ALLOW_ALL) as running:
        if client_of == "raw":
            async with await RawClient.connect(running.port) as client:
                for pdu in tries:
                    for unit in (1, 0, 248):
                        assert await client.ask(unit, pdu) == bytes((pdu[0] | 0x80, 0x01))
                        await asyncio.sleep(0.05)
        else:
            await _pymodbus_writes(running.port, energy, setting)

    assert meter.writes() == ([] if client_of == "raw" else [(1, b"\x06" + setting.to_bytes(2, "big") + b"\0\5")])


async def _pymodbus_writes(port: int, energy: int, setting: int) -> None:
    """Try to write an energy in every way of the library, and then what may be written."""
    client = AsyncModbusTcpClient(HOST, port=port, timeout=3, retries=0)
    assert await client.connect()
    replies = [
        await client.write_coil(energy, True, device_id=1),
        await client.write_register(energy, 1, device_id=1),
        await client.write_coils(energy, [True], device_id=1),
        await client.write_registers(energy, [1, 2], device_id=1),
        await client.mask_write_register(address=energy, device_id=1),
        await client.readwrite_registers(read_address=0, read_count=1, address=energy, values=[1], device_id=1),
        await client.write_registers(energy, [1], device_id=248),
    ]
    assert {reply.exception_code for reply in replies} == {1}
    assert not (await client.write_register(setting, 5, device_id=1)).isError()
    client.close()


async def test_what_both_policies_allow_reaches_the_device_as_it_is(tmp_path: Path) -> None:
    meter = Meter()
    async with (
        gateway(tmp_path, PORT, SITE, meter, Everything(), policy=ALLOW_ALL) as running,
        await RawClient.connect(running.port) as client,
    ):
        for pdu, reply in WRITES.values():
            assert await client.ask(11, bytes.fromhex(pdu)) == bytes.fromhex(reply)
        assert await client.ask(11, b"\x64\x04\x01\x02\x03") == b"\x64\x02ok"
        assert await client.ask(12, b"\x41") == b"\x41\x02ok"

    assert meter.writes()[-2:] == [(11, b"\x64\x04\x01\x02\x03"), (12, b"\x41")]


async def test_a_broadcast_goes_out_without_a_reply_and_only_in_functions_of_the_line(tmp_path: Path) -> None:
    # F-08
    meter = Meter()
    async with (
        gateway(tmp_path, PORT, SITE, meter, Everything(), policy=ALLOW_ALL) as running,
        await RawClient.connect(running.port) as client,
    ):
        client.send(0, bytes.fromhex(WRITES[16][0]))
        after = client.send(11, READ)
        assert (await client.receive())[0] == after
        assert await client.ask(0, bytes.fromhex(WRITES[6][0])) == b"\x86\x01"

    assert meter.writes() == [(0, bytes.fromhex(WRITES[16][0]))]


async def test_pipelined_and_split_requests_are_all_answered(tmp_path: Path) -> None:
    async with gateway(tmp_path, PORT, SITE) as running, await RawClient.connect(running.port) as client:
        sent = [client.send(11, b"\x03" + n.to_bytes(2, "big") + b"\0\1") for n in range(100)]
        replies = dict([(await client.receive())[::2] for _ in sent])
        frame = bytes.fromhex("01f40000000611") + READ
        for at in range(len(frame)):
            client.writer.write(frame[at : at + 1])
            await client.writer.drain()
        late = await client.receive()

    assert [replies[n] for n in sent] == [b"\x03\x02" + n.to_bytes(2, "big") for n in range(100)]
    assert late == (0x01F4, 0x11, b"\x83\x0a")


async def test_rtu_over_tcp_speaks_frames_with_a_crc(tmp_path: Path) -> None:
    # G-03
    rtu = {"port": RTU_PORT, "max_clients": 8}
    async with gateway(tmp_path, PORT, SITE, rtu_over_tcp=rtu):
        client = AsyncModbusTcpClient(HOST, port=RTU_PORT, framer=FramerType.RTU, timeout=3, retries=0)
        assert await client.connect()
        read = await client.read_holding_registers(100, count=20, device_id=12)
        refused = await client.write_register(1, 1, device_id=12)
        client.close()
        reader, writer = await asyncio.open_connection(HOST, RTU_PORT)
        good = rtu_frame(11, READ)
        writer.write(good[:-1] + bytes((good[-1] ^ 1,)))
        await asyncio.sleep(0.6)
        writer.write(good + good)
        answered = await asyncio.wait_for(reader.readexactly(18), 3)
        writer.close()

    assert read.registers == list(range(100, 120))
    assert refused.exception_code == 1
    assert answered == 2 * rtu_frame(11, bytes.fromhex("030400000001"))


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [
        pytest.param(b"\x0c\x06reader", b"\x03\x04\0\0\0\1", b"\x86\x01", id="may read"),
        pytest.param(b"\x0c\x08engineer", b"\x03\x04\0\0\0\1", b"\x06\0\7\0\1", id="may write"),
        pytest.param(b"\x0c\x07unknown", b"\x83\x01", b"\x86\x01", id="a role nobody knows"),
        pytest.param(b"\x13\x06reader", b"\x83\x01", b"\x86\x01", id="no UTF8String"),
        pytest.param(b"\x0c\x09reader", b"\x83\x01", b"\x86\x01", id="a length that lies"),
        pytest.param(None, b"\x83\x01", b"\x86\x01", id="no role at all"),
    ],
)
async def test_modbus_security_allows_what_the_role_of_the_certificate_may(
    role: bytes | None, read: bytes, write: bytes, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway")
    own = authority.issue("client", role)
    tls = {"certificate": str(certificate), "key": str(key), "client_ca": str(authority.file)}
    secure = {"port": SECURE_PORT, "tls": tls}
    roles = {"reader": [3, 4], "engineer": [3, 6]}
    async with gateway(tmp_path, PORT, SITE, Meter(), Everything(), policy=ALLOW_ALL, secure=secure, roles=roles):
        async with await RawClient.connect(SECURE_PORT, authority.client_context(own)) as client:
            assert await client.ask(11, READ) == read
            assert await client.ask(11, bytes.fromhex("0600070001")) == write
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            async with await RawClient.connect(SECURE_PORT, authority.client_context()) as stranger:
                await stranger.ask(11, READ)


async def test_a_main_listener_whose_own_certificate_is_of_another_authority_is_well(tmp_path: Path) -> None:
    authority, plant = Authority(tmp_path), Authority(tmp_path, "plant ca")
    certificate, key = authority.issue("gateway")
    tls = {"certificate": str(certificate), "key": str(key), "client_ca": str(plant.file)}
    async with gateway(tmp_path, PORT, SITE, listener={"port": PORT, "tls": tls}) as running:
        async with await RawClient.connect(PORT, authority.client_context(plant.issue("client"))) as client:
            assert (await client.ask(11, READ))[0] == 3
        assert running.counters()["probe_failed"] == 0


async def test_who_asks_what_is_in_a_file(tmp_path: Path) -> None:
    async with gateway(tmp_path, PORT, SITE) as running, await RawClient.connect(running.port) as client:
        for _ in range(3):
            await client.ask(11, READ)
        table = tmp_path / "state" / "traffic.json"
        await until(table.exists, 15)

    (row,) = json.loads(table.read_bytes())
    assert row["last_utc_ns"] > 1_600_000_000_000_000_000
    assert {name: row[name] for name in ("client", "channel", "unit", "function", "address", "count", "requests")} == {
        "client": HOST,
        "channel": "riser",
        "unit": 11,
        "function": 3,
        "address": 0,
        "count": 2,
        "requests": 3,
    }


async def test_a_gateway_that_is_killed_is_back_within_three_seconds(tmp_path: Path) -> None:
    # BARS R9
    async with gateway(tmp_path, PORT, SITE) as running:
        os.kill(running.supervisor.statuses()[0].pid, signal.SIGKILL)
        async with asyncio.timeout(3):
            while True:
                try:
                    async with await RawClient.connect(PORT) as client:
                        assert (await client.ask(11, READ))[0] == 3
                        break
                except (OSError, EOFError):
                    await asyncio.sleep(0.05)


async def test_a_foreign_tls_stack_and_pymodbus_read_through_modbus_security(tmp_path: Path) -> None:
    # pymodbus's own TLS framer leaves the MBAP header out, against the specification: socat makes the TLS
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway")
    own = authority.issue("client", b"\x0c\x06reader")
    tls = {"certificate": str(certificate), "key": str(key), "client_ca": str(authority.file)}
    secure = {"port": SECURE_PORT, "tls": tls}
    ours = f"openssl:{HOST}:{SECURE_PORT},cert={own[0]},key={own[1]},cafile={authority.file}"
    listen = f"tcp-listen:{PLAIN_PORT},bind={HOST},reuseaddr"
    async with gateway(tmp_path, PORT, SITE, secure=secure, roles={"reader": [3]}):
        socat = await asyncio.create_subprocess_exec("socat", listen, ours)
        try:
            client = AsyncModbusTcpClient(HOST, port=PLAIN_PORT, timeout=3, retries=0)
            await _connected(client)
            read = await client.read_holding_registers(7, count=3, device_id=11)
            refused = await client.read_input_registers(7, count=3, device_id=11)
            client.close()
        finally:
            socat.kill()
            await socat.wait()

    assert read.registers == [7, 8, 9]
    assert refused.exception_code == 1


async def _connected(client: AsyncModbusTcpClient) -> None:
    for _ in range(50):
        if await client.connect():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no connection")


def test_the_core_lets_nothing_be_written_by_itself() -> None:
    # the seam where the site's write policy stands
    policy, origin = nothing_written(), Origin("gateway", "10.0.0.9", "")
    assert all(policy.judge(bytes.fromhex(pdu), 11, "riser", origin).refusal for pdu, _ in WRITES.values())
    assert policy.judge(b"\x64\x04", 11, "riser", origin).refusal
    assert policy.judge(READ, 11, "riser", origin).refusal is None
