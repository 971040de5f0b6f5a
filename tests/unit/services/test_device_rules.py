"""services.device_rules: which rule computes a point that has no register, by the points the device does have."""

from bridge.core.point import Nominal, PointDef, Value
from bridge.services.device_rules import DeviceRules
from bridge.services.states import StateThresholds
from tests.support.field_points import device, point

NOMINAL = Nominal(voltage_v=230, current_a=80)


def names(*words: str) -> list[PointDef]:
    return [point(word, index) for index, word in enumerate(words)]


def computed(out: str, values: dict[str, float], nominal: Nominal = NOMINAL, settings: tuple[str, ...] = ()) -> Value:
    """Return what the rule of `out` makes of a device that measures `values`; KeyError without a rule."""
    measured = names(*values)
    own = [point(word, 100 + n) for n, word in enumerate((*settings, out))]
    rules = {rule.output: rule for rule in DeviceRules(device(measured, own, nominal), StateThresholds()).rules()}
    rule = rules[own[-1].index]
    by_index = dict(zip(range(len(values)), values.values(), strict=True))
    return rule.compute([by_index[index] for index in rule.inputs], [95.0] * len(rule.settings), None)


def has_rule(out: str, *measured: str, nominal: Nominal = NOMINAL) -> bool:
    return bool(DeviceRules(device(names(*measured), [point(out, 100)], nominal), StateThresholds()).rules())


def test_a_total_power_is_the_sum_of_its_phases() -> None:
    powers = {f"active_power_l{n}": float(n) for n in (1, 2, 3)}

    assert computed("active_power_total", powers) == 6.0


def test_a_total_is_not_made_of_two_phases_of_three() -> None:
    assert not has_rule("active_power_total", "active_power_l1", "active_power_l2")


def test_apparent_power_comes_from_active_and_reactive_power() -> None:
    assert computed("apparent_power_l2", {"active_power_l2": 3.0, "reactive_power_l2": 4.0}) == 5.0


def test_a_power_factor_comes_from_active_and_apparent_power() -> None:
    assert computed("power_factor_total", {"active_power_total": -4.0, "apparent_power_total": 5.0}) == -0.8


def test_averages_come_from_the_phases() -> None:
    assert computed("voltage_average_ln", {f"voltage_l{n}_n": 229.0 + n for n in (1, 2, 3)}) == 231.0
    assert computed("current_average", {f"current_l{n}": float(n) for n in (1, 2, 3)}) == 2.0


def test_net_and_sum_of_an_energy_come_from_both_directions() -> None:
    # E-01
    energies = {"active_energy_import": 1000.0, "active_energy_export": 300.0}

    assert computed("active_energy_net", energies) == 700
    assert computed("active_energy_sum", energies) == 1300


def test_the_energy_balance_of_two_tariffs_is_signed() -> None:
    # M-26: (+T1) - (-T1) + (+T2) - (-T2), the same for kvarh
    energies = {
        "reactive_energy_import_t1": 10.0,
        "reactive_energy_export_t1": 500.0,
        "reactive_energy_import_t2": 20.0,
        "reactive_energy_export_t2": 1.0,
    }

    assert computed("reactive_energy_net", energies) == -471


def test_a_total_over_tariffs_is_their_sum() -> None:
    assert computed("active_energy_import", {"active_energy_import_t1": 3.0, "active_energy_import_t2": 4.0}) == 7


def test_the_second_circuit_is_computed_from_the_second_circuit() -> None:
    measured = {"active_power_total": 1.0, "ch2_active_power_total": -1.0}

    assert computed("ch2_energy_direction", measured) == 1


def test_unbalance_prefers_the_voltages_between_lines() -> None:
    voltages = {"voltage_l1_n": 0.0, "voltage_l2_n": 230.0, "voltage_l3_n": 230.0}
    lines = {"voltage_l1_l2": 400.0, "voltage_l2_l3": 400.0, "voltage_l3_l1": 400.0}

    assert computed("voltage_unbalance_alarm", voltages | lines) is False
    assert computed("voltage_unbalance_alarm", voltages) is True


def test_a_phase_loss_needs_a_nominal_voltage_and_a_voltage_of_the_phase() -> None:
    assert has_rule("phase_loss_l1", "voltage_l1_n")
    assert has_rule("phase_loss_l1", "voltage_l1_l2", "voltage_l3_l1")
    assert not has_rule("phase_loss_l1", "voltage_l2_n")
    assert not has_rule("phase_loss_l1", "voltage_l1_n", nominal=Nominal())


def test_an_overload_needs_a_nominal_current() -> None:
    assert has_rule("overload_alarm", "current_l1")
    assert not has_rule("overload_alarm", "current_l1", nominal=Nominal())


def test_the_threshold_that_the_bridge_keeps_for_the_device_is_obeyed() -> None:
    assert computed("overload_alarm", {"current_l1": 77.0}, settings=("overload_threshold",)) is True
    assert computed("overload_alarm", {"current_l1": 77.0}) is False


def test_the_sequence_of_phases_is_unknown_without_angles() -> None:
    assert has_rule("reverse_phase_sequence", "phase_angle_l1_n", "phase_angle_l2_n", "phase_angle_l3_n")
    assert not has_rule("reverse_phase_sequence", "voltage_l1_n", "voltage_l2_n", "voltage_l3_n")


def test_what_the_meter_measures_is_not_computed() -> None:
    measured = names("active_power_total", "energy_direction")

    assert DeviceRules(device(measured, []), StateThresholds()).rules() == []
