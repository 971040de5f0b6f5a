"""TLS of a site from `meterbridge tls init` to clients: versions, suites, client certificates with roles."""

import socket
import ssl
import struct
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bridge.modbus.frame import tcp_frame
from tests.support.bridge_site import RunningBridge, cli, modbus_mapping, running_bridge, site_files

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
PORT, SIMULATOR_PORT, UNIT = 27080, 27081, 21
ACCESS = {
    "identities": [{"protocol": "modbus", "users": ["scada-1"], "role": "technician"}],
    "rules": [{"match": "landlord.demand_interval"}],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls") / "site"
    path = site_files(folder, ACCESS, {"modbus": modbus_mapping(PORT)})
    for words in (
        ("init", str(path), "--name", "127.0.0.1"),
        ("client", str(path), "scada-1"),
        ("client", str(path), "scada-2"),
        ("client", str(path), "left"),
    ):
        done = cli("tls", *words)
        assert done.returncode == 0, done.stderr
    mapping = modbus_mapping(PORT)
    tls = {"certificate": "var/tls/server.pem", "key": "var/tls/server.key", "client_ca": "var/tls/ca.pem"}
    mapping["listener"]["tls"] = {**tls, "client_crl": "var/tls/crl.pem"}
    (folder / "modbus.yaml").write_text(yaml.safe_dump(mapping))
    return path


@pytest.fixture(scope="module")
def bridge(site: Path) -> Iterator[RunningBridge]:
    with running_bridge(site, SIMULATOR_PORT) as running:
        yield running


def context(site: Path, user: str = "scada-1") -> ssl.SSLContext:
    folder = site.parent / "var" / "tls"
    made = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if user:
        made.load_cert_chain(folder / f"client-{user}.pem", folder / f"client-{user}.key")
    return made


def ask(made: ssl.SSLContext, pdu: bytes) -> tuple[bytes, str, str]:
    """Return reply PDU, TLS version and suite."""
    with (
        socket.create_connection(("127.0.0.1", PORT), timeout=5) as raw,
        made.wrap_socket(raw, server_hostname="127.0.0.1") as sock,
        sock.makefile("rb") as file,
    ):
        sock.sendall(tcp_frame(7, UNIT, pdu))
        head = file.read(7)
        if len(head) < 7:
            raise ConnectionError("closed without a reply")
        reply = file.read(struct.unpack(">H", head[4:6])[0] - 1)
        suite = sock.cipher()
        return reply, str(sock.version()), suite[0] if suite else ""


READ = struct.pack(">BHH", 3, 0, 2)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_versions_with_aead_suites_are_served(bridge: RunningBridge, version: ssl.TLSVersion) -> None:
    # BARS S5
    made = context(bridge.site)
    made.minimum_version = made.maximum_version = version
    reply, _, suite = ask(made, READ)

    assert reply[0] == 3
    assert "GCM" in suite or "CHACHA20" in suite


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(bridge: RunningBridge, version: ssl.TLSVersion) -> None:
    # BARS S5
    made = context(bridge.site)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = made.maximum_version = version
    made.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(made, READ)


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "aNULL"])
def test_suites_without_aead_forward_secrecy_or_identity_are_refused(bridge: RunningBridge, suite: str) -> None:
    # BARS S5
    made = context(bridge.site)
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(f"{suite}:@SECLEVEL=0")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(made, READ)


def test_a_client_without_certificate_is_not_served(bridge: RunningBridge) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(context(bridge.site, ""), READ)


def test_a_certificate_gives_its_user_the_role_of_the_site(bridge: RunningBridge) -> None:
    out = bridge.site.parent / "out"
    assert bridge.cli("export", "modbus-map", str(bridge.site), "--out", str(out)).returncode == 0
    rows = [line.split(",") for line in next(iter(out.glob("*.csv"))).read_text().splitlines()]
    at = {name: n for n, name in enumerate(rows[0])}
    address = next(
        int(row[at["address"]])
        for row in rows[1:]
        if row[at["point"]] == "landlord.demand_interval" and row[at["shows"]] == "value"
    )
    write = struct.pack(">BHHBf", 16, address, 2, 4, 25.0)

    refused, *_ = ask(context(bridge.site, "scada-2"), write)
    done, *_ = ask(context(bridge.site, "scada-1"), write)

    assert (refused[0], refused[1]) == (0x90, 1)
    assert done[0] == 16
    assert float(bridge.value("landlord.demand_interval")) == 25
    users = [(r["user"], r["result"]) for r in bridge.audit() if r["kind"] == "command"]
    assert users == [("scada-2", "refused_by_policy"), ("scada-1", "started"), ("scada-1", "done")]


def test_show_tells_names_end_and_fingerprint_and_the_audit_has_it(bridge: RunningBridge) -> None:
    #
    rows = yaml.safe_load(bridge.cli("tls", "show", str(bridge.site), "--json").stdout)

    assert [row["names"] for row in rows] == ["127.0.0.1", ""]
    assert rows[0]["days_left"] >= 824
    assert rows[0]["fingerprint"] in {r["target"] for r in bridge.audit() if r["kind"] == "tls"}


def test_a_mapping_with_a_certificate_that_cannot_be_used_is_refused_with_its_line(bridge: RunningBridge) -> None:
    path = bridge.site.parent / "modbus.yaml"
    whole = path.read_text()
    path.write_text(whole.replace("server.key", "ca.key"))
    done = bridge.cli("check", str(bridge.site))
    path.write_text(whole)

    assert done.returncode == 2
    assert "modbus.yaml:" in done.stderr
    assert "listener.tls.certificate: " in done.stderr
    assert "found that of another certificate" in done.stderr


def test_a_valid_client_is_served_while_silent_ones_hold_handshakes(bridge: RunningBridge) -> None:
    # BARS R4
    silent = [socket.create_connection(("127.0.0.1", PORT), timeout=5) for _ in range(100)]
    began = time.monotonic()
    reply, *_ = ask(context(bridge.site), READ)
    took_s = time.monotonic() - began
    for sock in silent:
        sock.close()

    assert reply[0] == 3
    assert took_s < 1


def test_the_security_report_says_what_protects_what_and_nothing_secret(bridge: RunningBridge) -> None:
    #
    told = bridge.cli("security", str(bridge.site), "--json")
    report = yaml.safe_load(told.stdout)

    assert report["listeners"][0]["tls"] == "with client certificates, revocable"
    assert {"point": "landlord.active_energy_import"} in report["locked"]
    assert {"point": "landlord.modbus_address", "right": "communication"} in report["writable"]
    assert report["rules"][0]["match"] == "landlord.demand_interval"
    assert report["identities"][0]["users"] == "scada-1"
    assert "PRIVATE KEY" not in told.stdout
    assert "technician" in bridge.cli("security", str(bridge.site)).stdout


def test_a_revoked_client_is_turned_away_and_its_connection_ends_while_the_others_are_served(
    bridge: RunningBridge,
) -> None:
    #
    pid = worker_pid(bridge)
    reply, *_ = ask(context(bridge.site, "left"), READ)
    with (
        socket.create_connection(("127.0.0.1", PORT), timeout=10) as raw,
        context(bridge.site, "left").wrap_socket(raw, server_hostname="127.0.0.1") as held,
    ):
        held.sendall(tcp_frame(7, UNIT, READ))
        assert held.recv(64)
        done = bridge.cli("tls", "revoke", str(bridge.site), "left")
        try:
            end = held.recv(64)
        except ConnectionError:
            end = b""
    for _ in range(3):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(context(bridge.site, "left"), READ)
    other, *_ = ask(context(bridge.site, "scada-1"), READ)

    assert (done.returncode, done.stderr) == (0, "")
    assert reply[0] == other[0] == 3
    assert end == b""
    assert ("tls", "revoked") in {(r["kind"], r["result"]) for r in bridge.audit()}
    assert worker_pid(bridge) == pid


def worker_pid(bridge: RunningBridge) -> int:
    status = yaml.safe_load(bridge.cli("status", str(bridge.site), "--json").stdout)
    return next(int(server["pid"]) for server in status["servers"] if server["name"] == "modbus")


def test_a_list_of_another_authority_is_refused_with_its_line(bridge: RunningBridge) -> None:
    folder = bridge.site.parent / "var" / "tls"
    whole = (folder / "crl.pem").read_bytes()
    (folder / "crl.pem").write_bytes((folder / "ca.pem").read_bytes())
    done = bridge.cli("check", str(bridge.site))
    (folder / "crl.pem").write_bytes(whole)

    assert done.returncode == 2
    assert "listener.tls.client_crl: " in done.stderr
    assert "expected a list of revoked certificates in PEM" in done.stderr
