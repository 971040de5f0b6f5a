"""Every meter file of the library, loaded as a site loads it: the golden frames decode to their values."""

from pathlib import Path

import pytest

from bridge.config.load import load_site
from bridge.config.meter import Golden, Table
from bridge.config.model import FieldDevice, FieldPoint, Register
from bridge.core.point import Kind, Value
from bridge.core.quality import Quality
from bridge.field.modbus.decode import decoder_for, scale_factor, scaled
from tests.support.golden_encoder import load_meter

LIBRARY = Path(__file__).parents[3] / "mappings" / "meters"
METERS = {path.stem: load_meter(path) for path in sorted(LIBRARY.glob("*.yaml"))}
GOLDEN = [
    pytest.param(name, golden, id=f"{name}-{golden.table.name.lower()}-{golden.block[0]}")
    for name, meter in METERS.items()
    for golden in meter.golden
]
# relative: half a step of float32, the least exact register there is
FLOAT32_STEP = 2**-24
SITE = """
site: {{name: bench}}
channels: {{lan: {{kind: tcp, host: 127.0.0.1}}}}
devices:
  device: {{meter: {meter}, model: {model}, channel: lan, wiring: {wiring}}}
"""


def load_device(directory: Path, meter: str, wiring: str = "3P4W") -> FieldDevice:
    file = directory / "site.yaml"
    model = next(iter(METERS[meter].models))
    file.write_text(SITE.format(meter=meter, model=model, wiring=wiring), encoding="utf-8")
    (device,) = load_site(file).field
    return device


def registers_of(golden: Golden, register: Register) -> bytes:
    """Return the bytes of one value out of a reply, as the poller cuts them out."""
    data = bytes.fromhex(golden.reply)[2:]
    offset = register.address - golden.block[0]
    if golden.table in (Table.COIL, Table.DISCRETE_INPUT):
        return bytes([data[offset // 8] >> offset % 8 & 1])
    return data[2 * offset : 2 * (offset + register.count)]


def decoded(golden: Golden, point: FieldPoint) -> tuple[Value, Quality]:
    register = point.read
    assert register is not None
    assert register.table is golden.table
    if register.scale_at is not None:
        at = 2 * (register.scale_at - golden.block[0]) + 2
        factor = scale_factor(bytes.fromhex(golden.reply)[at : at + 2])
        assert factor is not None
        register = scaled(register, factor)
    return decoder_for(register, point.definition)(registers_of(golden, register))


@pytest.mark.parametrize(("meter", "golden"), GOLDEN)
def test_a_golden_frame_decodes_to_its_values(meter: str, golden: Golden, tmp_path: Path) -> None:
    points = {point.definition.name: point for point in load_device(tmp_path, meter).points}

    for name, expected in golden.values.items():
        value, quality = decoded(golden, points[name])

        if isinstance(expected, float):
            assert value == pytest.approx(expected, rel=FLOAT32_STEP), name
        else:
            assert value == expected, name
        assert quality is (Quality.DEVICE_FAULT if expected is None else Quality.GOOD), name


@pytest.mark.parametrize("meter", METERS)
def test_a_shipped_meter_file_loads_without_a_fault(meter: str, tmp_path: Path) -> None:
    device = load_device(tmp_path, meter)

    assert device.points
    assert all(point.write is None for point in device.points)


def test_energies_keep_their_count_to_the_last_digit(tmp_path: Path) -> None:
    # M-25 P-02
    points = [
        point
        for meter in ("bsmart", "socomec-countis-e2x", "mid-submeter", "ion7400")
        for point in load_device(tmp_path, meter).points
        if point.read is not None and point.definition.kind is Kind.ACCUMULATOR
    ]

    assert all(point.definition.resolution in (-2, -3) for point in points)
    assert len(points) > 60


def test_a_single_phase_b_smart_has_no_points_of_absent_phases(tmp_path: Path) -> None:
    # M-07 M-08
    names = {point.definition.name for point in load_device(tmp_path, "bsmart", "single-phase").points}

    assert {"voltage_l1_n", "current_neutral", "active_power_total", "ch2_voltage_l1_n"} <= names
    assert not [name for name in names if "l2" in name or "l3" in name]


def test_the_demo_site_loads_with_its_five_meters() -> None:
    site = load_site(LIBRARY.parent / "demo" / "site.yaml")

    meters = [device for device in site.field if device.definition.channel]
    assert [device.definition.id for device in meters] == ["tenant-1", "tenant-2", "heat-pump", "landlord", "main"]
    assert [device.definition.mid for device in meters] == [False, False, False, True, False]
    # E-15: each meter is tied to a tenant
    assert all(device.definition.labels["tenant"] for device in meters)
    assert not [point.definition.id for point in site.field[4].points if point.definition.name.endswith("_indicative")]
