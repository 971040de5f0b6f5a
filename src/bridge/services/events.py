"""
The event log: numbers without gaps, a bounded ring, a warning before unread records are overwritten.

The rule one must not break: what is at or below the threshold gets no number, so that a reader who sees a gap knows
that he has missed something.
"""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.core.clock import Clock
from bridge.core.event import Event, EventKind
from bridge.core.point import NEVER_READ, Sample

# Records kept (A-16, BARS S6), and the share of them unread at which the reader is warned
RING = 5000
WARN_AT = 0.9
# Priority an event must be above to be logged
THRESHOLD = 5

Deliver = Callable[[Event], None]
Lost = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class EventSettings:
    """`ring`: records kept, at least RING. `threshold`: priorities up to it appear nowhere."""

    ring: int = RING
    threshold: int = THRESHOLD


class EventLog:
    """EventStream of the core process. Loop thread only."""

    def __init__(self, clock: Clock, settings: EventSettings | None = None) -> None:
        self._clock, self._settings = clock, settings or EventSettings()
        self._ring: deque[Event] = deque(maxlen=self._settings.ring)
        self._listeners: dict[int, Deliver] = {}
        self._keep: Deliver | None = None
        # events that are not safe yet: nobody hears of them, or their numbers could be given twice
        self._unsafe: deque[Event] = deque()
        self._next_listener = 0
        self._number = 0
        self._read = 0
        self._warned = False

    @property
    def last(self) -> int:
        """Number of the newest event, 0 when there was none."""
        return self._number

    @property
    def unread(self) -> int:
        """Records in the ring that the reader has not seen."""
        return min(self._number - self._read, len(self._ring))

    def restore(self, events: Sequence[Event], read: int = 0, told: int = 0) -> None:
        """
        Go on after the events that an earlier process kept, oldest first. `read`: last number the reader saw. `told`:
        last number that anybody was told, also of an event that could not be kept; none is given twice.
        """
        self._ring.extend(events)
        self._number = max(self._number, told, events[-1].number if events else 0)
        self._read = min(read, self._number)

    def configure(self, settings: EventSettings) -> None:
        """Take other settings, after a reload."""
        if settings.ring != self._settings.ring:
            self._ring = deque(self._ring, maxlen=settings.ring)
        self._settings = settings

    def record(
        self,
        kind: EventKind,
        priority: int,
        text: str,
        device: str = "",
        index: int = -1,
        sample: Sample = NEVER_READ,
        user: str = "",
        time_ns: int = 0,
    ) -> Event | None:
        """Log an event; None when its priority is too low for that. `time_ns`: when it happened, 0 = now."""
        if priority <= self._settings.threshold:
            return None
        self._number += 1
        at = time_ns or self._clock.utc_ns()
        event = Event(self._number, index, sample, text, kind, min(priority, 255), at, user, device)
        self._ring.append(event)
        if self._keep is not None:
            self._unsafe.append(event)
            self._keep(event)
        else:
            self._deliver(event)
        self._warn()
        return event

    def keep_with(self, keep: Deliver | None) -> None:
        """From now on tell `keep` of every event, and the listeners when `safe` says so. None: tell them at once."""
        self._keep = keep
        if keep is None:
            self.safe(self._number)

    def safe(self, number: int) -> None:
        """Every event up to `number` is kept."""
        while self._unsafe and self._unsafe[0].number <= number:
            self._deliver(self._unsafe.popleft())

    def seen(self, number: int) -> None:
        """The reader has seen or saved everything up to `number`."""
        self._read = max(self._read, min(number, self._number))
        if self.unread < WARN_AT * self._settings.ring:
            self._warned = False

    def events(self, after: int = 0, most: int | None = None) -> list[Event]:
        """Return events with a greater number, oldest first; `most`: the newest so many (A-17)."""
        # the numbers have no gap but where a damaged history has lost some, so no fewer than these are to be left out
        skip = max(len(self._ring) - (self._number - after), 0) if after < self._number else len(self._ring)
        found = [event for event in itertools.islice(self._ring, skip, None) if event.number > after]
        return found if most is None else found[-most:] if most else []

    def safe_events(self, after: int) -> list[Event]:
        """As `events`, without those that are not kept yet."""
        until = self._unsafe[0].number if self._unsafe else self._number + 1
        return [event for event in self.events(after) if event.number < until]

    def subscribe(self, deliver: Deliver, lost: Lost = lambda first, last: None) -> Callable[[], None]:
        """Hear of every event; here none is ever lost."""
        key, self._next_listener = self._next_listener, self._next_listener + 1
        self._listeners[key] = deliver
        return lambda: _forget(self._listeners, key)

    def _deliver(self, event: Event) -> None:
        for deliver in list(self._listeners.values()):
            deliver(event)

    def _warn(self) -> None:
        if self._warned or self.unread < WARN_AT * self._settings.ring:
            return
        self._warned = True
        share = round(100 * WARN_AT)
        self.record(EventKind.SYSTEM, 128, f"the event log is {share} % full of events that nobody has read")


def _forget(listeners: dict[int, Deliver], key: int) -> None:
    listeners.pop(key, None)
