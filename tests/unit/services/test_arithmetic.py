"""services.arithmetic: sums, means, ratios and unbalances across units and resolutions."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.services.arithmetic import apparent_power_of, average_of, power_factor_of, ratio_of, sum_of, unbalance_of
from tests.support.field_points import point

COUNTS = st.integers(min_value=0, max_value=2**62)


def test_powers_of_different_units_are_added_in_the_unit_of_the_result() -> None:
    out, a, b = point("active_power_total", 0), point("x_a", 1, unit="W"), point("x_b", 2, unit="MW")

    assert sum_of(out, [a, b])([1500.0, 0.002], [], None) == 3.5


def test_a_sum_is_free_of_the_noise_of_floats() -> None:
    out, a, b = (point(f"active_power_l{n}", n) for n in (1, 2, 3))

    assert sum_of(out, [a, b])([0.1, 0.2], [], None) == 0.3


def test_the_energy_balance_is_import_less_export_over_both_tariffs() -> None:
    # M-26, E-02
    out = point("active_energy_net", 0)
    plus = [point("active_energy_import_t1", 1), point("active_energy_import_t2", 2)]
    minus = [point("active_energy_export_t1", 3), point("active_energy_export_t2", 4)]

    assert sum_of(out, plus, minus)([1000, 200, 3000, 5], [], None) == -1805


@given(COUNTS, COUNTS)
def test_counts_of_different_steps_are_added_without_a_float(fine: int, coarse: int) -> None:
    out = point("active_energy_import", 0, resolution=-3)
    a, b = (
        point("active_energy_import_l1", 1, resolution=-3),
        point("active_energy_import_l2", 2, unit="MWh", resolution=-2),
    )

    assert sum_of(out, [a, b])([fine, coarse], [], None) == fine + 10_000 * coarse


def test_a_count_coarser_than_its_inputs_is_rounded_down() -> None:
    out, fine = point("active_energy_import", 0, resolution=0), point("active_energy_import_l1", 1, resolution=-2)

    assert sum_of(out, [fine])([199], [], None) == 1


def test_a_mean_keeps_the_unit_of_the_result() -> None:
    out, a, b = point("voltage_average_ln", 0), point("voltage_l1_n", 1), point("voltage_l2_n", 2, unit="kV")

    assert average_of(out, [a, b])([230.0, 0.234], [], None) == 232.0


def test_a_ratio_in_percent_has_percent() -> None:
    out, a, b = point("share_x", 0, unit="%"), point("x_a", 1, unit="kW"), point("x_b", 2, unit="W")

    assert ratio_of(out, a, b)([1.0, 4000.0], [], None) == 25.0


def test_a_ratio_to_nothing_has_no_value() -> None:
    out, a, b = point("share_x", 0), point("x_a", 1), point("x_b", 2)

    assert ratio_of(out, a, b)([1.0, 0.0], [], None) is None


def test_a_power_factor_has_the_sign_of_the_active_power_and_is_at_most_one() -> None:
    factor = power_factor_of(point("active_power_total", 1), point("apparent_power_total", 2, unit="VA"))

    assert factor([-4.0, 5000.0], [], None) == -0.8
    assert factor([5.01, 5000.0], [], None) == 1.0
    assert factor([0.0, 0.0], [], None) is None


def test_apparent_power_is_the_root_of_both_squares() -> None:
    out = point("apparent_power_total", 0, unit="kVA")

    power = apparent_power_of(out, point("active_power_total", 1), point("reactive_power_total", 2, unit="var"))

    assert power([3.0, 4000.0], [], None) == 5.0


def test_an_unbalance_is_the_greatest_distance_from_the_mean() -> None:
    phases = [point(f"voltage_l{n}_n", n) for n in (1, 2, 3)]

    unbalance = unbalance_of(point("voltage_unbalance", 0, unit="%"), phases)

    assert unbalance([230.0, 230.0, 200.0], [], None) == 9.090909090909
    assert unbalance([0.0, 0.0, 0.0], [], None) is None
