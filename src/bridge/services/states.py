"""
The state points of the submeter list (seed 003) that a meter does not have: phase loss, overload, unbalance, direction,
phase sequence. Pure.

Polarity (P-04): alarms 0 = OK, 1 = alarm; energy direction 0 = import, 1 = export. A state with hysteresis ends later
than it begins, so that a value at the threshold does not make it flicker.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from bridge.config.services import StateLimits, StatesKey
from bridge.core.point import Nominal, PointDef, Value
from bridge.core.rules import Rules
from bridge.services.arithmetic import exponent_of, scaled, unbalance_share
from bridge.services.rules import Compute, Numbers

# Degrees a voltage may be off its place and still tell the order
_ANGLE_DOUBT = 45


@dataclass(frozen=True, slots=True)
class StateThresholds:
    """Percent, as `config.services.StateLimits` explains them."""

    # EN 50160 calls less than 10 % an interruption; a lost phase of a connected load often floats far above it
    phase_loss: float = 70.0
    phase_loss_hysteresis: float = 5.0
    overload: float = 100.0
    overload_hysteresis: float = 5.0
    # EN 50160: 2 % in normal operation
    voltage_unbalance: float = 3.0
    current_unbalance: float = 30.0
    unbalance_hysteresis: float = 0.5
    current_floor: float = 10.0


def thresholds_of(key: StatesKey, device: str) -> StateThresholds:
    """Return what the site says for a device, over what it says for all, over the defaults."""
    found = Rules(key.devices).find(device)
    return _with(_with(StateThresholds(), key), found)


def _with(thresholds: StateThresholds, limits: StateLimits | None) -> StateThresholds:
    if limits is None:
        return thresholds
    given = {field.name: getattr(limits, field.name) for field in fields(StateThresholds)}
    return replace(thresholds, **{name: value for name, value in given.items() if value is not None})


def phase_loss(voltages: Sequence[PointDef], nominal: Nominal, limits: StateThresholds) -> Compute:
    """
    Return whether a phase is lost. `voltages`: its one voltage to neutral, or without neutral its two voltages to the
    other phases, which are both low only when this phase is gone.
    """
    full = nominal.voltage_v * (1.0 if len(voltages) == 1 else math.sqrt(3))
    begins = full * limits.phase_loss / 100
    ends = begins + full * limits.phase_loss_hysteresis / 100 if begins else 0.0
    shifts = [exponent_of(definition) for definition in voltages]

    def lost(values: Numbers, _: Numbers, held: Value) -> Value:
        highest = max(abs(scaled(value, shift)) for value, shift in zip(values, shifts, strict=True))
        return highest < (ends if held else begins)

    return lost


def overload(currents: Sequence[PointDef], nominal: Nominal, limits: StateThresholds) -> Compute:
    """Return whether a current is above the threshold, percent of nominal: the setting's, or else the site's (P-07)."""
    shifts = [exponent_of(definition) for definition in currents]

    def overloaded(values: Numbers, settings: Numbers, held: Value) -> Value:
        threshold = settings[0] if settings else limits.overload
        highest = max(abs(scaled(value, shift)) for value, shift in zip(values, shifts, strict=True))
        percent = 100 * highest / nominal.current_a
        return percent > (threshold - limits.overload_hysteresis if held else threshold)

    return overloaded


def unbalance_alarm(inputs: Sequence[PointDef], threshold: float, hysteresis: float, floor: float = 0.0) -> Compute:
    """
    Return whether the unbalance of `inputs`, percent of their mean, is above the threshold: the setting's or else
    `threshold`; 0 = never. `floor`: of the mean, in base units, below which nothing counts as unbalanced.
    """
    shifts = [exponent_of(definition) for definition in inputs]

    def unbalanced(values: Numbers, settings: Numbers, held: Value) -> Value:
        begins = settings[0] if settings else threshold
        sizes = [abs(scaled(value, shift)) for value, shift in zip(values, shifts, strict=True)]
        share = unbalance_share(sizes)
        if not begins or share is None or math.fsum(sizes) < floor * len(sizes):
            return False
        return 100 * share > (begins - hysteresis if held else begins)

    return unbalanced


def energy_direction(values: Numbers, _: Numbers, held: Value) -> Value:
    """Return 0 (import) or 1 (export) by the sign of the active power; without power the last direction stays."""
    if not values[0]:
        return held if held is not None else 0
    return int(values[0] < 0)


def phase_sequence_reversed(values: Numbers, _: Numbers, held: Value) -> Value:
    """
    Return whether the voltages come in the order L1, L3, L2. `values`: angles of L1, L2 and L3 to neutral, degrees, in
    which L2 of the right order stands at -120. None when they are not some 120 degrees apart: a phase is missing.
    """
    steps = [(values[1] - values[0]) % 360, (values[2] - values[1]) % 360]
    if all(abs(step - 240) <= _ANGLE_DOUBT for step in steps):
        return False
    return True if all(abs(step - 120) <= _ANGLE_DOUBT for step in steps) else None
