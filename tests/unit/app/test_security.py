"""bridge.app.security: what a careful person would look at first"""

from pathlib import Path
from typing import Any

from bridge.app.faces import number_and_project
from bridge.app.security import Report, security_report
from bridge.config.load import load_site
from tests.support.bridge_site import site_files

TLS = {"certificate": "server.pem", "key": "server.key"}


def report(folder: Path, **mappings: dict[str, Any]) -> Report:
    config = load_site(site_files(folder / "site", None, mappings))
    faces, _ = number_and_project(config, {})
    return security_report(config, faces)


def test_every_listener_is_told_with_what_protects_it(tmp_path: Path) -> None:
    #
    secure = {"port": 1802, "tls": {**TLS, "client_ca": "ca.pem", "client_crl": "crl.pem"}}
    found = report(tmp_path, gateway={"listener": {"port": 1502, "networks": ["192.0.2.0/24"]}, "secure": secure})

    assert [(row["address"], row["networks"], row["tls"]) for row in found["listeners"]] == [
        ("127.0.0.1:1502/tcp", "192.0.2.0/24", "none"),
        ("127.0.0.1:1802/tcp", "any", "with client certificates, revocable"),
    ]
    assert found["notes"] == []


def test_a_plain_listener_that_others_reach_is_noted(tmp_path: Path) -> None:
    #
    found = report(tmp_path, modbus={"listener": {"port": 1502, "bind": "0.0.0.0"}})

    assert [row["note"] for row in found["notes"]] == [
        "modbus, port 1502, listens on every address and for every network",
        "modbus, port 1502, is not encrypted: keep it in a protected network",
    ]


def test_a_listener_is_on_this_machine_only_unless_its_mapping_says_more(tmp_path: Path) -> None:
    #
    found = report(tmp_path, modbus={"listener": {"port": 1502}})

    assert [row["address"] for row in found["listeners"]] == ["127.0.0.1:1502/tcp"]
    assert report(tmp_path / "none")["listeners"] == []
