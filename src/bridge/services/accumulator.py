"""
The state machine of an energy index (DESIGN 5). Pure.

    reading                                         verdict     count    quality         epoch
    the first                                       ACCEPTED    new      good            same
    more, by no more than the line can carry        ACCEPTED    new      good            same
    from near the modulus to near 0                 ROLLED      new      ROLLOVER        same
    the first of a meter with another serial number REPLACED    new      DISCONTINUITY   + 1
    negative, or not below the modulus              REFUSED     held     OUT_OF_RANGE    same
    anything else                                   HELD        held     QUESTIONABLE    same
      and then three more that go on from it        RESET       new      DISCONTINUITY   + 1

The rule one must not break: nobody gets to see a count that is not accepted, and a jump is never accepted in silence.
"""

import enum
from dataclasses import dataclass, replace

# Readings that must go on from an odd one before it is believed
CONFIRM = 3
# Share of the modulus from its end, or from 0, in which a rollover may be
_NEAR = 10
# Counts an index may go on by in any time: readings of one moment differ by rounding
_SLACK = 10


class Verdict(enum.Enum):
    """What became of a reading."""

    ACCEPTED = "accepted"
    ROLLED = "rolled over"
    REPLACED = "meter replaced"
    RESET = "reset"
    HELD = "held"
    REFUSED = "refused"


ACCEPTING = frozenset({Verdict.ACCEPTED, Verdict.ROLLED, Verdict.REPLACED, Verdict.RESET})


@dataclass(frozen=True, slots=True)
class IndexState:
    """
    What outlives a restart. `epoch` grows with every start anew; counts of two epochs have no difference. `registers`:
    what the meter sent for this count, as on the wire.
    """

    count: int
    source_ns: int
    epoch: int = 0
    serial: str = ""
    registers: bytes = b""


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """`modulus`: count at which it starts again from 0. `most_per_s`: counts per second. 0 = not known."""

    modulus: int = 0
    most_per_s: float = 0.0


class Index:
    """One index. `state` None: it has never been read. `candidate`: the odd reading that waits for its confirmation."""

    def __init__(self, limits: IndexLimits, state: IndexState | None = None) -> None:
        self.limits, self.state = limits, state
        self.candidate: int | None = None
        self._confirmed = 0
        self._replaced_by: str | None = None

    def replaced(self, serial: str) -> bool:
        """
        Take the serial number the meter gives; tell whether it is another meter than the one the count is of.

        The next reading then starts a new epoch.
        """
        if self.state is None or self.state.serial == serial:
            self._replaced_by = None if self.state is not None else serial
            return False
        if not self.state.serial:
            # known from now on
            state = self.state
            self.state = replace(state, serial=serial)
            return False
        self._replaced_by = serial
        return True

    def take(self, count: int, source_ns: int, elapsed_ns: int, registers: bytes = b"") -> Verdict:
        """
        Judge a reading. `elapsed_ns`: monotonic time since the last accepted one, as far as it is known. `registers`:
        what it was made of.
        """
        verdict = self._judge(count, source_ns, elapsed_ns)
        if registers and verdict in ACCEPTING and self.state is not None:
            self.state = replace(self.state, registers=registers)
        return verdict

    def _judge(self, count: int, source_ns: int, elapsed_ns: int) -> Verdict:
        state, limits = self.state, self.limits
        if count < 0 or 0 < limits.modulus <= count:
            return Verdict.REFUSED
        if state is None:
            return self._accept(Verdict.ACCEPTED, count, source_ns, 0)
        if self._replaced_by is not None:
            return self._accept(Verdict.REPLACED, count, source_ns, state.epoch + 1)
        if self._goes_on(state.count, count, elapsed_ns):
            return self._accept(Verdict.ACCEPTED, count, source_ns, state.epoch)
        if self._rolls(state.count, count, elapsed_ns):
            return self._accept(Verdict.ROLLED, count, source_ns, state.epoch)
        return self._odd(state, count, source_ns, elapsed_ns)

    def _odd(self, state: IndexState, count: int, source_ns: int, elapsed_ns: int) -> Verdict:
        if self.candidate is not None and self._goes_on(self.candidate, count, elapsed_ns):
            self._confirmed += 1
        else:
            self._confirmed = 0
        self.candidate = count
        if self._confirmed < CONFIRM:
            return Verdict.HELD
        return self._accept(Verdict.RESET, count, source_ns, state.epoch + 1)

    def _accept(self, verdict: Verdict, count: int, source_ns: int, epoch: int) -> Verdict:
        serial = self.state.serial if self.state is not None else ""
        if self._replaced_by is not None:
            serial = self._replaced_by
        self.state = IndexState(count, source_ns, epoch, serial)
        self.candidate, self._confirmed, self._replaced_by = None, 0, None
        return verdict

    def _goes_on(self, before: int, count: int, elapsed_ns: int) -> bool:
        return count >= before and self._carries(count - before, elapsed_ns)

    def _rolls(self, before: int, count: int, elapsed_ns: int) -> bool:
        modulus = self.limits.modulus
        if not modulus or before < modulus - modulus // _NEAR or count > modulus // _NEAR:
            return False
        return self._carries(modulus - before + count, elapsed_ns)

    def _carries(self, counts: int, elapsed_ns: int) -> bool:
        most = self.limits.most_per_s
        return not most or counts <= _SLACK + most * max(elapsed_ns, 0) / 1e9
