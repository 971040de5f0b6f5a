"""
What flows through one measuring circuit at a time: voltages, currents and powers that belong together. Pure.

P is the sum of the phases, S^2 = P^2 + Q^2, I = S / U; a day curve, appliances that come and go, and slow waves. The
same seed, device and time give the same numbers.
"""

import cmath
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

_DAY_S = 86_400.0
_TURN = 2 * math.pi
# rad, the phases of a three-phase system
_ANGLES = (0.0, -_TURN / 3, _TURN / 3)
# V and A where neither site nor meter file states any
_VOLTAGE_V, _CURRENT_A, _FREQUENCY_HZ = 230.0, 40.0, 50.0


@dataclass(frozen=True, slots=True)
class Circuit:
    """A measuring circuit: nominal V phase to neutral, A and Hz (0 = usual ones), 1 to 3 phases, load or generator."""

    name: str
    voltage_v: float = _VOLTAGE_V
    current_a: float = _CURRENT_A
    frequency_hz: float = _FREQUENCY_HZ
    phases: int = 3
    generator: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """One instant; a list has one entry per phase. V, A, W, var, VA, Hz. P > 0 flows to the load."""

    u: tuple[float, ...]
    i: tuple[float, ...]
    p: tuple[float, ...]
    q: tuple[float, ...]
    s: tuple[float, ...]
    u_line: tuple[float, float, float]
    i_neutral: float
    frequency: float
    distortion: float

    @property
    def p_total(self) -> float:
        return sum(self.p)

    @property
    def q_total(self) -> float:
        return sum(self.q)

    @property
    def s_total(self) -> float:
        return math.hypot(self.p_total, self.q_total)


def flow_of(circuit: Circuit, seed: int) -> Callable[[float], Flow]:
    """Return the function from a time (s since 1970 UTC) to the flow of `circuit`."""
    rng = random.Random(f"{seed}:{circuit.name}")
    voltage, current = circuit.voltage_v or _VOLTAGE_V, circuit.current_a or _CURRENT_A
    nominal_hz = circuit.frequency_hz or _FREQUENCY_HZ
    share = _production(rng) if circuit.generator else _consumption(rng)
    phases = range(circuit.phases)
    balance = [rng.uniform(0.85, 1.15) for _ in phases]
    angle = [rng.uniform(0.05, 0.45) * (0.2 if circuit.generator else 1.0) for _ in phases]
    power_waves = [_waves(rng, 0.04) for _ in phases]
    voltage_waves = [_waves(rng, 0.004) for _ in phases]
    angle_waves = _waves(rng, 0.03)
    grid_waves = _waves(random.Random(f"{seed}:grid"), 0.0004)
    sign = -1.0 if circuit.generator else 1.0

    def flow(at_s: float) -> Flow:
        used = share(at_s)
        turned = angle_waves(at_s)
        u, i, p, q, s = [], [], [], [], []
        for k in phases:
            volts = voltage * (1.0 - sign * 0.012 * used + voltage_waves[k](at_s))
            power = voltage * current * used * balance[k] * (1.0 + power_waves[k](at_s))
            tangent = math.tan(max(0.01, angle[k] + turned))
            # whole milliwatts, so that the integral over them is exact
            active = round(sign * power * 1000) / 1000
            reactive = round(power * tangent * 1000) / 1000
            apparent = math.hypot(active, reactive)
            u.append(volts)
            p.append(active)
            q.append(reactive)
            s.append(apparent)
            i.append(apparent / volts)
        return Flow(
            tuple(u),
            tuple(i),
            tuple(p),
            tuple(q),
            tuple(s),
            _line_voltages(u),
            _neutral(i, p, q),
            nominal_hz * (1.0 + grid_waves(at_s)),
            0.02 + 0.01 * used,
        )

    return flow


def _consumption(rng: random.Random) -> Callable[[float], float]:
    """Share of nominal: a base, a hump around the busiest hour, two appliances that switch."""
    base, height = rng.uniform(0.06, 0.15), rng.uniform(0.2, 0.45)
    busiest_s, width_s = rng.uniform(9, 19) * 3600, rng.uniform(2, 4) * 3600
    appliances = [(rng.uniform(300, 1500), rng.uniform(0.2, 0.6), rng.uniform(0.02, 0.06)) for _ in range(2)]

    def share(at_s: float) -> float:
        away = (at_s - busiest_s + _DAY_S / 2) % _DAY_S - _DAY_S / 2
        used = base + height * math.exp(-0.5 * (away / width_s) ** 2)
        for period_s, duty, part in appliances:
            if at_s % period_s < duty * period_s:
                used += part
        return used

    return share


def _production(rng: random.Random) -> Callable[[float], float]:
    """Share of nominal of a solar roof: nothing from 20 to 5 o'clock UTC, most at half past twelve, clouds."""
    height, clouds = rng.uniform(0.4, 0.7), _waves(rng, 0.1)

    def share(at_s: float) -> float:
        day = (at_s % _DAY_S / 3600 - 5) / 15
        return height * math.sin(math.pi * day) * (1 + clouds(at_s)) if 0 < day < 1 else 0.0

    return share


def _waves(rng: random.Random, size: float) -> Callable[[float], float]:
    """Three slow waves of at most `size` together, with periods that have no common multiple soon."""
    parts = [(rng.uniform(7, 15), rng.uniform(40, 90), rng.uniform(200, 700))[n] for n in range(3)]
    shifts = [rng.uniform(0, _TURN) for _ in parts]
    (f1, f2, f3), (s1, s2, s3) = [_TURN / p for p in parts], shifts
    third = size / 3

    def wave(at_s: float) -> float:
        return third * (math.sin(f1 * at_s + s1) + math.sin(f2 * at_s + s2) + math.sin(f3 * at_s + s3))

    return wave


def _line_voltages(u: list[float]) -> tuple[float, float, float]:
    if len(u) < 3:
        return (0.0, 0.0, 0.0)
    # cosine rule at 120 degrees
    a, b, c = (math.sqrt(x * x + y * y + x * y) for x, y in ((u[0], u[1]), (u[1], u[2]), (u[2], u[0])))
    return (a, b, c)


def _neutral(i: list[float], p: list[float], q: list[float]) -> float:
    return abs(sum(cmath.rect(i[k], _ANGLES[k] - math.atan2(q[k], p[k])) for k in range(len(i))))
