"""services.states: the rules of the states that seed 003 lists and a meter does not have."""

import pytest

from bridge.config.services import DeviceStateLimits, StatesKey
from bridge.core.point import Nominal
from bridge.services.states import (
    StateThresholds,
    energy_direction,
    overload,
    phase_loss,
    phase_sequence_reversed,
    thresholds_of,
    unbalance_alarm,
)
from tests.support.field_points import point

NOMINAL = Nominal(voltage_v=230, current_a=80)
LIMITS = StateThresholds()


def test_a_phase_is_lost_below_70_percent_and_back_above_75_percent() -> None:
    # P-04: 0 = OK, 1 = lost
    lost = phase_loss([point("voltage_l1_n", 1)], NOMINAL, LIMITS)

    assert lost([161.5], [], False) is False
    assert lost([160.5], [], False) is True
    assert lost([172.0], [], True) is True
    assert lost([172.6], [], True) is False


def test_a_phase_that_a_site_leaves_unconnected_is_never_lost() -> None:
    # P-08: threshold per site
    limits = thresholds_of(StatesKey(devices=(DeviceStateLimits(match="flat-*", phase_loss=0),)), "flat-3")

    lost = phase_loss([point("voltage_l2_n", 1)], NOMINAL, limits)

    assert lost([0.0], [], False) is False
    assert lost([0.0], [], True) is False


@pytest.mark.parametrize(("l1_l2", "l3_l1", "expected"), [(400, 400, False), (200, 200, True), (200, 400, False)])
def test_without_a_neutral_a_phase_is_lost_when_both_its_voltages_are(
    l1_l2: float, l3_l1: float, expected: bool
) -> None:
    lost = phase_loss([point("voltage_l1_l2", 1), point("voltage_l3_l1", 2)], NOMINAL, LIMITS)

    assert lost([l1_l2, l3_l1], [], False) is expected


def test_overload_begins_above_the_threshold_and_ends_five_percent_below() -> None:
    # P-07
    overloaded = overload([point(f"current_l{n}", n) for n in (1, 2, 3)], NOMINAL, LIMITS)

    assert overloaded([10.0, 80.0, 10.0], [], False) is False
    assert overloaded([10.0, 80.1, 10.0], [], False) is True
    assert overloaded([10.0, 76.1, 10.0], [], True) is True
    assert overloaded([10.0, 76.0, 10.0], [], True) is False


def test_a_current_the_other_way_overloads_as_well() -> None:
    overloaded = overload([point("current_l1", 1)], NOMINAL, LIMITS)

    assert overloaded([-81.0], [], False) is True


def test_the_setting_of_the_device_goes_before_the_threshold_of_the_site() -> None:
    # P-06
    overloaded = overload([point("current_l1", 1)], NOMINAL, LIMITS)

    assert overloaded([70.0], [80.0], False) is True
    assert overloaded([70.0], [90.0], False) is False


def test_unbalance_begins_above_its_threshold_and_ends_below_with_hysteresis() -> None:
    unbalanced = unbalance_alarm([point(f"voltage_l{n}_n", n) for n in (1, 2, 3)], 3.0, 0.5)

    assert unbalanced([230.0, 230.0, 222.0], [], False) is False
    assert unbalanced([230.0, 230.0, 219.0], [], False) is True
    assert unbalanced([230.0, 230.0, 221.0], [], True) is True
    assert unbalanced([230.0, 230.0, 224.5], [], True) is False


def test_small_currents_are_never_unbalanced() -> None:
    unbalanced = unbalance_alarm([point(f"current_l{n}", n) for n in (1, 2, 3)], 30.0, 0.5, floor=8.0)

    assert unbalanced([6.0, 0.0, 0.0], [], False) is False
    assert unbalanced([60.0, 0.0, 0.0], [], False) is True
    assert unbalanced([0.0, 0.0, 0.0], [], True) is False


def test_energy_direction_is_0_for_import_and_1_for_export_and_stays_without_power() -> None:
    # P-04, seed 003 point 37
    assert energy_direction([1.5], [], None) == 0
    assert energy_direction([-1.5], [], 0) == 1
    assert energy_direction([0.0], [], 1) == 1
    assert energy_direction([0.0], [], None) == 0


def test_the_order_of_the_phases_is_told_by_their_angles() -> None:
    assert phase_sequence_reversed([0.0, -120.0, 120.0], [], None) is False
    assert phase_sequence_reversed([10.0, 249.0, 131.0], [], None) is False
    assert phase_sequence_reversed([0.0, 120.0, -120.0], [], None) is True
    assert phase_sequence_reversed([0.0, 0.0, 0.0], [], None) is None


def test_what_a_site_says_of_a_device_goes_before_what_it_says_of_all() -> None:
    key = StatesKey(overload=110, phase_loss=60, devices=(DeviceStateLimits(match="pump", overload=90),))

    assert thresholds_of(key, "pump") == StateThresholds(overload=90, phase_loss=60)
    assert thresholds_of(key, "other") == StateThresholds(overload=110, phase_loss=60)


def test_a_threshold_of_0_is_never_reached() -> None:
    # P-08: a three-phase meter with one phase connected
    unbalanced = unbalance_alarm([point(f"voltage_l{n}_n", n) for n in (1, 2, 3)], 0, 0.5)

    assert unbalanced([230.0, 0.0, 0.0], [], False) is False
