"""A write from a client to a simulated meter and back: every outcome as the client sees it, through a whole bridge."""

import json
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import yaml
from pymodbus.client import ModbusTcpClient

from tests.support.bridge_site import RunningBridge, modbus_mapping, running_bridge, site_files

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
PORT, SIMULATOR_PORT, UNIT = 27050, 27051, 21
ACCESS: dict[str, Any] = {
    "identities": [
        {"protocol": "modbus", "networks": ["127.0.0.0/8"], "role": "technician"},
        {"protocol": "cli", "role": "technician"},
    ],
    "rules": [
        {"match": "landlord.demand_interval", "range": [5, 60]},
        {"match": "landlord.display_backlight_timeout", "protocols": ["modbus"]},
        {"match": "*.reset_demand_peak"},
    ],
    "limits": {"per_minute": 600},
}


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    site = site_files(tmp_path_factory.mktemp("path") / "site", ACCESS, {"modbus": modbus_mapping(PORT)})
    with running_bridge(site, SIMULATOR_PORT) as running:
        yield running


@pytest.fixture(scope="module")
def places(bridge: RunningBridge) -> dict[str, int]:
    """Register or coil of each writable point, from the exported map."""
    out = bridge.site.parent / "out"
    assert bridge.cli("export", "modbus-map", str(bridge.site), "--out", str(out)).returncode == 0
    text = next(iter(out.glob("*.csv"))).read_text().splitlines()
    head = text[0].split(",")
    rows = [dict(zip(head, line.split(","), strict=False)) for line in text[1:]]
    return {
        f"{row['table']}.{row['point'].partition('.')[2]}": int(row["address"])
        for row in rows
        if row["access"] == "read-write" and row["shows"] == "value"
    }


@pytest.fixture
def client(bridge: RunningBridge) -> Iterator[ModbusTcpClient]:
    made = ModbusTcpClient("127.0.0.1", port=PORT, timeout=6, retries=0)
    assert made.connect()  # type: ignore[no-untyped-call]
    yield made
    made.close()  # type: ignore[no-untyped-call]


def floats(value: float) -> list[int]:
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def write(client: ModbusTcpClient, address: int, value: float) -> int:
    """Return the exception code of function 16, 0 for done."""
    reply = client.write_registers(address, floats(value), device_id=UNIT)
    return int(reply.exception_code) if reply.isError() else 0


def newest(bridge: RunningBridge) -> dict[str, Any]:
    return bridge.audit()[-1]


def test_done_through_modbus(bridge: RunningBridge, client: ModbusTcpClient, places: dict[str, int]) -> None:
    # P-06
    assert write(client, places["registers.demand_interval"], 20.0) == 0
    assert float(bridge.value("landlord.demand_interval")) == 20
    shown = client.read_holding_registers(places["registers.demand_interval"], count=2, device_id=UNIT).registers
    assert shown == floats(20.0)
    record = newest(bridge)
    assert (record["result"], record["protocol"], record["peer"]) == ("done", "modbus", "127.0.0.1")


def test_a_command_through_a_coil_resets_the_peak(
    bridge: RunningBridge, client: ModbusTcpClient, places: dict[str, int]
) -> None:
    # P-05, E-05
    reply = client.write_coil(places["coils.reset_demand_peak"], True, device_id=UNIT)
    again = client.write_coil(places["coils.reset_demand_peak"], True, device_id=UNIT)

    assert not reply.isError()
    assert again.exception_code == 1
    assert newest(bridge)["reason"] == "the peak was reset a short time ago"


def test_refused_by_policy_through_modbus(
    bridge: RunningBridge, client: ModbusTcpClient, places: dict[str, int]
) -> None:
    assert write(client, places["registers.overload_threshold"], 100.0) == 1
    assert newest(bridge)["result"] == "refused_by_policy"


@pytest.mark.parametrize("value", [4.0, 61.0, float("nan")])
def test_out_of_range_through_modbus(
    client: ModbusTcpClient, bridge: RunningBridge, places: dict[str, int], value: float
) -> None:
    assert write(client, places["registers.demand_interval"], value) == 3


def test_the_range_of_the_meter_file_holds_where_the_rule_has_none(
    client: ModbusTcpClient, bridge: RunningBridge, places: dict[str, int]
) -> None:
    # P-06: display backlight 0-300 s
    assert write(client, places["registers.display_backlight_timeout"], 301.0) == 3
    assert write(client, places["registers.display_backlight_timeout"], 120.0) == 0


def test_device_refused_and_timed_out_through_modbus(
    bridge: RunningBridge, client: ModbusTcpClient, places: dict[str, int]
) -> None:
    bridge.fault("landlord", "exception")
    assert write(client, places["registers.demand_interval"], 30.0) == 4
    assert newest(bridge)["result"] == "device_refused"
    bridge.fault("landlord", "dead")
    assert write(client, places["registers.demand_interval"], 30.0) == 0x0B
    assert newest(bridge)["result"] == "timed_out"
    bridge.fault("landlord", None)


def test_every_outcome_through_the_command_line(bridge: RunningBridge) -> None:
    done = bridge.write("landlord.demand_interval", "25")
    assert (done.returncode, done.stderr) == (0, "")
    assert float(bridge.value("landlord.demand_interval")) == 25
    told = {
        "landlord.overload_threshold": "refused_by_policy",
        "landlord.display_backlight_timeout": "refused_by_policy",
        "landlord.ct_primary_rating": "not_writable",
    }
    for point, outcome in told.items():
        assert outcome in bridge.write(point, "100").stderr
    assert "out_of_range" in bridge.write("landlord.demand_interval", "4").stderr
    bridge.fault("landlord", "exception")
    assert "device_refused 4" in bridge.write("landlord.demand_interval", "30").stderr
    bridge.fault("landlord", "dead")
    assert "timed_out" in bridge.write("landlord.demand_interval", "30").stderr
    bridge.fault("landlord", None)


def test_the_audit_tells_all_of_it_and_any_change_in_it_is_found(bridge: RunningBridge) -> None:
    # BARS S6
    shown = bridge.cli("audit", "show", str(bridge.site), "--json")
    assert shown.returncode == 0
    assert '"target": "landlord.demand_interval"' in shown.stdout
    path = sorted((bridge.site.parent / "var" / "audit").glob("*.jsonl"))[0]
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"technician"', b'"janitor!!!"', 1))

    verified = bridge.cli("audit", "verify", str(bridge.site))

    path.write_bytes(whole)
    assert verified.returncode == 1
    assert "audit-00000001.jsonl:1: its hash does not fit: the record was changed" in verified.stderr


def test_a_valid_client_is_served_while_300_are_silent(bridge: RunningBridge) -> None:
    # BARS R4
    silent = [socket.create_connection(("127.0.0.1", PORT), timeout=5) for _ in range(300)]
    try:
        began = time.monotonic()
        valid = ModbusTcpClient("127.0.0.1", port=PORT, timeout=5, retries=0)
        assert valid.connect()  # type: ignore[no-untyped-call]
        reply = valid.read_holding_registers(0, count=4, device_id=UNIT)
        took_s = time.monotonic() - began
        valid.close()  # type: ignore[no-untyped-call]
    finally:
        for sock in silent:
            sock.close()

    assert not reply.isError()
    assert took_s < 1


def test_a_reload_that_tries_to_open_a_billed_point_is_refused_and_recorded(bridge: RunningBridge) -> None:
    # BARS S2, R10
    whole = bridge.site.read_text()
    bridge.site.write_text(whole.replace("match: landlord.demand_interval", "match: landlord.active_energy_import"))

    refused = bridge.cli("reload", str(bridge.site))
    bridge.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 10
    while newest(bridge)["kind"] != "configuration" and time.monotonic() < until:
        time.sleep(0.1)

    bridge.site.write_text(whole)
    assert refused.returncode == 2
    assert "nobody may ever write it" in refused.stdout + refused.stderr
    assert (newest(bridge)["kind"], newest(bridge)["result"]) == ("configuration", "refused")
    assert bridge.write("landlord.demand_interval", "15").returncode == 0


def listening(bridge: RunningBridge) -> dict[str, set[tuple[str, int]]]:
    """Return the TCP and UDP ports that the core, and its children together, have open."""
    core = psutil.Process(bridge.process.pid)
    found = {}
    for name, processes in (("core", [core]), ("children", core.children(recursive=True))):
        # a socket of one peer is reached by nobody else
        sockets = [c for process in processes for c in process.net_connections("inet") if not c.raddr]
        found[name] = {
            (c.laddr.ip, c.laddr.port) for c in sockets if c.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
        }
    return found


def test_the_core_opens_no_port_and_a_server_only_that_of_its_mapping(bridge: RunningBridge) -> None:
    # what nobody configured is off, and a listener is reached where its mapping says
    assert listening(bridge) == {"core": set(), "children": {("127.0.0.1", PORT)}}


def test_servers_are_switched_moved_and_off_while_clients_of_the_others_stay(
    bridge: RunningBridge, client: ModbusTcpClient
) -> None:
    #
    folder, whole = bridge.site.parent, bridge.site.read_text()
    site = yaml.safe_load(whole)
    site["projections"]["gateway"] = "gateway.yaml"
    told = []
    try:
        for port in (PORT + 5, PORT + 6, PORT):
            (folder / "gateway.yaml").write_text(yaml.safe_dump({"listener": {"port": port}}))
            bridge.site.write_text(yaml.safe_dump(site))
            done = bridge.cli("reload", str(bridge.site))
            told.append((done.returncode, done.stdout + done.stderr))
            if not done.returncode:
                open_now = {("127.0.0.1", PORT), ("127.0.0.1", port)}
                wait_for(lambda wanted=open_now: listening(bridge)["children"] == wanted)  # type: ignore[misc]
            assert not client.read_holding_registers(0, count=4, device_id=UNIT).isError()
    finally:
        bridge.site.write_text(whole)
        off = bridge.cli("reload", str(bridge.site))
    wait_for(lambda: listening(bridge)["children"] == {("127.0.0.1", PORT)})

    assert [code for code, _ in told] == [0, 0, 2]
    assert f"expected a port of its own, found {PORT} which gateway has" in told[2][1]
    assert off.returncode == 0
    assert client.connected
    assert not client.read_holding_registers(0, count=4, device_id=UNIT).isError()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_changes_of_the_configuration_and_resets_are_events_with_who_did_it(bridge: RunningBridge) -> None:
    # A-13 E-08
    before, mapping = len(events(bridge)), bridge.site.with_name("modbus.yaml")
    good = mapping.read_text()
    assert bridge.cli("reload", str(bridge.site)).returncode == 0
    mapping.write_text(good + "accesss: read\n")
    assert bridge.cli("reload", str(bridge.site)).returncode == 2
    mapping.write_text(good)
    # the meter may still be resting after the faults of other tests
    until = time.monotonic() + 30
    while bridge.write("landlord.demand_interval", "15").returncode:
        assert time.monotonic() < until

    told = events(bridge)

    texts = [event["text"] for event in told[before:]]
    assert "configuration reloaded" in texts
    assert any(text.startswith("configuration refused: 1 mistakes") for text in texts)
    written = [event for event in told[before:] if "command landlord.demand_interval" in event["text"]][-1]
    assert (written["user"], ": done" in written["text"], "from cli local" in written["text"]) == ("root", True, True)
    resets = [event["text"] for event in told if "reset_demand_peak" in event["text"]]
    assert any("done, from modbus 127.0.0.1" in text for text in resets)
    assert any("refused_by_policy" in text for text in resets)


def events(bridge: RunningBridge) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(bridge.cli("events", str(bridge.site), "--last", "5000", "--json").stdout)
    return shown
