"""A tariff switched by one broadcast on a serial line: every COUNTIS of the line hears it (M-29)."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.bridge_site import RunningBridge, running_bridge

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(90)]
SIMULATOR_PORT = 27061
# The register that switches the tariff is in no source; here it stands at an address of its own.
TARIFF = {
    "at": 60000,
    "type": "uint16",
    "kind": "multistate",
    "role": "setting",
    "writable": True,
    "broadcast": True,
    "poll": "slow",
}
SITE: dict[str, Any] = {
    "site": {"name": "tariff", "state_dir": "var", "meters": ["meters"]},
    "poll": {"fast": "1s", "normal": "2s", "state": "2s", "slow": "1h"},
    "channels": {"riser": {"kind": "rtu", "port": "/dev/null", "baud": 38400}},
    "devices": {
        "one": {"meter": "countis", "model": "COUNTIS E28", "channel": "riser", "unit": 1},
        "two": {"meter": "countis", "model": "COUNTIS E28", "channel": "riser", "unit": 2},
    },
    "access": {
        "identities": [{"protocol": "cli", "role": "technician"}],
        "rules": [{"match": "one.tariff_select", "values": [1, 2]}],
    },
}


@pytest.fixture
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    folder = tmp_path_factory.mktemp("tariff")
    (folder / "meters").mkdir()
    meter = {
        "meter": "countis",
        "extends": "socomec-countis-e2x",
        "source": "test",
        "models": {"COUNTIS E28": {"mid": True}},
        "points": {"tariff_select": TARIFF},
    }
    (folder / "meters" / "countis.yaml").write_text(yaml.safe_dump(meter))
    site = folder / "site.yaml"
    site.write_text(yaml.safe_dump(SITE))
    with running_bridge(site, SIMULATOR_PORT) as running:
        yield running


def shown(bridge: RunningBridge, point: str) -> str:
    out = bridge.cli("read", str(bridge.site), point, "--json").stdout
    return str(yaml.safe_load(out)[0]["value"])


def test_one_broadcast_switches_every_meter_of_the_line(bridge: RunningBridge) -> None:
    # M-29
    until = time.monotonic() + 15
    while "None" in {shown(bridge, "one.tariff_select"), shown(bridge, "two.tariff_select")}:
        assert time.monotonic() < until
    for tariff in ("2", "1"):
        done = bridge.write("one.tariff_select", tariff)

        assert (done.returncode, done.stderr) == (0, "")
        for meter in ("one", "two"):
            assert str(bridge.value(f"{meter}.tariff_select")) == tariff
            # polled once an hour: read again because of the broadcast
            assert shown(bridge, f"{meter}.tariff_select") == tariff


def test_what_the_site_does_not_allow_is_not_broadcast(bridge: RunningBridge) -> None:
    assert "refused_by_policy" in bridge.write("two.tariff_select", "2").stderr
