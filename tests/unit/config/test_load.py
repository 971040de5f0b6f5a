"""load_site: a small site, from its files to the values the field side reads."""

from fractions import Fraction
from pathlib import Path

from bridge.config.load import load_site
from bridge.config.meter import Table

METER = """
meter: acme
vendor: Acme
source: "made up"
points:
  active_power_total: {at: 100, type: int32, scale: 0.01, unit: kW, limits: [-20, 20]}
  active_energy_import: {at: 200, type: uint32, resolution: 0.01, unit: kWh, mid: true}
  communication_status: {}
"""
SITE = """
site: {name: tower, meters: [meters]}
channels:
  line: {kind: rtu, port: /dev/ttyUSB0, ethergate: off}
devices:
  flat-1: {meter: acme, channel: line, unit: 1}
  flat-2: {meter: acme, channel: line, unit: 2, poll: {fast: 500ms}}
"""


def test_a_site_is_loaded_from_its_folder_or_its_file(tmp_path: Path) -> None:
    (tmp_path / "meters").mkdir()
    (tmp_path / "meters" / "acme.yaml").write_text(METER)
    (tmp_path / "site.yaml").write_text(SITE)

    site = load_site(tmp_path)

    assert [p.id for p in site.points][:2] == ["flat-1.active_power_total", "flat-1.active_energy_import"]
    assert [p.index for p in site.points] == list(range(6))
    energy = site.field[0].points[1]
    assert energy.read is not None
    assert (energy.read.table, energy.read.address, energy.read.counts) == (Table.HOLDING, 200, Fraction(1))
    assert site.field[1].points[0].definition.poll_ns == 500_000_000
    assert load_site(tmp_path / "site.yaml").points == site.points
