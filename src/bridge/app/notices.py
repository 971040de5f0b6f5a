"""What servers say of themselves, as events, and as an alarm while one of them keeps its port closed."""

from collections.abc import Container

from bridge.core.event import EventKind
from bridge.services.alarm_rules import SERVER_CLOSED
from bridge.services.alarms import AlarmService
from bridge.services.events import EventLog

# Medium and information, in the bands of seed 004.
_FAULT, _GOOD = 160, 32


class ServerNotices:
    """`Notices` of workers.requests. Loop thread only."""

    def __init__(self, events: EventLog, alarms: AlarmService) -> None:
        self._events, self._alarms = events, alarms
        self._closed: set[str] = set()

    def noticed(self, server: str, text: str, fault: bool) -> None:
        self._events.record(EventKind.CONFIGURATION, _FAULT if fault else _GOOD, f"{server}: {text}")
        (self._closed.add if fault else self._closed.discard)(server)
        self._say()

    def servers(self, names: Container[str]) -> None:
        """Only these are wanted now; the others are closed because nobody wants them."""
        self._closed = {name for name in self._closed if name in names}
        self._say()

    def _say(self) -> None:
        self._alarms.say(SERVER_CLOSED, "", bool(self._closed))
