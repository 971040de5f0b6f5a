"""The demo ended and started again in its folder: its meters and the bridge's memory go on together."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.demo import Demo, running_demo, wait_until

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(180)]
PORT_BASE = 21_000
ENERGIES = ("tenant-1.active_energy_import", "heat-pump.active_energy_import", "main.active_energy_import")


def shown(demo: Demo) -> dict[str, Any]:
    """Value and quality of the indexes as the bridge holds them."""
    rows = json.loads(demo.bridge("read", str(demo.site), *ENERGIES, "--json").stdout)
    return {row["point"]: (row["value"], row["quality"]) for row in rows}


def good(demo: Demo) -> bool:
    return all(quality == "good" for _, quality in shown(demo).values())


def test_a_demo_started_again_goes_on_counting_and_books_no_reset(tmp_path: Path) -> None:
    with running_demo(tmp_path, PORT_BASE) as first:
        wait_until(lambda: good(first), 60)
        before = shown(first)
    with running_demo(tmp_path, PORT_BASE) as again:
        wait_until(lambda: good(again), 60)
        after = shown(again)
        events = json.loads(again.bridge("events", str(again.site), "--json").stdout)

    for point, (value, _) in after.items():
        assert Decimal(str(value)) >= Decimal(str(before[point][0]))
    assert [event for event in events if event["kind"] == "accumulator"] == []
    # the history is that of both
    assert len([event for event in events if "bridge started" in event["text"]]) == 2, events
