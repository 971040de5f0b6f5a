"""
What one session sends unasked: an empty response first, then the events of the classes the master enabled.

Each waits for its confirm and is repeated until it comes, or `unsolicited_retries` times; after that the outstation is
silent until it hears from the master again. All ask for a confirm (IEEE 1815-2012, 4.2.2.4.3).
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from bridge.projections.dnp3.application import CON, FIN, FIR, SEQUENCE_MASK, UNS, Function, response
from bridge.projections.dnp3.events import EventBuffer
from bridge.projections.dnp3.pieces import EventPiece, Writer
from bridge.projections.dnp3.plan import MasterPlan

# Bytes of control, function and IIN in front of a response's objects.
RESPONSE_HEADER = 4


class _Waiting(NamedTuple):
    sequence: int
    until_s: float
    fragment: bytes
    empty: bool
    repeats: int


class Unsolicited:
    """Sequence numbers go on from connection to connection; what was sent and not confirmed does not."""

    def __init__(self, plan: MasterPlan, events: EventBuffer, indications: Callable[[], int]) -> None:
        self._plan, self._events, self._indications = plan, events, indications
        self._sequence = 0
        self._waiting: _Waiting | None = None
        self._greeted = False
        self._silent = False
        # confirms that did not come in time
        self.timeouts = 0

    def reset(self) -> None:
        """Start a connection: with the empty response again."""
        self._waiting, self._greeted, self._silent = None, False, False

    def lost(self) -> None:
        self._waiting = None

    def heard(self) -> None:
        """The master is there."""
        self._silent = False

    @property
    def waits(self) -> bool:
        """Whether a confirm is due."""
        return self._waiting is not None

    def is_late(self, now_s: float) -> bool:
        return self._waiting is not None and now_s >= self._waiting.until_s

    def next(self, classes: Iterable[int], now_s: float) -> bytes | None:
        """Return the next response, if there is anything to say and nothing waits for its confirm."""
        if not self._plan.unsolicited or self._waiting is not None or self._silent:
            return None
        writer = Writer(self._plan.fragment_bytes - RESPONSE_HEADER)
        if self._greeted:
            enabled = sorted(classes)
            if not any(map(self._events.waiting, enabled)):
                return None
            EventPiece(self._events.select(enabled, None, len(self._events)), 0).write(writer)
            self._events.mark_written(writer.events)
        control = FIR | FIN | CON | UNS | self._sequence
        fragment = response(control, self._indications(), b"".join(writer.parts), Function.UNSOLICITED_RESPONSE)
        until_s = now_s + self._plan.confirm_timeout_s
        self._waiting = _Waiting(self._sequence, until_s, fragment, not writer.events, 0)
        return fragment

    def repeat(self, now_s: float) -> bytes | None:
        """Return the late response once more, None when it was repeated often enough."""
        waiting = self._waiting
        assert waiting is not None, "nothing waits"
        self.timeouts += 1
        most = self._plan.unsolicited_retries
        if most and waiting.repeats >= most:
            self.give_up()
            self._silent = True
            return None
        until_s = now_s + self._plan.confirm_timeout_s
        self._waiting = waiting._replace(until_s=until_s, repeats=waiting.repeats + 1)
        return waiting.fragment

    def give_up(self) -> None:
        """Wait no longer; the events are to be told again, in another response."""
        if self._waiting is not None:
            self._sequence = (self._waiting.sequence + 1) & SEQUENCE_MASK
            self._waiting = None
            self._events.release()

    def confirm(self, sequence: int) -> bool:
        """Take a confirm; tell whether it was the one waited for."""
        waiting = self._waiting
        if waiting is None or sequence != waiting.sequence:
            return False
        self._waiting, self._greeted = None, True
        self._sequence = (waiting.sequence + 1) & SEQUENCE_MASK
        if not waiting.empty:
            self._events.confirm()
        return True
