"""bridge.projections.web.guide: each fault of the guide is found on the meter that shows it, and on no other."""

from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Sample, Value, Wiring
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from bridge.projections.web.core import Core
from bridge.projections.web.guide import TROUBLES, shown_by
from bridge.projections.web.rows import DeviceState

SOUND: dict[str, Value] = {
    **{f"voltage_l{n}_n": 230.0 for n in (1, 2, 3)},
    **{f"current_l{n}": 5.0 for n in (1, 2, 3)},
    **{f"phase_loss_l{n}": False for n in (1, 2, 3)},
    "power_factor_total": 0.95,
    "active_energy_import": 100,
    "reverse_phase_sequence": False,
}
STATE = DeviceState("m", "online", "1", 100, 100, 0, 0, {}, 0, 1.0, 1.0, "", 1)


def core_with(values: dict[str, Value], doubtful: tuple[str, ...] = ()) -> Core:
    points = [
        PointDef(n, f"m.{name}", Kind.ANALOG, "", False, 10**10, "m.yaml:1", meaning=meaning_of(name))
        for n, name in enumerate(values)
    ]
    samples = {
        point.index: Sample(value, Quality.QUESTIONABLE if point.name in doubtful else Quality.GOOD, 1, 1)
        for point, value in zip(points, values.values(), strict=True)
    }
    device = DeviceDef("m", "toy", "Toy", "T1", "lan", 1, False, Wiring.FOUR_WIRE, Nominal(), {}, "s.yaml:1")
    fake = SimpleNamespace(
        devices={"m": device}, by_device={"m": points}, sample=lambda definition: samples[definition.index]
    )
    return cast("Core", fake)


def found(core: Core, state: DeviceState = STATE) -> list[str]:
    return [trouble.symptom for trouble, names in shown_by(core, {"m": state}) if names == ["m"]]


def test_a_sound_meter_shows_none_of_them() -> None:
    assert found(core_with(SOUND)) == []


# C-03
@pytest.mark.parametrize(
    ("values", "doubtful", "state", "symptom"),
    [
        ({}, (), {"state": "backing off"}, "The meter does not answer."),
        ({}, (), {"crc_errors": 5}, "Answers are damaged or mixed up."),
        ({}, ("active_energy_import",), {}, "The energy jumps or makes no sense."),
        ({"current_l2": 0.0}, (), {}, "A phase has voltage and no current."),
        ({"power_factor_total": -0.4}, (), {}, "The power factor is negative."),
        ({"phase_loss_l3": True}, (), {}, "Phase loss is reported and nothing is wrong."),
        ({"reverse_phase_sequence": True}, (), {}, "The order of the phases is reversed."),
        ({"voltage_l3_n": 3.0}, (), {}, "One phase is missing."),
    ],
)
def test_a_fault_is_found_by_what_it_shows(
    values: dict[str, Value], doubtful: tuple[str, ...], state: dict[str, object], symptom: str
) -> None:
    core = core_with(SOUND | values, doubtful)

    assert found(core, msgspec.structs.replace(STATE, **state)) == [symptom]


def test_every_entry_has_a_cause_and_a_remedy_of_its_own() -> None:
    assert len({text for trouble in TROUBLES for text in (trouble.symptom, trouble.causes, trouble.remedy)}) == 24
