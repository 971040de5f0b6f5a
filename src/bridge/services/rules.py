"""
What every derived point follows: values in, one value out, and the quality and time that it inherits. Pure.

The rule one must not break: of an input that is no present reading nothing is computed; the last result is held with
its own time, and says why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.core.point import Sample, Value
from bridge.core.quality import UNUSABLE, Quality

Numbers = Sequence[float]
# (values of the inputs, values of the settings, the value held so far) -> value, None where there is no answer
Compute = Callable[[Numbers, Numbers, Value], Value]

# What a result inherits from good inputs; that one input rolled over says nothing of a sum
_INHERITED = Quality.SUBSTITUTED | Quality.QUESTIONABLE | Quality.CLOCK_UNSYNCED | Quality.DISCONTINUITY
_BAD = UNUSABLE & ~Quality.NEVER_READ


@dataclass(frozen=True, slots=True)
class Rule:
    """
    How the point `output` is computed from `inputs`. `settings`: points that set it, such as a threshold; their age is
    no age of the result.
    """

    output: int
    inputs: tuple[int, ...]
    compute: Compute
    settings: tuple[int, ...] = ()


def derive(compute: Compute, inputs: Sequence[Sample], settings: Sequence[Sample], held: Sample, seq: int) -> Sample:
    """Return what a rule makes of its inputs; `held`: the result so far."""
    quality, oldest_ns = Quality.GOOD, inputs[0].source_ns
    values: list[float] = []
    for sample in inputs:
        quality |= sample.quality
        oldest_ns = min(oldest_ns, sample.source_ns)
        if isinstance(sample.value, int | float):
            values.append(sample.value)
    wanted = [sample.value for sample in settings if isinstance(sample.value, int | float)]
    if quality & UNUSABLE or len(values) < len(inputs) or len(wanted) < len(settings):
        return _held(held, quality & _BAD, seq)
    value = compute(values, wanted, held.value)
    if value is None or value != value:
        return _held(held, Quality.GOOD, seq)
    return Sample(value, quality & _INHERITED, oldest_ns, seq)


def _held(held: Sample, why: Quality, seq: int) -> Sample:
    if held.value is None:
        return Sample(None, Quality.NEVER_READ | why, 0, seq)
    return Sample(held.value, Quality.QUESTIONABLE | why, held.source_ns, seq)
