"""
The default alarms (A-09): those of the ION7400 that a site's points allow, and the alarm states of the submeter list.

Levels where the seeds give none: EN 50160 for voltage, frequency and distortion. `on`: without being asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.config.alarm_keys import AlarmKey

# Name of the alarm that every device has: it is told by the poller, not by a point
COMMUNICATION_LOSS = "communication_loss"
IDENTITY_CHANGED = "identity_changed"


@dataclass(frozen=True, slots=True)
class Preset:
    """One default alarm."""

    on: bool
    key: AlarmKey


def _state(name: str, state: int, priority: str, label: str) -> Preset:
    return Preset(
        True, AlarmKey(match=(f"*.{name}", f"*.ch?_{name}"), state=state, priority=_band(priority), label=label)
    )


def _band(name: str) -> int:
    return PRIORITIES[name]


# Priority of an alarm that names its band only: the middle of the band
PRIORITIES: Mapping[str, int] = {"none": 0, "info": 32, "low": 96, "medium": 160, "high": 224}

_MEDIUM = PRIORITIES["medium"]
PRESET: Mapping[str, Preset] = {
    "over_current_unbalance": Preset(
        False, AlarmKey(match=("*.current_unbalance",), over=30, dropout=25, pickup_delay_s=10, priority=_MEDIUM)
    ),
    "over_voltage_unbalance": Preset(
        False, AlarmKey(match=("*.voltage_unbalance",), over=3, dropout=2.5, pickup_delay_s=10, priority=_MEDIUM)
    ),
    # EN 50160: 8 %
    "over_thd_voltage": Preset(
        True,
        AlarmKey(
            match=("*.thd_voltage_l?", "*.thd_voltage_l?_n"),
            over=8,
            dropout=7,
            pickup_delay_s=10,
            dropout_delay_s=10,
            priority=_MEDIUM,
        ),
    ),
    "over_demand": Preset(False, AlarmKey(match=("*.active_demand",), over_percent=100, dropout=95, priority=_MEDIUM)),
    "over_current": Preset(
        False,
        AlarmKey(
            match=("*.current_l?", "*.current_neutral"),
            over_percent=100,
            dropout=95,
            pickup_delay_s=10,
            priority=_MEDIUM,
        ),
    ),
    # EN 50160: 90 % to 110 %
    "over_voltage": Preset(
        False, AlarmKey(match=("*.voltage_l?_n",), over_percent=110, dropout=108, pickup_delay_s=10, priority=_MEDIUM)
    ),
    "under_voltage": Preset(
        False, AlarmKey(match=("*.voltage_l?_n",), under_percent=90, dropout=92, pickup_delay_s=10, priority=_MEDIUM)
    ),
    # EN 50160: 99 % to 101 %
    "over_frequency": Preset(
        True, AlarmKey(match=("*.frequency",), over_percent=101, dropout=100.8, pickup_delay_s=10, priority=_MEDIUM)
    ),
    "under_frequency": Preset(
        True, AlarmKey(match=("*.frequency",), under_percent=99, dropout=99.2, pickup_delay_s=10, priority=_MEDIUM)
    ),
    # EN 50160 and IEC 61000-4-30: an interruption is below 10 %
    "voltage_interruption": Preset(
        True, AlarmKey(match=("*.voltage_l?_n",), under_percent=10, dropout=12, priority=PRIORITIES["low"])
    ),
    "digital_input": Preset(True, AlarmKey(match=("*.digital_input_*",), state=1, priority=PRIORITIES["info"])),
    "phase_loss": _state("phase_loss_l?", 1, "medium", "phase loss"),
    "overload": _state("overload_alarm", 1, "medium", "overload"),
    "voltage_unbalance": _state("voltage_unbalance_alarm", 1, "medium", "voltage unbalance"),
    "current_unbalance": _state("current_unbalance_alarm", 1, "medium", "current unbalance"),
    "reverse_phase_sequence": _state("reverse_phase_sequence", 1, "low", "reverse phase sequence"),
    "tamper": _state("tamper_alarm", 1, "high", "case opened"),
    "meter_error": _state("meter_error", 1, "medium", "meter error"),
    "mid_certification": _state("mid_certification_valid", 0, "high", "MID certification not valid"),
}
