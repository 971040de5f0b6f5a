"""
Keeps every derived point up to date: whenever an input has a new sample, its results are published again.

The rule one must not break: unchanged results are published too, for their time moves with that of their inputs.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from bridge.config.model import Formula, Operation, SiteConfig
from bridge.core.point import Batch, PointDef, Sample
from bridge.core.store import PointStore, Published
from bridge.services.arithmetic import average_of, ratio_of, sum_of, unbalance_of
from bridge.services.device_rules import DeviceRules
from bridge.services.rules import Compute, Rule, derive
from bridge.services.states import thresholds_of


def rules_of(config: SiteConfig) -> list[Rule]:
    """Return the rules of every point of the site that is computed from others."""
    states = config.services.states
    rules: list[Rule] = []
    formulas = {formula.output for formula in config.formulas}
    for device in config.field:
        found = DeviceRules(device, thresholds_of(states, device.definition.id)).rules()
        rules += found
    known = {definition.id: definition for definition in config.points}
    stated = {known[output].index for output in formulas}
    rules = [rule for rule in rules if rule.output not in stated]
    return rules + [_site_rule(formula, known) for formula in config.formulas]


def _site_rule(formula: Formula, known: Mapping[str, PointDef]) -> Rule:
    out = known[formula.output]
    plus, minus = [known[id_] for id_ in formula.inputs], [known[id_] for id_ in formula.minus]
    compute: Compute
    match formula.operation:
        case Operation.SUM:
            compute = sum_of(out, plus, minus)
        case Operation.AVERAGE:
            compute = average_of(out, plus)
        case Operation.RATIO:
            compute = ratio_of(out, plus[0], plus[1])
        case Operation.UNBALANCE:
            compute = unbalance_of(out, plus)
    return Rule(out.index, tuple(definition.index for definition in (*plus, *minus)), compute)


# Inputs from which on a result is computed once a second and not with every input: a sum over 1,000 meters, each read
# every 5 s, would otherwise be added up 200 times a second
MANY = 32
_LOOK_S = 1.0


class Derived:
    """Loop thread only. A result that is itself an input comes one publish later; one of MANY inputs in a second."""

    def __init__(self, store: PointStore, rules: Iterable[Rule] = ()) -> None:
        self._store = store
        self._by_input: dict[int, tuple[Rule, ...]] = {}
        self._waiting: dict[int, Rule] = {}
        self._seq = 0
        self.redefine(rules)
        self._cancel = store.feed(self._hear)

    def redefine(self, rules: Iterable[Rule]) -> None:
        """Take other rules, after the store has other definitions."""
        by_input: dict[int, list[Rule]] = {}
        for rule in rules:
            for index in dict.fromkeys((*rule.inputs, *rule.settings)):
                by_input.setdefault(index, []).append(rule)
        self._by_input = {index: tuple(mine) for index, mine in by_input.items()}
        self._waiting.clear()

    async def run(self) -> None:
        """Compute the large ones until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Compute the large ones whose inputs are newer."""
        waiting, self._waiting = self._waiting, {}
        if waiting:
            self._store.publish(self._results(waiting.values()))

    def close(self) -> None:
        """Stop listening."""
        self._cancel()

    def _hear(self, batch: Published) -> None:
        by_input = self._by_input
        due: dict[int, Rule] = {}
        for index, _ in batch:
            for rule in by_input.get(index, ()):
                if len(rule.inputs) < MANY:
                    due[rule.output] = rule
                else:
                    self._waiting[rule.output] = rule
        if due:
            self._store.publish(self._results(due.values()))

    def _results(self, rules: Iterable[Rule]) -> Batch:
        results: Batch = []
        for rule in rules:
            self._seq += 1
            inputs, settings = self._samples(rule.inputs), self._samples(rule.settings)
            held = self._store.get(rule.output)
            results.append((rule.output, derive(rule.compute, inputs, settings, held, self._seq)))
        return results

    def _samples(self, indexes: Sequence[int]) -> list[Sample]:
        get = self._store.get
        return [get(index) for index in indexes]
