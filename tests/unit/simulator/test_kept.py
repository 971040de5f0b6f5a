"""bridge.simulator.kept: a meter that starts again goes on counting where it was"""

from decimal import Decimal
from pathlib import Path

import pytest

from bridge.simulator.kept import restore, save
from bridge.simulator.meters import SimulatedMeter
from tests.support.sim_site import device

NOON_NS = 1_795_176_000 * 10**9
HOUR_NS = 3600 * 10**9
ENERGY = "active_energy_import"


def meter() -> SimulatedMeter:
    return SimulatedMeter(device(), 1, NOON_NS)


def energy(of: SimulatedMeter) -> Decimal:
    shown = of.shown()[ENERGY]
    assert isinstance(shown, Decimal)
    return shown


def kept(before: SimulatedMeter, path: Path, gap_ns: int = 0) -> SimulatedMeter:
    """Save, and return the meter that starts `gap_ns` later."""
    save(path, {"a": before}, NOON_NS)
    after = meter()
    restore(path, {"a": after}, NOON_NS + gap_ns)
    return after


def test_a_meter_goes_on_from_its_count(tmp_path: Path) -> None:
    before = meter()
    before.step(NOON_NS + HOUR_NS, 9 * HOUR_NS)

    after = kept(before, tmp_path / "meters.json")

    assert energy(after) == energy(before) > energy(meter())


def test_a_meter_counts_while_nobody_looks(tmp_path: Path) -> None:
    before = meter()

    after = kept(before, tmp_path / "meters.json", gap_ns=HOUR_NS)

    power_kw = float(str(after.shown()["active_power_total"]))
    assert float(energy(after) - energy(before)) == pytest.approx(power_kw, abs=0.011)


def test_a_clock_that_was_set_back_takes_nothing_away(tmp_path: Path) -> None:
    before = meter()

    after = kept(before, tmp_path / "meters.json", gap_ns=-HOUR_NS)

    assert energy(after) == energy(before)


def test_an_index_that_was_pinned_goes_on_from_there(tmp_path: Path) -> None:
    before = meter()
    before.pin(ENERGY, Decimal("131072.01"))

    after = kept(before, tmp_path / "meters.json")
    at_once = energy(after)
    after.step(NOON_NS + HOUR_NS, HOUR_NS)

    assert at_once == Decimal("131072.01")
    assert energy(after) > at_once


@pytest.mark.parametrize(
    "text", ["", "{", '{"at_ns": "x"}', '{"at_ns":1,"meters":{"a":{"elapsed_ns":1,"circuits":{"1":{}},"offsets":{}}}}']
)
def test_a_damaged_file_lets_the_meters_begin_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "meters.json"
    path.write_text(text)
    after = meter()

    restore(path, {"a": after}, 1)

    assert energy(after) == energy(meter())


def test_a_number_that_is_none_is_told_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "meters.json"
    path.write_text('{"at_ns":1,"meters":{"a":{"elapsed_ns":1,"circuits":{},"offsets":{"active_energy_import":"x"}}}}')

    restore(path, {"a": meter()}, 1)

    assert "kept_unreadable" in caplog.text
