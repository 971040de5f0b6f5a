"""Where a point's value comes from: its meaning -> a function that reads the state of the device. Pure."""

from collections.abc import Callable
from fractions import Fraction

import msgspec

from bridge.config.meter import PfSign
from bridge.config.model import FieldPoint
from bridge.core.point import Kind, PointDef, Value
from bridge.core.quantity import Meaning, Quantity, Statistic
from bridge.core.units import UNITS
from bridge.simulator.energy import INTEGRATED, WATT_HOUR, count_of, step_of
from bridge.simulator.flows import reader_of
from bridge.simulator.state import DEMAND_INTERVAL_S, DEMAND_TAU_S, MeterState, Tracker

Source = Callable[[], Value]
_SECOND_NS = 1_000_000_000
_SECONDS = {"s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0}
_DEMANDS = {
    Quantity.ACTIVE_DEMAND: Quantity.ACTIVE_POWER,
    Quantity.REACTIVE_DEMAND: Quantity.REACTIVE_POWER,
    Quantity.APPARENT_DEMAND: Quantity.APPARENT_POWER,
    Quantity.CURRENT_DEMAND: Quantity.CURRENT,
    Quantity.DEMAND_PEAK_CURRENT: Quantity.ACTIVE_POWER,
    Quantity.DEMAND_PEAK_TIMESTAMP: Quantity.ACTIVE_POWER,
}
_PEAKS = frozenset({Quantity.DEMAND_PEAK_CURRENT, Quantity.DEMAND_PEAK_TIMESTAMP})
_LOWS = frozenset({Statistic.MINIMUM, Statistic.MINIMUM_TIME})
_HIGHS = frozenset({Statistic.MAXIMUM, Statistic.MAXIMUM_TIME, Statistic.PEAK, Statistic.PEAK_TIME})
_TIMES = frozenset({Statistic.MINIMUM_TIME, Statistic.MAXIMUM_TIME, Statistic.PEAK_TIME})
# Settings and constants of a device just installed, in the base unit.
_FIXED = {
    Quantity.CT_PRIMARY_RATING: 100.0,
    Quantity.CT_SECONDARY_RATING: 5.0,
    Quantity.PT_PRIMARY_RATING: 230.0,
    Quantity.PT_SECONDARY_RATING: 230.0,
    Quantity.DEMAND_INTERVAL: DEMAND_INTERVAL_S,
    Quantity.PULSE_CONSTANT: 1000.0,
    Quantity.DISPLAY_BACKLIGHT_TIMEOUT: 60.0,
    Quantity.OVERLOAD_THRESHOLD: 0.9,
    Quantity.VOLTAGE_UNBALANCE_THRESHOLD: 0.02,
    Quantity.CURRENT_UNBALANCE_THRESHOLD: 0.2,
    Quantity.RESIDUAL_CURRENT: 0.003,
    Quantity.TEMPERATURE: 31.5,
    Quantity.K_FACTOR_CURRENT: 1.4,
    Quantity.CREST_FACTOR_VOLTAGE: 1.41,
    Quantity.CREST_FACTOR_CURRENT: 1.6,
    Quantity.FIRMWARE_VERSION: 1.04,
}
# Texts of states that mean "as it should be", best first.
_CALM = ("online", "ok", "normal", "valid", "good", "none", "no alarm", "inactive", "off", "no", "false", "import")
_USUALLY_TRUE = frozenset({Quantity.MID_CERTIFICATION_VALID})


class Index:
    """A counter: whole steps of an integral, settable to any count, going on from there. `offset`: to the integral."""

    def __init__(self, integral: Callable[[], int], step: Fraction, modulus: int) -> None:
        self._integral, self._step, self._modulus, self.offset = integral, step, modulus, 0

    def __call__(self) -> Value:
        return count_of(self._integral() + self.offset, self._step, self._modulus)

    def set_to(self, count: int) -> None:
        """Show `count` now; the next one comes after a whole step."""
        self.offset = self.offset_at(count)

    def offset_at(self, count: int) -> int:
        """Return the offset that shows `count` now."""
        # rounded away from zero: an integral a fraction short would show one less
        above = -(-abs(count) * self._step.numerator // self._step.denominator)
        return (above if count >= 0 else -above) - self._integral()


def source_of(point: FieldPoint, state: MeterState, pf_sign: PfSign) -> Source:
    """Return the function that gives the point's value of the moment, in the conventions of `core.point.Value`."""
    definition = point.definition
    quantity = definition.meaning.quantity
    if definition.kind is Kind.ACCUMULATOR:
        return _index(definition, state)
    if definition.kind is Kind.TEXT:
        text = _text(definition, state)
        return lambda: text
    if definition.kind is Kind.TIME:
        return _time(definition, state)
    if definition.kind is Kind.ANALOG:
        return _analog(point, state, pf_sign)
    if quantity is Quantity.ACTIVE_TARIFF or (
        quantity is Quantity.TARIFF_SELECT and definition.kind is not Kind.BINARY
    ):
        return lambda: state.tariff
    code = _calm(definition)
    if quantity is Quantity.ENERGY_DIRECTION:
        return _direction(definition, state, code)
    if quantity is Quantity.MODBUS_ADDRESS:
        code = state.device.unit_id
    if quantity is Quantity.MODBUS_BAUDRATE and state.baud in dict(definition.states):
        code = state.baud
    if definition.kind is Kind.BINARY:
        flag = bool(code)
        return lambda: flag
    return lambda: code


def _index(definition: PointDef, state: MeterState) -> Index:
    meaning = definition.meaning
    circuit = state.circuits.get(meaning.circuit)
    if meaning.quantity in INTEGRATED and circuit is not None:
        terms = circuit.integrals.terms(meaning)
        step = step_of(definition.unit, definition.resolution)
        index = Index(lambda: circuit.integrals.total(terms), step, definition.modulus)
        if meaning.statistic is Statistic.PARTIAL:
            # zeroed by somebody since the meter was installed
            index.set_to(circuit.integrals.total(terms) * step.denominator // step.numerator // 100)
        return index
    # run hours, and counters of what nobody simulates: they count time
    second = Fraction(_SECONDS.get(definition.unit, 1.0))
    step = Fraction(10) ** definition.resolution * second * _SECOND_NS
    return Index(lambda: state.run_ns + state.elapsed_ns, step, definition.modulus)


def _analog(point: FieldPoint, state: MeterState, pf_sign: PfSign) -> Source:
    definition = point.definition
    meaning = definition.meaning
    factor = _factor(definition.unit)
    low = float("-inf") if definition.low is None else definition.low
    high = float("inf") if definition.high is None else definition.high
    if meaning.quantity in _DEMANDS or meaning.statistic not in (Statistic.PRESENT, Statistic.PARTIAL):
        tracker = _tracker(meaning, state, pf_sign)
        kept = _kept(meaning)
        return lambda: min(max(kept(tracker) * factor, low), high)
    present = _present(meaning, state, pf_sign)
    if present is not None:
        natural = present
        return lambda: min(max(natural() * factor, low), high)
    fixed = _fixed(point, state, factor)
    return lambda: fixed


def _fixed(point: FieldPoint, state: MeterState, factor: float) -> float:
    definition, write = point.definition, point.write
    quantity = definition.meaning.quantity
    value = _FIXED.get(quantity, 0.0) * factor
    if quantity is Quantity.MODBUS_ADDRESS:
        value = float(state.device.unit_id)
    if quantity is Quantity.MODBUS_BAUDRATE:
        value = float(state.baud)
    if write is not None and write.values and value not in write.values:
        value = write.values[0]
    value = _clamped(value, definition.low, definition.high)
    return value if write is None else _clamped(value, write.low, write.high)


def _clamped(value: float, low: float | None, high: float | None) -> float:
    value = value if low is None else max(value, low)
    return value if high is None else min(value, high)


def _factor(unit: str) -> float:
    """Return units per base unit: 0.001 for kW."""
    if unit in _SECONDS:
        return 1.0 / _SECONDS[unit]
    exponent = UNITS[unit].exponent if unit in UNITS else 0
    return float(Fraction(10) ** -(exponent or 0))


def base_per_unit(unit: str) -> float:
    """Return base units per unit: 1000 for kW."""
    return float(Fraction(10) ** ((UNITS[unit].exponent if unit in UNITS else 0) or 0))


def _present(meaning: Meaning, state: MeterState, pf_sign: PfSign) -> Callable[[], float] | None:
    """Return the function that gives the quantity now, in the base unit; None for what does not flow."""
    circuit = state.circuits.get(meaning.circuit)
    if circuit is None:
        return None
    if meaning.quantity in INTEGRATED:
        terms = circuit.integrals.terms(meaning)
        return lambda: circuit.integrals.total(terms) / WATT_HOUR
    of_flow = reader_of(meaning, pf_sign)
    if of_flow is not None:
        return lambda: of_flow(circuit.flow)
    if meaning.quantity is Quantity.RUN_HOURS:
        return lambda: (state.run_ns + state.elapsed_ns) / _SECOND_NS
    return None


def _tracker(meaning: Meaning, state: MeterState, pf_sign: PfSign) -> Tracker:
    tau_s = DEMAND_TAU_S if meaning.quantity in _DEMANDS else 0.0
    quantity = _DEMANDS.get(meaning.quantity, meaning.quantity)
    plain = msgspec.structs.replace(meaning, quantity=quantity, statistic=Statistic.PRESENT)
    return state.tracker(plain, tau_s, _present(plain, state, pf_sign) or (lambda: 0.0))


def _kept(meaning: Meaning) -> Callable[[Tracker], float]:
    if meaning.statistic in _LOWS:
        return lambda tracker: tracker.low
    if meaning.statistic in _HIGHS or meaning.quantity in _PEAKS:
        return lambda tracker: tracker.high
    return lambda tracker: tracker.value


def _time(definition: PointDef, state: MeterState) -> Source:
    meaning = definition.meaning
    if meaning.statistic not in _TIMES and meaning.quantity is not Quantity.DEMAND_PEAK_TIMESTAMP:
        return lambda: state.utc_ns
    tracker = _tracker(meaning, state, PfSign.IEEE)
    if meaning.statistic in _LOWS:
        return lambda: tracker.low_ns
    return lambda: tracker.high_ns


def _text(definition: PointDef, state: MeterState) -> str:
    device = state.device
    return {
        Quantity.SERIAL_NUMBER: state.serial,
        Quantity.VENDOR: device.vendor,
        Quantity.MODEL: device.model,
        Quantity.DEVICE_NAME: device.id,
        Quantity.FIRMWARE_VERSION: "1.04",
    }.get(definition.meaning.quantity, definition.name)


def _calm(definition: PointDef) -> int:
    """Return the code of the state in which nothing is wrong."""
    by_text = {text.lower(): code for code, text in definition.states}
    for text in _CALM:
        if text in by_text:
            return by_text[text]
    if definition.meaning.quantity in _USUALLY_TRUE:
        return 1
    return min((code for code, _ in definition.states), default=0)


def _direction(definition: PointDef, state: MeterState, calm: int) -> Source:
    by_text = {text.lower(): code for code, text in definition.states}
    export = by_text.get("export", 1)
    circuit = state.circuits.get(definition.meaning.circuit)
    binary = definition.kind is Kind.BINARY

    def direction() -> Value:
        code = export if circuit is not None and circuit.flow.p_total < 0 else calm
        return bool(code) if binary else code

    return direction
