"""Any damage to a site or meter file is a list of mistakes with places, or still a site; never another exception."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config.load import load_site
from bridge.config.model import SiteConfig
from bridge.core.errors import ConfigErrors

METER = """\
meter: acme
vendor: Acme
source: made up
models: {A1: {mid: false}, A2: {mid: true}}
modbus: {addressing: one, word_order: ABCD, table: 3, forbidden: [[90, 95]], writes: [6, 16]}
nominal: {voltage_v: 230, current_a: 80}
serial_number: {at: 900, type: string, registers: 4}
identify: {address: 1, registers: 4, type: string16, equals: ACME}
points:
  voltage_l1_n: {at: 1, type: uint16, scale: 0.1, unit: V, limits: [184, 276], typical: [207, 253]}
  frequency: {at: 2, type: uint16, scale: 0.01, scale_alternatives: [0.001], limits: [45, 65], poll: fast}
  active_power_total: {at: 10, type: int32, scale: 0.01, unit: kW, order: CDAB, scale_at: 12}
  active_energy_import: {at: 20, type: uint32, resolution: 0.01, unit: kWh, modulus: 100000000, mid: true}
  active_energy_export: {at: 22, type: float64, resolution: 0.1, unit: kWh}
  energy_direction: {at: "di:3", type: bool, states: {0: Import, 1: Export}}
  ct_primary_rating: {at: 50, type: uint16, unit: A, writable: true, range: [1, 5]}
  model: {at: 60, type: string, registers: 8, certainty: likely, note: why}
golden:
  - {reply: "00", block: [1, 2], values: {voltage_l1_n: 230.1}}
"""
SITE = """\
site: {name: tower, state_dir: var, meters: [.]}
channels:
  line: {kind: rtu, port: /dev/ttyUSB0, baud: 9600, framing: 8N1, gateway: {tcp: 502}, ethergate: off}
  lan: {kind: tcp, host: 10.0.0.1, timeout_s: 1.5}
devices:
  flat: {meter: acme, model: A1, channel: line, unit: 1, labels: {tenant: "12"}, poll: {fast: 2s}, invert: [1]}
  shop: {meter: acme, model: A2, channel: lan, unit: 248, ct_ratio: 12.5, pt_ratio: 2, skip: ["*_import"], was: old}
poll: {slow: 30s, on_change: 1h}
services: {demand: {interval_min: 15}}
projections: {modbus: modbus.yaml}
"""
WORDS = ["~", "{}", "[]", "-1", "0", "1", "65536", "1e308", "1e-308", "18446744073709551615", '""', "x", "true", "off"]
WORDS += [
    "[1, 2]",
    "{a: 1}",
    "5s",
    "float32",
    "string",
    "bool",
    "uint64",
    "m10k",
    "kWh",
    '"coil:1"',
    "line",
    "acme",
    "248",
]
WORDS += ["scale_at", "at", "0x10", "'*'", "'['", "\u00e9", "..", "/", "single-phase", "modicon", "input", "multistate"]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Return the text with some of its words exchanged, lines repeated, or pieces cut out."""
    for _ in range(draw(st.integers(1, 3))):
        match draw(st.integers(0, 3)):
            case 0 | 1:
                words = [i for i, c in enumerate(text) if i and c.isalnum() and not text[i - 1].isalnum()]
                start = draw(st.sampled_from(words))
                end = next((i for i in range(start, len(text)) if text[i] in ",}]:\n "), len(text))
                text = text[:start] + draw(st.sampled_from(WORDS)) + text[end:]
            case 2:
                lines = text.splitlines(keepends=True)
                at = draw(st.integers(0, len(lines) - 1))
                text = "".join([*lines[:at], draw(st.sampled_from(lines)), *lines[at + 1 :]])
            case _:
                at = draw(st.integers(0, len(text) - 2))
                text = text[:at] + text[at + draw(st.integers(1, 20)) :]
    return text


def load(folder: Path, site: str, meter: str) -> None:
    (folder / "site.yaml").write_text(site, encoding="utf-8")
    (folder / "acme.yaml").write_text(meter, encoding="utf-8")
    (folder / "modbus.yaml").write_text("listener: {port: 502}\n", encoding="utf-8")
    try:
        loaded = load_site(folder, folder)
    except ConfigErrors as exc:
        refused = exc.errors
    else:
        check_sound(loaded)
        return
    assert refused
    assert all(error.line >= 1 and "Expected" not in error.message for error in refused)


def check_sound(loaded: SiteConfig) -> None:
    assert [p.index for p in loaded.points] == list(range(len(loaded.points)))
    for device in loaded.field:
        for point in device.points:
            assert point.read is None or 0 <= point.read.address <= 65536 - point.read.count
            assert not (point.definition.mid and point.definition.writable)


def test_the_undamaged_site_loads(tmp_path: Path) -> None:
    load(tmp_path, SITE, METER)

    assert len(load_site(tmp_path).points) == 15


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(site=damaged(SITE), meter=st.just(METER) | damaged(METER))
def test_a_damaged_site_is_refused_with_places_or_sound(tmp_path: Path, site: str, meter: str) -> None:
    # BARS R10
    load(tmp_path, site, meter)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(meter=damaged(METER))
def test_a_damaged_meter_file_is_refused_with_places_or_sound(tmp_path: Path, meter: str) -> None:
    load(tmp_path, SITE, meter)


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(max_examples=5_000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(site=damaged(SITE), meter=damaged(METER))
def test_five_thousand_damaged_configurations_are_refused_or_sound(tmp_path: Path, site: str, meter: str) -> None:
    load(tmp_path, site, meter)
