"""
The life of one alarm condition (seed 004, l.5643-5705; A-02). Pure.

    value   pickup ----------/~~~~Max2~~~~\\-----------
            dropout --------/              \\----------
                       |<-T1->|          |<-T2->|
                    pending  EV1 active       EV2          duration = EV2 - EV1

The rule one must not break: a delay runs only while the value is known to be beyond; what is not known neither begins
nor ends an alarm.
"""

import enum
from dataclasses import dataclass


class Side(enum.Enum):
    """On which side of its level a value is beyond."""

    OVER = "over"
    UNDER = "under"
    # a state: beyond when it is the level itself
    IS = "is"


class Turn(enum.Enum):
    """What an evaluation brought."""

    NOTHING = "nothing"
    BEGAN = "began"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Condition:
    """`dropout`: the level beyond which, on the way back, the alarm ends; of no use to IS. Delays in ns."""

    side: Side
    pickup: float
    dropout: float
    pickup_delay_ns: int = 0
    dropout_delay_ns: int = 0

    def beyond(self, value: float) -> bool:
        """Tell whether `value` begins an alarm, if it stays."""
        if self.side is Side.OVER:
            return value > self.pickup
        return value < self.pickup if self.side is Side.UNDER else value == self.pickup

    def back(self, value: float) -> bool:
        """Tell whether `value` ends an alarm, if it stays."""
        if self.side is Side.OVER:
            return value <= self.dropout
        return value >= self.dropout if self.side is Side.UNDER else value != self.pickup

    def further(self, value: float, than: float | None) -> float:
        """Return the value that is further beyond."""
        if than is None:
            return value
        return min(value, than) if self.side is Side.UNDER else max(value, than)


class Watch:
    """One condition of one point. `before` and `extreme`: furthest values while pending and while active."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.active = False
        self.before: float | None = None
        self.extreme: float | None = None
        self._since: int | None = None
        self._value: float | None = None

    @property
    def waits(self) -> bool:
        """Whether a delay runs, so that it must be looked at without a new value."""
        return self._since is not None

    def take(self, value: float | None, monotonic_ns: int) -> Turn:
        """Take a value, None = it is not known at present."""
        self._value = value
        return self.look(monotonic_ns)

    def look(self, monotonic_ns: int) -> Turn:
        """Look at the delays with the value as it was last."""
        value = self._value
        if value is None:
            self._since = None
            return Turn.NOTHING
        return self._leaving(value, monotonic_ns) if self.active else self._pending(value, monotonic_ns)

    def _pending(self, value: float, now: int) -> Turn:
        condition = self.condition
        if not condition.beyond(value):
            self._since = self.before = None
            return Turn.NOTHING
        self._since = now if self._since is None else self._since
        self.before = condition.further(value, self.before)
        if now - self._since < condition.pickup_delay_ns:
            return Turn.NOTHING
        self.active, self.extreme, self._since = True, value, None
        return Turn.BEGAN

    def _leaving(self, value: float, now: int) -> Turn:
        condition = self.condition
        self.extreme = condition.further(value, self.extreme)
        if not condition.back(value):
            self._since = None
            return Turn.NOTHING
        self._since = now if self._since is None else self._since
        if now - self._since < condition.dropout_delay_ns:
            return Turn.NOTHING
        self.active, self._since = False, None
        return Turn.ENDED

    def resume(self, before: float | None, extreme: float | None) -> None:
        """Go on with an alarm that was active before a restart."""
        self.active, self.before, self.extreme = True, before, extreme
