"""The demo's gateway: a foreign client reads every register of the simulated meters themselves."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pymodbus.client import ModbusTcpClient

from bridge.config.load import load_site
from bridge.config.meter import Table
from bridge.config.model import FieldDevice, FieldPoint
from bridge.core.point import Kind
from bridge.field.modbus.decode import decoder_for
from bridge.modbus.frame import rtu_frame
from tests.support.demo import Demo, running_demo, wait_until

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(180)]
PORT_BASE = 28_000
# exception of a gateway whose device did not answer in time
NO_ANSWER = 0x0B


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), PORT_BASE) as running:
        yield running


def test_a_foreign_client_reads_every_meter_through_the_gateway(demo: Demo) -> None:
    # G-01 G-02
    demo.pin_everything()
    config, at = load_site(demo.site / "site.yaml"), demo.server("gateway")
    client: Any = ModbusTcpClient(at["host"], port=at["port"], timeout=30, retries=0)
    assert client.connect()
    before = demo.points()
    asked = [
        (device, point)
        for device in config.field
        for point in device.points
        if point.read is not None
        and point.definition.name in before.get(device.definition.id, {})
        and point.definition.kind in (Kind.ANALOG, Kind.ACCUMULATOR)
    ]
    got = {point.definition.id: read(client, device, point) for device, point in asked}
    after = demo.points()
    client.close()

    # what a pin cannot hold goes on: what moved while it was read says nothing
    still = {
        f"{device}.{name}": value
        for device, points in before.items()
        for name, value in points.items()
        if after[device][name] == value
    }
    wrong = [
        (point.definition.id, still[point.definition.id], got[point.definition.id])
        for _, point in asked
        if point.definition.id in still
        and got[point.definition.id] != pytest.approx(still[point.definition.id], rel=1e-6, abs=point_step(point))
    ]
    assert wrong == []
    assert len(still.keys() & got.keys()) > 150


def read(client: Any, device: FieldDevice, point: FieldPoint) -> float:
    """Return the value as the meter file reads the registers that the gateway gave."""
    register = point.read
    assert register is not None
    ask = client.read_holding_registers if register.table is Table.HOLDING else client.read_input_registers
    reply: Any = None

    def answered() -> bool:
        # a busy machine may make a meter late: the gateway says so (0x0B) and rests it for a moment
        nonlocal reply
        reply = ask(register.address, count=register.count, device_id=device.definition.unit_id)
        return not reply.isError() or reply.exception_code != NO_ANSWER

    wait_until(answered, 30)
    assert not reply.isError(), (point.definition.id, reply)
    data = b"".join(word.to_bytes(2, "big") for word in reply.registers)
    value = decoder_for(register, point.definition)(data)[0]
    assert isinstance(value, int | float), point.definition.id
    return value * 10**point.definition.resolution if point.definition.kind is Kind.ACCUMULATOR else float(value)


def point_step(point: FieldPoint) -> float:
    """Half a step of the register: what its resolution may cost."""
    assert point.read is not None
    return abs(float(point.read.scale)) / 2 + 1e-9


def test_raw_bytes_reach_the_meters_while_their_points_age_and_are_polled_again_afterwards(demo: Demo) -> None:
    # G-04: STALE by age, never COMM_LOST, for nobody knows whether the meter answers
    at, question = demo.server("ethergate"), rtu_frame(11, bytes.fromhex("2b0e0100"))
    demo.set("tenant-1", "active_power_total", 2.5)
    wait_until(lambda: (row(demo)["quality"], row(demo)["value"]) == ("good", 2.5), 60)
    seen, answers = set[str](), 0
    with socket.create_connection((at["host"], at["port"]), timeout=15) as sock:
        until = time.monotonic() + 60
        while "stale" not in seen and time.monotonic() < until:
            sock.sendall(question)
            answers += len(sock.recv(256)) >= 5
            seen.add(row(demo)["quality"])
            time.sleep(0.5)
        held = row(demo)
    wait_until(lambda: row(demo)["quality"] == "good", 60)

    assert seen <= {"good", "stale"}
    assert "stale" in seen
    assert held["value"] == 2.5
    assert answers > 3


def test_who_reads_what_is_told_by_the_command_line_and_the_console(demo: Demo) -> None:
    # G-01
    at, web = demo.server("gateway"), demo.server("web")
    client: Any = ModbusTcpClient(at["host"], port=at["port"], timeout=5, retries=0)
    assert client.connect()
    for _ in range(3):
        client.read_holding_registers(7, count=1, device_id=12)
    client.close()

    def asked() -> list[dict[str, Any]]:
        return [row for row in traffic(demo, "--device", "tenant-2") if (row["address"], row["count"]) == (7, 1)]

    wait_until(asked, 15)
    (found,) = asked()
    assert (found["client"], found["unit"], found["function"], found["requests"]) == ("127.0.0.1", 12, 3, 3)
    page = httpx.get(f"https://{web['host']}:{web['port']}/channels/{found['channel']}", verify=False, timeout=10)
    assert "Clients of the gateway" in page.text
    assert f'<a href="/meters/{found["device"]}">' in page.text.partition("Clients of the gateway")[2]


def traffic(demo: Demo, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(demo.bridge("traffic", str(demo.site), *words, "--json").stdout)
    return found


def row(demo: Demo) -> dict[str, Any]:
    done = demo.bridge("read", str(demo.site), "tenant-1.active_power_total", "--json")
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def test_the_demo_lets_nobody_write_through_the_gateway(demo: Demo) -> None:
    # BARS S1
    at = demo.server("gateway")
    client: Any = ModbusTcpClient(at["host"], port=at["port"], timeout=5, retries=0)
    assert client.connect()
    codes = {client.write_register(100, 1, device_id=unit).exception_code for unit in (5, 11, 12, 21, 100)}
    client.close()

    assert codes == {1}
