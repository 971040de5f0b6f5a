"""`sync_clock` through a whole bridge: the clock of a meter is set by its register, and read to see (T-06)."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.bridge_site import RunningBridge, running_bridge

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
SIMULATOR_PORT = 21_600
METER: dict[str, Any] = {
    "meter": "clocked",
    "vendor": "test",
    "models": {"clocked": {"mid": False}},
    "source": "test",
    "modbus": {"addressing": "zero", "word_order": "ABCD"},
    "points": {
        "active_power_total": {"at": 0, "type": "float32", "unit": "kW"},
        "device_clock": {"at": 100, "type": "unix_time", "writable": True},
        "sync_clock": {"kind": "binary"},
    },
}
SITE: dict[str, Any] = {
    "site": {"name": "clocks", "state_dir": "var", "meters": ["meters"]},
    "channels": {"board": {"kind": "tcp", "host": "127.0.0.1", "port": 502, "timeout_s": 0.5}},
    "devices": {"m": {"meter": "clocked", "channel": "board", "unit": 1}},
    "access": {
        "identities": [{"protocol": "cli", "role": "operator"}],
        "rules": [{"match": "*.sync_clock"}],
    },
}


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    folder = tmp_path_factory.mktemp("clocks")
    (folder / "meters").mkdir()
    (folder / "meters" / "clocked.yaml").write_text(yaml.safe_dump(METER))
    site = folder / "site.yaml"
    site.write_text(yaml.safe_dump(SITE))
    with running_bridge(site, SIMULATOR_PORT) as running:
        yield running


def events(bridge: RunningBridge) -> list[str]:
    shown = json.loads(bridge.cli("events", str(bridge.site), "--last", "5000", "--json").stdout)
    return [event["text"] for event in shown]


def shown_clock_s(bridge: RunningBridge) -> float:
    row = json.loads(bridge.cli("read", str(bridge.site), "m.device_clock", "--json").stdout)[0]
    return float(row["raw"] or 0) / 1e9


def test_the_clock_of_a_meter_is_set_under_policy_and_what_came_of_it_is_told(bridge: RunningBridge) -> None:
    # T-06 P-05
    # the simulated clock stands at the start of the simulation
    time.sleep(max(0.0, shown_clock_s(bridge) + 6 - time.time()))
    directly = bridge.write("m.device_clock", "1800000000000000000")
    began = time.time()
    done = bridge.write("m.sync_clock", "1")

    assert "refused_by_policy" in directly.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert began - 1 <= shown_clock_s(bridge) <= time.time() + 1
    assert any(text.startswith("m.device_clock was set: off by ") for text in events(bridge))


def test_a_meter_that_does_not_take_the_time_is_no_success(bridge: RunningBridge) -> None:
    # T-06
    bridge.fault("m", "exception")
    try:
        refused = bridge.write("m.sync_clock", "1")
    finally:
        bridge.fault("m", None)

    assert refused.returncode == 1
    assert "device_refused" in refused.stderr


def test_the_command_stands_idle_after_it(bridge: RunningBridge) -> None:
    # P-05
    row = json.loads(bridge.cli("read", str(bridge.site), "m.sync_clock", "--json").stdout)[0]

    assert (row["value"], row["quality"]) == (False, "good")
