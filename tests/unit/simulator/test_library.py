"""Every meter file that ships: what its simulated meter sends is what the bridge's own decoder makes of it"""

from pathlib import Path

import pytest
import yaml

from bridge.config.load import load_site
from bridge.config.meter import RegisterType, Table
from bridge.config.model import FieldDevice, FieldPoint
from bridge.core.point import Kind
from bridge.core.quality import Quality
from bridge.field.modbus.decode import decoder_for, scale_factor, scaled
from bridge.simulator.cell import exact_decimal
from bridge.simulator.meters import SimulatedMeter
from bridge.simulator.registers import Refusal

LIBRARY = Path(__file__).parents[3] / "mappings" / "meters"
MODELS = sorted(path.stem for path in LIBRARY.glob("*.yaml"))
NOON_NS = 1_795_176_000 * 10**9
HOUR_NS = 3600 * 10**9


def device_of(meter: str, folder: Path) -> FieldDevice:
    models = yaml.safe_load((LIBRARY / f"{meter}.yaml").read_text(encoding="utf-8")).get("models") or {}
    model = f", model: {next(iter(models))!r}" if models else ""
    (folder / "site.yaml").write_text(
        "site: {name: library}\nchannels: {lan: {kind: tcp, host: 127.0.0.1}}\n"
        f"devices:\n  dev: {{meter: {meter}, channel: lan{model}}}\n",
        encoding="utf-8",
    )
    return load_site(folder / "site.yaml", LIBRARY).field[0]


def sent(meter: SimulatedMeter, point: FieldPoint) -> tuple[object, Quality]:
    """Return what the bridge makes of the registers the simulated meter has for `point`."""
    register = point.read
    assert register is not None
    words = meter.read(register.table, register.address, register.count)
    assert not isinstance(words, Refusal), f"{point.definition.name}: {words}"
    if register.scale_at is not None:
        exponent = meter.read(register.table, register.scale_at, 1)
        assert not isinstance(exponent, Refusal)
        factor = scale_factor(exponent[0].to_bytes(2, "big"))
        assert factor is not None
        register = scaled(register, factor)
    if register.table in (Table.COIL, Table.DISCRETE_INPUT):
        return decoder_for(register, point.definition)(bytes(words))
    return decoder_for(register, point.definition)(b"".join(w.to_bytes(2, "big") for w in words))


@pytest.mark.parametrize("meter_file", MODELS)
def test_every_point_of_a_day_is_good_and_exactly_what_the_simulator_reports(meter_file: str, tmp_path: Path) -> None:
    device = device_of(meter_file, tmp_path)
    readable = [point for point in device.points if point.read is not None]
    assert readable
    for seed in range(3):
        meter = SimulatedMeter(device, seed, NOON_NS)
        for _ in range(8):
            meter.step(meter.state.utc_ns + 3 * HOUR_NS, 3 * HOUR_NS)
            held = meter.held()
            wrong = {
                point.definition.name: (reading, held[point.definition.name])
                for point in readable
                if (reading := sent(meter, point)) != (held[point.definition.name], Quality.GOOD)
            }

            assert wrong == {}


@pytest.mark.parametrize("meter_file", MODELS)
def test_the_vocabulary_has_a_source_for_every_flow(meter_file: str, tmp_path: Path) -> None:
    meter = SimulatedMeter(device_of(meter_file, tmp_path), 1, NOON_NS)
    zero = {
        name
        for name, value in meter.shown().items()
        if name.startswith(("voltage_l", "current_l", "active_power", "apparent_power", "frequency", "active_energy"))
        and value == 0
    }

    assert zero == set()


@pytest.mark.parametrize("meter_file", MODELS)
def test_a_pinned_energy_reaches_the_bridge_to_the_last_count(meter_file: str, tmp_path: Path) -> None:
    device = device_of(meter_file, tmp_path)
    meter = SimulatedMeter(device, 1, NOON_NS)
    indexes = [p for p in device.points if p.read is not None and p.definition.kind is Kind.ACCUMULATOR]
    exact = [p for p in indexes if p.read is not None and p.read.type is not RegisterType.FLOAT32]
    for point in exact:
        # a SunSpec counter at 0 says "not accumulated"
        lowest = 1 if point.read is not None and 0 in point.read.invalid else 0
        for count in (lowest, 2, 29, 115, 13_107_201, 16_777_217, 99_999_998):
            meter.pin(point.definition.name, exact_decimal(count, point.definition.resolution))
            meter.step(meter.state.utc_ns + HOUR_NS, HOUR_NS)

            assert sent(meter, point) == (count, Quality.GOOD), point.definition.name
    for point in indexes:
        meter.pin(point.definition.name, exact_decimal(123_456, point.definition.resolution))
        assert sent(meter, point) == (123_456, Quality.GOOD), point.definition.name
