"""Which part of a flow a point shows: quantity and phase -> a function of the flow, in the base unit. Pure."""

from collections.abc import Callable

from bridge.config.meter import PfSign
from bridge.core.quantity import Meaning, Phase, Quantity
from bridge.simulator.load import Flow

_ONE = {Phase.L1: 0, Phase.L1_N: 0, Phase.L2: 1, Phase.L2_N: 1, Phase.L3: 2, Phase.L3_N: 2}
_LINES = {Phase.L1_L2: 0, Phase.L2_L3: 1, Phase.L3_L1: 2}


def reader_of(meaning: Meaning, pf_sign: PfSign) -> Callable[[Flow], float] | None:
    """Return the function that reads the quantity and phase off a flow; None for what does not flow."""
    k = _ONE.get(meaning.phase)

    def pick(one: Callable[[Flow], tuple[float, ...]], total: Callable[[Flow], float]) -> Callable[[Flow], float]:
        if k is None:
            return total
        return lambda flow: one(flow)[k] if k < len(flow.u) else 0.0

    match meaning.quantity:
        case Quantity.ACTIVE_POWER:
            return pick(lambda f: f.p, lambda f: f.p_total)
        case Quantity.REACTIVE_POWER:
            return pick(lambda f: f.q, lambda f: f.q_total)
        case Quantity.APPARENT_POWER:
            return pick(lambda f: f.s, lambda f: f.s_total)
        case Quantity.POWER_FACTOR | Quantity.COS_PHI:
            return _power_factor(k, pf_sign)
        case Quantity.VOLTAGE:
            return _voltage(meaning.phase, k)
        case Quantity.CURRENT:
            if meaning.phase is Phase.N:
                return lambda f: f.i_neutral
            # the system current is the mean of the phases (seed 002, 4.6.1)
            return pick(lambda f: f.i, lambda f: sum(f.i) / len(f.i))
        case Quantity.FREQUENCY:
            return lambda f: f.frequency
        case Quantity.VOLTAGE_UNBALANCE:
            return lambda f: _unbalance(f.u)
        case Quantity.CURRENT_UNBALANCE:
            return lambda f: _unbalance(f.i)
        case Quantity.THD_VOLTAGE | Quantity.THD_R_VOLTAGE:
            return lambda f: f.distortion
        case Quantity.THD_CURRENT | Quantity.THD_R_CURRENT | Quantity.TDD_CURRENT:
            return lambda f: 4 * f.distortion
        case _:
            return None


def _voltage(phase: Phase, k: int | None) -> Callable[[Flow], float]:
    if phase in _LINES:
        line = _LINES[phase]
        return lambda f: f.u_line[line]
    if phase is Phase.AVERAGE_LL:
        return lambda f: sum(f.u_line) / 3
    if phase is Phase.N:
        return lambda f: 0.4
    if k is None:
        return lambda f: sum(f.u) / len(f.u)
    return lambda f: f.u[k] if k < len(f.u) else 0.0


def _power_factor(k: int | None, pf_sign: PfSign) -> Callable[[Flow], float]:
    def factor(flow: Flow) -> float:
        if k is not None and k >= len(flow.u):
            return 0.0
        p, q, s = (flow.p_total, flow.q_total, flow.s_total) if k is None else (flow.p[k], flow.q[k], flow.s[k])
        size = abs(p) / s if s else 1.0
        if pf_sign is PfSign.IEC:
            return -size if p < 0 else size
        # IEEE: negative where P and Q flow the same way (a lagging load)
        return -size if pf_sign is PfSign.IEEE and p * q > 0 else size

    return factor


def _unbalance(values: tuple[float, ...]) -> float:
    mean = sum(values) / len(values)
    return max(abs(v - mean) for v in values) / mean if mean else 0.0
