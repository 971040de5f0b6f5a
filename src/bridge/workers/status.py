"""What `/healthz`, the metrics and the web page may know of a worker."""

import enum
import math
from dataclasses import dataclass, field

# Failures in a row from which an operator should be told that restarting does not help.
CRASH_LOOP_FAILURES = 5
# Seconds since a worker last answered its own question from which it does not count as answering: it asks every 5 s
# with a time-out of 3 s.
PROBE_FRESH_S = 20.0


class State(enum.Enum):
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    STOPPED = "stopped"
    # the mapping asks for it, and the installation has not the extra it needs: `last_end` names it
    NOT_INSTALLED = "not installed"


@dataclass(frozen=True, slots=True)
class Status:
    """
    `ready_after_s`: from the start of the process to the first answer of its own listener. `probe_age_s`: since its
    last answer. `floods`: times it was not heard for a second because it sent too much that is refused.
    """

    name: str
    state: State = State.WAITING
    pid: int = 0
    starts: int = 0
    failures: int = 0
    last_end: str = ""
    ready_after_s: float = 0.0
    points_behind: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    probe_age_s: float = math.inf
    floods: int = 0

    @property
    def crash_loop(self) -> bool:
        return self.failures >= CRASH_LOOP_FAILURES

    @property
    def answering(self) -> bool:
        return self.state is State.READY and self.probe_age_s < PROBE_FRESH_S
