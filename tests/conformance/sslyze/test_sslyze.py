"""
sslyze against every listener that speaks TLS (BARS S5): no known weakness, and Mozilla's intermediate configuration but
for what `profile.json` says: certificates of the site's own authority last 825 days, and two more curves are offered,
both stronger than the others, for Python 3.11 has no way to choose among them.

sslyze needs other versions of our own dependencies: it stands in an environment of its own (tools/test_packages.sh).
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.write_matrix import dnp3, mms, web
from tests.support.bridge_site import RunningBridge, cli, modbus_mapping, running_bridge, site_files

SSLYZE = Path(__file__).parent / ".venv" / "bin" / "sslyze"
PROFILE = Path(__file__).with_name("profile.json")
pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not SSLYZE.exists(), reason="sslyze is not installed: tools/test_packages.sh"),
]
FIRST_PORT, SIMULATOR_PORT = 22_400, 22_420
TLS = {"certificate": "var/tls/server.pem", "key": "var/tls/server.key"}
MUTUAL = {**TLS, "client_ca": "var/tls/ca.pem", "client_crl": "var/tls/crl.pem"}
SERVERS = ("web", "modbus", "gateway", "dnp3", "iec61850", "ethergate")
# what the scan is made of; each must come to an end
SCANS = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")


def port_of(server: str) -> int:
    return FIRST_PORT + SERVERS.index(server)


def mappings() -> dict[str, dict[str, Any]]:
    """The TLS listener of a server is at its port; the plain one a gateway also needs stands elsewhere."""
    made = {
        "web": web.ENTRY.mapping(port_of("web")),
        "modbus": modbus_mapping(port_of("modbus")),
        "dnp3": dnp3.ENTRY.mapping(port_of("dnp3")),
        "iec61850": mms.ENTRY.mapping(port_of("iec61850")),
    }
    for name, mapping in made.items():
        mapping["listener"]["tls"] = TLS if name == "web" else MUTUAL
    plain, secure = {"port": FIRST_PORT + 10}, {"port": port_of("gateway"), "tls": MUTUAL}
    made["gateway"] = {"listener": plain, "secure": secure}
    made["ethergate"] = {"channel": "plant", "listener": {"port": port_of("ethergate"), "tls": MUTUAL}}
    return made


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    path = site_files(tmp_path_factory.mktemp("sslyze") / "site", None, mappings())
    site = yaml.safe_load(path.read_text())
    # a line for the EtherGate; nobody is on it
    site["channels"]["plant"] = {"kind": "rtu", "port": "/dev/null", "baud": 19200, "ethergate": True}
    path.write_text(yaml.safe_dump(site))
    for words in (("init", str(path), "--name", "127.0.0.1"), ("client", str(path), "scanner")):
        done = cli("tls", *words)
        assert done.returncode == 0, done.stderr
    with running_bridge(path, SIMULATOR_PORT) as running:
        yield running


@pytest.fixture(scope="module")
def scanned(bridge: RunningBridge) -> tuple[str, dict[int, dict[str, Any]]]:
    """Return what sslyze says, and what it found, by port."""
    tls, found = bridge.site.parent / "var" / "tls", bridge.site.parent / "sslyze.json"
    targets = [f"127.0.0.1:{port_of(name)}" for name in SERVERS]
    client = ["--cert", str(tls / "client-scanner.pem"), "--key", str(tls / "client-scanner.key")]
    wanted = ["--custom_tls_config", str(PROFILE), "--certinfo_ca_file", str(tls / "ca.pem")]
    command = [str(SSLYZE), "--slow_connection", "--json_out", str(found), *wanted, *client, *targets]
    done = subprocess.run(command, check=False, timeout=200, capture_output=True, text=True)
    assert found.exists(), done.stderr
    results = json.loads(found.read_text())["server_scan_results"]
    return done.stdout, {result["server_location"]["port"]: result for result in results}


@pytest.mark.parametrize("server", SERVERS)
def test_sslyze_finds_nothing(server: str, scanned: tuple[str, dict[int, dict[str, Any]]]) -> None:
    # BARS S5
    said, results = scanned
    assert f"127.0.0.1:{port_of(server)}: OK - Compliant" in said, said.partition("COMPLIANCE")[2]
    result = results[port_of(server)]
    assert (result["connectivity_status"], result["scan_status"]) == ("COMPLETED", "COMPLETED")
    scans = {name: scan["result"] for name, scan in result["scan_result"].items() if scan["status"] == "COMPLETED"}

    for name in SCANS:
        assert scans[f"{name}_cipher_suites"]["accepted_cipher_suites"] == []
    suites = [
        found["cipher_suite"]["name"]
        for version in ("tls_1_2", "tls_1_3")
        for found in scans[f"{version}_cipher_suites"]["accepted_cipher_suites"]
    ]
    assert len(suites) >= 5
    assert [name for name in suites if "GCM" not in name and "CHACHA20" not in name] == []
    assert [name for name in suites if not name.startswith(("TLS_ECDHE_", "TLS_AES_", "TLS_CHACHA20_"))] == []
    assert not scans["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not scans["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert not scans["tls_compression"]["supports_compression"]
    assert scans["tls_fallback_scsv"]["supports_fallback_scsv"]
    assert scans["robot"]["robot_result"].startswith("NOT_VULNERABLE")
    assert scans["session_renegotiation"]["supports_secure_renegotiation"]
    assert not scans["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert scans["tls_extended_master_secret"]["supports_ems_extension"]
