"""`meterbridge check`: the mistakes of site, meters and mappings in one run."""

from pathlib import Path

from bridge.app.check import check_site

SITE = """
site: {name: tower, meters: [.]}
channels: {line: {kind: rtu, port: /dev/ttyUSB0}}
devices:
  flat: {meter: acme, chanel: line}
projections: {modbus: modbus.yaml}
"""


def test_a_broken_site_does_not_hide_the_mistakes_of_its_mappings(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "acme.yaml").write_text("meter: acme\nvendor: A\nsource: s\npoints: {frequency: {at: 1}}\n")
    (tmp_path / "modbus.yaml").write_text("listener: {port: many}\n")

    found = check_site(tmp_path, 0)

    assert [fault.replace(f"{tmp_path}/", "").split(": expected")[0] for fault in found.faults] == [
        "site.yaml:5:3: devices.flat",
        "site.yaml:5:23: devices.flat.chanel",
        "acme.yaml:4:10: points.frequency.type",
        "modbus.yaml:1:12: listener.port",
    ]
