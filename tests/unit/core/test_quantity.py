"""core.quantity: names of points and what they mean."""

import pytest

from bridge.core.quantity import Direction, Meaning, Phase, Quantity, Statistic, dimension_of, meaning_of
from bridge.core.units import Dimension

Q, P, D, S = Quantity, Phase, Direction, Statistic

# The 53 points of seed 003, in its order.
SUBMETER_POINTS = {
    "active_energy_import": Meaning(Q.ACTIVE_ENERGY, direction=D.IMPORT),
    "active_energy_export": Meaning(Q.ACTIVE_ENERGY, direction=D.EXPORT),
    "reactive_energy_import": Meaning(Q.REACTIVE_ENERGY, direction=D.IMPORT),
    "reactive_energy_export": Meaning(Q.REACTIVE_ENERGY, direction=D.EXPORT),
    "active_power_total": Meaning(Q.ACTIVE_POWER),
    "active_power_l1": Meaning(Q.ACTIVE_POWER, P.L1),
    "active_power_l2": Meaning(Q.ACTIVE_POWER, P.L2),
    "active_power_l3": Meaning(Q.ACTIVE_POWER, P.L3),
    "reactive_power_total": Meaning(Q.REACTIVE_POWER),
    "apparent_power_total": Meaning(Q.APPARENT_POWER),
    "voltage_l1_n": Meaning(Q.VOLTAGE, P.L1_N),
    "voltage_l2_n": Meaning(Q.VOLTAGE, P.L2_N),
    "voltage_l3_n": Meaning(Q.VOLTAGE, P.L3_N),
    "voltage_l1_l2": Meaning(Q.VOLTAGE, P.L1_L2),
    "voltage_l2_l3": Meaning(Q.VOLTAGE, P.L2_L3),
    "voltage_l3_l1": Meaning(Q.VOLTAGE, P.L3_L1),
    "current_l1": Meaning(Q.CURRENT, P.L1),
    "current_l2": Meaning(Q.CURRENT, P.L2),
    "current_l3": Meaning(Q.CURRENT, P.L3),
    "current_neutral": Meaning(Q.CURRENT, P.N),
    "power_factor_total": Meaning(Q.POWER_FACTOR),
    "power_factor_l1": Meaning(Q.POWER_FACTOR, P.L1),
    "power_factor_l2": Meaning(Q.POWER_FACTOR, P.L2),
    "power_factor_l3": Meaning(Q.POWER_FACTOR, P.L3),
    "frequency": Meaning(Q.FREQUENCY),
    "demand_peak_current": Meaning(Q.DEMAND_PEAK_CURRENT),
    "demand_peak_timestamp": Meaning(Q.DEMAND_PEAK_TIMESTAMP),
    "thd_voltage_l1": Meaning(Q.THD_VOLTAGE, P.L1),
    "thd_current_l1": Meaning(Q.THD_CURRENT, P.L1),
    "reset_demand_peak": Meaning(Q.RESET_DEMAND_PEAK),
    "sync_clock": Meaning(Q.SYNC_CLOCK),
    "communication_status": Meaning(Q.COMMUNICATION_STATUS),
    "phase_loss_l1": Meaning(Q.PHASE_LOSS, P.L1),
    "phase_loss_l2": Meaning(Q.PHASE_LOSS, P.L2),
    "phase_loss_l3": Meaning(Q.PHASE_LOSS, P.L3),
    "overload_alarm": Meaning(Q.OVERLOAD_ALARM),
    "energy_direction": Meaning(Q.ENERGY_DIRECTION),
    "tamper_alarm": Meaning(Q.TAMPER_ALARM),
    "mid_certification_valid": Meaning(Q.MID_CERTIFICATION_VALID),
    "pulse_output_active": Meaning(Q.PULSE_OUTPUT_ACTIVE),
    "meter_error": Meaning(Q.METER_ERROR),
    "voltage_unbalance_alarm": Meaning(Q.VOLTAGE_UNBALANCE_ALARM),
    "current_unbalance_alarm": Meaning(Q.CURRENT_UNBALANCE_ALARM),
    "reverse_phase_sequence": Meaning(Q.REVERSE_PHASE_SEQUENCE),
    "ct_primary_rating": Meaning(Q.CT_PRIMARY_RATING),
    "ct_secondary_rating": Meaning(Q.CT_SECONDARY_RATING),
    "demand_interval": Meaning(Q.DEMAND_INTERVAL),
    "pulse_constant": Meaning(Q.PULSE_CONSTANT),
    "modbus_address": Meaning(Q.MODBUS_ADDRESS),
    "modbus_baudrate": Meaning(Q.MODBUS_BAUDRATE),
    "display_backlight_timeout": Meaning(Q.DISPLAY_BACKLIGHT_TIMEOUT),
    "overload_threshold": Meaning(Q.OVERLOAD_THRESHOLD),
    "voltage_unbalance_threshold": Meaning(Q.VOLTAGE_UNBALANCE_THRESHOLD),
}


def test_the_list_of_the_submeter_has_53_points() -> None:
    # P-01
    assert len(SUBMETER_POINTS) == 53


@pytest.mark.parametrize("name", SUBMETER_POINTS)
def test_a_point_of_the_submeter_list_has_its_meaning(name: str) -> None:
    # P-01
    assert meaning_of(name) == SUBMETER_POINTS[name]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("ch2_active_power_total", Meaning(Q.ACTIVE_POWER, circuit=2)),
        ("ch2_voltage_l1_n", Meaning(Q.VOLTAGE, P.L1_N, circuit=2)),
        ("active_energy_import_l1_t2", Meaning(Q.ACTIVE_ENERGY, P.L1, D.IMPORT, tariff=2)),
        ("active_energy_l1_import_t2", Meaning(Q.ACTIVE_ENERGY, P.L1, D.IMPORT, tariff=2)),
        ("active_energy_import_partial", Meaning(Q.ACTIVE_ENERGY, direction=D.IMPORT, statistic=S.PARTIAL)),
        ("active_energy_net_indicative", Meaning(Q.ACTIVE_ENERGY, direction=D.NET, statistic=S.INDICATIVE)),
        ("reactive_energy_q1_l2", Meaning(Q.REACTIVE_ENERGY, P.L2, D.Q1)),
        ("reactive_demand_peak_timestamp", Meaning(Q.REACTIVE_DEMAND, statistic=S.PEAK_TIME)),
        ("voltage_average_ln", Meaning(Q.VOLTAGE, P.AVERAGE_LN)),
        ("current_l1_max", Meaning(Q.CURRENT, P.L1, statistic=S.MAXIMUM)),
        ("digital_input_12", Meaning(Q.DIGITAL_INPUT, number=12)),
        ("reset_partial_energy", Meaning(Q.RESET_PARTIAL_ENERGY)),
    ],
)
def test_qualifiers_follow_the_quantity_in_any_order(name: str, meaning: Meaning) -> None:
    assert meaning_of(name) == meaning


@pytest.mark.parametrize("name", ["voltage_l4", "voltage_l1_l1", "active_energy_import_export", "colour", "currents"])
def test_a_name_outside_the_grammar_has_no_meaning(name: str) -> None:
    assert meaning_of(name).quantity is Quantity.OTHER


def test_every_name_of_the_vocabulary_means_itself() -> None:
    for quantity in Quantity:
        if quantity not in (Quantity.OTHER, Quantity.DIGITAL_INPUT, Quantity.DIGITAL_OUTPUT):
            assert meaning_of(quantity.value) == Meaning(quantity)


def test_a_peak_of_demand_named_current_is_a_power() -> None:
    # decision a-03
    assert dimension_of(Quantity.DEMAND_PEAK_CURRENT) is Dimension.ACTIVE_POWER
