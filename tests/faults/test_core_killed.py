"""BARS R8 with the whole bridge: killed with SIGKILL, it serves again within 5 s and has forgotten nothing."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.bridge_site import ENVIRONMENT, RunningBridge, cli, modbus_mapping, running_bridge, site_files

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(240)]
PORTS = 22_600
KILLS = 4
ENERGY = "landlord.active_energy_import"


def ask(bridge: RunningBridge, *words: str) -> Any:
    """Return what a command of the bridge prints as JSON, None while it does not answer."""
    done = cli(words[0], str(bridge.site), *words[1:], "--json")
    return json.loads(done.stdout) if done.stdout else None


def start_again(bridge: RunningBridge) -> float:
    """Start the bridge again; return the seconds until every server answers."""
    log = bridge.log.with_name("again.log")
    with log.open("wb") as stderr:
        bridge.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "run", str(bridge.site)], stderr=stderr, env=ENVIRONMENT
        )
    began = time.monotonic()
    while "ready servers=" not in log.read_text():
        assert bridge.process.poll() is None, log.read_text()
        assert time.monotonic() < began + 30, log.read_text()
        time.sleep(0.02)
    return time.monotonic() - began


def kill(bridge: RunningBridge) -> None:
    bridge.process.send_signal(signal.SIGKILL)
    bridge.process.wait(10)


def test_after_a_kill_the_bridge_serves_within_5_s_and_index_events_and_alarms_go_on(tmp_path: Path) -> None:
    # BARS R8
    chance = random.Random(8)
    with running_bridge(site_files(tmp_path, None, {"modbus": modbus_mapping(PORTS)}), PORTS + 1) as bridge:
        try:
            time.sleep(3)
            for _ in range(KILLS):
                events = ask(bridge, "events", "--last", "5000")
                energy = ask(bridge, "read", ENERGY)[0]["value"]
                time.sleep(chance.uniform(0, 1.5))
                kill(bridge)

                took_s = start_again(bridge)

                again = ask(bridge, "events", "--last", "5000")
                assert took_s <= 5
                assert again[: len(events)] == events
                assert [event["event"] for event in again] == list(range(1, len(again) + 1))
                assert ask(bridge, "read", ENERGY)[0]["value"] >= energy
        finally:
            bridge.process.send_signal(signal.SIGTERM)
            bridge.process.wait(10)


def test_an_alarm_lives_over_a_kill_and_is_acknowledged_after_it(tmp_path: Path) -> None:
    # A-05 A-11
    with running_bridge(site_files(tmp_path, None, {"modbus": modbus_mapping(PORTS + 10)}), PORTS + 11) as bridge:
        try:
            time.sleep(2)
            bridge.fault("landlord", "dead")
            before = wait_for_alarms(bridge, 1)
            energy = ask(bridge, "read", ENERGY)[0]
            kill(bridge)

            start_again(bridge)
            kept = ask(bridge, "alarms")
            lost = ask(bridge, "read", ENERGY)[0]
            done = cli("acknowledge", str(bridge.site), str(kept[0]["alarm"]))
            (now,) = ask(bridge, "alarms")

            assert [(a["label"], a["state"]) for a in before] == [("communication loss", "active")]
            assert kept == before
            assert (lost["value"], lost["source_ns"]) == (energy["value"], energy["source_ns"])
            assert lost["quality"] != "good"
            assert done.returncode == 0
            assert now["acknowledged"] != ""
            assert now["by"] != ""
        finally:
            bridge.process.send_signal(signal.SIGTERM)
            bridge.process.wait(10)


def wait_for_alarms(bridge: RunningBridge, count: int) -> Any:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        alarms = ask(bridge, "alarms")
        if alarms is not None and len(alarms) >= count:
            # what was told is safe half a second later
            time.sleep(1)
            return ask(bridge, "alarms")
        time.sleep(0.3)
    raise AssertionError("no alarm came")
