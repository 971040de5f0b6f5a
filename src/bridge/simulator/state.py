"""
What one simulated device measures at the moment: flows, integrals, demands and extremes, step by step. Pure.

Between two steps nothing changes: what a step shows is what the integrals add up for the time until the next.
"""

import math
import random
from collections.abc import Callable

from bridge.core.point import DeviceDef, Wiring
from bridge.core.quantity import Meaning, Phase, Quantity
from bridge.simulator.energy import Integrals, Milli, tariff_at
from bridge.simulator.load import Circuit, Flow, flow_of

_SECOND_NS = 1_000_000_000
# s, the usual demand interval; a thermal demand reaches 90 % of a step after it
DEMAND_INTERVAL_S = 900.0
DEMAND_TAU_S = DEMAND_INTERVAL_S / math.log(10)
_PHASES = (Phase.L1, Phase.L2, Phase.L3)


class CircuitState:
    """One measuring circuit. `forced`: power somebody pinned, by quantity and phase, W, var or VA."""

    def __init__(self, circuit: Circuit, seed: int, at_s: float) -> None:
        self.forced: dict[tuple[Quantity, Phase], float] = {}
        self._flow_at = flow_of(circuit, seed)
        self.flow: Flow = self._flow_at(at_s)
        self.integrals = Integrals(random.Random(f"{seed}:{circuit.name}:index"), circuit.phases, circuit.generator)

    def count(self, tariff: int, elapsed_ns: int) -> None:
        """Integrate what is shown for `elapsed_ns`."""
        self.integrals.add(self._milli(), tariff, elapsed_ns)

    def step(self, at_s: float, tariff: int, elapsed_ns: int) -> None:
        """Integrate what was shown for `elapsed_ns`, then show the flow of `at_s`."""
        self.count(tariff, elapsed_ns)
        self.flow = self._flow_at(at_s)

    def _milli(self) -> Milli:
        flow = self.flow
        p = self._forced(Quantity.ACTIVE_POWER, flow.p)
        q = self._forced(Quantity.REACTIVE_POWER, flow.q)
        s = [round(math.hypot(a, r)) for a, r in zip(p, q, strict=True)]
        if self.forced:
            s = self._forced(Quantity.APPARENT_POWER, [x / 1000 for x in s])
        squares = [round(x * x * 1000) for x in flow.u], [round(x * x * 1000) for x in flow.i]
        return Milli(p, q, s, *squares)

    def _forced(self, quantity: Quantity, natural: tuple[float, ...] | list[float]) -> list[int]:
        milli = [round(x * 1000) for x in natural]
        if not self.forced:
            return milli
        for k, phase in enumerate(_PHASES[: len(milli)]):
            if (quantity, phase) in self.forced:
                milli[k] = round(self.forced[quantity, phase] * 1000)
        if (quantity, Phase.TOTAL) in self.forced:
            # a pinned total is shared out evenly, to the last milliwatt
            each, rest = divmod(round(self.forced[quantity, Phase.TOTAL] * 1000), len(milli))
            milli = [each + (k < rest) for k in range(len(milli))]
        return milli


class Tracker:
    """A quantity over time: smoothed (demand) or not, its minimum and maximum and when they were, UTC ns."""

    def __init__(self, present: Callable[[], float], tau_s: float, utc_ns: int) -> None:
        self._present, self._tau_s = present, tau_s
        self.value = present()
        self.low, self.high = self.value, self.value
        self.low_ns, self.high_ns = utc_ns, utc_ns

    @property
    def is_demand(self) -> bool:
        return self._tau_s > 0

    def step(self, elapsed_s: float, utc_ns: int) -> None:
        now = self._present()
        weight = 1.0 - math.exp(-elapsed_s / self._tau_s) if self._tau_s else 1.0
        self.value += (now - self.value) * weight
        if self.value < self.low:
            self.low, self.low_ns = self.value, utc_ns
        if self.value > self.high:
            self.high, self.high_ns = self.value, utc_ns

    def reset(self, utc_ns: int) -> None:
        """Begin minimum and maximum again."""
        self.low, self.high = self.value, self.value
        self.low_ns, self.high_ns = utc_ns, utc_ns


class MeterState:
    """
    Everything one device measures. `forced_tariff`: somebody chose it; else it follows the hour. `baud`: of its line.
    """

    def __init__(self, device: DeviceDef, circuits: frozenset[int], seed: int, utc_ns: int, baud: int = 9600) -> None:
        phases = 1 if device.wiring is Wiring.SINGLE_PHASE else 3
        nominal = device.nominal
        at_s = utc_ns / _SECOND_NS
        self.device, self.utc_ns, self.elapsed_ns, self.baud = device, utc_ns, 0, baud
        self.forced_tariff: int | None = None
        # B-SMART: the first circuit is the grid, the second what a solar roof produces (seed 000, 5.2)
        self.circuits = {
            n: CircuitState(
                Circuit(
                    f"{device.id}:{n}", nominal.voltage_v, nominal.current_a, nominal.frequency_hz, phases, n % 2 == 0
                ),
                seed,
                at_s,
            )
            for n in sorted(circuits | {1})
        }
        self._trackers: dict[tuple[Meaning, float], Tracker] = {}
        identity = random.Random(f"{seed}:{device.id}:identity")
        self.serial = str(identity.randrange(10**7, 10**8))
        # an installation that has run for up to three years
        self.run_ns = identity.randrange(3 * 365 * 86_400) * _SECOND_NS

    @property
    def tariff(self) -> int:
        return self.forced_tariff or tariff_at(self.utc_ns // (3600 * _SECOND_NS) % 24)

    def step(self, utc_ns: int, elapsed_ns: int) -> None:
        """Go on by `elapsed_ns` of monotonic time to the time of day `utc_ns`."""
        tariff = self.tariff
        self.elapsed_ns += elapsed_ns
        self.utc_ns = utc_ns
        for circuit in self.circuits.values():
            circuit.step(utc_ns / _SECOND_NS, tariff, elapsed_ns)
        for tracker in self._trackers.values():
            tracker.step(elapsed_ns / _SECOND_NS, utc_ns)

    def tracker(self, meaning: Meaning, tau_s: float, present: Callable[[], float]) -> Tracker:
        """Return the tracker of what `meaning` says, made at the first call."""
        key = (meaning, tau_s)
        if key not in self._trackers:
            self._trackers[key] = Tracker(present, tau_s, self.utc_ns)
        return self._trackers[key]

    def reset_demands(self) -> None:
        """Begin the demand peaks again."""
        self._reset(demands=True)

    def reset_extremes(self) -> None:
        """Begin the minima and maxima again."""
        self._reset(demands=False)

    def _reset(self, demands: bool) -> None:
        for tracker in self._trackers.values():
            if tracker.is_demand is demands:
                tracker.reset(self.utc_ns)
