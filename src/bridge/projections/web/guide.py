"""The fault guide (C-03): what is seen, what is likely behind it, what to do; and which meters show it now."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bridge.core.point import PointDef, Sample
from bridge.core.quality import UNUSABLE, Quality
from bridge.core.quantity import ENERGIES, Phase, Quantity, Statistic
from bridge.projections.web.core import Core
from bridge.projections.web.rows import DeviceState

# V to neutral from which a phase has voltage; A below which it has no current
_LIVE_V, _NO_CURRENT_A = 50.0, 0.001
# Shares of requests from which a line counts as disturbed
_CRC_SHARE = 0.01
_PHASES = (Phase.L1, Phase.L2, Phase.L3)
_TO_NEUTRAL = {Phase.L1_N: Phase.L1, Phase.L2_N: Phase.L2, Phase.L3_N: Phase.L3}


@dataclass(frozen=True, slots=True)
class Meter:
    """What is known of one meter now. `values`: usable numbers by quantity and phase."""

    state: DeviceState | None
    points: tuple[tuple[PointDef, Sample], ...]
    values: Mapping[tuple[Quantity, Phase], float]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One entry. `shows`: whether a meter looks like it at present; the person decides."""

    symptom: str
    causes: str
    remedy: str
    shows: Callable[[Meter], bool]


def _is_silent(meter: Meter) -> bool:
    return meter.state is not None and meter.state.requests > 0 and meter.state.state not in ("online", "unknown")


def _is_disturbed(meter: Meter) -> bool:
    state = meter.state
    return state is not None and state.requests > 0 and state.crc_errors > state.requests * _CRC_SHARE


def _has_doubtful_energy(meter: Meter) -> bool:
    return any(
        sample.quality & (Quality.QUESTIONABLE | Quality.OUT_OF_RANGE)
        for definition, sample in meter.points
        if definition.meaning.quantity in ENERGIES
    )


def _has_live_phase_without_current(meter: Meter) -> bool:
    return any(
        meter.values.get((Quantity.VOLTAGE, to_neutral), 0.0) > _LIVE_V
        and abs(meter.values.get((Quantity.CURRENT, phase), 1.0)) < _NO_CURRENT_A
        for to_neutral, phase in _TO_NEUTRAL.items()
    )


def _has_negative_factor(meter: Meter) -> bool:
    return any(
        value < 0
        for (quantity, _), value in meter.values.items()
        if quantity in (Quantity.POWER_FACTOR, Quantity.COS_PHI)
    )


def _state_is_on(quantity: Quantity) -> Callable[[Meter], bool]:
    return lambda meter: any(value == 1 for (found, _), value in meter.values.items() if found is quantity)


def _is_missing_a_phase(meter: Meter) -> bool:
    volts = [
        value
        for (quantity, phase), value in meter.values.items()
        if quantity is Quantity.VOLTAGE and phase in _TO_NEUTRAL
    ]
    return len(volts) == len(_PHASES) and 0 < sum(value < _LIVE_V for value in volts) < len(volts)


# Seed 003 (Dépannage), 000 (11), 002 (11 and 12)
TROUBLES = (
    Trouble(
        "The meter does not answer.",
        "A and B swapped, no termination, another speed, parity or address, no supply; a meter fed from "
        "phase 1 is silent without it.",
        "Swap A and B, put 120 ohm at both ends of the line, compare speed, parity and address with the "
        "meter's display, measure phase 1.",
        _is_silent,
    ),
    Trouble(
        "Answers are damaged or mixed up.",
        "Two meters with one address, no termination, a line that is too long or runs beside power cables.",
        "Disconnect one of the two and scan the line; check termination, length, shield and the speed.",
        _is_disturbed,
    ),
    Trouble(
        "The energy jumps or makes no sense.",
        "Wrong current transformer ratio, swapped phases, index edited or erased, meter replaced.",
        "Compare the ratio with the transformers, check the order of the phases; a new index is taken over "
        "after three readings.",
        _has_doubtful_energy,
    ),
    Trouble(
        "A phase has voltage and no current.",
        "Current transformer not around the conductor or open, a load that is off.",
        "Check that the transformer is closed and its secondary is connected. Never open a secondary under load.",
        _has_live_phase_without_current,
    ),
    Trouble(
        "The power factor is negative.",
        "Power flows back, a capacitive load, or a current transformer mounted the wrong way round.",
        "Check the direction of the transformer (P1 to the grid, P2 to the load). With solar panels or "
        "capacitors it may be right.",
        _has_negative_factor,
    ),
    Trouble(
        "Phase loss is reported and nothing is wrong.",
        "Only one phase of a three-phase meter is connected, or the load is uneven.",
        "Set phase_loss to 0 for this device under services.states, or adapt its level.",
        _state_is_on(Quantity.PHASE_LOSS),
    ),
    Trouble(
        "The order of the phases is reversed.",
        "Two phases are swapped at the meter or in the supply.",
        "Swap two voltage wires together with their transformers; on a motor the supply itself.",
        _state_is_on(Quantity.REVERSE_PHASE_SEQUENCE),
    ),
    Trouble(
        "One phase is missing.",
        "A fuse has blown or a wire is loose.",
        "Measure the voltages at the meter, check fuses and terminals.",
        _is_missing_a_phase,
    ),
)

# Codes of `Finding` as sentences
FINDINGS: Mapping[str, str] = MappingProxyType(
    {
        "no_user": "Nobody can log in but with the token of the first run: add a user.",
        "not_installed": "The server is configured and not installed.",
        "open_server": "The server listens on every address and for every network.",
        "plain_server": "The server is not encrypted: keep it in a protected network.",
        "never_answered": "The meter has never answered.",
        "no_serial_number": "The serial number is not known: a replaced meter is not noticed.",
        "no_nominal": "Nominal values are not set: alarms in percent, overload and unbalance need them.",
        "alarm_without_level": "The alarm has no level: the nominal value of its meter is not set.",
        "no_tenant": "The meter is billed and has no label `tenant`.",
        "not_certified": "The meter is billed and not certified (MID): not for billing to third parties.",
        "no_history": "The history cannot be written.",
        "no_time": "The clock of this machine is not synchronised.",
        "no_syslog": "Events and audit are kept on this machine only: no syslog server is set.",
        "file_warning": "A file of the site says something that is probably not meant.",
        "own_certificate": "The console shows a certificate of its own making: browsers warn of it.",
    }
)


def shown_by(core: Core, states: Mapping[str, DeviceState]) -> list[tuple[Trouble, list[str]]]:
    """Return every entry with the meters that look like it now."""
    meters = {name: _meter(core, name, states.get(name)) for name, device in core.devices.items() if device.channel}
    return [(trouble, [name for name, meter in meters.items() if trouble.shows(meter)]) for trouble in TROUBLES]


def _meter(core: Core, name: str, state: DeviceState | None) -> Meter:
    points = tuple((definition, core.sample(definition)) for definition in core.by_device.get(name, []))
    return Meter(state, points, dict(_values(points)))


def _values(points: tuple[tuple[PointDef, Sample], ...]) -> Iterator[tuple[tuple[Quantity, Phase], float]]:
    for definition, sample in points:
        meaning = definition.meaning
        plain = meaning.statistic is Statistic.PRESENT and meaning.circuit <= 1
        if plain and isinstance(sample.value, int | float) and not sample.quality & UNUSABLE:
            yield (meaning.quantity, meaning.phase), float(sample.value)
