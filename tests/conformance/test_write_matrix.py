"""
The write matrix (BARS S1, S2): every kind of write of every protocol against a bridge that nobody configured.

Each is refused in the protocol's own terms, changes nothing in the meter, and is in the audit. A new protocol adds one
file to `write_matrix`: how its mapping file looks, and the attempts a client of it can make.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.write_matrix import bacnet, cli, dnp3, gateway, mms, modbus, opcua, snmp, web
from tests.conformance.write_matrix.entry import Attempt
from tests.support.bridge_site import RunningBridge, running_bridge, site_files

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
FIRST_PORT, SIMULATOR_PORT = 27010, 27035
SETTLE_S = 10.0
PROTOCOLS = tuple(module.ENTRY for module in (modbus, gateway, cli, snmp, bacnet, opcua, dnp3, mms, web))
ATTEMPTS = [
    pytest.param(at, attempt, id=attempt.name) for at, entry in enumerate(PROTOCOLS) for attempt in entry.attempts
]


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    mappings = {
        entry.protocol: mapping for at, entry in enumerate(PROTOCOLS) if (mapping := entry.mapping(FIRST_PORT + at))
    }
    site = site_files(tmp_path_factory.mktemp("matrix") / "site", None, mappings)
    with running_bridge(site, SIMULATOR_PORT) as running:
        yield running


@pytest.mark.parametrize(("at", "attempt"), ATTEMPTS)
def test_out_of_the_box_it_is_refused_changes_nothing_and_is_audited(
    bridge: RunningBridge, at: int, attempt: Attempt
) -> None:
    # BARS S1, S2
    names = (
        "demand_interval",
        "display_backlight_timeout",
        "overload_threshold",
        "modbus_address",
        "ct_primary_rating",
    )
    before = {name: bridge.value(f"landlord.{name}") for name in names}
    energy = float(bridge.value("landlord.active_energy_import"))

    assert attempt.told in attempt.send(bridge, FIRST_PORT + at)

    assert {name: bridge.value(f"landlord.{name}") for name in names} == before
    assert float(bridge.value("landlord.active_energy_import")) >= energy
    assert audited(bridge, attempt, PROTOCOLS[at].protocol)


def test_the_audit_of_all_that_is_whole(bridge: RunningBridge) -> None:
    # BARS S6
    done = bridge.cli("audit", "verify", str(bridge.site.parent))

    assert (done.returncode, done.stderr) == (0, "")
    assert "are whole" in done.stdout


def audited(bridge: RunningBridge, attempt: Attempt, protocol: str) -> bool:
    """
    Wait until a record names the attempt, and check that none says it was carried out. Without a target there is no
    such service to refuse, and nothing to record.
    """
    if not attempt.target:
        return True
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        mine = [r for r in bridge.audit() if r["protocol"] == protocol and r["target"].startswith(attempt.target)]
        if mine:
            assert not {r["result"] for r in mine} & {"started", "done"}
            return True
        time.sleep(0.1)
    return False


def test_the_matrix_names_every_protocol_there_is() -> None:
    folders = {path.name for path in (Path(__file__).parents[2] / "src/bridge/projections").iterdir() if path.is_dir()}

    assert folders - {"__pycache__"} <= {entry.protocol for entry in PROTOCOLS}
